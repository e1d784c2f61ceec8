"""Networks as the compute API showed them until 2.35: the network API's, seen through a slit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.services.listing import Listing

Json = dict[str, Any]
networks = Resource("/v2.1/os-networks")
tenant_networks = Resource("/v2.1/os-tenant-networks")
UNTIL = (2, 35)

Shown = tuple[Any, Any]
"""A network, and its subnet or None."""


def _of_subnet(name: str) -> Any:
    return lambda shown: shown[1] and getattr(shown[1], name)


def _dns(index: int) -> Any:
    return lambda shown: next(iter(shown[1].dns_nameservers[index:]), None) if shown[1] else None


TENANT_NETWORK = (
    Field("id", lambda shown: str(shown[0].id)),
    Field("label", lambda shown: shown[0].name),
    Field("cidr", _of_subnet("cidr")),
)
NETWORK = (
    *TENANT_NETWORK,
    Field("netmask", lambda shown: shown[1] and str(ip_network(shown[1].cidr).netmask)),
    Field("broadcast", lambda shown: shown[1] and str(ip_network(shown[1].cidr).broadcast_address)),
    Field("gateway", _of_subnet("gateway_ip")),
    Field("dns1", _dns(0)),
    Field("dns2", _dns(1)),
    # Subnets are of IPv4.
    Field("cidr_v6", lambda shown: None),
    Field("gateway_v6", lambda shown: None),
    Field("netmask_v6", lambda shown: None),
)


def _all(request: Request, fields: Sequence[Field]) -> Json:
    found = request.services.networks.networks(request.context, Listing()).things
    subnets = _subnets(request, [network.id for network in found])
    shown = [render(fields, (each, subnets.get(each.id)), request.version) for each in found]
    return {"networks": shown}


def _one(request: Request, id: str, fields: Sequence[Field]) -> Json:
    network = request.services.networks.network(request.context, uuid_of("Network", id))
    subnets = _subnets(request, [network.id])
    return {"network": render(fields, (network, subnets.get(network.id)), request.version)}


def _subnets(request: Request, networks: Sequence[UUID]) -> Mapping[UUID, Any]:
    """The first subnet of each."""
    if not networks:
        return {}
    of_these = Listing({"network_id": [str(id) for id in networks]})
    found = request.services.networks.subnets(request.context, of_these).things
    return {subnet.network_id: subnet for subnet in reversed(found)}


@networks.on("GET", policy="os_compute_api:os-networks:list", until=UNTIL)
def index(request: Request) -> Json:
    return _all(request, NETWORK)


@networks.on("GET", "/{id}", policy="os_compute_api:os-networks:show", until=UNTIL)
def show(request: Request, id: str) -> Json:
    return _one(request, id, NETWORK)


@tenant_networks.on("GET", policy="os_compute_api:os-tenant-networks:list", until=UNTIL)
def tenant_index(request: Request) -> Json:
    return _all(request, TENANT_NETWORK)


@tenant_networks.on("GET", "/{id}", policy="os_compute_api:os-tenant-networks:show", until=UNTIL)
def tenant_show(request: Request, id: str) -> Json:
    return _one(request, id, TENANT_NETWORK)
