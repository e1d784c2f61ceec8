"""Application credentials and access rules: /v3/users/{user_id}/..."""

from __future__ import annotations

import datetime as dt
from typing import Any

from nova_lite.api.declare import Field, Request, Resource, json_of, render
from nova_lite.api.identity import roles
from nova_lite.api.identity.words import (
    DESCRIPTION,
    ID,
    LABEL,
    At,
    listing,
    member,
    moment,
    shape,
    wanted,
)
from nova_lite.api.schema import Schema, thing, validate
from nova_lite.domain.access_rules import METHODS
from nova_lite.services.identity.application_credentials import Described

CREDENTIALS = Resource("/v3/users/{user_id}/application_credentials")
RULES = Resource("/v3/users/{user_id}/access_rules")

RULE_FIELDS = (
    Field("id", lambda rule: rule.id),
    Field("service", lambda rule: rule.service),
    Field("path", lambda rule: rule.path),
    Field("method", lambda rule: rule.method),
)
FIELDS = (
    Field("id", lambda credential: credential.id),
    Field("name", lambda credential: credential.name),
    Field("description", lambda credential: credential.description),
    Field("user_id", lambda credential: credential.user_id),
    Field("project_id", lambda credential: credential.project_id),
    Field("system", lambda credential: None),
    Field("expires_at", lambda credential: _time(credential.expires_at)),
    Field("unrestricted", lambda credential: credential.unrestricted),
)

#: A role by its id or by its name.
ROLE: Schema = {
    "type": "object",
    "properties": {"id": ID, "name": LABEL},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}
WRITTEN = thing(
    ("service", "path", "method"),
    service={**LABEL, "maxLength": 64},
    path={"type": "string", "maxLength": 225, "pattern": r"^/[^\x00-\x1f\x7f]*\Z"},
    method={"enum": list(METHODS)},
    id=ID,
)
RULE = {"anyOf": [WRITTEN, thing(("id",), id=ID)]}
CREATE = shape(
    "application_credential",
    {
        "name": LABEL,
        "description": DESCRIPTION,
        "roles": {"type": "array", "items": ROLE},
        "expires_at": {"type": ["string", "null"], "maxLength": 64},
        "unrestricted": {"type": ["boolean", "null"]},
        "access_rules": {"type": "array", "items": RULE, "maxItems": 1000},
        # Both follow from the token; what somebody sends is no matter.
        "id": {},
        "project_id": {},
        "system": {},
    },
    "name",
)
SETTABLE = ("name", "description", "roles", "expires_at", "unrestricted", "access_rules")


@CREDENTIALS.on("GET", policy="identity:list_application_credentials")
def index(request: Request, user_id: str) -> dict[str, Any]:
    found, more = request.services.application_credentials.list(
        request.context, user_id, wanted(request, "name")
    )
    shown = (_render(request, one) for one in found)
    return listing(request, "application_credentials", shown, more=more)


@CREDENTIALS.on("POST", policy="identity:create_application_credential", status=201)
def create(request: Request, user_id: str) -> dict[str, Any]:
    body = json_of(request)
    said = At(body) / "application_credential"
    secret = said.get("secret")
    # The schema sees it without the secret, as its errors repeat what they are about.
    rest = {name: value for name, value in _object(said).items() if name != "secret"}
    validate(CREATE, {**body, "application_credential": rest})
    made, told = request.services.application_credentials.create(
        request.context,
        user_id,
        secret=None if secret is None else secret.text(),
        **{name: rest[name] for name in SETTABLE if name in rest},
    )
    return {"application_credential": {**_render(request, made), "secret": told}}


@CREDENTIALS.on("GET", "/{id}", policy="identity:get_application_credential")
def show(request: Request, user_id: str, id: str) -> dict[str, Any]:
    found = request.services.application_credentials.get(request.context, user_id, id)
    return {"application_credential": _render(request, found)}


@CREDENTIALS.on("DELETE", "/{id}", policy="identity:delete_application_credential", status=204)
def delete(request: Request, user_id: str, id: str) -> None:
    request.services.application_credentials.delete(request.context, user_id, id)


@RULES.on("GET", policy="identity:list_access_rules")
def index_rules(request: Request, user_id: str) -> dict[str, Any]:
    asked = wanted(request, "service", "path", "method")
    page = request.services.application_credentials.list_rules(request.context, user_id, asked)
    shown = (_render_rule(request, rule) for rule in page)
    return listing(request, "access_rules", shown, more=page.more)


@RULES.on("GET", "/{id}", policy="identity:get_access_rule")
def show_rule(request: Request, user_id: str, id: str) -> dict[str, Any]:
    rule = request.services.application_credentials.get_rule(request.context, user_id, id)
    return {"access_rule": _render_rule(request, rule)}


@RULES.on("DELETE", "/{id}", policy="identity:delete_access_rule", status=204)
def delete_rule(request: Request, user_id: str, id: str) -> None:
    request.services.application_credentials.delete_rule(request.context, user_id, id)


def _object(said: At) -> dict[str, Any]:
    said.get("name")  # raises unless it is one
    found: dict[str, Any] = said.value
    return found


def _render(request: Request, described: Described) -> dict[str, Any]:
    credential = described.credential
    collection = f"users/{credential.user_id}/application_credentials"
    shown = member(request, FIELDS, collection, credential)
    shown["roles"] = [render(roles.KIND.fields, role) for role in described.roles]
    if credential.access_rules:
        shown["access_rules"] = credential.access_rules
    return shown


def _render_rule(request: Request, rule: Any) -> dict[str, Any]:
    return member(request, RULE_FIELDS, f"users/{rule.user_id}/access_rules", rule)


def _time(time: dt.datetime | None) -> str | None:
    """As Keystone has it: here without a zone."""
    return None if time is None else moment(time).removesuffix("Z")
