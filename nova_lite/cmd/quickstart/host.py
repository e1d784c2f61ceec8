"""What the host already uses, and what is left of it for us."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network

from pyroute2 import IPRoute

from nova_lite.cmd.quickstart.terminal import Refusal

#: Where the first network of guests may lie, the first choice first.
SUBNETS = tuple(IPv4Network(f"10.{a}.{b}.0/24") for a in (100, 101, 102) for b in range(256))
BRIDGES = tuple(f"br{n}" for n in range(100, 200))


def choose_subnet(taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first of SUBNETS in which nothing is that the host already reaches."""
    # A default route says nothing about who is where.
    occupied = [network for network in taken if network.prefixlen]
    for subnet in SUBNETS:
        if not any(subnet.overlaps(network) for network in occupied):
            return subnet
    raise Refusal(
        f"routes of this host cover all of {SUBNETS[0]} to {SUBNETS[-1]}",
        "run with --no-server and make a network of your own by hand",
    )


def choose_bridge(interfaces: Collection[str]) -> str:
    found = next((name for name in BRIDGES if name not in interfaces), None)
    if found is None:
        raise Refusal(
            f"{BRIDGES[0]} to {BRIDGES[-1]} all exist", "remove one: ip link delete br100"
        )
    return found


def reachable() -> list[IPv4Network]:
    """Where the host's routes lead, in all its tables, and where it is itself."""
    with IPRoute() as kernel:
        routes = [
            f"{route.get('dst')}/{route['dst_len']}"
            for route in kernel.get_routes(family=socket.AF_INET)
            if route.get("dst")
        ]
        addresses = [
            f"{address.get('address')}/{address['prefixlen']}"
            for address in kernel.get_addr(family=socket.AF_INET)
        ]
    return [IPv4Network(text, strict=False) for text in (*routes, *addresses)]


def interfaces() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def require_free(port: int, option: str) -> None:
    """Refuses a port of loopback that somebody listens on."""
    with socket.socket() as probe:
        # As the server itself does: connections that just ended are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                raise Refusal(f"port {port} is for root only", f"use another {option}") from None
            raise Refusal(f"port {port} is in use", f"use another {option}") from None
