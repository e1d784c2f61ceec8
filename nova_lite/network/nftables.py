"""What the kernel's packet filter does for our networks: NAT, and a closed host.

One table, computed from all plans and replaced as a whole in one transaction:
at no moment is there half of it, and rules of others are never touched.  What
a table of one's own cannot do is overrule another's drop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from ipaddress import IPv4Interface

from nova_lite.domain.specs import Gateway, NetworkPlan
from nova_lite.network import nft
from nova_lite.network.nft import (
    ACCEPT,
    DROP,
    IN,
    L4_PROTOCOL,
    OUT,
    Json,
    Table,
    jump,
    matches,
    payload,
    prefix,
)
from nova_lite.network.plans import metadata_target

TABLE = Table("inet", "nova_lite")
METADATA_ADDRESS = "169.254.169.254"

LOOPBACK = prefix("127.0.0.0", 8)
MEANT_FOR = {"ct": {"key": "ip daddr", "dir": "original"}}  # before any DNAT

# name, type, hook, priority
BASE_CHAINS = (
    ("guard", "filter", "prerouting", -300),
    ("redirect", "nat", "prerouting", -100),
    ("input", "filter", "input", 0),
    ("forward", "filter", "forward", 0),
    ("hide", "nat", "postrouting", 100),
)


def transaction(plans: Sequence[NetworkPlan]) -> list[Json]:
    """The commands to nft that make our table say exactly what checked `plans` need.

    Without any gateway among them, there is no table afterwards.
    """
    served = [(plan.link.bridge, plan.gateway) for plan in plans if plan.gateway]
    # Only what exists can be deleted: hence add, delete, add.
    commands = [TABLE.add(table={}), TABLE.delete(table={})]
    if served:
        commands += [TABLE.add(table={}), _bridges(served), *_chains(served), *_rules(served)]
    return commands


def _bridges(served: Sequence[tuple[str, Gateway]]) -> Json:
    names = [bridge for bridge, _ in served]
    return TABLE.add(set={"name": "bridges", "type": "ifname", "elem": names})


def _chains(served: Sequence[tuple[str, Gateway]]) -> list[Json]:
    base = [
        TABLE.add(
            chain={"name": name, "type": kind, "hook": hook, "prio": prio, "policy": "accept"}
        )
        for name, kind, hook, prio in BASE_CHAINS
    ]
    own = [
        TABLE.add(chain={"name": f"{base}-{bridge}"})
        for bridge, _ in served
        for base in ("input", "forward")
    ]
    return base + own


def _rules(served: Sequence[tuple[str, Gateway]]) -> list[Json]:
    # With route_localnet the kernel would let a guest talk to 127.0.0.1 itself.
    rules = [
        TABLE.rule("guard", matches(IN, "@bridges"), matches(_ip("daddr"), LOOPBACK), DROP),
        TABLE.rule("guard", matches(IN, "@bridges"), matches(_ip("saddr"), LOOPBACK), DROP),
        TABLE.rule("input", _dispatch("input", served)),
        TABLE.rule("input", *_dns_from_outside(served)),
        TABLE.rule("forward", _dispatch("forward", served)),
    ]
    for bridge, gateway in served:
        rules += _rules_of_one(bridge, gateway)
    return rules


def _dispatch(base: str, served: Sequence[tuple[str, Gateway]]) -> Json:
    """One look-up, however many networks there are."""
    targets = [[bridge, jump(f"{base}-{bridge}")] for bridge, _ in served]
    return {"vmap": {"key": IN, "data": {"set": targets}}}


def _dns_from_outside(served: Sequence[tuple[str, Gateway]]) -> tuple[Json, ...]:
    addresses = {"set": sorted({str(IPv4Interface(gateway.address).ip) for _, gateway in served})}
    return (matches(IN, "lo", op="!="), matches(_ip("daddr"), addresses), *_port_53(), DROP)


def _rules_of_one(bridge: str, gateway: Gateway) -> list[Json]:
    interface = IPv4Interface(gateway.address)
    network = interface.network
    subnet = prefix(str(network.network_address), network.prefixlen)
    metadata = metadata_target(gateway)
    host, forward = f"input-{bridge}", f"forward-{bridge}"

    rules = [
        TABLE.rule(
            host, matches({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT
        )
    ]
    if gateway.leases is not None:
        rules += [TABLE.rule(host, matches(_udp("sport"), 68), matches(_udp("dport"), 67), ACCEPT)]
    rules += [
        TABLE.rule(host, matches(_ip("daddr"), str(interface.ip)), *_port_53(), ACCEPT),
        TABLE.rule(host, matches(payload("icmp", "type"), "echo-request"), ACCEPT),
    ]
    if metadata:
        address, port = str(metadata[0]), metadata[1]
        dnat = {"dnat": {"family": "ip", "addr": address, "port": port}}
        web = (matches(_ip("daddr"), METADATA_ADDRESS), matches(payload("tcp", "dport"), 80))
        redirected = (matches(MEANT_FOR, METADATA_ADDRESS), matches(payload("tcp", "dport"), port))
        rules += [
            TABLE.rule("redirect", matches(IN, bridge), *web, dnat),
            TABLE.rule(host, *redirected, ACCEPT),
        ]
    rules += [
        TABLE.rule(host, DROP),
        # Two networks without a router between them do not meet.  The first
        # line is for bridged frames, which br_netfilter shows to this hook.
        TABLE.rule(forward, matches(OUT, bridge), ACCEPT),
        TABLE.rule(forward, matches(OUT, "@bridges"), DROP),
    ]
    if gateway.snat:
        # The metadata service knows a guest by its address, also on another host.
        outwards = (matches(OUT, bridge, op="!="), matches(MEANT_FOR, METADATA_ADDRESS, op="!="))
        rules += [
            TABLE.rule("hide", matches(_ip("saddr"), subnet), *outwards, {"masquerade": None})
        ]
    return rules


def _ip(field: str) -> Json:
    return payload("ip", field)


def _udp(field: str) -> Json:
    return payload("udp", field)


def _port_53() -> tuple[Json, Json]:
    protocols = {"set": ["tcp", "udp"]}
    return matches(L4_PROTOCOL, protocols), matches(payload("th", "dport"), 53)


def fingerprint() -> str:
    """A value that changes with any change of our table, whoever makes it; empty without one.

    The kernel numbers rules as they come, so a rule that was taken out and put
    back is seen as well.
    """
    answer = nft.call("-j", "list", "table", TABLE.family, TABLE.name)
    return "" if answer.returncode else hashlib.sha256(answer.stdout.encode()).hexdigest()
