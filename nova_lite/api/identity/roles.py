"""Roles: /v3/roles."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.words import DESCRIPTION, NO_OPTIONS, listing, member, shape, texts
from nova_lite.api.schema import NAME, NONE, Schema
from nova_lite.services.directory import is_immutable

ROLES = Resource("/v3/roles")
FIELDS = (
    Field("id", lambda role: role.id),
    Field("name", lambda role: role.name),
    Field("description", lambda role: role.description),
    Field("domain_id", lambda role: None),
    Field("options", lambda role: {"immutable": True} if is_immutable(role.name) else {}),
)
PROPERTIES: dict[str, Schema] = {
    "name": NAME,
    "description": DESCRIPTION,
    "domain_id": NONE,
    "options": NO_OPTIONS,
}
CREATE = shape("role", PROPERTIES, "name")
UPDATE = shape("role", PROPERTIES)
SETTABLE = ("name", "description")


def render_role(request: Request, role: Any) -> dict[str, Any]:
    return member(request, FIELDS, "roles", role)


@ROLES.on("GET", policy="identity:list_roles")
def index(request: Request) -> dict[str, Any]:
    # All roles are global; those of a domain are none.
    found = (
        []
        if request.GET.get("domain_id")
        else request.services.identity.list_roles(request.context, name=request.GET.get("name"))
    )
    return listing(request, "roles", (render_role(request, role) for role in found))


@ROLES.on("POST", policy="identity:create_role", status=201, body=CREATE)
def create(request: Request, body: Any) -> dict[str, Any]:
    values = texts(body["role"], *SETTABLE)
    role = request.services.identity.create_role(request.context, **values)
    return {"role": render_role(request, role)}


@ROLES.on("GET", "/{id}", policy="identity:get_role")
def show(request: Request, id: str) -> dict[str, Any]:
    role = request.services.identity.get_role(request.context, id)
    return {"role": render_role(request, role)}


@ROLES.on("PATCH", "/{id}", policy="identity:update_role", body=UPDATE)
def update(request: Request, id: str, body: Any) -> dict[str, Any]:
    values = texts(body["role"], *SETTABLE)
    role = request.services.identity.update_role(request.context, id, **values)
    return {"role": render_role(request, role)}


@ROLES.on("DELETE", "/{id}", policy="identity:delete_role", status=204)
def delete(request: Request, id: str) -> None:
    request.services.identity.delete_role(request.context, id)
