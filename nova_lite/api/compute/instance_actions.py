"""servers/{id}/os-instance-actions: the journal of what was asked of a server.

An action is an operation, its events are the operation's steps; the step that
is under way is the last event, and has no end yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nova_lite.api import policy
from nova_lite.api.compute.common import precise, uuid_of
from nova_lite.api.declare import FIRST, LATEST, Field, Request, Resource, Version, render

Json = dict[str, Any]
actions = Resource("/v2.1/servers/{id}/os-instance-actions")

ACTION = (
    Field("action", lambda op: op.action),
    Field("instance_uuid", lambda op: str(op.target_id)),
    Field("request_id", lambda op: op.request_id),
    Field("project_id", lambda op: op.project_id),
    Field("user_id", lambda op: op.user_id),
    Field("start_time", lambda op: precise(op.started_at)),
    Field("message", lambda op: op.error),
)
EVENT = (
    Field("event", lambda event: event.name),
    Field("start_time", lambda event: precise(event.started_at)),
    Field("finish_time", lambda event: precise(event.finished_at)),
    Field("result", lambda event: "Error" if event.error else "Success"),
    Field("traceback", lambda event: event.error),
)


def index(request: Request, id: str, deleted: bool) -> Json:
    found = request.services.instances.actions(
        request.context, uuid_of("Instance", id), deleted=deleted
    )
    return {"instanceActions": [render(ACTION, operation) for operation in found]}


def show(request: Request, id: str, request_id: str, deleted: bool) -> Json:
    operation, events = request.services.instances.action(
        request.context, uuid_of("Instance", id), request_id, deleted=deleted
    )
    shown = render(ACTION, operation)
    if policy.allows("os_compute_api:os-instance-actions:events", request):
        shown["events"] = [render(EVENT, event) for event in events]
        if operation.finished_at is None:
            shown["events"].append(_under_way(operation))
    return {"instanceAction": shown}


def _under_way(operation: Any) -> Json:
    undoing = operation.status == "unwinding"
    return {
        "event": f"undo {operation.step}" if undoing else operation.step,
        "start_time": precise(operation.step_started_at),
        "finish_time": None,
        "result": None,
        "traceback": None,
    }


def _declare(since: Version, until: Version, *, deleted: bool) -> None:
    """The two endpoints; what is deleted can be looked up since 2.21."""

    def bind(handler: Callable[..., Json]) -> Callable[..., Json]:
        return lambda request, **words: handler(request, **words, deleted=deleted)

    span: dict[str, Any] = {"since": since, "until": until}
    actions.on("GET", policy="os_compute_api:os-instance-actions:list", **span)(bind(index))
    actions.on("GET", "/{request_id}", policy="os_compute_api:os-instance-actions:show", **span)(
        bind(show)
    )


_declare(FIRST, (2, 20), deleted=False)
_declare((2, 21), LATEST, deleted=True)
