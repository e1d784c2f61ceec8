"""servers/{id}/ips: the addresses of a server, by the name of their network."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.compute.server_views import short_addresses
from nova_lite.api.declare import Request, Resource
from nova_lite.domain.errors import NotFound

Json = dict[str, Any]
ips = Resource("/v2.1/servers/{id}/ips")


@ips.on("GET", policy="os_compute_api:ips:index")
def index(request: Request, id: str) -> Json:
    instances = request.services.instances
    instance = instances.get(request.context, uuid_of("Instance", id))
    return {"addresses": short_addresses(instances.addresses([instance.id])[instance.id])}


@ips.on("GET", "/{network}", policy="os_compute_api:ips:show")
def show(request: Request, id: str, network: str) -> Json:
    found = index(request, id)["addresses"]
    if network not in found:
        raise NotFound(f"Instance {id} is not a member of network {network}")
    return {network: found[network]}
