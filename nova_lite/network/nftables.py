"""What the kernel's packet filter does for our networks: NAT, and a closed host.

One table, computed from all plans and replaced as a whole in one transaction:
at no moment is there half of it, and rules of others are never touched.  What
a table of one's own cannot do is overrule another's drop.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from ipaddress import IPv4Interface
from typing import Any

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Gateway, NetworkPlan
from nova_lite.network.plans import metadata_target

FAMILY = "inet"
TABLE = "nova_lite"
METADATA_ADDRESS = "169.254.169.254"
TIMEOUT = 30  # seconds

Json = dict[str, Any]

LOOPBACK = {"prefix": {"addr": "127.0.0.0", "len": 8}}
IN, OUT = {"meta": {"key": "iifname"}}, {"meta": {"key": "oifname"}}
MEANT_FOR = {"ct": {"key": "ip daddr", "dir": "original"}}  # before any DNAT
ACCEPT, DROP = {"accept": None}, {"drop": None}

# name, type, hook, priority
BASE_CHAINS = (
    ("guard", "filter", "prerouting", -300),
    ("redirect", "nat", "prerouting", -100),
    ("input", "filter", "input", 0),
    ("forward", "filter", "forward", 0),
    ("hide", "nat", "postrouting", 100),
)


def transaction(plans: Sequence[NetworkPlan]) -> Json:
    """The input of `nft -j` that makes our table say exactly what checked `plans` need.

    Without any gateway among them, there is no table afterwards.
    """
    served = [(plan.link.bridge, plan.gateway) for plan in plans if plan.gateway]
    # Only what exists can be deleted: hence add, delete, add.
    commands = [_add(table={}), {"delete": _own(table={})}]
    if served:
        commands += [_add(table={}), _bridges(served), *_chains(served), *_rules(served)]
    return {"nftables": commands}


def _bridges(served: Sequence[tuple[str, Gateway]]) -> Json:
    names = [bridge for bridge, _ in served]
    return _add(set={"name": "bridges", "type": "ifname", "elem": names})


def _chains(served: Sequence[tuple[str, Gateway]]) -> list[Json]:
    base = [
        _add(chain={"name": name, "type": kind, "hook": hook, "prio": prio, "policy": "accept"})
        for name, kind, hook, prio in BASE_CHAINS
    ]
    own = [
        _add(chain={"name": f"{base}-{bridge}"})
        for bridge, _ in served
        for base in ("input", "forward")
    ]
    return base + own


def _rules(served: Sequence[tuple[str, Gateway]]) -> list[Json]:
    # With route_localnet the kernel would let a guest talk to 127.0.0.1 itself.
    rules = [
        _rule("guard", _is(IN, "@bridges"), _is(_ip("daddr"), LOOPBACK), DROP),
        _rule("guard", _is(IN, "@bridges"), _is(_ip("saddr"), LOOPBACK), DROP),
        _rule("input", _dispatch("input", served)),
        _rule("input", *_dns_from_outside(served)),
        _rule("forward", _dispatch("forward", served)),
    ]
    for bridge, gateway in served:
        rules += _rules_of_one(bridge, gateway)
    return rules


def _dispatch(base: str, served: Sequence[tuple[str, Gateway]]) -> Json:
    """One look-up, however many networks there are."""
    targets = [[bridge, {"jump": {"target": f"{base}-{bridge}"}}] for bridge, _ in served]
    return {"vmap": {"key": IN, "data": {"set": targets}}}


def _dns_from_outside(served: Sequence[tuple[str, Gateway]]) -> tuple[Json, ...]:
    addresses = {"set": sorted({str(IPv4Interface(gateway.address).ip) for _, gateway in served})}
    return (_is(IN, "lo", op="!="), _is(_ip("daddr"), addresses), *_port_53(), DROP)


def _rules_of_one(bridge: str, gateway: Gateway) -> list[Json]:
    interface = IPv4Interface(gateway.address)
    network = interface.network
    subnet = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
    metadata = metadata_target(gateway)
    host, forward = f"input-{bridge}", f"forward-{bridge}"

    rules = [_rule(host, _is({"ct": {"key": "state"}}, ["established", "related"], "in"), ACCEPT)]
    if gateway.leases is not None:
        rules += [_rule(host, _is(_udp("sport"), 68), _is(_udp("dport"), 67), ACCEPT)]
    rules += [
        _rule(host, _is(_ip("daddr"), str(interface.ip)), *_port_53(), ACCEPT),
        _rule(host, _is(_payload("icmp", "type"), "echo-request"), ACCEPT),
    ]
    if metadata:
        address, port = str(metadata[0]), metadata[1]
        dnat = {"dnat": {"family": "ip", "addr": address, "port": port}}
        web = (_is(_ip("daddr"), METADATA_ADDRESS), _is(_payload("tcp", "dport"), 80))
        redirected = (_is(MEANT_FOR, METADATA_ADDRESS), _is(_payload("tcp", "dport"), port))
        rules += [_rule("redirect", _is(IN, bridge), *web, dnat), _rule(host, *redirected, ACCEPT)]
    rules += [
        _rule(host, DROP),
        # Two networks without a router between them do not meet.  The first
        # line is for bridged frames, which br_netfilter shows to this hook.
        _rule(forward, _is(OUT, bridge), ACCEPT),
        _rule(forward, _is(OUT, "@bridges"), DROP),
    ]
    if gateway.snat:
        # The metadata service knows a guest by its address, also on another host.
        outwards = (_is(OUT, bridge, op="!="), _is(MEANT_FOR, METADATA_ADDRESS, op="!="))
        rules += [_rule("hide", _is(_ip("saddr"), subnet), *outwards, {"masquerade": None})]
    return rules


def _own(**kind: Json) -> Json:
    """One object of our table; the table itself when it says no more."""
    ((name, content),) = kind.items()
    where = {"family": FAMILY, "name": TABLE} if name == "table" else _IN_TABLE
    return {name: where | content}


_IN_TABLE = {"family": FAMILY, "table": TABLE}


def _add(**kind: Json) -> Json:
    return {"add": _own(**kind)}


def _rule(chain: str, *expressions: Json) -> Json:
    return _add(rule={"chain": chain, "expr": list(expressions)})


def _is(left: Json, right: Any, op: str = "==") -> Json:
    return {"match": {"op": op, "left": left, "right": right}}


def _payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def _ip(field: str) -> Json:
    return _payload("ip", field)


def _udp(field: str) -> Json:
    return _payload("udp", field)


def _port_53() -> tuple[Json, Json]:
    protocols = {"set": ["tcp", "udp"]}
    return _is({"meta": {"key": "l4proto"}}, protocols), _is(_payload("th", "dport"), 53)


def apply(commands: Json) -> None:
    """Carry out a transaction: all of it or, with NetworkError, nothing."""
    answer = _nft("-j", "-f", "-", text=json.dumps(commands))
    if answer.returncode:
        raise NetworkError(f"nft refused our table: {answer.stderr.strip()}")


def fingerprint() -> str:
    """A value that changes with any change of our table, whoever makes it; empty without one.

    The kernel numbers rules as they come, so a rule that was taken out and put
    back is seen as well.
    """
    answer = _nft("-j", "list", "table", FAMILY, TABLE)
    return "" if answer.returncode else hashlib.sha256(answer.stdout.encode()).hexdigest()


def _nft(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["nft", *arguments], input=text, capture_output=True, text=True, timeout=TIMEOUT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NetworkError(f"nft cannot be run: {error}") from error
