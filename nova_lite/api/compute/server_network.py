"""What is done to the network of a server without plugging anything: addresses and groups.

The actions on addresses are of the time before servers had ports, and ended
with 2.43; os-interface says the same better.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import address_of, uuid_of
from nova_lite.api.compute.security_group_proxy import groups_shown
from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import ANY, one, thing
from nova_lite.api.schema import UUID as ID
from nova_lite.domain.errors import Gone

Json = dict[str, Any]
actions = Resource("/v2.1/servers")
groups = Resource("/v2.1/servers/{id}/os-security-groups")

NAMED = thing(("name",), name={"type": "string", "minLength": 1, "maxLength": 255})
ADD_ADDRESS = one("addFixedIp", thing(("networkId",), networkId=ID))
REMOVE_ADDRESS = one(
    "removeFixedIp", thing(("address",), address={"type": "string", "maxLength": 64})
)


@actions.action(
    "addFixedIp", policy="os_compute_api:os-multinic:add", body=ADD_ADDRESS, until=(2, 43)
)
def add_address(request: Request, id: str, body: Json) -> None:
    network = UUID(body["addFixedIp"]["networkId"])
    request.services.interfaces.add_address(request.context, uuid_of("Instance", id), network)


@actions.action(
    "removeFixedIp", policy="os_compute_api:os-multinic:remove", body=REMOVE_ADDRESS, until=(2, 43)
)
def remove_address(request: Request, id: str, body: Json) -> None:
    address = address_of("removeFixedIp.address", body["removeFixedIp"]["address"]) or ""
    request.services.interfaces.remove_address(request.context, uuid_of("Instance", id), address)


@actions.action(
    "injectNetworkInfo",
    policy="os_compute_api:os-admin-actions:inject_network_info",
    body=one("injectNetworkInfo", ANY),
)
def inject(request: Request, id: str, body: Json) -> None:
    request.services.interfaces.refresh(request.context, uuid_of("Instance", id))


@actions.action(
    "resetNetwork",
    policy="os_compute_api:os-admin-actions:reset_network",
    body=one("resetNetwork", ANY),
)
def reset(request: Request, id: str, body: Json) -> None:
    raise Gone("This action was for a hypervisor that is no longer served.")


# --- security groups ------------------------------------------------------------------------


@actions.action(
    "addSecurityGroup",
    policy="os_compute_api:os-security-groups:add",
    body=one("addSecurityGroup", NAMED),
)
def add_group(request: Request, id: str, body: Json) -> None:
    _set_group(request, id, body["addSecurityGroup"]["name"], member=True)


@actions.action(
    "removeSecurityGroup",
    policy="os_compute_api:os-security-groups:remove",
    body=one("removeSecurityGroup", NAMED),
)
def remove_group(request: Request, id: str, body: Json) -> None:
    _set_group(request, id, body["removeSecurityGroup"]["name"], member=False)


@groups.on("GET", policy="os_compute_api:os-security-groups:list")
def index(request: Request, id: str) -> Json:
    found = request.services.security_groups.of_instance(request.context, uuid_of("Instance", id))
    return {"security_groups": groups_shown(request, found)}


def _set_group(request: Request, id: str, name: str, *, member: bool) -> None:
    request.services.interfaces.set_group(
        request.context, uuid_of("Instance", id), name, member=member
    )
