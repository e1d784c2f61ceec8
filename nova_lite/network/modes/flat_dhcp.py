"""FlatDHCP: one bridge for all projects; its gateway host serves DHCP, DNS and metadata.

Names are the delicate part.  A guest's name comes from its owner, ends up in
the DNS of everybody on the network, and must neither break the server nor take
a name that others rely on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, ip_address, ip_network

from nova_lite.domain.specs import Gateway, Lease, Link, NetworkPlan
from nova_lite.network.modes.base import HostSettings, NetworkView, PortView, SubnetView

LABEL_LENGTH = 63  # RFC 1035

# Clients look these up on their own and trust the answer.
RESERVED_NAMES = frozenset({"localhost", "wpad", "isatap"})

_ENDS_IN_ADDRESS = re.compile(r"(^|-)\d+-\d+-\d+-\d+$")


class FlatDhcp:
    has_gateway = True

    def on_compute(self, network: NetworkView) -> Link:
        return Link(network.id, network.bridge, network.parent, mtu=network.mtu)

    def on_gateway(
        self, network: NetworkView, ports: Iterable[PortView], settings: HostSettings
    ) -> NetworkPlan:
        """The first IPv4 subnet that has a gateway address is served."""
        link = self.on_compute(network)
        for subnet in network.subnets:
            cidr = ip_network(subnet.cidr)
            if isinstance(cidr, IPv4Network) and subnet.gateway_ip:
                gateway = _gateway(subnet, cidr, list(ports), settings)
                return NetworkPlan(link, network.generation, gateway)
        return NetworkPlan(link, network.generation)


def _gateway(
    subnet: SubnetView, cidr: IPv4Network, ports: Sequence[PortView], settings: HostSettings
) -> Gateway:
    return Gateway(
        address=f"{subnet.gateway_ip}/{cidr.prefixlen}",
        leases=leases(ports, cidr) if subnet.dhcp else None,
        dns_servers=subnet.dns_servers or settings.dns_servers,
        domain=settings.domain,
        lease_seconds=settings.lease_seconds,
        metadata=settings.metadata,
    )


def leases(ports: Iterable[PortView], cidr: IPv4Network) -> tuple[Lease, ...]:
    """One lease per port that has an address in `cidr`, in the order of addresses."""
    names: set[str] = set()
    found = []
    for port in ports:
        address = next((a for a in port.addresses if ip_address(a) in cidr), None)
        if address is None:
            continue
        name = unique_label(port.hostname, address, names)
        names.add(name)
        found.append(Lease(port.mac, address, name))
    return tuple(sorted(found, key=lambda lease: ip_address(lease.address)))


def unique_label(hostname: str, address: str, taken: Iterable[str]) -> str:
    """A DNS label for `hostname` that nobody else on the network has, or will have.

    Names that are taken or reserved get the address at their end.  So do those
    that end in an address already, or somebody could be there before us.
    """
    label = re.sub(r"[^a-z0-9]+", "-", hostname.lower()).strip("-")[:LABEL_LENGTH].rstrip("-")
    if label and label not in RESERVED_NAMES | set(taken) and not _ENDS_IN_ADDRESS.search(label):
        return label
    suffix = address.replace(".", "-")
    return f"{(label or 'host')[: LABEL_LENGTH - len(suffix) - 1]}-{suffix}"
