"""What a subnet may be: pure arithmetic of ranges, and the reasons for a no."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from nova_lite.domain.errors import Conflict, Invalid

Pool = Mapping[str, str]
AUTO = "auto"  # as the gateway's address: the first of the subnet
SMALLEST, LARGEST = 30, 8  # prefix lengths: a gateway and a guest; all of 10.0.0.0/8
MAX_DNS_SERVERS = 5

#: Addresses that mean something else on every host.
SPECIAL = tuple(
    map(IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"))
)
PRIVATE = tuple(
    map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)


@dataclass(frozen=True)
class SubnetPlan:
    """A subnet that has passed every check, written as the database keeps it."""

    cidr: str
    gateway_ip: str | None
    pools: list[dict[str, str]]
    dns_nameservers: list[str]


def plan(
    cidr: str,
    gateway_ip: str | None = AUTO,
    pools: Sequence[Pool] | None = None,
    dns_nameservers: Sequence[str] = (),
) -> SubnetPlan:
    """Fill in what was left open.  Raises Invalid, or Conflict for a gateway among the guests."""
    network = parse_cidr(cidr)
    gateway = _gateway(network, gateway_ip)
    ranges = _default_pools(network, gateway) if pools is None else _pools(network, pools, gateway)
    return SubnetPlan(
        cidr=str(network),
        gateway_ip=None if gateway is None else str(gateway),
        pools=[{"start": str(first), "end": str(last)} for first, last in ranges],
        dns_nameservers=_dns_servers(dns_nameservers),
    )


def parse_cidr(cidr: str) -> IPv4Network:
    try:
        if not re.fullmatch(r"[0-9.]+/[0-9]{1,2}", cidr):
            raise AddressValueError  # netmasks, and addresses that mean their whole class
        loose = IPv4Network(cidr, strict=False)
    except (AddressValueError, NetmaskValueError):
        raise Invalid(f"Invalid input for cidr. '{cidr}' is not a valid IPv4 subnet.") from None
    if str(loose.network_address) != cidr.split("/")[0]:
        raise Invalid(
            f"Invalid input for cidr. '{cidr}' has host bits set, '{loose}' is recommended."
        )
    if not LARGEST <= loose.prefixlen <= SMALLEST:
        raise Invalid(
            f"Invalid input for cidr. '{cidr}': the prefix length has to be "
            f"from {LARGEST} to {SMALLEST}."
        )
    if any(loose.overlaps(special) for special in SPECIAL):
        raise Invalid(f"Invalid input for cidr. '{cidr}' is not a range for guests.")
    return loose


def is_private(cidr: str) -> bool:
    """Whether nobody on the Internet has these addresses."""
    network = IPv4Network(cidr)
    return any(network.subnet_of(private) for private in PRIVATE)


def overlapping(cidr: str, others: Iterable[str]) -> str | None:
    """The first of `others`, networks or addresses, that shares an address with `cidr`."""
    network = IPv4Network(cidr)
    return next((other for other in others if network.overlaps(IPv4Network(other))), None)


def _address(text: str, what: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        raise Invalid(f"Invalid input for {what}. '{text}' is not a valid IPv4 address.") from None


def _gateway(network: IPv4Network, gateway_ip: str | None) -> IPv4Address | None:
    if gateway_ip is None:
        return None
    if gateway_ip == AUTO:
        return network.network_address + 1
    gateway = _address(gateway_ip, "gateway_ip")
    if not _for_hosts(network, gateway):
        raise Invalid(f"Invalid input for gateway_ip. '{gateway}' is not valid on subnet {network}")
    return gateway


def _for_hosts(network: IPv4Network, address: IPv4Address) -> bool:
    return address in network and address not in (
        network.network_address,
        network.broadcast_address,
    )


Range = tuple[IPv4Address, IPv4Address]


def _default_pools(network: IPv4Network, gateway: IPv4Address | None) -> list[Range]:
    """Everything but the network, its broadcast and its gateway."""
    first, last = network.network_address + 1, network.broadcast_address - 1
    if gateway is None:
        return [(first, last)]
    return [(a, b) for a, b in ((first, gateway - 1), (gateway + 1, last)) if a <= b]


def _pools(network: IPv4Network, pools: Sequence[Pool], gateway: IPv4Address | None) -> list[Range]:
    found: list[Range] = []
    for pool in pools:
        first = _address(pool["start"], "allocation_pools")
        last = _address(pool["end"], "allocation_pools")
        said = f"The allocation pool {first}-{last}"
        if first > last:
            raise Invalid(f"{said} is not valid: it ends before it starts.")
        if not (_for_hosts(network, first) and _for_hosts(network, last)):
            raise Invalid(f"{said} spans beyond the subnet cidr {network}.")
        if gateway is not None and first <= gateway <= last:
            raise Conflict(f"Gateway ip {gateway} conflicts with allocation pool {first}-{last}.")
        for other_first, other_last in found:
            if first <= other_last and other_first <= last:
                raise Conflict(f"{said} overlaps with {other_first}-{other_last}.")
        found.append((first, last))
    return found


def _dns_servers(servers: Sequence[str]) -> list[str]:
    if len(servers) > MAX_DNS_SERVERS:
        raise Invalid(f"Invalid input for dns_nameservers. More than {MAX_DNS_SERVERS}.")
    found = [_address(server, "dns_nameservers") for server in servers]
    if len(set(found)) != len(found):
        raise Invalid("Invalid input for dns_nameservers. One is there twice.")
    for server in found:
        if server.is_multicast or server.is_unspecified or server.is_loopback:
            # dnsmasq on the network host would ask this, and must not be led to itself.
            raise Invalid(f"Invalid input for dns_nameservers. '{server}' is not a server.")
    return [str(server) for server in found]
