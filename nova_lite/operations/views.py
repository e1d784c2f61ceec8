"""Rows of the database as the values that network modes plan from."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from nova_lite.db.models import Network, Subnet
from nova_lite.db.queries import networks
from nova_lite.network.modes import NetworkView, PortView, SubnetView


def network_view(network: Network, subnets: Iterable[Subnet]) -> NetworkView:
    return NetworkView(
        id=network.id,
        bridge=network.bridge,
        parent=network.parent,
        vlan=network.vlan,
        mtu=network.mtu,
        generation=network.generation,
        subnets=tuple(
            SubnetView(
                cidr=subnet.cidr,
                gateway_ip=subnet.gateway_ip,
                dns_servers=tuple(subnet.dns_nameservers),
                dhcp=subnet.enable_dhcp,
            )
            for subnet in subnets
        ),
    )


def port_views(session: Session, network: Network) -> list[PortView]:
    """Every port of a network with its addresses, in an order that does not change."""
    return [
        PortView(mac=mac, hostname=hostname, addresses=tuple(addresses))
        for mac, hostname, addresses in networks.leases(session, network.id)
    ]
