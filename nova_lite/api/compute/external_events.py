"""os-server-external-events: other services tell what became of what a server has of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import webob

from nova_lite.api.declare import LATEST, Request, Resource, Version, answer
from nova_lite.api.schema import UUID as UUID_SCHEMA
from nova_lite.api.schema import Schema, one, thing
from nova_lite.domain.errors import NotFound

Json = dict[str, Any]
events = Resource("/v2.1/os-server-external-events")
#: The kinds of events, by the microversion that brought them.
NAMES: dict[Version, tuple[str, ...]] = {
    (2, 1): (
        "network-changed",
        "network-vif-plugged",
        "network-vif-unplugged",
        "network-vif-deleted",
    ),
    (2, 51): ("volume-extended",),
    (2, 76): ("power-update",),
    (2, 82): ("accelerator-request-bound",),
    (2, 93): ("volume-reimaged",),
}
#: Of these the tag says which volume, request or power state is meant.
TAGGED = {"volume-extended", "power-update", "accelerator-request-bound", "volume-reimaged"}


def _body(version: Version) -> Schema:
    names = [name for since, brought in NAMES.items() if since <= version for name in brought]
    event = thing(
        ("server_uuid", "name"),
        server_uuid=UUID_SCHEMA,
        name={"enum": names},
        status={"enum": ["failed", "completed", "in-progress"]},
        tag={"type": "string", "maxLength": 255},
    )
    return one("events", {"type": "array", "minItems": 1, "maxItems": 1000, "items": event})


def create(request: Request, body: Json) -> webob.Response:
    asked = body["events"]
    ids = {event["server_uuid"]: UUID(event["server_uuid"]) for event in asked}
    hosts = request.services.external_events.hosts(request.context, list(set(ids.values())))
    said = [{**event, **_verdict(event, ids[event["server_uuid"]], hosts)} for event in asked]
    if all(event["code"] != 200 for event in said):
        raise NotFound("No instances found for any event")
    every = all(event["code"] == 200 for event in said)
    return answer(200 if every else 207, {"events": said})


def _verdict(event: Json, id: UUID, hosts: Mapping[UUID, str | None]) -> Json:
    if id not in hosts:
        return {"status": "failed", "code": 404}
    if event["name"] in TAGGED and not event.get("tag"):
        return {"status": "failed", "code": 400}
    if hosts[id] is None:
        return {"status": "failed", "code": 422}
    return {"status": event.get("status", "completed"), "code": 200}


_starts = list(NAMES)
for _since, _next in zip(_starts, [*_starts[1:], None], strict=True):
    events.on(
        "POST",
        policy="os_compute_api:os-server-external-events:create",
        body=_body(_since),
        since=_since,
        until=(_next[0], _next[1] - 1) if _next else LATEST,
    )(create)
