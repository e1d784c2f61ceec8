"""Trusts: /v3/OS-TRUST/trusts."""

from __future__ import annotations

from typing import Any

from nova_lite.api import policy
from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity import roles
from nova_lite.api.identity.application_credentials import ROLE
from nova_lite.api.identity.words import ID, OR_NULL, listing, member, moment, shape, texts, url
from nova_lite.api.schema import Schema
from nova_lite.domain.errors import NotFound
from nova_lite.services.identity.trusts import Trusted

TRUSTS = Resource("/v3/OS-TRUST/trusts")
COUNT: Schema = {"type": ["integer", "null"], "maximum": 2**31 - 1}
PROPERTIES: dict[str, Schema] = {
    "trustor_user_id": ID,
    "trustee_user_id": ID,
    "impersonation": {"type": "boolean"},
    "project_id": OR_NULL,
    "roles": {"type": "array", "items": ROLE},
    "expires_at": {"type": ["string", "null"], "maxLength": 64},
    "remaining_uses": {**COUNT, "minimum": 1},
    "allow_redelegation": {"type": ["boolean", "null"]},
    "redelegation_count": {**COUNT, "minimum": 0},
}
CREATE = shape(
    "trust", PROPERTIES, "trustor_user_id", "trustee_user_id", "impersonation", more=True
)
FIELDS = (
    Field("id", lambda trust: trust.id),
    Field("trustor_user_id", lambda trust: trust.trustor_user_id),
    Field("trustee_user_id", lambda trust: trust.trustee_user_id),
    Field("project_id", lambda trust: trust.project_id),
    Field("impersonation", lambda trust: trust.impersonation),
    Field("expires_at", lambda trust: trust.expires_at and moment(trust.expires_at)),
    Field("remaining_uses", lambda trust: trust.remaining_uses),
    Field("deleted_at", lambda trust: None),
    Field("redelegated_trust_id", lambda trust: trust.redelegated_trust_id),
    Field("redelegation_count", lambda trust: trust.redelegation_count),
)
COLLECTION = "OS-TRUST/trusts"


# Who asks for the trusts of one side asks for less than for all.
@TRUSTS.on("GET", policy="identity:list_trusts_for_trustor")
def index(request: Request) -> dict[str, Any]:
    sides = ("trustor_user_id", "trustee_user_id")
    asked = {side: request.GET[side] for side in sides if side in request.GET}
    rule = "identity:list_trusts_for_trustee" if asked else "identity:list_trusts"
    if "trustor_user_id" not in asked:
        policy.require(rule, request)
    found = request.services.trusts.list(request.context, **asked)
    return listing(request, "trusts", (member(request, FIELDS, COLLECTION, t) for t in found))


@TRUSTS.on("POST", policy="identity:create_trust", status=201, body=CREATE)
def create(request: Request, body: Any) -> dict[str, Any]:
    made = request.services.trusts.create(request.context, **texts(body["trust"], *PROPERTIES))
    return {"trust": _render(request, made)}


@TRUSTS.on("GET", "/{id}", policy="identity:get_trust")
def show(request: Request, id: str) -> dict[str, Any]:
    return {"trust": _render(request, request.services.trusts.get(request.context, id))}


@TRUSTS.on("DELETE", "/{id}", policy="identity:delete_trust", status=204)
def delete(request: Request, id: str) -> None:
    request.services.trusts.delete(request.context, id)


@TRUSTS.on("GET", "/{id}/roles", policy="identity:list_roles_for_trust")
def index_roles(request: Request, id: str) -> dict[str, Any]:
    found = request.services.trusts.get(request.context, id)
    return {"roles": _roles(request, found), "links": _roles_links(request, id)}


@TRUSTS.on("GET", "/{id}/roles/{role_id}", policy="identity:get_role_for_trust")
def show_role(request: Request, id: str, role_id: str) -> dict[str, Any]:
    for role in _roles(request, request.services.trusts.get(request.context, id)):
        if role["id"] == role_id:
            return {"role": role}
    raise NotFound(f"Could not find role: {role_id}.")


def _render(request: Request, trusted: Trusted) -> dict[str, Any]:
    return {
        **member(request, FIELDS, COLLECTION, trusted.trust),
        "roles": _roles(request, trusted),
        "roles_links": _roles_links(request, trusted.trust.id),
    }


def _roles(request: Request, trusted: Trusted) -> list[dict[str, Any]]:
    return [member(request, roles.KIND.fields, "roles", role) for role in trusted.roles]


def _roles_links(request: Request, id: str) -> dict[str, Any]:
    here = url(request, COLLECTION, id, "roles")
    return {"self": here, "next": None, "previous": None}
