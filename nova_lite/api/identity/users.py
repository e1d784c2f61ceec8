"""Users and their passwords: /v3/users."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import PUBLIC, Field, Request, Resource, json_of
from nova_lite.api.identity.projects import project_filters, render_project
from nova_lite.api.identity.words import (
    DESCRIPTION,
    FLAG,
    ID,
    NO_OPTIONS,
    OR_NULL,
    At,
    flag,
    listing,
    member,
    shape,
    texts,
)
from nova_lite.api.schema import NAME, NONE, TEXT, Schema, validate

USERS = Resource("/v3/users")
FIELDS = (
    Field("id", lambda user: user.id),
    Field("name", lambda user: user.name),
    Field("domain_id", lambda user: user.domain_id),
    Field("description", lambda user: user.description),
    Field("email", lambda user: user.email),
    Field("enabled", lambda user: user.enabled),
    Field("default_project_id", lambda user: user.default_project_id),
    Field("password_expires_at", lambda user: None),
    Field("options", lambda user: {}),
)
PROPERTIES: dict[str, Schema] = {
    "name": NAME,
    "domain_id": ID,
    "description": DESCRIPTION,
    "email": {"anyOf": [TEXT, NONE]},
    "enabled": FLAG,
    "default_project_id": OR_NULL,
    "options": NO_OPTIONS,
}
CREATE = shape("user", PROPERTIES, "name")
UPDATE = shape("user", PROPERTIES)
SETTABLE = (
    "name",
    "domain_id",
    "description",
    "email",
    "enabled",
    "default_project_id",
    "password",
)


def render_user(request: Request, user: Any) -> dict[str, Any]:
    return member(request, FIELDS, "users", user)


@USERS.on("GET", policy="identity:list_users")
def index(request: Request) -> dict[str, Any]:
    found = request.services.identity.list_users(
        request.context,
        name=request.GET.get("name"),
        domain_id=request.GET.get("domain_id"),
        enabled=flag(request, "enabled"),
    )
    return listing(request, "users", (render_user(request, user) for user in found))


@USERS.on("POST", policy="identity:create_user", status=201)
def create(request: Request) -> dict[str, Any]:
    user = request.services.identity.create_user(request.context, **_values(request, CREATE))
    return {"user": render_user(request, user)}


@USERS.on("GET", "/{id}", policy="identity:get_user")
def show(request: Request, id: str) -> dict[str, Any]:
    user = request.services.identity.get_user(request.context, id)
    return {"user": render_user(request, user)}


@USERS.on("PATCH", "/{id}", policy="identity:update_user")
def update(request: Request, id: str) -> dict[str, Any]:
    user = request.services.identity.update_user(request.context, id, **_values(request, UPDATE))
    return {"user": render_user(request, user)}


@USERS.on("DELETE", "/{id}", policy="identity:delete_user", status=204)
def delete(request: Request, id: str) -> None:
    request.services.identity.delete_user(request.context, id)


@USERS.on("GET", "/{id}/projects", policy="identity:list_user_projects")
def projects(request: Request, id: str) -> dict[str, Any]:
    found = request.services.identity.user_projects(request.context, id, **project_filters(request))
    return listing(request, "projects", (render_project(request, project) for project in found))


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


def _values(request: Request, schema: Schema) -> dict[str, Any]:
    """What the body says of a user.

    The schema sees it without the password, as its errors repeat what they are about.
    """
    body = json_of(request)
    user = At(body) / "user"
    password = user.get("password")
    if password is not None:
        password.text()
    rest = {name: value for name, value in user.value.items() if name != "password"}
    validate(schema, {**body, "user": rest})
    return texts(user.value, *SETTABLE)
