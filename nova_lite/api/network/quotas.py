"""/v2.0/quotas: what a project may have of networks, subnets and ports."""

from __future__ import annotations

from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import Json
from nova_lite.api.schema import BOOLEAN, Schema, boolean, one, thing
from nova_lite.domain.errors import Invalid

#: The network API's words for what our quotas count.
NAMES = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "security_group": "security_groups",
    "security_group_rule": "security_group_rules",
}

#: 2^31-1 is as much as the database keeps; -1 is no limit.
_LIMIT: Schema = {"type": "integer", "minimum": -1, "maximum": (1 << 31) - 1}
_HOW = {"check_limit": BOOLEAN, "force": BOOLEAN}
_UPDATE = one("quota", thing((), more=False, **dict.fromkeys(NAMES, _LIMIT), **_HOW))

quotas = Resource("/v2.0/quotas")


@quotas.on("GET", "/{project}", policy="get_quota")
def show(request: Request, project: str) -> Json:
    usage = request.services.quotas.usage(request.context, project)
    return {"quota": {name: usage[ours].limit for name, ours in NAMES.items()}}


@quotas.on("PUT", "/{project}", policy="update_quota", body=_UPDATE)
def update(request: Request, project: str, body: Json) -> Json:
    """Less than is used is refused only when `check_limit` asks for that."""
    wanted = body["quota"]
    said = {ours: wanted[name] for name, ours in NAMES.items() if name in wanted}
    if all(boolean(wanted.get(name, False)) for name in _HOW):
        raise Invalid("check_limit and force are each other's opposite.")
    force = not boolean(wanted.get("check_limit", False))
    limits = request.services.quotas.set_limits(request.context, project, said, force=force)
    return {"quota": {name: limits[ours] for name, ours in NAMES.items()}}


@quotas.on("DELETE", "/{project}", policy="delete_quota", status=204)
def delete(request: Request, project: str) -> None:
    request.services.quotas.forget_limits(request.context, project, NAMES.values())


@quotas.on("GET", "/{project}/default", policy="get_quota")
def default(request: Request, project: str) -> Json:
    limits = request.services.quotas.defaults(request.context)
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
