"""What the kernel lets through between guests and their bridges: security groups, no spoofing.

Filters stand where a guest's interface meets its bridge, so that they hold for
neighbours on the same host, too.  What belongs to a flow that was let through
comes from connection tracking, which for bridged frames is in the inet hooks
(br_netfilter brings them there) and not in the bridge's.  So a bit of the
packet's mark carries the answer from the one to the other:

    from the guest    bridge prerouting   may it say this?            OK bit
                      inet prerouting     is it an answer?            ANSWER bit
                      bridge prerouting   neither: drop               ("decide")
    to the guest      bridge postrouting  ANSWER bit, or may it hear this?

Without br_netfilter nothing is an answer: it fails closed.  Only answers pass
by what was decided before; the packets of whoever began are asked about each
time, so a rule that goes takes its flows with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Any

from nova_lite.domain.ids import link_local
from nova_lite.domain.security_rules import EGRESS, ICMP, ICMP_V6, INGRESS, IPV4, WITH_PORTS, number
from nova_lite.domain.specs import FilterRule, Nic
from nova_lite.network.nft import (
    ACCEPT,
    DROP,
    IN,
    L4_PROTOCOL,
    MARK,
    OUT,
    Json,
    Table,
    jump,
    matches,
    one_of,
    payload,
    prefix,
)
from nova_lite.network.nftables import METADATA_ADDRESS

BRIDGE, INET = Table("bridge", "nova_lite_guests"), Table("inet", "nova_lite_guests")

# Two bits that hardly anybody else uses; all others are left as they are.
OK, ANSWER = 0x0100_0000, 0x0200_0000
NEITHER = 0xFFFF_FFFF & ~(OK | ANSWER)

# Of the bridge's hooks br_netfilter has 0: before it packets are as the guest
# sent them, behind it they have been through the inet hooks.
BASE_CHAINS = (
    (BRIDGE, "from", "prerouting", -300),
    (BRIDGE, "decide", "prerouting", 100),
    (BRIDGE, "to", "postrouting", -200),
    (INET, "bridged", "prerouting", -140),
    (INET, "routed", "postrouting", -140),
)
SHARED_CHAINS = ("never", "always-from", "always-to")

ETHERTYPE = payload("ether", "type")
ND_SOLICIT, ND_ADVERT, ROUTER_SOLICIT, ROUTER_ADVERT, REDIRECT = 135, 136, 133, 134, 137
MULTICAST_LISTENERS = (130, 131, 132, 143)  # query, report, done, report of version 2

PASS = ({"mangle": {"key": MARK, "value": {"|": [MARK, OK]}}}, ACCEPT)
IS_ANSWER = {"mangle": {"key": MARK, "value": {"|": [MARK, ANSWER]}}}


def taps(nics: Iterable[Nic]) -> list[str]:
    """The interfaces that filters stand at."""
    return [nic.tap for nic in nics if nic.rules is not None]


def protect(nics: Sequence[Nic]) -> list[Json]:
    """The commands that make these NICs let through what their rules say, and no more.

    Says all that the host must have for it, so they are right on a fresh host, too.
    """
    filtered = [nic for nic in nics if nic.rules is not None]
    bridges = sorted({nic.link.bridge for nic in filtered})
    return [
        *_base(),
        *(INET.add(element={"name": "bridges", "elem": [bridge]}) for bridge in bridges),
        *(command for nic in filtered for command in _guest(nic)),
        *(command for nic in nics if nic.rules is None for command in _open(nic.tap)),
    ]


def unprotect(taps: Iterable[str]) -> list[Json]:
    """The commands that take the filters of these interfaces away; content when there are none."""
    return [*_base(), *(command for tap in taps for command in _open(tap))]


def remove_all() -> list[Json]:
    return [
        command
        for table in (BRIDGE, INET)
        for command in (table.add(table={}), table.delete(table={}))
    ]


# --- what all guests share ------------------------------------------------------------------


def _base() -> list[Json]:
    """Tables, chains and sets.  Said again each time: whoever flushed them gets them back."""
    commands = [BRIDGE.add(table={}), INET.add(table={})]
    for table, name, hook, priority in BASE_CHAINS:
        shape = {"type": "filter", "hook": hook, "prio": priority, "policy": "accept"}
        commands += [table.add(chain={"name": name} | shape), table.flush(chain={"name": name})]
    for name in SHARED_CHAINS:
        commands += [BRIDGE.add(chain={"name": name}), BRIDGE.flush(chain={"name": name})]
    commands += [
        BRIDGE.add(set={"name": "guarded", "type": "ifname"}),
        BRIDGE.add(map={"name": "from_guests", "type": "ifname", "map": "verdict"}),
        BRIDGE.add(map={"name": "to_guests", "type": "ifname", "map": "verdict"}),
        INET.add(set={"name": "bridges", "type": "ifname"}),
        BRIDGE.rule("from", {"vmap": {"key": IN, "data": "@from_guests"}}),
        BRIDGE.rule(
            "decide",
            matches(IN, "@guarded"),
            matches({"&": [MARK, OK | ANSWER]}, 0),
            DROP,
        ),
        BRIDGE.rule("to", {"vmap": {"key": OUT, "data": "@to_guests"}}),
    ]
    for chain, interface in (("bridged", IN), ("routed", OUT)):
        commands += _answers(chain, matches(interface, "@bridges"))
    return [*commands, *_never(), *_always_from(), *_always_to()]


def _answers(chain: str, ours: Json) -> list[Json]:
    """What belongs to a flow: its other direction, and errors about it from anywhere."""
    state, direction = {"ct": {"key": "state"}}, {"ct": {"key": "direction"}}
    established = (matches(state, "established", "in"), matches(direction, "reply"))
    return [
        INET.rule(chain, ours, *established, IS_ANSWER),
        INET.rule(chain, ours, matches(state, "related", "in"), IS_ANSWER),
    ]


def _never() -> list[Json]:
    """What no guest may send: it would play the router, the DHCP server, or a switch."""
    return [
        BRIDGE.rule("never", *what, DROP)
        for what in (
            (matches(ETHERTYPE, {"set": ["ip", "ip6", "arp"]}, "!="),),
            (_is("ip"), *_udp(67, 68)),
            (_is("ip6"), *_udp(547, 546)),
            (_icmp_v6(ROUTER_ADVERT, REDIRECT),),
        )
    ]


def _always_from() -> list[Json]:
    """What a guest needs to be on a network at all; its sender has been checked."""
    web = (matches(payload("ip", "daddr"), METADATA_ADDRESS), matches(payload("tcp", "dport"), 80))
    return [
        BRIDGE.rule("always-from", *what, *PASS)
        for what in (
            (_is("ip"), *_udp(68, 67)),
            (_is("ip"), *web),
            (_is("ip6"), *_udp(546, 547)),
            (_icmp_v6(ROUTER_SOLICIT, ND_SOLICIT, ND_ADVERT, *MULTICAST_LISTENERS),),
        )
    ]


def _always_to() -> list[Json]:
    return [
        BRIDGE.rule("always-to", *what, ACCEPT)
        for what in (
            (matches({"&": [MARK, ANSWER]}, ANSWER),),
            (_is("arp"),),
            (_is("ip"), *_udp(67, 68)),
            (_is("ip6"), *_udp(547, 546)),
            (_icmp_v6(ROUTER_ADVERT, ND_SOLICIT, ND_ADVERT, *MULTICAST_LISTENERS),),
        )
    ]


# --- one guest ------------------------------------------------------------------------------


def _guest(nic: Nic) -> list[Json]:
    return [*_chains(nic.tap), *_from(nic), *_to(nic)]


def _chains(tap: str) -> list[Json]:
    """A chain each way, empty, and the way into it."""
    ways = [
        command
        for way in ("from", "to")
        for chain in [{"name": f"{way}-{tap}"}]
        for command in (
            BRIDGE.add(chain=chain),
            BRIDGE.flush(chain=chain),
            BRIDGE.add(element=_into(way, tap)),
        )
    ]
    return [*ways, BRIDGE.add(element={"name": "guarded", "elem": [tap]})]


def _open(tap: str) -> list[Json]:
    # Only what exists can be deleted: hence first all of it is made.
    return [
        *_chains(tap),
        BRIDGE.delete(element={"name": "guarded", "elem": [tap]}),
        *(BRIDGE.delete(element=_into(way, tap)) for way in ("from", "to")),
        *(BRIDGE.delete(chain={"name": f"{way}-{tap}"}) for way in ("from", "to")),
    ]


def _into(way: str, tap: str) -> Json:
    return {"name": f"{way}_guests", "elem": [[tap, jump(f"{way}-{tap}")]]}


def _from(nic: Nic) -> list[Json]:
    """Who it may say it is, then what it may say.  What is not passed here may be an answer."""
    mac = nic.mac.lower()
    rules: list[tuple[Json, ...]] = [
        ({"mangle": {"key": MARK, "value": {"&": [MARK, NEITHER]}}},),
        (matches(payload("ether", "saddr"), mac, "!="), DROP),
        (jump("never"),),
        (matches(payload("arp", "saddr ether"), mac, "!="), DROP),
        *_sender(mac, [ip_network(address) for address in nic.addresses]),
        (_is("arp"), *PASS),
        (jump("always-from"),),
        *((*matching, *PASS) for matching in _let_through(nic.rules or (), EGRESS)),
    ]
    return [BRIDGE.rule(f"from-{nic.tap}", *expressions) for expressions in rules]


def _sender(mac: str, addresses: Sequence[IPv4Network | IPv6Network]) -> list[tuple[Json, ...]]:
    """It calls itself by its own addresses.  On a network that gave it none, we do not know them.

    Who asks for an address, or whether one is free, has none yet.
    """
    if not addresses:
        return []
    own_v4 = [address for address in addresses if address.version == 4]
    own_v6 = [IPv6Network(link_local(mac)), *(a for a in addresses if isinstance(a, IPv6Network))]
    arp, v4, v6 = payload("arp", "saddr ip"), payload("ip", "saddr"), payload("ip6", "saddr")
    nobody = ip_network("0.0.0.0/32")
    joining = _icmp_v6(ROUTER_SOLICIT, ND_SOLICIT, MULTICAST_LISTENERS[-1])
    advert, target = _icmp_v6(ND_ADVERT), {"payload": {"base": "th", "offset": 64, "len": 128}}
    return [
        (matches(arp, _networks([*own_v4, nobody]), "!="), DROP),
        (matches(v4, "0.0.0.0"), *_udp(68, 67), *PASS),
        (matches(v4, _networks(own_v4 or [nobody]), "!="), DROP),
        (matches(v6, "::"), joining, *PASS),
        (matches(v6, _networks(own_v6), "!="), DROP),
        *((advert, matches(target, hex(int(own[0]))), *PASS) for own in own_v6),
        (advert, DROP),
    ]


def _to(nic: Nic) -> list[Json]:
    rules = [
        (jump("always-to"),),
        *((*matching, ACCEPT) for matching in _let_through(nic.rules or (), INGRESS)),
        (DROP,),
    ]
    return [BRIDGE.rule(f"to-{nic.tap}", *expressions) for expressions in rules]


# --- what rules mean ------------------------------------------------------------------------


def _let_through(rules: Iterable[FilterRule], direction: str) -> list[tuple[Json, ...]]:
    """What to match for each rule of this direction; rules that differ in remotes are one."""
    remotes: dict[FilterRule, list[str] | None] = {}
    for rule in rules:
        if rule.direction == direction and rule.remotes != ():
            others = remotes.setdefault(replace(rule, remotes=None), [])
            if rule.remotes is None or others is None:
                remotes[replace(rule, remotes=None)] = None
            else:
                others += rule.remotes
    return [_matching(rule, others) for rule, others in remotes.items()]


def _matching(rule: FilterRule, remotes: Iterable[str] | None) -> tuple[Json, ...]:
    protocol = number(rule.protocol, rule.ethertype)
    family = "ip" if rule.ethertype == IPV4 else "ip6"
    found = [_is(family)]
    if remotes is not None:
        other = payload(family, "saddr" if rule.direction == INGRESS else "daddr")
        found.append(matches(other, _networks(map(ip_network, remotes))))
    if protocol is not None:
        found.append(matches(L4_PROTOCOL, protocol))
    kind = {("ip", ICMP): "icmp", ("ip6", ICMP_V6): "icmpv6"}.get((family, protocol or 0))
    if kind:
        for field, value in (("type", rule.port_min), ("code", rule.port_max)):
            if value is not None:
                found.append(matches(payload(kind, field), value))
    elif protocol in WITH_PORTS and rule.port_min is not None:
        last = rule.port_min if rule.port_max is None else rule.port_max
        found.append(matches(payload("th", "dport"), {"range": [rule.port_min, last]}))
    return tuple(found)


def _networks(networks: Iterable[IPv4Network | IPv6Network]) -> Any:
    """Networks to compare an address with; those that overlap as one, or nft would refuse them."""
    return one_of(
        [
            str(network[0])
            if network.prefixlen == network.max_prefixlen
            else prefix(str(network[0]), network.prefixlen)
            for network in collapse_addresses(networks)  # type: ignore[type-var]
        ]
    )


def _is(ethertype: str) -> Json:
    return matches(ETHERTYPE, ethertype)


def _udp(source: int, destination: int) -> tuple[Json, Json]:
    return (
        matches(payload("udp", "sport"), source),
        matches(payload("udp", "dport"), destination),
    )


def _icmp_v6(*types: int) -> Json:
    return matches(payload("icmpv6", "type"), one_of(types))
