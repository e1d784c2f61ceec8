"""/v2/tasks: imports by themselves, for administrators."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any
from uuid import UUID

import webob

from nova_lite.api.declare import Field, Request, Resource, answer, render
from nova_lite.api.image import filters, patches
from nova_lite.api.image.attributes import CREATE, WRITABLE, Json, time_of
from nova_lite.api.image.images import require_visibility
from nova_lite.api.image.paging import page_body
from nova_lite.api.schema import thing, validate
from nova_lite.domain.errors import Invalid, NotFound
from nova_lite.services.image.images import NewImage
from nova_lite.services.image.tasks import SORTABLE

TASKS = Resource("/v2/tasks")

BRIEF = (
    Field("id", lambda task: str(task.id)),
    Field("type", attrgetter("type")),
    Field("status", attrgetter("status")),
    Field("owner", attrgetter("owner")),
    Field("expires_at", lambda task: task.expires_at and time_of("expires_at")(task)),
    Field("created_at", time_of("created_at")),
    Field("updated_at", time_of("updated_at")),
    Field("self", lambda task: f"/v2/tasks/{task.id}"),
    Field("schema", lambda task: "/v2/schemas/task"),
)
FULL = (
    *BRIEF,
    Field("image_id", lambda task: str(task.image_id)),
    Field("request_id", attrgetter("request_id")),
    Field("user_id", attrgetter("user_id")),
    Field("input", attrgetter("input")),
    Field("result", attrgetter("result")),
    Field("message", attrgetter("message")),
)
LINE = {"type": "string", "maxLength": 4096, "pattern": r"^[^\x00-\x1f\x7f]+\Z"}
TASK = thing(
    ("type", "input"),
    more=True,
    type={"enum": ["import"]},
    input=thing(
        ("import_from", "import_from_format", "image_properties"),
        more=True,
        import_from=LINE,
        import_from_format=LINE,
        image_properties={"type": "object"},
    ),
)
STATUSES = ["pending", "processing", "success", "failure"]


def shown(task: Any, fields: Sequence[Field]) -> Json:
    return render(fields, task)


@TASKS.on("GET", policy="tasks_api_access")
def index(request: Request) -> Json:
    query, tasks = request.filters(), request.services.image_tasks
    equal: dict[str, str] = {name: query[name][-1] for name in ("type", "status") if name in query}
    if equal.get("status", "pending") not in STATUSES:
        raise Invalid(f"Invalid status value: {equal['status']}")
    key, direction = query.get("sort_key", ["created_at"])[-1], query.get("sort_dir", ["desc"])[-1]
    if key not in SORTABLE or direction not in filters.DIRECTIONS:
        raise Invalid(f"Invalid sort: {key} {direction}.")
    page, more = tasks.list(
        request.context,
        equal,
        sort=(key, filters.DIRECTIONS[direction]),
        limit=filters.limit(query, request.services.images.settings.max_limit),
        marker=filters.marker(query),
    )
    return page_body(request, "tasks", page, more, lambda task: shown(task, BRIEF))


@TASKS.on("POST", policy="tasks_api_access", status=201, body=TASK)
def create(request: Request, body: Json) -> webob.Response:
    asked, properties = body["input"], body["input"]["image_properties"]
    validate(CREATE, properties, "image_properties")
    for name in properties:
        patches.refuse_reserved(name)
    require_visibility(request, properties.get("visibility"))
    known = {name: value for name, value in properties.items() if name in WRITABLE - {"id"}}
    own = {name: value for name, value in properties.items() if name not in WRITABLE}
    task = request.services.image_tasks.create(
        request.context, NewImage(**known, properties=own), asked["import_from"], asked
    )
    where = f"{request.outside_url}/image/v2/tasks/{task.id}"
    return answer(201, shown(task, FULL), Location=where)


@TASKS.on("GET", "/{id}", policy="tasks_api_access")
def show(request: Request, id: str) -> Json:
    try:
        task_id = UUID(id)
    except ValueError:
        raise NotFound(f"No task found with ID {id}") from None
    return shown(request.services.image_tasks.get(request.context, task_id), FULL)
