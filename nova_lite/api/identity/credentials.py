"""Credentials: /v3/credentials, and the EC2 key pairs among them under their users."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, Resource, json_of
from nova_lite.api.identity.words import ID, OR_NULL, At, listing, member, shape, texts, url
from nova_lite.api.schema import Schema, validate
from nova_lite.services.identity.credentials import Ec2Key, Opened

CREDENTIALS = Resource("/v3/credentials")
EC2 = Resource("/v3/users/{user_id}/credentials/OS-EC2")

FIELDS = (
    Field("id", lambda credential: credential.id),
    Field("user_id", lambda credential: credential.user_id),
    Field("project_id", lambda credential: credential.project_id),
    Field("type", lambda credential: credential.type),
    Field("blob", lambda credential: credential.blob),
)
TYPE: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^\x00-\x1f]+\Z"}
PROPERTIES: dict[str, Schema] = {"type": TYPE, "user_id": ID, "project_id": OR_NULL, "id": {}}
CREATE = shape("credential", PROPERTIES, "type", "user_id", more=True)
CREATE_EC2 = shape(
    "credential", {**PROPERTIES, "project_id": ID}, "type", "user_id", "project_id", more=True
)
#: What stays as it is; clients repeat it.
STAYS = ("type", "user_id", "project_id")
UPDATE = shape("credential", {name: PROPERTIES[name] for name in STAYS})


@CREDENTIALS.on("GET", policy="identity:list_credentials")
def index(request: Request) -> dict[str, Any]:
    found = request.services.credentials.list(
        request.context, user_id=request.GET.get("user_id"), type=request.GET.get("type")
    )
    return listing(request, "credentials", (_render(request, one) for one in found))


@CREDENTIALS.on("POST", policy="identity:create_credential", status=201)
def create(request: Request) -> dict[str, Any]:
    rest, blob = _said(request)
    is_pair = str(rest.get("type")).lower() == "ec2"
    validate(CREATE_EC2 if is_pair else CREATE, {"credential": rest})
    made = request.services.credentials.create(
        request.context,
        user_id=rest["user_id"],
        type=rest["type"],
        blob=blob,
        project_id=rest.get("project_id"),
        extra={name: value for name, value in rest.items() if name not in (*PROPERTIES, "links")},
    )
    return {"credential": _render(request, made)}


@CREDENTIALS.on("GET", "/{id}", policy="identity:get_credential")
def show(request: Request, id: str) -> dict[str, Any]:
    return {"credential": _render(request, request.services.credentials.get(request.context, id))}


@CREDENTIALS.on("PATCH", "/{id}", policy="identity:update_credential")
def update(request: Request, id: str) -> dict[str, Any]:
    rest, blob = _said(request)
    validate(UPDATE, {"credential": rest})
    changed = request.services.credentials.update(
        request.context, id, blob=blob, **texts(rest, *STAYS)
    )
    return {"credential": _render(request, changed)}


@CREDENTIALS.on("DELETE", "/{id}", policy="identity:delete_credential", status=204)
def delete(request: Request, id: str) -> None:
    request.services.credentials.delete(request.context, id)


@EC2.on("GET", policy="identity:ec2_list_credentials")
def index_ec2(request: Request, user_id: str) -> dict[str, Any]:
    found = request.services.credentials.list_ec2(request.context, user_id)
    return listing(request, "credentials", (_render_ec2(request, key) for key in found))


@EC2.on("POST", policy="identity:ec2_create_credential", status=201)
def create_ec2(request: Request, user_id: str) -> dict[str, Any]:
    project_id = (At(json_of(request)) / "tenant_id").text()
    made = request.services.credentials.create_ec2(request.context, user_id, project_id)
    return {"credential": _render_ec2(request, made)}


@EC2.on("GET", "/{access}", policy="identity:ec2_get_credential")
def show_ec2(request: Request, user_id: str, access: str) -> dict[str, Any]:
    found = request.services.credentials.get_ec2(request.context, user_id, access)
    return {"credential": _render_ec2(request, found)}


@EC2.on("DELETE", "/{access}", policy="identity:ec2_delete_credential", status=204)
def delete_ec2(request: Request, user_id: str, access: str) -> None:
    request.services.credentials.delete_ec2(request.context, user_id, access)


def _said(request: Request) -> tuple[dict[str, Any], str]:
    """The credential of the body without its blob, which no error may repeat, and that."""
    said = At(json_of(request)) / "credential"
    blob = (said / "blob").text(longest=65536)
    return {name: value for name, value in said.value.items() if name != "blob"}, blob


def _render(request: Request, credential: Opened) -> dict[str, Any]:
    return {**credential.extra, **member(request, FIELDS, "credentials", credential)}


def _render_ec2(request: Request, key: Ec2Key) -> dict[str, Any]:
    return {
        "user_id": key.user_id,
        "tenant_id": key.project_id,
        "access": key.access,
        "secret": key.secret,
        "trust_id": None,
        "links": {"self": url(request, f"users/{key.user_id}/credentials/OS-EC2/{key.access}")},
    }
