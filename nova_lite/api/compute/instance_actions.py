"""servers/{id}/os-instance-actions: the journal of what was asked of a server.

An action is an operation, its events are the operation's steps; the step that
is under way is the last event, and has no end yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nova_lite.api import policy
from nova_lite.api.compute.common import (
    ABSENT,
    next_link,
    page_of,
    precise,
    render_all,
    span,
    uuid_of,
)
from nova_lite.api.compute.server_views import host_id
from nova_lite.api.declare import FIRST, LATEST, Field, Request, Resource, Version
from nova_lite.api.schema import Schema, thing

Json = dict[str, Any]
actions = Resource("/v2.1/servers/{id}/os-instance-actions")
POLICY = "os_compute_api:os-instance-actions:"


@dataclass(frozen=True)
class Event:
    """A step, with who looks at it: what went wrong and where, not everybody is told."""

    name: str
    started_at: Any
    finished_at: Any
    error: str | None
    host: str | None
    project_id: str
    for_operators: bool
    details: bool

    @property
    def result(self) -> str | None:
        return None if self.finished_at is None else "Error" if self.error else "Success"


ACTION = (
    Field("action", lambda op: op.action),
    Field("instance_uuid", lambda op: str(op.target_id)),
    Field("request_id", lambda op: op.request_id),
    Field("project_id", lambda op: op.project_id),
    Field("user_id", lambda op: op.user_id),
    Field("start_time", lambda op: precise(op.started_at)),
    Field("updated_at", lambda op: precise(op.updated_at), since=(2, 58)),
    Field("message", lambda op: op.error),
)
EVENT = (
    Field("event", lambda event: event.name),
    Field("start_time", lambda event: precise(event.started_at)),
    Field("finish_time", lambda event: precise(event.finished_at)),
    Field("result", lambda event: event.result),
    Field("traceback", lambda event: event.error if event.for_operators else ABSENT),
    Field(
        "host",
        lambda event: (event.host or "") if event.for_operators else ABSENT,
        since=(2, 62),
    ),
    Field("hostId", lambda event: host_id(event.project_id, event.host), since=(2, 62)),
    Field("details", lambda event: event.error if event.details else ABSENT, since=(2, 84)),
)


def index(request: Request, id: str, deleted: bool) -> Json:
    found = request.services.instances.actions(
        request.context, uuid_of("Instance", id), deleted=deleted
    )
    return {"instanceActions": render_all(ACTION, found, request.version)}


def page(request: Request, id: str) -> Json:
    """The same in pages, of a span of time."""
    asked = page_of(request)
    since, before = span(request.GET)
    found = request.services.instances.actions(
        request.context,
        uuid_of("Instance", id),
        changed_since=since,
        changed_before=before,
        limit=asked.limit,
        marker=asked.marker,
    )
    path = f"/servers/{id}/os-instance-actions"
    links = next_link(request, path, asked, [operation.request_id for operation in found])
    shown: Json = {"instanceActions": render_all(ACTION, found, request.version)}
    for next_page in links.values():
        shown["links"] = next_page
    return shown


def show(request: Request, id: str, request_id: str, deleted: bool, open_to_all: bool) -> Json:
    operation, events = request.services.instances.action(
        request.context, uuid_of("Instance", id), request_id, deleted=deleted
    )
    (shown,) = render_all(ACTION, [operation], request.version)
    for_operators = policy.allows(POLICY + "events", request)
    if for_operators or open_to_all:
        seen = {
            "project_id": operation.project_id,
            "for_operators": for_operators,
            "details": policy.allows(POLICY + "events:details", request),
        }
        shown["events"] = render_all(EVENT, _events(operation, events, seen), request.version)
    return {"instanceAction": shown}


def _events(operation: Any, events: Any, seen: Json) -> list[Event]:
    past = [
        Event(event.name, event.started_at, event.finished_at, event.error, event.host, **seen)
        for event in events
    ]
    if operation.finished_at is not None:
        return past
    undoing = operation.status == "unwinding"
    name = f"undo {operation.step}" if undoing else operation.step
    now = Event(name, operation.step_started_at, None, None, operation.command_host, **seen)
    return [*past, now]


# --- which of them when ---------------------------------------------------------------------

WORD: Schema = {"type": "array", "items": {"type": "string", "maxLength": 255}}
SINCE = thing(more=False, **dict.fromkeys(("limit", "marker", "changes-since"), WORD))
BETWEEN = thing(
    more=False, **dict.fromkeys(("limit", "marker", "changes-since", "changes-before"), WORD)
)


def _declare(since: Version, until: Version, path: str, handler: Any, **declared: Any) -> None:
    rule = POLICY + ("show" if path else "list")
    actions.on("GET", path, policy=rule, since=since, until=until, **declared)(handler)


def _with(handler: Callable[..., Json], **words: bool) -> Callable[..., Json]:
    return lambda request, **path: handler(request, **path, **words)


# What is deleted can be looked up since 2.21; what was done in detail, by everybody since 2.51.
_declare(FIRST, (2, 20), "", _with(index, deleted=False))
_declare((2, 21), (2, 57), "", _with(index, deleted=True))
_declare((2, 58), (2, 65), "", page, query=SINCE)
_declare((2, 66), LATEST, "", page, query=BETWEEN)
_declare(FIRST, (2, 20), "/{request_id}", _with(show, deleted=False, open_to_all=False))
_declare((2, 21), (2, 50), "/{request_id}", _with(show, deleted=True, open_to_all=False))
_declare((2, 51), LATEST, "/{request_id}", _with(show, deleted=True, open_to_all=True))
