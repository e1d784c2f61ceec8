"""/v2/images/{id}/members: whom an image is shared with."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.image.asked import image_id
from nova_lite.api.image.attributes import Json, time_of
from nova_lite.api.schema import thing

MEMBERS = Resource("/v2/images/{id}/members")

STATUSES = ["pending", "accepted", "rejected"]
FIELDS = (
    Field("member_id", attrgetter("member")),
    Field("image_id", lambda member: str(member.image_id)),
    Field("status", attrgetter("status")),
    Field("created_at", time_of("created_at")),
    Field("updated_at", time_of("updated_at")),
    Field("schema", lambda member: "/v2/schemas/member"),
)
PROJECT = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[^\x00-\x1f\x7f]+\Z"}
ADD = thing(("member",), more=True, member=PROJECT)
ANSWER = thing(("status",), more=True, status={"enum": STATUSES})


def shown(member: Any) -> Json:
    return render(FIELDS, member)


@MEMBERS.on("GET", policy="get_members")
def index(request: Request, id: str) -> Json:
    members = request.services.image_members.list(request.context, image_id(id))
    return {"members": [shown(member) for member in members], "schema": "/v2/schemas/members"}


@MEMBERS.on("POST", policy="add_member", body=ADD)
def add(request: Request, id: str, body: Json) -> Json:
    members = request.services.image_members
    return shown(members.add(request.context, image_id(id), body["member"]))


@MEMBERS.on("GET", "/{member}", policy="get_member")
def show(request: Request, id: str, member: str) -> Json:
    return shown(request.services.image_members.get(request.context, image_id(id), member))


@MEMBERS.on("PUT", "/{member}", policy="modify_member", body=ANSWER)
def answer(request: Request, id: str, member: str, body: Json) -> Json:
    members = request.services.image_members
    return shown(members.answer(request.context, image_id(id), member, body["status"]))


@MEMBERS.on("DELETE", "/{member}", policy="delete_member", status=204)
def remove(request: Request, id: str, member: str) -> None:
    request.services.image_members.remove(request.context, image_id(id), member)
