"""os-server-groups: servers that are to be together, or apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nova_lite.api import policy
from nova_lite.api.compute.common import render_all, uuid_of, whole_number
from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.schema import NAME, Schema, one, thing
from nova_lite.domain.errors import Invalid
from nova_lite.services.compute.server_groups import NewServerGroup

Json = dict[str, Any]
groups = Resource("/v2.1/os-server-groups")
POLICY = "os_compute_api:os-server-groups:"
HARD = ("affinity", "anti-affinity")
SOFT = ("soft-affinity", "soft-anti-affinity")


@dataclass(frozen=True)
class View:
    group: Any
    members: Sequence[UUID]


GROUP = (
    Field("id", lambda view: str(view.group.id)),
    Field("name", lambda view: view.group.name),
    Field("policies", lambda view: [view.group.policy], until=(2, 63)),
    Field("policy", lambda view: view.group.policy, since=(2, 64)),
    Field("rules", lambda view: view.group.rules, since=(2, 64)),
    Field("members", lambda view: [str(id) for id in view.members]),
    Field("metadata", lambda view: {}, until=(2, 63)),
    Field("project_id", lambda view: view.group.project_id, since=(2, 13)),
    Field("user_id", lambda view: view.group.user_id, since=(2, 13)),
)


def _policies(*names: str) -> Schema:
    return one(
        "server_group",
        thing(
            ("name", "policies"),
            name=NAME,
            policies={
                "type": "array",
                "items": {"enum": list(names)},
                "minItems": 1,
                "maxItems": 1,
            },
        ),
    )


AT_LEAST_ONE: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 1_000_000},
        {"type": "string", "pattern": r"^0{0,3}[1-9][0-9]{0,5}\Z"},
    ]
}
CREATE, CREATE_2_15 = _policies(*HARD), _policies(*HARD, *SOFT)
CREATE_2_64 = one(
    "server_group",
    thing(
        ("name", "policy"),
        name=NAME,
        policy={"enum": [*HARD, *SOFT]},
        rules=thing(max_server_per_host=AT_LEAST_ONE),
    ),
)
QUERY_2_75 = thing(all_projects={}, limit={}, offset={})


@groups.on("GET", policy=POLICY + "index", until=(2, 74))
@groups.on("GET", policy=POLICY + "index", since=(2, 75), query=QUERY_2_75)
def index(request: Request) -> Json:
    largest = request.services.instances.page_size
    limit = whole_number("limit", request.GET.get("limit", "0"))
    everybodys = "all_projects" in request.GET and policy.allows(
        POLICY + "index:all_projects", request
    )
    found = request.services.server_groups.list(
        request.context,
        all_projects=everybodys,
        limit=min(limit or largest, largest),
        offset=whole_number("offset", request.GET.get("offset", "0")),
    )
    return {"server_groups": _shown(request, found)}


@groups.on("POST", policy=POLICY + "create", body=CREATE, until=(2, 14))
@groups.on("POST", policy=POLICY + "create", body=CREATE_2_15, since=(2, 15), until=(2, 63))
def create(request: Request, body: Json) -> Json:
    asked = body["server_group"]
    return _made(request, NewServerGroup(asked["name"], asked["policies"][0]))


@groups.on("POST", policy=POLICY + "create", body=CREATE_2_64, since=(2, 64))
def create_with_rules(request: Request, body: Json) -> Json:
    asked = body["server_group"]
    most = asked.get("rules", {}).get("max_server_per_host")
    if most is not None and asked["policy"] != "anti-affinity":
        raise Invalid("Only anti-affinity policy supports rules.")
    return _made(
        request,
        NewServerGroup(asked["name"], asked["policy"], None if most is None else int(most)),
    )


def _made(request: Request, new: NewServerGroup) -> Json:
    group = request.services.server_groups.create(request.context, new)
    return {"server_group": _shown(request, [group])[0]}


@groups.on("GET", "/{id}", policy=POLICY + "show")
def show(request: Request, id: str) -> Json:
    group = request.services.server_groups.get(request.context, uuid_of("Instance group", id))
    return {"server_group": _shown(request, [group])[0]}


@groups.on("DELETE", "/{id}", policy=POLICY + "delete", status=204)
def delete(request: Request, id: str) -> None:
    request.services.server_groups.delete(request.context, uuid_of("Instance group", id))


def _shown(request: Request, found: Sequence[Any]) -> list[Json]:
    members = request.services.server_groups.members(found)
    views = [View(group, members[group.id]) for group in found]
    return render_all(GROUP, views, request.version)
