"""Security groups with real packets: what guests may say and hear, and in whose name."""

from __future__ import annotations

import signal
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.ids import link_local
from nova_lite.domain.specs import FilterRule, Gateway, Lease, Link, NetworkPlan, Nic
from nova_lite.network import linux
from tests.netlab import OUTSIDE_ADDRESS, Guest, Lab

pytestmark = pytest.mark.real

NETWORK = UUID("3d2c1c40-0000-4000-8000-000000000001")
WEB = Lease("fa:16:3e:00:00:0a", "10.20.0.10", "web")
DB = Lease("fa:16:3e:00:00:0b", "10.20.0.11", "db")
LINK = Link(NETWORK, "br100")
GATEWAY = Gateway("10.20.0.1/24", leases=(WEB, DB), metadata="127.0.0.1:8775")
OUTWARDS = (FilterRule("egress", "IPv4"), FilterRule("egress", "IPv6"))
PING = FilterRule("ingress", "IPv4", "icmp")
HTTP = FilterRule("ingress", "IPv4", "tcp", 80, 80)
DATAGRAMS = FilterRule("ingress", "IPv4", "udp", 5000, 5010)

SERVE = """
import socket, sys
listener = socket.create_server(("", int(sys.argv[1])))
print("listening", flush=True)
while True:
    connection, _ = listener.accept()
    connection.sendall(b"hello\\n")
    while connection.recv(100):
        connection.sendall(b"again\\n")
"""


class Machine(Guest):
    """A guest with an address, whose filters can be set."""

    def __init__(self, lab: Lab, lease: Lease) -> None:
        number = len(lab.namespaces)
        super().__init__(lab.guest(LINK.bridge, lease.mac).namespace, lab.directory)
        self.lab, self.id = lab, uuid4()
        self.nic = Nic(uuid4(), lease.mac, LINK, (lease.address,), f"port{number}")
        self.run("ip", "addr", "add", f"{lease.address}/24", "dev", "eth0")
        self.run("ip", "route", "add", "default", "via", "10.20.0.1")
        self.allow()

    def allow(self, *rules: FilterRule, outwards: tuple[FilterRule, ...] = OUTWARDS) -> None:
        self.nic = replace(self.nic, rules=(*outwards, *rules))
        with self.lab.host.inside():
            self.lab.driver().protect(self.id, [self.nic])

    def pings(self, address: str, *options: str) -> bool:
        return self.works("ping", "-c1", "-W1", *options, address)

    def connects(self, address: str, port: int = 80) -> bool:
        with self.inside(), socket.socket() as client:
            client.settimeout(1)
            try:
                client.connect((address, port))
                return client.recv(10) == b"hello\n"
            except OSError:
                return False

    def serves(self, port: int = 80) -> None:
        self.lab.serve(self.namespace, "python3", "-c", SERVE, str(port))

    def sends(self, frame: bytes) -> None:
        with self.inside(), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
            wire.bind(("eth0", 0))
            wire.send(frame)

    def listens(self) -> socket.socket:
        """What arrives at its interface, of all kinds of frames."""
        everything = 3
        with self.inside():
            wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(everything))
        wire.bind(("eth0", everything))
        wire.settimeout(0.5)
        return wire


@pytest.fixture
def lab() -> Iterator[Lab]:
    lab = Lab()
    try:
        with lab.host.inside():
            lab.driver().ensure(NetworkPlan(LINK, 1, GATEWAY))
        yield lab
    finally:
        with lab.host.inside():
            lab.driver().remove_all()
        lab.remove()


@pytest.fixture
def web(lab: Lab) -> Machine:
    return Machine(lab, WEB)


@pytest.fixture
def db(lab: Lab) -> Machine:
    return Machine(lab, DB)


def octets(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def arrives(wire: socket.socket, what: bytes) -> bool:
    """Whether a frame with these bytes comes within half a second."""
    end = time.monotonic() + 0.5
    try:
        while time.monotonic() < end:
            if what in wire.recv(2000):
                return True
    except TimeoutError:
        pass
    return False


def datagram(sender: str, to: str, source: int, destination: int, content: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram."""
    udp = struct.pack("!HHHH", source, destination, 8 + len(content), 0) + content
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0)
    header += socket.inet_aton(sender) + socket.inet_aton(to)
    total = sum(struct.unpack("!10H", header))
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return header[:10] + struct.pack("!H", checksum) + header[12:] + udp


# --- what rules say -------------------------------------------------------------------------


def test_nobody_gets_in_until_a_rule_lets_him(web: Machine, db: Machine) -> None:
    web.serves()
    assert not db.pings(WEB.address) and not db.connects(WEB.address)
    web.allow(PING)
    assert db.pings(WEB.address) and not db.connects(WEB.address)
    web.allow(HTTP)
    assert db.connects(WEB.address) and not db.pings(WEB.address)
    web.allow()
    assert not db.pings(WEB.address) and not db.connects(WEB.address)


def test_the_host_itself_and_the_outside_get_in_by_rules_only(lab: Lab, web: Machine) -> None:
    lab.outside.run("ip", "route", "add", "10.20.0.0/24", "via", "192.0.2.2")
    for sender in (lab.host, lab.outside):
        assert not sender.works("ping", "-c1", "-W1", WEB.address)
    web.allow(PING)
    for sender in (lab.host, lab.outside):
        assert sender.works("ping", "-c1", "-W1", WEB.address)


def test_answers_pass_from_neighbours_the_host_and_the_outside(
    lab: Lab, web: Machine, db: Machine
) -> None:
    db.allow(PING, HTTP)
    db.serves()
    assert web.connects(DB.address)
    for address in (DB.address, "10.20.0.1", OUTSIDE_ADDRESS):
        assert web.pings(address)


def test_who_may_not_say_anything_may_still_answer(web: Machine, db: Machine) -> None:
    web.serves()
    web.allow(HTTP, outwards=())
    assert db.connects(WEB.address)
    assert not web.pings("10.20.0.1")
    web.allow(HTTP, outwards=(FilterRule("egress", "IPv4", "icmp", remotes=("10.20.0.1/32",)),))
    assert web.pings("10.20.0.1") and not web.pings(OUTSIDE_ADDRESS)


def test_a_rule_about_the_members_of_a_group_is_about_nobody_else(
    lab: Lab, web: Machine, db: Machine
) -> None:
    web.allow(replace(PING, remotes=(f"{DB.address}/32", f"{DB.address}/32", "10.99.0.0/16")))
    assert db.pings(WEB.address)
    assert not lab.host.works("ping", "-c1", "-W1", WEB.address)
    web.allow(replace(PING, remotes=()))
    assert not db.pings(WEB.address)
    web.allow(replace(PING, remotes=()), replace(PING, remotes=("10.20.0.0/24",)))
    assert db.pings(WEB.address)


def test_types_ports_and_protocols_are_told_apart(web: Machine, db: Machine) -> None:
    for port in (79, 80, 82, 83):
        web.serves(port)
    web.allow(replace(HTTP, port_min=80, port_max=82), replace(PING, port_min=13, port_max=0))
    assert [port for port in (79, 80, 82, 83) if db.connects(WEB.address, port)] == [80, 82]
    assert not db.pings(WEB.address)
    web.allow(replace(PING, port_min=8, port_max=0))
    assert db.pings(WEB.address) and not db.connects(WEB.address)


def test_a_rule_that_goes_takes_its_flows_with_it(web: Machine, db: Machine) -> None:
    web.serves()
    web.allow(HTTP)
    with db.inside():
        client = socket.create_connection((WEB.address, 80), 1)
    with client:
        assert client.recv(10) == b"hello\n"
        client.sendall(b"x")
        assert client.recv(10) == b"again\n"
        web.allow()
        client.settimeout(1)
        client.sendall(b"x")
        with pytest.raises(TimeoutError):
            client.recv(10)
        # It was not broken, only held up: the rule that comes back lets it go on.
        web.allow(HTTP)
        client.settimeout(10)
        assert client.recv(10) == b"again\n"


def test_a_change_of_rules_leaves_other_flows_alone(web: Machine, db: Machine) -> None:
    db.allow(HTTP)
    db.serves()
    with web.inside():
        client = socket.create_connection((DB.address, 80), 1)
    with client:
        assert client.recv(10) == b"hello\n"
        for rules in ((PING,), (), (PING, HTTP)):
            web.allow(*rules)
            client.sendall(b"x")
            assert client.recv(10) == b"again\n"


def test_datagrams_in_pieces_arrive_whole(web: Machine, db: Machine) -> None:
    web.allow(DATAGRAMS)
    with web.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with db.inside():
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server, client:
        server.bind((WEB.address, 5005))
        server.settimeout(1)
        client.sendto(b"x" * 4000, (WEB.address, 5005))
        assert len(server.recv(5000)) == 4000


def test_errors_about_a_flow_pass(lab: Lab, web: Machine) -> None:
    with web.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect((OUTSIDE_ADDRESS, 9))
        client.send(b"is anybody there?")
        with pytest.raises(ConnectionRefusedError):  # which only an ICMP message can tell
            client.recv(10)


def test_ipv6_follows_its_own_rules(web: Machine, db: Machine) -> None:
    to = f"{link_local(WEB.mac)}%eth0"

    def pings() -> bool:
        return any(db.pings(to) for _ in range(3))  # its address may still be tentative

    web.allow(PING)
    time.sleep(2)
    assert not pings()
    web.allow(FilterRule("ingress", "IPv6", "ipv6-icmp", 128, 0))
    assert pings()
    web.allow(FilterRule("ingress", "IPv6", remotes=("fd00::/8",)))
    assert not pings()


def test_a_guest_without_any_rule_still_lives_on_its_network(lab: Lab, web: Machine) -> None:
    web.allow(outwards=())
    web.drop_lease()
    assert web.lease().startswith("10.20.0.10/24")
    lab.serve(lab.host, "python3", "-c", SERVE, "8775")
    assert web.connects("169.254.169.254", 80)
    assert not web.connects("169.254.169.254", 81)


# --- who they say they are ------------------------------------------------------------------


@pytest.mark.parametrize("sender", ["10.20.0.99", DB.address, "169.254.1.1", "0.0.0.0"])
def test_a_sender_that_is_not_its_own_is_dropped(web: Machine, db: Machine, sender: str) -> None:
    db.allow(DATAGRAMS)
    ethernet = octets(DB.mac) + octets(WEB.mac) + b"\x08\x00"
    with db.listens() as wire:
        web.sends(ethernet + datagram(WEB.address, DB.address, 9, 5000, b"honest"))
        assert arrives(wire, b"honest")
        web.sends(ethernet + datagram(sender, DB.address, 9, 5000, b"forged"))
        assert not arrives(wire, b"forged")


def test_another_mac_is_dropped_and_not_even_learnt(lab: Lab, web: Machine, db: Machine) -> None:
    db.allow(DATAGRAMS)
    stranger = "02:00:00:00:00:99"
    with db.listens() as wire:
        frame = octets(DB.mac) + octets(stranger) + b"\x08\x00"
        web.sends(frame + datagram(WEB.address, DB.address, 9, 5000, b"forged"))
        assert not arrives(wire, b"forged")
    assert stranger not in lab.host.run("bridge", "fdb", "show", "br", "br100")


@pytest.mark.parametrize(
    ("mac", "address", "passes"),
    [
        (WEB.mac, WEB.address, True),
        (WEB.mac, "0.0.0.0", True),  # asks whether an address is free
        (WEB.mac, "10.20.0.1", False),
        (WEB.mac, DB.address, False),
        ("02:00:00:00:00:99", WEB.address, False),
    ],
)
def test_a_guest_answers_for_its_own_address_only(
    web: Machine, db: Machine, mac: str, address: str, passes: bool
) -> None:
    said = octets(mac) + socket.inet_aton(address)
    frame = b"\xff" * 6 + octets(WEB.mac) + b"\x08\x06"
    with db.listens() as wire:
        web.sends(
            frame + struct.pack("!HHBBH", 1, 0x800, 6, 4, 2) + said + octets(DB.mac) + said[6:]
        )
        assert arrives(wire, said) is passes


@pytest.mark.parametrize(
    "frame",
    [
        b"\x81\x00\x00\x64\x08\x00" + datagram(WEB.address, DB.address, 9, 5000, b"knock"),
        b"\x88\xa8\x00\x64\x81\x00\x00\x64\x08\x00knock",
        b"\x88\xcc" + b"knock" * 10,  # LLDP
        b"\x00\x26\x42\x42\x03" + b"knock" * 7,  # spanning tree
        b"\x08\x00" + datagram(WEB.address, DB.address, 67, 68, b"knock"),
    ],
    ids=["vlan", "vlan in vlan", "lldp", "stp", "dhcp server"],
)
def test_what_no_guest_may_send(web: Machine, db: Machine, frame: bytes) -> None:
    db.allow(FilterRule("ingress", "IPv4"), FilterRule("ingress", "IPv6"))
    with db.listens() as wire:
        web.sends(octets(DB.mac) + octets(WEB.mac) + frame)
        assert not arrives(wire, b"knock")


def icmp_v6(kind: int, body: bytes) -> bytes:
    """An IPv6 packet to all nodes, with its checksum."""
    sender = socket.inet_pton(socket.AF_INET6, link_local(WEB.mac))
    to = socket.inet_pton(socket.AF_INET6, "ff02::1")
    message = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = sender + to + struct.pack("!II", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xFFFF) + message[4:]
    return struct.pack("!IHBB", 0x60000000, len(message), 58, 255) + sender + to + message


@pytest.mark.parametrize(
    ("kind", "body", "passes"),
    [
        (136, bytes(4) + socket.inet_pton(socket.AF_INET6, link_local(WEB.mac)), True),
        (136, bytes(4) + socket.inet_pton(socket.AF_INET6, link_local(DB.mac)), False),
        (134, b"\x40\x00\x07\x08" + bytes(8), False),
        (137, bytes(36), False),
    ],
    ids=["its own", "its neighbour's", "router", "redirect"],
)
def test_a_guest_is_no_ipv6_router_and_no_neighbour(
    web: Machine, db: Machine, kind: int, body: bytes, passes: bool
) -> None:
    packet = icmp_v6(kind, body)
    with db.listens() as wire:
        web.sends(b"\x33\x33\x00\x00\x00\x01" + octets(WEB.mac) + b"\x86\xdd" + packet)
        assert arrives(wire, packet) is passes


# --- what the host keeps --------------------------------------------------------------------


def test_a_port_that_is_not_filtered_is_not_filtered(lab: Lab, web: Machine, db: Machine) -> None:
    assert not db.pings(WEB.address)
    web.nic = replace(web.nic, rules=None)
    with lab.host.inside():
        lab.driver().protect(web.id, [web.nic])
        assert set(lab.driver().protected()) == {db.id}
    assert db.pings(WEB.address)


def test_a_worker_that_starts_changes_nothing_and_can_take_all_away(
    lab: Lab, web: Machine, db: Machine
) -> None:
    before = lab.host.run("nft", "-a", "list", "ruleset")
    with lab.host.inside():
        lab.driver().watch()
        assert lab.host.run("nft", "-a", "list", "ruleset") == before
        assert lab.driver().protected() == {web.id: [web.nic.tap], db.id: [db.nic.tap]}
        lab.driver().unprotect(web.id)
        lab.driver().unprotect(db.id, but=[db.nic])
        assert lab.driver().protected() == {db.id: [db.nic.tap]}
        lab.driver().unprotect(db.id)
        lab.driver().unprotect(db.id)
    assert web.nic.tap not in lab.host.run("nft", "list", "ruleset")
    assert not list((lab.state / "guests").glob("*.json"))


def test_whoever_flushes_the_rules_of_the_host_finds_ours_again(lab: Lab, web: Machine) -> None:
    lab.host.run("nft", "flush", "ruleset")
    with lab.host.inside():
        assert lab.driver().protected() == {}
        lab.driver().watch()
        assert lab.driver().protected() == {web.id: [web.nic.tap]}
    assert not lab.host.works("ping", "-c1", "-W1", WEB.address)
    web.allow(PING)
    assert lab.host.works("ping", "-c1", "-W1", WEB.address)


def test_rules_are_never_half_there(lab: Lab, web: Machine, db: Machine) -> None:
    web.allow(PING)
    flood = lab.serve(db.namespace, "ping", "-i", "0.01", WEB.address, ready="bytes from")
    for _ in range(10):
        web.allow(PING, HTTP)
        web.allow(PING)
    flood.send_signal(signal.SIGINT)
    said = flood.communicate()[0]
    assert " 0% packet loss" in said, said


def test_without_connection_tracking_nothing_is_taken_for_an_answer(
    lab: Lab, web: Machine, db: Machine
) -> None:
    db.allow(PING)
    assert web.pings(DB.address)
    for name in ("iptables", "ip6tables"):
        lab.host.run("sysctl", f"net.bridge.bridge-nf-call-{name}=0")
    lab.host.run("ip", "link", "set", "br100", "type", "bridge", "nf_call_iptables", "0")
    assert not web.pings(DB.address)
    db.allow(PING)
    assert web.pings(DB.address)


def test_a_kernel_that_cannot_filter_says_so(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "ALL_BRIDGES", ("bridge/there-is-no-such-setting",))
    with lab.host.inside(), pytest.raises(NetworkError, match="br_netfilter"):
        lab.driver().protect(uuid4(), [Nic(uuid4(), WEB.mac, LINK, rules=())])


def test_a_bridge_that_is_not_there_is_an_error(lab: Lab) -> None:
    with lab.host.inside(), pytest.raises(NetworkError, match="no bridge br999"):
        lab.driver().protect(uuid4(), [Nic(uuid4(), WEB.mac, Link(NETWORK, "br999"), rules=())])


def test_one_guest_among_many_is_protected_without_delay(lab: Lab) -> None:
    def nic(number: int) -> Nic:
        members = tuple(f"10.20.0.{n}/32" for n in range(2, 250))
        rules = (*OUTWARDS, PING, HTTP, FilterRule("ingress", "IPv4", remotes=members))
        mac = f"fa:16:3e:01:00:{number:02x}"
        return Nic(uuid4(), mac, LINK, (f"10.20.0.{number}",), rules=rules)

    def seconds(number: int) -> float:
        start = time.perf_counter()
        driver.protect(uuid4(), [nic(number)])
        return time.perf_counter() - start

    with lab.host.inside():
        driver = lab.driver()
        driver.protect(uuid4(), [nic(number) for number in range(2, 102)])
        took = sorted(seconds(number) for number in range(102, 122))
    assert took[5] < 0.05, took
