"""/v2.0/network-ip-availabilities and /v2.0/rbac-policies: what follows from the networks.

Sharing is said of a network itself (`shared`); as a policy it can only be looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.network.collection import Json, uuid_of
from nova_lite.services.network.reports import NetworkUse

SUBNET = (
    Field("subnet_id", lambda s: str(s.id)),
    Field("subnet_name", lambda s: s.name),
    Field("ip_version", lambda s: s.ip_version),
    Field("cidr", lambda s: s.cidr),
    Field("total_ips", lambda s: s.total),
    Field("used_ips", lambda s: s.used),
)
NETWORK = (
    Field("network_id", lambda n: str(n.id)),
    Field("network_name", lambda n: n.name),
    Field("tenant_id", lambda n: n.project_id),
    Field("project_id", lambda n: n.project_id),
    Field("total_ips", lambda n: n.total),
    Field("used_ips", lambda n: n.used),
    Field("subnet_ip_availability", lambda n: [render(SUBNET, subnet) for subnet in n.subnets]),
)
SHARE = (
    Field("id", lambda s: str(s.id)),
    Field("object_type", lambda s: "network"),
    Field("object_id", lambda s: str(s.network_id)),
    Field("action", lambda s: "access_as_shared"),
    Field("target_tenant", lambda s: "*"),
    Field("target_project", lambda s: "*"),
    Field("tenant_id", lambda s: s.project_id),
    Field("project_id", lambda s: s.project_id),
)

availabilities = Resource("/v2.0/network-ip-availabilities")
shares = Resource("/v2.0/rbac-policies")


@availabilities.on("GET", policy="get_network_ip_availability")
def index(request: Request) -> Json:
    networks: Iterable[NetworkUse] = request.services.network_reports.uses(request.context)
    versions = request.GET.getall("ip_version")
    if versions:
        narrowed = (
            replace(n, subnets=[s for s in n.subnets if str(s.ip_version) in versions])
            for n in networks
        )
        networks = [network for network in narrowed if network.subnets]
    shown = [render(NETWORK, network) for network in networks]
    return {"network_ip_availabilities": _narrowed(request, shown)}


@availabilities.on("GET", "/{id}", policy="get_network_ip_availability")
def show(request: Request, id: str) -> Json:
    found = request.services.network_reports.use(request.context, uuid_of(id, "network"))
    return {"network_ip_availability": render(NETWORK, found)}


@shares.on("GET", policy="get_rbac_policy")
def list_shares(request: Request) -> Json:
    shown = [render(SHARE, s) for s in request.services.network_reports.shares(request.context)]
    return {"rbac_policies": _narrowed(request, shown)}


@shares.on("GET", "/{id}", policy="get_rbac_policy")
def show_share(request: Request, id: str) -> Json:
    found = request.services.network_reports.share(request.context, uuid_of(id, "RBAC policy"))
    return {"rbac_policy": render(SHARE, found)}


def _narrowed(request: Request, shown: Iterable[dict[str, Any]]) -> list[Json]:
    """Those that have one of the values that the query names for each key they have."""
    wanted = {name: set(values) for name, values in request.filters().items()}
    return [
        each
        for each in shown
        if all(str(each[name]) in wanted[name] for name in wanted.keys() & each.keys())
    ]
