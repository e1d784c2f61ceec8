from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Gateway, Lease
from nova_lite.network import dnsmasq
from nova_lite.network.dnsmasq import (
    Dnsmasq,
    Files,
    arguments,
    hosts,
    owners,
    release_packet,
    resolves,
)
from nova_lite.testing.network import GATEWAY, LEASE, PLAN

SECOND = Lease("fa:16:3e:00:00:02", "10.20.0.3", "db")
CASES = {
    "flat-dhcp": replace(GATEWAY, leases=(LEASE, SECOND)),
    "own-forwarders": replace(GATEWAY, dns_servers=("192.0.2.53", "192.0.2.54"), leases=()),
    "no-dhcp": replace(GATEWAY, leases=None),
}


@pytest.mark.parametrize("case", CASES)
def test_what_dnsmasq_is_told_is_as_reviewed(case: str, golden: Callable[[str, str], None]) -> None:
    gateway = CASES[case]
    command_line = arguments(PLAN, gateway, Files(Path("/state")))
    golden(f"dnsmasq/{case}.args", "\n".join(command_line) + "\n")
    golden(f"dnsmasq/{case}.dhcp-hosts", hosts(gateway).dhcp)
    golden(f"dnsmasq/{case}.dns-hosts", hosts(gateway).dns)


def test_options_do_not_change_as_guests_come_and_go() -> None:
    before, after = (
        arguments(PLAN, replace(GATEWAY, leases=leases), Files(Path("/state")))
        for leases in ((), (LEASE,))
    )
    assert before == after


@pytest.mark.parametrize(
    "change",
    [
        {"leases": ()},
        {"leases": (SECOND,)},
        {"leases": (replace(LEASE, mac="fa:16:3e:00:00:09"),)},
        {"leases": (replace(LEASE, hostname="other"),)},
        {"domain": "example.org"},
    ],
)
def test_any_change_of_what_is_served_changes_the_marker(change: dict[str, object]) -> None:
    changed: Gateway = replace(GATEWAY, **change)  # type: ignore[arg-type]
    assert hosts(changed).marker != hosts(GATEWAY).marker == hosts(GATEWAY).marker


def test_a_new_name_makes_no_new_owner() -> None:
    renamed = replace(GATEWAY, leases=(replace(LEASE, hostname="other"),))
    assert owners(hosts(renamed).dhcp) == owners(hosts(GATEWAY).dhcp)


def test_a_release_is_what_the_guest_would_send() -> None:
    packet = release_packet(LEASE.mac, LEASE.address, IPv4Address("10.20.0.1"))
    assert packet[:4] == bytes([1, 1, 6, 0])  # BOOTREQUEST, Ethernet, 6 bytes, no relay
    assert packet[12:16] == bytes([10, 20, 0, 2])  # ciaddr
    assert packet[28:34] == bytes.fromhex("fa163e000001")  # chaddr
    assert packet[236:240] == bytes([99, 130, 83, 99])  # RFC 2131, section 3
    assert packet[240:] == bytes([53, 1, 7, 54, 4, 10, 20, 0, 1, 255])  # DHCPRELEASE to server


def test_a_process_that_is_not_the_one_meant_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dnsmasq, "GRACE", 0)
    with subprocess.Popen(["sleep", "60"]) as bystander:
        dnsmasq._terminate(bystander.pid, "--pid-file=/state/pid")
        assert bystander.poll() is None
        bystander.kill()
    assert dnsmasq._command_line(bystander.pid) == []
    dnsmasq._terminate(bystander.pid, "--pid-file=/state/pid")  # gone is what it wants


def test_where_no_dns_is_nothing_resolves() -> None:
    assert not resolves("web", IPv4Address("127.111.111.111"))


def test_a_directory_that_nobody_can_enter_is_refused_with_the_remedy(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(NetworkError, match="chmod o"):
        Dnsmasq(closed / "state").ensure(PLAN, GATEWAY)
