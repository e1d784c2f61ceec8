"""/v2.0/quotas: what a project may have of networks, subnets and ports."""

from __future__ import annotations

from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import Json

#: The network API's words for what our quotas count.
NAMES = {"network": "networks", "subnet": "subnets", "port": "ports"}

quotas = Resource("/v2.0/quotas")


@quotas.on("GET", "/{project}", policy="get_quota")
def show(request: Request, project: str) -> Json:
    usage = request.services.quotas.usage(request.context, project)
    return {"quota": {name: usage[ours].limit for name, ours in NAMES.items()}}


@quotas.on("GET", "/{project}/default", policy="get_quota")
def default(request: Request, project: str) -> Json:
    limits = request.services.quotas.limits
    return {"quota": {name: limits[ours] for name, ours in NAMES.items()}}


@quotas.on("GET", "/{project}/details", policy="get_quota")
@quotas.on("GET", "/{project}/details.json", policy="get_quota")
def details(request: Request, project: str) -> Json:
    usage = request.services.quotas.usage(request.context, project)
    return {
        "quota": {
            name: {"limit": usage[ours].limit, "used": usage[ours].used, "reserved": 0}
            for name, ours in NAMES.items()
        }
    }
