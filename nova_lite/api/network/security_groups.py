"""/v2.0/security-groups"""

from __future__ import annotations

from nova_lite.api import schema
from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import Attribute, Collection, Json, owner_of, uuid_of
from nova_lite.api.network.networks import NAME, PROJECT, stamp
from nova_lite.api.network.security_group_rules import RULES
from nova_lite.api.schema import thing
from nova_lite.services.network.security_groups import NewGroup

GROUPS = Collection(
    "security_group",
    "security_groups",
    (
        Attribute("id", lambda g: str(g.id), "id"),
        Attribute("name", lambda g: g.name, "name"),
        Attribute("description", lambda g: g.description, "description"),
        Attribute("tenant_id", lambda g: g.project_id, "project_id"),
        Attribute("project_id", lambda g: g.project_id, "project_id"),
        Attribute(
            "security_group_rules",
            lambda g: [{a.name: a.value(rule) for a in RULES.attributes} for rule in g.rules],
            None,
        ),
        Attribute("created_at", lambda g: stamp(g.created_at), "created_at"),
        Attribute("updated_at", lambda g: stamp(g.updated_at), "updated_at"),
    ),
    path="security-groups",
)
CREATE = GROUPS.body(
    thing((), name=NAME, description=schema.TEXT, tenant_id=PROJECT, project_id=PROJECT)
)
CHANGE = GROUPS.change(thing((), name=NAME, description=schema.TEXT))

security_groups = Resource("/v2.0/security-groups")


@security_groups.on("GET", policy="get_security_group")
def index(request: Request) -> Json:
    services, context = request.services, request.context
    return GROUPS.index(request, lambda listing: services.security_groups.groups(context, listing))


@security_groups.on("POST", policy="create_security_group", status=201, body=CREATE)
def create(request: Request, body: Json) -> Json:
    return GROUPS.create(
        request,
        body,
        lambda wanted: request.services.security_groups.create_groups(
            request.context, [_new(values) for values in wanted]
        ),
    )


def _new(values: Json) -> NewGroup:
    return NewGroup(values.get("name", ""), values.get("description", ""), owner_of(values))


@security_groups.on("GET", "/{id}", policy="get_security_group")
def show(request: Request, id: str) -> Json:
    found = request.services.security_groups.group(request.context, uuid_of(id, "security group"))
    return {"security_group": GROUPS.show(request, found)}


@security_groups.on("PUT", "/{id}", policy="update_security_group", body=CHANGE)
def update(request: Request, id: str, body: Json) -> Json:
    changed = request.services.security_groups.update_group(
        request.context, uuid_of(id, "security group"), **body["security_group"]
    )
    return {"security_group": GROUPS.show(request, changed)}


@security_groups.on("DELETE", "/{id}", policy="delete_security_group", status=204)
def delete(request: Request, id: str) -> None:
    request.services.security_groups.delete_group(request.context, uuid_of(id, "security group"))
