"""What is said to nft of guests' filters."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from nova_lite.domain.specs import FilterRule
from nova_lite.network import filters
from nova_lite.network.nft import Json
from nova_lite.testing.network import NIC, OTHER_NIC

ANY_V4, ANY_V6 = FilterRule("ingress", "IPv4"), FilterRule("ingress", "IPv6")
RULES = (
    FilterRule("egress", "IPv4"),
    FilterRule("egress", "IPv6"),
    FilterRule("egress", "IPv4", "udp", 53, 53, remotes=("10.20.0.53/32",)),
    FilterRule("ingress", "IPv4", "tcp", 22, 22),
    FilterRule("ingress", "IPv4", "tcp", 8000, remotes=("10.0.0.0/9", "10.128.0.0/9")),
    FilterRule("ingress", "IPv4", "tcp", 8000, remotes=("192.0.2.7/32",)),
    FilterRule("ingress", "IPv4", "icmp", 8),
    FilterRule("ingress", "IPv4", "icmp", 3, 4),
    FilterRule("ingress", "IPv6", "ipv6-icmp", 128, 0, remotes=("fd00::/8", "2001:db8::1/128")),
    FilterRule("ingress", "IPv4", "vrrp"),
    FilterRule("ingress", "IPv4", "253", remotes=()),
)
BOTH = replace(NIC, addresses=("10.20.0.2", "fd00::2"), rules=RULES)
CASES = {
    "guest-rules": filters.protect([BOTH]),
    "guest-no-address": filters.protect([replace(OTHER_NIC, addresses=())]),
    "guest-only-ipv6": filters.protect([replace(OTHER_NIC, addresses=("fd00::2",))]),
    "guest-open": filters.protect([replace(NIC, rules=None)]),
    "guest-gone": filters.unprotect([NIC.tap]),
    "guests-none": filters.remove_all(),
}


@pytest.mark.parametrize("case", CASES)
def test_filters_are_as_reviewed(case: str, golden: Callable[[str, str], None]) -> None:
    lines = ",\n".join(json.dumps(command) for command in CASES[case])
    golden(f"nftables/{case}.json", f"[\n{lines}\n]\n")


@pytest.mark.parametrize("commands", CASES.values(), ids=CASES)
def test_no_command_names_anything_but_our_tables(commands: list[Json]) -> None:
    for command in commands:
        (thing,) = command.values()
        ((kind, content),) = thing.items()
        assert content["family"] in ("bridge", "inet")
        assert content["name" if kind == "table" else "table"] == "nova_lite_guests"


def matched(*rules: FilterRule) -> list[str]:
    """What lets in, besides what always does."""
    commands = filters.protect([replace(NIC, rules=rules)])
    mine = [c["add"]["rule"] for c in commands if "rule" in c.get("add", {})]
    return [json.dumps(r["expr"]) for r in mine if r["chain"] == f"to-{NIC.tap}"][1:-1]


def test_rules_that_differ_in_whom_they_are_about_are_one() -> None:
    about = [replace(ANY_V4, remotes=(f"10.0.{n}.0/24",)) for n in range(4)]
    (one,) = matched(*about)
    assert '"addr": "10.0.0.0", "len": 22' in one  # neighbours are one network
    assert matched(*about, ANY_V4, *about) == matched(ANY_V4)
    assert matched(replace(ANY_V4, remotes=())) == []


def test_a_protocol_of_the_other_ip_has_no_type_and_no_ports() -> None:
    assert matched(replace(ANY_V4, protocol="58", port_min=8)) == matched(
        replace(ANY_V4, protocol="58")
    )
    assert matched(replace(ANY_V6, protocol="icmp")) == matched(replace(ANY_V6, protocol="58"))


def test_only_what_has_rules_is_filtered() -> None:
    assert filters.taps([NIC, OTHER_NIC, replace(NIC, rules=None)]) == [NIC.tap, OTHER_NIC.tap]
