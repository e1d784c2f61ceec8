"""Roles and what they imply: /v3/roles.

A role is global or one of a domain, and policy has rules for the one and the other.
"""

from __future__ import annotations

from typing import Any

from nova_lite.api import policy
from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.kinds import Kind
from nova_lite.api.identity.words import DESCRIPTION, LABEL, OR_NULL, wanted
from nova_lite.api.schema import Schema
from nova_lite.services.identity.roles import options_of

ROLES = Resource("/v3/roles")
OPTIONS: Schema = {
    "type": "object",
    "properties": {"immutable": {"type": ["boolean", "null"]}},
    "additionalProperties": False,
}
KIND = Kind(
    "role",
    "roles",
    (
        Field("id", lambda role: role.id),
        Field("name", lambda role: role.name),
        Field("description", lambda role: role.description or None),
        Field("domain_id", lambda role: role.domain_id or None),
        Field("options", options_of),
    ),
    {"name": LABEL, "description": DESCRIPTION, "domain_id": OR_NULL, "options": OPTIONS},
    filters=("name", "domain_id"),
)


@ROLES.on("GET", policy="identity:list_roles")
def index(request: Request) -> dict[str, Any]:
    _check(request, "identity:list_domain_roles", request.GET.get("domain_id"))
    asked = wanted(request, *KIND.filters)
    return KIND.page(request, request.services.roles.list_roles(request.context, asked))


@ROLES.on("POST", policy="identity:create_role", status=201, body=KIND.creation)
def create(request: Request, body: Any) -> dict[str, Any]:
    _check(request, "identity:create_domain_role", body["role"].get("domain_id"))
    new = request.services.roles.create_role(request.context, **KIND.values(body))
    return KIND.answer(request, new)


@ROLES.on("GET", "/{id}", policy="identity:get_role")
def show(request: Request, id: str) -> dict[str, Any]:
    return KIND.answer(request, _find(request, id, "identity:get_domain_role"))


@ROLES.on("PATCH", "/{id}", policy="identity:update_role", body=KIND.change)
def update(request: Request, id: str, body: Any) -> dict[str, Any]:
    _find(request, id, "identity:update_domain_role")
    values = KIND.values(body, id)
    return KIND.answer(request, request.services.roles.update_role(request.context, id, **values))


@ROLES.on("DELETE", "/{id}", policy="identity:delete_role", status=204)
def delete(request: Request, id: str) -> None:
    _find(request, id, "identity:delete_domain_role")
    request.services.roles.delete_role(request.context, id)


def _find(request: Request, id: str, rule: str) -> Any:
    """The role; of a domain's only for whom `rule` admits."""
    role = request.services.roles.get_role(request.context, id)
    _check(request, rule, role.domain_id)
    return role


def _check(request: Request, rule: str, domain_id: str | None) -> None:
    if domain_id:
        policy.require(rule, request)
