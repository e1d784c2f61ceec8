"""Users and their passwords: /v3/users."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import PUBLIC, Field, Request, Resource, json_of
from nova_lite.api.identity.kinds import Kind, directory
from nova_lite.api.identity.projects import PROJECT
from nova_lite.api.identity.words import DESCRIPTION, FLAG, ID, LABEL, OR_NULL, At, wanted
from nova_lite.api.schema import NONE, TEXT, Schema
from nova_lite.services.identity.users import USER_FILTERS

USERS = Resource("/v3/users")
FLAG_OR_NULL: Schema = {"type": ["boolean", "null"]}
#: Which ways of showing who one is are enough, each a list of methods.
WAYS_IN: Schema = {
    "type": ["array", "null"],
    "uniqueItems": True,
    "items": {
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": {"type": "string"},
    },
}
OPTIONS: Schema = {
    "type": "object",
    "properties": {
        "ignore_change_password_upon_first_use": FLAG_OR_NULL,
        "ignore_lockout_failure_attempts": FLAG_OR_NULL,
        "ignore_password_expiry": FLAG_OR_NULL,
        "ignore_user_inactivity": FLAG_OR_NULL,
        "lock_password": FLAG_OR_NULL,
        "multi_factor_auth_enabled": FLAG_OR_NULL,
        "multi_factor_auth_rules": WAYS_IN,
    },
    "additionalProperties": False,
}
USER = Kind(
    name="user",
    plural="users",
    fields=(
        Field("id", lambda user: user.id),
        Field("name", lambda user: user.name),
        Field("domain_id", lambda user: user.domain_id),
        Field("description", lambda user: user.description),
        Field("email", lambda user: user.email),
        Field("enabled", lambda user: user.enabled),
        Field("default_project_id", lambda user: user.default_project_id),
        Field("password_expires_at", lambda user: None),
        Field("options", lambda user: user.options or {}),
    ),
    properties={
        "name": LABEL,
        "domain_id": ID,
        "description": DESCRIPTION,
        "email": {"anyOf": [TEXT, NONE]},
        "enabled": FLAG,
        "default_project_id": OR_NULL,
        "password": {"type": ["string", "null"], "maxLength": 4096},
        "options": OPTIONS,
    },
    filters=USER_FILTERS,
)
USER.serve(USERS, directory)


@USERS.on("GET", "/{id}/projects", policy="identity:list_user_projects")
def projects(request: Request, id: str) -> dict[str, Any]:
    asked = wanted(request, *PROJECT.filters)
    return PROJECT.page(
        request, request.services.identity.user_projects(request.context, id, asked)
    )


# Needs no token: the original password says who asks.
@USERS.on("POST", "/{id}/password", policy=PUBLIC, status=204)
def change_password(request: Request, id: str) -> None:
    user = At(json_of(request)) / "user"
    request.services.identity.change_password(
        request.request_id,
        At(id, "id").text(),
        (user / "original_password").text(),
        (user / "password").text(),
    )
