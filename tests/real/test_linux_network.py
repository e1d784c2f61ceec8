"""The Linux driver with real packets: what guests get, and what they do not."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Gateway, Lease, Link, NetworkPlan
from nova_lite.network import dnsmasq, linux, nft, nftables
from nova_lite.network.dnsmasq import Dnsmasq
from nova_lite.network.linux import LinuxDriver
from tests.netlab import HOST_ADDRESS, OUTSIDE_ADDRESS, Guest, Lab

pytestmark = pytest.mark.real

NETWORK = UUID("3d2c1c40-0000-4000-8000-000000000001")
OTHER = UUID("3d2c1c40-0000-4000-8000-000000000002")
WEB = Lease("fa:16:3e:00:00:0a", "10.20.0.10", "web")
DB = Lease("fa:16:3e:00:00:0b", "10.20.0.11", "db")
STRANGER = "fa:16:3e:00:00:ff"
GATEWAY = Gateway("10.20.0.1/24", leases=(WEB, DB), lease_seconds=600, metadata="127.0.0.1:8775")
PLAN = NetworkPlan(Link(NETWORK, "br100", mtu=1450), 1, GATEWAY)
OTHER_PLAN = NetworkPlan(
    Link(OTHER, "br101"),
    1,
    Gateway("10.30.0.1/24", leases=(Lease("fa:16:3e:00:00:0c", "10.30.0.10", "far"),)),
)

# Prints one line when it listens; answers with the address of who asks.
TELL_WHO_ASKS = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
    def log_message(self, *arguments):
        pass
server = http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler)
print("listening", flush=True)
server.serve_forever()
"""


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    try:
        yield lab
    finally:
        with lab.host.inside():
            lab.driver().remove_all()
        lab.remove()


def ensure(lab: Lab, plan: NetworkPlan) -> None:
    with lab.host.inside():
        lab.driver().ensure(plan)


def remove(lab: Lab, network: UUID) -> None:
    with lab.host.inside():
        lab.driver().remove(network)


def networks(lab: Lab) -> dict[UUID, int]:
    with lab.host.inside():
        return dict(lab.driver().networks())


def with_leases(*leases: Lease, generation: int = 2) -> NetworkPlan:
    return replace(PLAN, generation=generation, gateway=replace(GATEWAY, leases=leases))


def web_server(lab: Lab, address: str, port: int) -> None:
    lab.serve(lab.host, "python3", "-c", TELL_WHO_ASKS, address, str(port))


def fetch(guest: Guest, url: str) -> str:
    return guest.run("curl", "-s", "-m", "2", url, check=False)


def dnsmasq_pid(lab: Lab, network: UUID = NETWORK) -> int:
    return int((lab.state / "dnsmasq" / str(network) / "pid").read_text())


def everything(lab: Lab) -> str:
    """All there is to see of the host: links, addresses, routes, rules, processes, settings."""
    links = lab.host.run("ip", "-d", "link", "show")
    return "\n".join(
        (
            re.sub(r"(gc|hello|tcn|topology_change)_timer +[\d.]+", "", links),
            lab.host.run("ip", "addr"),
            lab.host.run("ip", "route"),
            lab.host.run("nft", "-a", "list", "ruleset"),
            lab.host.run("sysctl", "net.ipv4.ip_forward"),
            "\n".join(sorted(processes(lab))),
        )
    )


def processes(lab: Lab) -> list[str]:
    pids = lab.host.run("ip", "netns", "pids", lab.host.name).split()
    found = [(pid, Path(f"/proc/{pid}/cmdline")) for pid in pids]
    return [f"{pid} {file.read_bytes()!r}" for pid, file in found if file.exists()]


def servers(lab: Lab) -> list[str]:
    return [process for process in processes(lab) if "dnsmasq" in process]


# --- what guests get ------------------------------------------------------------------------


def test_a_guest_gets_by_dhcp_exactly_what_the_plan_says(lab: Lab) -> None:
    ensure(lab, PLAN)
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease() == (
        "10.20.0.10/24 router=10.20.0.1 dns=10.20.0.1 mtu=1450 domain=novalocal hostname=web"
    )


def test_who_is_not_in_the_plan_gets_nothing_not_even_a_refusal(lab: Lab) -> None:
    ensure(lab, PLAN)
    assert lab.guest("br100", STRANGER).lease(tries=2) == ""


def test_a_new_lease_is_served_as_soon_as_ensure_returns(lab: Lab) -> None:
    ensure(lab, with_leases(generation=0))
    pid = dnsmasq_pid(lab)
    guest = lab.guest("br100", WEB.mac)
    for turn in range(10):
        ensure(lab, with_leases(WEB, generation=1 + 2 * turn))
        # One question, one second: there is no second chance.
        assert guest.lease(tries=1).startswith("10.20.0.10/24")
        guest.drop_lease()
        ensure(lab, with_leases(generation=2 + 2 * turn))
    assert guest.lease(tries=1) == ""
    assert dnsmasq_pid(lab) == pid


def test_an_address_can_be_given_to_another_guest_at_once(lab: Lab) -> None:
    ensure(lab, PLAN)
    assert lab.guest("br100", WEB.mac).lease()
    heir = replace(WEB, mac=STRANGER)
    ensure(lab, with_leases(heir, DB))
    assert lab.guest("br100", STRANGER).lease(tries=1).startswith("10.20.0.10/24")


def test_a_guest_can_be_given_another_address(lab: Lab) -> None:
    ensure(lab, PLAN)
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    guest.drop_lease()
    ensure(lab, with_leases(replace(WEB, address="10.20.0.99")))
    assert guest.lease(tries=1).startswith("10.20.0.99/24")


def test_a_guest_with_a_new_system_keeps_its_address(lab: Lab) -> None:
    ensure(lab, PLAN)
    guest = lab.guest("br100", WEB.mac)
    for client_id in ("0x3d:01:02:03", "0x3d:ff:aa:bb:cc"):
        assert guest.lease("-C", "-x", client_id, tries=1).startswith("10.20.0.10/24")
        guest.drop_lease()


def test_guests_find_each_other_by_name(lab: Lab) -> None:
    ensure(lab, PLAN)
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    for name in ("db", "db.novalocal"):
        assert "10.20.0.11" in guest.run("busybox", "nslookup", name, "10.20.0.1", check=False)
    assert "db.novalocal" in guest.run("busybox", "nslookup", "10.20.0.11", "10.20.0.1")
    assert not guest.works("busybox", "nslookup", "nobody.novalocal", "10.20.0.1")


def test_other_names_are_asked_of_the_forwarders_of_the_network(lab: Lab) -> None:
    names = lab.directory / "names"
    names.write_text("198.51.100.7 www.example.com\n")
    lab.outside.run(
        *("dnsmasq", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--user=root"),
        *(f"--addn-hosts={names}", f"--pid-file={lab.directory / 'forwarder.pid'}"),
    )
    ensure(lab, replace(PLAN, gateway=replace(GATEWAY, dns_servers=(OUTSIDE_ADDRESS,))))
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    said = guest.run("busybox", "nslookup", "www.example.com", "10.20.0.1", check=False)
    assert "198.51.100.7" in said


def test_metadata_leads_to_the_service_which_sees_the_guests_own_address(lab: Lab) -> None:
    ensure(lab, PLAN)
    web_server(lab, "127.0.0.1", 8775)
    for lease in (WEB, DB):
        guest = lab.guest("br100", lease.mac)
        assert guest.lease()
        assert fetch(guest, "http://169.254.169.254/") == lease.address


def test_metadata_on_another_host_sees_the_guests_own_address_too(lab: Lab) -> None:
    ensure(lab, replace(PLAN, gateway=replace(GATEWAY, metadata=f"{OUTSIDE_ADDRESS}:8775")))
    lab.outside.run("ip", "route", "add", "10.20.0.0/24", "via", HOST_ADDRESS)
    lab.serve(lab.outside, "python3", "-c", TELL_WHO_ASKS, OUTSIDE_ADDRESS, "8775")
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    assert fetch(guest, "http://169.254.169.254/") == WEB.address


def test_guests_reach_the_outside_behind_the_hosts_address(lab: Lab) -> None:
    ensure(lab, PLAN)
    lab.serve(lab.outside, "python3", "-c", TELL_WHO_ASKS, OUTSIDE_ADDRESS, "80")
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    guest.run("ping", "-c1", "-W2", OUTSIDE_ADDRESS)
    assert fetch(guest, f"http://{OUTSIDE_ADDRESS}/") == HOST_ADDRESS


def test_without_snat_guests_show_their_own_address(lab: Lab) -> None:
    ensure(lab, replace(PLAN, gateway=replace(GATEWAY, snat=False)))
    lab.outside.run("ip", "route", "add", "10.20.0.0/24", "via", HOST_ADDRESS)
    lab.serve(lab.outside, "python3", "-c", TELL_WHO_ASKS, OUTSIDE_ADDRESS, "80")
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    assert fetch(guest, f"http://{OUTSIDE_ADDRESS}/") == WEB.address


def test_a_guest_that_comes_does_not_change_the_gateways_mac(lab: Lab) -> None:
    ensure(lab, PLAN)
    before = lab.host.run("cat", "/sys/class/net/br100/address")
    lab.guest("br100", "02:00:00:00:00:01")
    assert lab.host.run("cat", "/sys/class/net/br100/address") == before


# --- what guests do not get -----------------------------------------------------------------


def test_guests_reach_nothing_else_of_the_host(lab: Lab) -> None:
    ensure(lab, PLAN)
    for address in ("0.0.0.0", "127.0.0.1"):
        web_server(lab, address, 8775 if address == "127.0.0.1" else 5672)
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    lab.host.run("curl", "-s", "-m", "2", "http://10.20.0.1:5672/")
    for address in ("10.20.0.1", HOST_ADDRESS):
        assert guest.works("ping", "-c1", "-W2", address)
        for port in (5672, 8775):
            assert not guest.works("curl", "-s", "-m", "1", f"http://{address}:{port}/")
    # But the host reaches them, and gets its answers.
    lab.host.run("ping", "-c1", "-W2", WEB.address)


def test_guests_reach_the_host_by_ipv6_neither(lab: Lab) -> None:
    ensure(lab, PLAN)
    lab.guest("br100", WEB.mac)
    assert "inet6" not in lab.host.run("ip", "addr", "show", "br100")


def test_a_packet_to_loopback_is_dropped_although_metadata_is_there(lab: Lab) -> None:
    ensure(lab, PLAN)
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    gateway_mac = lab.host.run("cat", "/sys/class/net/br100/address").strip()
    with lab.host.inside():
        victim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with guest.inside():
        attacker = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with victim, attacker:
        victim.bind(("127.0.0.1", 5672))
        attacker.bind(("eth0", 0))

        def arrives() -> bool:
            attacker.send(datagram_frame(gateway_mac, WEB, "127.0.0.1", 5672))
            return bool(select.select([victim], [], [], 0.3)[0] and victim.recv(100))

        assert not arrives()
        lab.host.run("nft", "flush", "chain", "inet", "nova_lite", "input-br100")
        assert not arrives()
        # Only these rules stand between: the kernel itself would let it in.
        lab.host.run("nft", "flush", "chain", "inet", "nova_lite", "guard")
        assert arrives()


def datagram_frame(to_mac: str, sender: Lease, address: str, port: int) -> bytes:
    """An Ethernet frame with a UDP datagram that no kernel would send by itself."""
    ethernet = b"".join(bytes.fromhex(mac.replace(":", "")) for mac in (to_mac, sender.mac))
    datagram = struct.pack("!HHHH", 1024, port, 8 + 5, 0) + b"knock"
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(datagram), 1, 0, 64, 17, 0)
    header += socket.inet_aton(sender.address) + socket.inet_aton(address)
    total = sum(struct.unpack("!10H", header))
    checksum = ~(total % 0xFFFF) & 0xFFFF
    header = header[:10] + struct.pack("!H", checksum) + header[12:]
    return ethernet + b"\x08\x00" + header + datagram


def test_a_host_without_gateway_on_the_bridge_is_closed_as_well(lab: Lab) -> None:
    with lab.host.inside():
        lab.driver().connect(PLAN.link)
    guest = lab.guest("br100", WEB.mac)
    guest.run("ip", "addr", "add", "10.20.0.10/24", "dev", "eth0")
    guest.run("ip", "route", "add", HOST_ADDRESS, "dev", "eth0")
    assert not guest.works("ping", "-c1", "-W1", HOST_ADDRESS)  # nobody tells it the MAC
    mac = lab.host.run("cat", "/sys/class/net/br100/address").strip()
    guest.run("ip", "neigh", "replace", HOST_ADDRESS, "lladdr", mac, "dev", "eth0")

    def segments() -> int:
        guest.works("curl", "-s", "-m", "1", f"http://{HOST_ADDRESS}:5672/")
        names, values = re.findall(r"^Tcp: (.*)$", lab.host.run("cat", "/proc/net/snmp"), re.M)
        return int(values.split()[names.split().index("InSegs")])

    assert segments() == 0
    # It is this setting that keeps them out.
    for name in ("all", "br100"):
        lab.host.run("sysctl", f"net.ipv4.conf.{name}.rp_filter=0")
    assert segments() > 0


def test_two_networks_do_not_meet(lab: Lab) -> None:
    ensure(lab, PLAN)
    ensure(lab, OTHER_PLAN)
    web, far = lab.guest("br100", WEB.mac), lab.guest("br101", "fa:16:3e:00:00:0c")
    assert web.lease() and far.lease()
    assert not web.works("ping", "-c1", "-W1", "10.30.0.10")
    assert not web.works("busybox", "nslookup", "far", "10.30.0.1")
    far.run("ping", "-c1", "-W2", OUTSIDE_ADDRESS)


def test_nobody_outside_can_ask_the_dns(lab: Lab) -> None:
    ensure(lab, PLAN)
    lab.outside.run("ip", "route", "add", "10.20.0.0/24", "via", HOST_ADDRESS)
    assert lab.outside.works("ping", "-c1", "-W2", "10.20.0.1")
    for server in ("10.20.0.1", HOST_ADDRESS):
        assert not lab.outside.works("timeout", "2", "busybox", "nslookup", "web", server)
    # Nor without our rules: the server looks by itself where a question comes from.
    lab.host.run("nft", "delete", "table", "inet", "nova_lite")
    assert not lab.outside.works("timeout", "2", "busybox", "nslookup", "web", "10.20.0.1")


# --- what the host keeps --------------------------------------------------------------------


FOREIGN_RULES = """
table ip operator { chain input { type filter hook input priority 5; tcp dport 2222 accept; } ; }
table inet nova_lite_of_somebody { chain a { counter; } ; }
"""


def test_other_peoples_rules_are_untouched(lab: Lab) -> None:
    rules = lab.directory / "rules.nft"
    rules.write_text(FOREIGN_RULES)
    lab.host.run("nft", "-f", str(rules))
    before = lab.host.run("nft", "-a", "list", "ruleset")
    ensure(lab, PLAN)
    assert before in lab.host.run("nft", "-a", "list", "ruleset")
    remove(lab, NETWORK)
    assert lab.host.run("nft", "-a", "list", "ruleset") == before


def test_ensuring_again_changes_nothing_at_all(lab: Lab) -> None:
    ensure(lab, PLAN)
    ensure(lab, OTHER_PLAN)
    before = everything(lab)
    rules, links = lab.host.start("nft", "monitor"), lab.host.start("ip", "monitor")
    lab.processes += [rules, links]
    time.sleep(0.3)  # neither says when it has begun
    for plan in (PLAN, OTHER_PLAN, PLAN):
        ensure(lab, plan)
    for monitor in (rules, links):
        monitor.terminate()
        assert monitor.communicate()[0] == ""
    assert everything(lab) == before


def test_new_leases_touch_neither_rules_nor_process(lab: Lab) -> None:
    ensure(lab, PLAN)
    before = everything(lab)
    ensure(lab, with_leases(WEB))
    assert networks(lab) == {NETWORK: 2}
    assert everything(lab) == before


def test_new_options_do_restart_the_process(lab: Lab) -> None:
    ensure(lab, PLAN)
    before = dnsmasq_pid(lab)
    ensure(lab, replace(PLAN, generation=2, gateway=replace(GATEWAY, domain="example.org")))
    assert dnsmasq_pid(lab) != before
    guest = lab.guest("br100", WEB.mac)
    assert "domain=example.org" in guest.lease()


def test_a_new_gateway_address_takes_the_place_of_the_old(lab: Lab) -> None:
    ensure(lab, PLAN)
    ensure(lab, replace(PLAN, generation=2, gateway=replace(GATEWAY, address="10.20.0.254/24")))
    addresses = lab.host.run("ip", "-4", "addr", "show", "br100")
    assert "10.20.0.254/24" in addresses and "10.20.0.1/24" not in addresses
    assert "router=10.20.0.254" in lab.guest("br100", WEB.mac).lease()


def test_a_killed_dnsmasq_is_noticed_and_replaced(lab: Lab) -> None:
    ensure(lab, PLAN)
    os.kill(dnsmasq_pid(lab), signal.SIGKILL)
    assert networks(lab) == {}
    ensure(lab, PLAN)
    assert networks(lab) == {NETWORK: 1}
    assert lab.guest("br100", WEB.mac).lease()


def test_a_dnsmasq_that_hangs_is_an_error_and_is_removed_all_the_same(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dnsmasq, "TIMEOUT", 0.5)
    monkeypatch.setattr(dnsmasq, "GRACE", 0.2)
    ensure(lab, PLAN)
    os.kill(dnsmasq_pid(lab), signal.SIGSTOP)
    with pytest.raises(NetworkError, match="does not take up"):
        ensure(lab, with_leases(WEB))
    assert networks(lab) == {}
    remove(lab, NETWORK)
    assert servers(lab) == []


def test_a_port_in_use_is_an_error_that_names_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsmasq, "GRACE", 0.1)
    with lab.host.inside(), socket.socket() as taken:
        taken.bind(("0.0.0.0", 53))
        taken.listen()
        with pytest.raises(NetworkError, match="10.20.0.1: Address already in use"):
            lab.driver().ensure(PLAN)
    ensure(lab, PLAN)
    assert networks(lab) == {NETWORK: 1}


def test_a_host_without_dnsmasq_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = lab.directory / "bin"
    tools.mkdir()
    (tools / "nft").symlink_to(str(shutil.which("nft")))
    with lab.host.inside(), monkeypatch.context() as changed:
        changed.setenv("PATH", str(tools))
        with pytest.raises(NetworkError, match="dnsmasq cannot be run"):
            lab.driver().ensure(PLAN)


def test_what_nft_refuses_is_an_error_and_changes_nothing(lab: Lab) -> None:
    ensure(lab, PLAN)
    before = lab.host.run("nft", "-a", "list", "ruleset")
    commands = nftables.transaction([PLAN])
    commands.append({"add": {"rule": {"family": "inet", "table": "nova_lite"}}})
    with lab.host.inside(), pytest.raises(NetworkError, match="nft refused"):
        nft.apply(commands)
    assert lab.host.run("nft", "-a", "list", "ruleset") == before


def test_a_process_that_took_over_the_pid_is_not_killed(lab: Lab) -> None:
    ensure(lab, PLAN)
    os.kill(dnsmasq_pid(lab), signal.SIGKILL)
    bystander = lab.serve(lab.host, "sh", "-c", "echo started; exec sleep 60")
    (lab.state / "dnsmasq" / str(NETWORK) / "pid").write_text(f"{bystander.pid}\n")
    assert networks(lab) == {}
    ensure(lab, PLAN)
    remove(lab, NETWORK)
    assert bystander.poll() is None


def test_a_lost_pid_file_leaves_no_second_server(lab: Lab) -> None:
    ensure(lab, PLAN)
    (lab.state / "dnsmasq" / str(NETWORK) / "pid").unlink()
    ensure(lab, PLAN)
    assert len(servers(lab)) == 1
    assert networks(lab) == {NETWORK: 1}


@pytest.mark.parametrize(
    "damage",
    [
        ("ip", "link", "del", "br100"),
        ("ip", "link", "set", "br100", "down"),
        ("ip", "addr", "flush", "dev", "br100"),
        ("nft", "delete", "table", "inet", "nova_lite"),
        ("nft", "flush", "chain", "inet", "nova_lite", "guard"),
        ("sysctl", "net.ipv4.ip_forward=0"),
    ],
)
def test_damage_is_noticed_and_repaired(lab: Lab, damage: tuple[str, ...]) -> None:
    ensure(lab, PLAN)
    lab.host.run(*damage)
    assert networks(lab) == {}
    ensure(lab, PLAN)
    assert networks(lab) == {NETWORK: 1}
    web_server(lab, "127.0.0.1", 8775)
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()
    assert fetch(guest, "http://169.254.169.254/") == WEB.address


def test_a_worker_killed_in_the_middle_is_repaired_by_the_next(lab: Lab) -> None:
    ensure(lab, PLAN)
    guest = lab.guest("br100", WEB.mac)
    assert guest.lease()

    class Killed(BaseException):
        pass

    class Dying(LinuxDriver):
        def _dnsmasq(self, network: UUID) -> Dnsmasq:
            raise Killed

    heir = replace(WEB, mac=STRANGER)
    with lab.host.inside(), pytest.raises(Killed):
        Dying(lab.state).ensure(with_leases(heir))
    assert networks(lab) == {}
    ensure(lab, with_leases(heir))
    assert networks(lab) == {NETWORK: 2}
    assert lab.guest("br100", STRANGER).lease(tries=1).startswith("10.20.0.10/24")


def test_removing_leaves_nothing(lab: Lab) -> None:
    before = everything(lab)
    ensure(lab, PLAN)
    ensure(lab, OTHER_PLAN)
    remove(lab, NETWORK)
    assert len(servers(lab)) == 1
    assert lab.guest("br101", "fa:16:3e:00:00:0c").lease()
    lab.host.run("ip", "link", "del", "port2")
    remove(lab, OTHER)
    assert everything(lab) == before
    assert [file for file in lab.state.rglob("*") if file.is_file()] == [lab.state / "lock"]


def test_removing_is_content_when_somebody_removed_half_already(lab: Lab) -> None:
    before = everything(lab)
    ensure(lab, PLAN)
    lab.host.run("ip", "link", "del", "br100")
    lab.host.run("nft", "delete", "table", "inet", "nova_lite")
    remove(lab, NETWORK)
    assert everything(lab) == before


def test_purging_leaves_nothing_of_networks_and_links(lab: Lab) -> None:
    before = everything(lab)
    ensure(lab, PLAN)
    with lab.host.inside():
        lab.driver().connect(OTHER_PLAN.link)
        lab.driver().remove_all()
    assert everything(lab) == before
    assert not lab.state.exists()


def test_a_host_that_routed_before_goes_on_routing(lab: Lab) -> None:
    for before in ("1", "0"):
        lab.host.run("sysctl", f"net.ipv4.ip_forward={before}")
        ensure(lab, PLAN)
        assert lab.host.run("sysctl", "-n", "net.ipv4.ip_forward") == "1\n"
        remove(lab, NETWORK)
        assert lab.host.run("sysctl", "-n", "net.ipv4.ip_forward") == f"{before}\n"


def test_state_that_power_loss_has_emptied_is_written_anew(lab: Lab) -> None:
    ensure(lab, PLAN)
    for file in lab.state.rglob("*.json"):
        file.write_text("")
    assert networks(lab) == {}
    ensure(lab, PLAN)
    assert networks(lab) == {NETWORK: 1}


def test_the_operators_bridge_is_used_and_left_to_the_operator(lab: Lab) -> None:
    lab.host.run("ip", "link", "add", "br100", "type", "bridge")
    lab.host.run("ip", "addr", "add", "10.99.0.5/24", "dev", "br100")
    lab.host.run("ip", "link", "set", "br100", "up")
    ensure(lab, PLAN)
    assert lab.guest("br100", WEB.mac).lease()
    remove(lab, NETWORK)
    addresses = lab.host.run("ip", "-o", "-4", "addr", "show", "br100")
    assert "10.99.0.5/24" in addresses and "10.20.0.1" not in addresses


def test_a_bridge_with_guests_on_it_outlives_its_gateway(lab: Lab) -> None:
    ensure(lab, PLAN)
    lab.host.run("ip", "tuntap", "add", "tap0", "mode", "tap")
    lab.host.run("ip", "link", "set", "tap0", "master", "br100")
    remove(lab, NETWORK)
    assert "10.20.0.1" not in lab.host.run("ip", "addr", "show", "br100")
    lab.host.run("ip", "link", "del", "tap0")
    remove(lab, NETWORK)
    assert not lab.host.works("ip", "link", "show", "br100")


# --- uplinks --------------------------------------------------------------------------------


def test_guests_of_another_host_are_served_over_the_uplink(lab: Lab) -> None:
    lab.host.run("ip", "addr", "flush", "dev", "up0")
    ensure(lab, replace(PLAN, link=replace(PLAN.link, parent="up0")))
    lab.outside.run("ip", "link", "set", "up0", "down")
    lab.outside.run("ip", "link", "set", "up0", "address", WEB.mac, "up")
    answer = lab.outside.run(
        *("busybox", "udhcpc", "-f", "-q", "-n", "-i", "up0", "-s", "/bin/true"), check=False
    )
    assert "lease of 10.20.0.10 obtained" in answer


def test_an_uplink_that_is_there_already_is_left_as_it_is(lab: Lab) -> None:
    lab.host.run("ip", "addr", "flush", "dev", "up0")
    lab.host.run("ip", "link", "set", "up0", "down")
    link = replace(PLAN.link, parent="up0")
    with lab.host.inside():
        lab.driver().connect(link)
        lab.driver().connect(link)
    assert "master br100" in lab.host.run("ip", "link", "show", "up0", "up")


def test_two_processes_can_make_the_same_bridge_at_once(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lab.host.inside():
        lab.driver().connect(PLAN.link)
    before = everything(lab)
    # As it looked to the second before the first was done.
    monkeypatch.setattr(linux, "_find", lambda kernel, name: None)
    with lab.host.inside():
        LinuxDriver(lab.directory / "other").connect(PLAN.link)
    assert everything(lab) == before


def test_a_kernel_without_ipv6_has_nothing_to_close(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {name.replace("ipv6", "no-ipv6"): v for name, v in linux.CLOSED_BRIDGE.items()}
    monkeypatch.setattr(linux, "CLOSED_BRIDGE", settings)
    ensure(lab, PLAN)
    assert networks(lab) == {NETWORK: 1}


@pytest.mark.parametrize(
    ("parent", "reason"),
    [("up0", "address of the host"), ("up9", "does not exist"), ("up1", "another bridge")],
)
def test_an_uplink_that_would_harm_is_refused(lab: Lab, parent: str, reason: str) -> None:
    lab.host.run("ip", "link", "add", "brx", "type", "bridge")
    lab.host.run("ip", "link", "add", "up1", "master", "brx", "type", "veth")
    with lab.host.inside(), pytest.raises(NetworkError, match=reason):
        lab.driver().connect(replace(PLAN.link, parent=parent))
    assert f"{HOST_ADDRESS}/24" in lab.host.run("ip", "addr", "show", "up0")


def test_what_is_not_a_bridge_is_not_made_one(lab: Lab) -> None:
    with lab.host.inside(), pytest.raises(NetworkError, match="not a bridge"):
        lab.driver().connect(replace(PLAN.link, bridge="up0"))


# --- how fast -------------------------------------------------------------------------------


def test_networks_come_and_leases_follow_without_delay(lab: Lab) -> None:
    def seconds(plan: NetworkPlan) -> float:
        start = time.perf_counter()
        driver.ensure(plan)
        return time.perf_counter() - start

    with lab.host.inside():
        driver = lab.driver()
        first = seconds(PLAN)
        later = sorted(seconds(with_leases(WEB, generation=n + 2)) for n in range(20))
    assert first < 0.3
    assert later[10] < 0.05
