"""The network API: the part of Neutron's v2.0 that flat networks need."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Api
from nova_lite.api.network.agents import agents, zones
from nova_lite.api.network.extensions import extensions
from nova_lite.api.network.networks import networks
from nova_lite.api.network.ports import ports
from nova_lite.api.network.quotas import quotas
from nova_lite.api.network.reports import availabilities, shares
from nova_lite.api.network.security_group_rules import rules
from nova_lite.api.network.security_groups import security_groups
from nova_lite.api.network.subnets import subnets
from nova_lite.api.network.versions import versions

RESOURCES = (
    versions,
    networks,
    subnets,
    ports,
    security_groups,
    rules,
    extensions,
    quotas,
    agents,
    zones,
    availabilities,
    shares,
)

TYPES = {
    400: "HTTPBadRequest",
    401: "HTTPUnauthorized",
    403: "PolicyNotAuthorized",
    404: "HTTPNotFound",
    405: "HTTPMethodNotAllowed",
    409: "Conflict",
    413: "HTTPRequestEntityTooLarge",
}


def fault(status: int, message: str) -> dict[str, Any]:
    """An error as Neutron words it."""
    type_ = TYPES.get(status, "HTTPInternalServerError")
    return {"NeutronError": {"type": type_, "message": message, "detail": ""}}


def factory(_global: Any, **_local: str) -> Api:
    return Api(RESOURCES, fault=fault)
