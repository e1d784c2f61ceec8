"""servers: create, look at, change what they say of themselves, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import webob

from nova_lite.api import policy
from nova_lite.api.compute.common import (
    Links,
    flag,
    moment,
    next_link,
    page_of,
    render_all,
    uuid_of,
    whole_number,
)
from nova_lite.api.compute.server_requests import (
    CREATE,
    CREATE_2_19,
    CREATE_2_37,
    UPDATE,
    UPDATE_2_19,
    changes,
    new_instance,
    security_groups,
)
from nova_lite.api.compute.server_views import (
    SUMMARY,
    UPDATED,
    USER_DATA,
    Server,
    Urls,
    fields_of,
    show_all,
)
from nova_lite.api.declare import FIRST, Request, Resource, Version, answer
from nova_lite.api.schema import Schema, boolean, one
from nova_lite.domain.errors import Forbidden, Invalid
from nova_lite.domain.states import VmState, server_status
from nova_lite.services.instances import SORT_KEYS, Filters

Json = dict[str, Any]
servers = Resource("/v2.1/servers")


def create(request: Request, body: Json) -> webob.Response:
    server = body["server"]
    made = request.services.instances.create(request.context, new_instance(request, body))
    if boolean(server.get("return_reservation_id", False)):
        return answer(202, {"reservation_id": made[0].reservation_id})
    links = Links(request, "servers").of(made[0].id)
    shown = {
        "id": str(made[0].id),
        "links": links,
        "OS-DCF:diskConfig": "AUTO" if made[0].auto_disk_config else "MANUAL",
        "security_groups": security_groups(server),
    }
    return answer(202, {"server": shown}, Location=links[0]["href"])


def update(request: Request, id: str, body: Json) -> Json:
    instance = request.services.instances.update(
        request.context, uuid_of("Instance", id), **changes(body["server"])
    )
    return {"server": show_all(request, UPDATED, [instance])[0]}


def _since(*schemas: tuple[Version, Schema]) -> list[dict[str, Any]]:
    """One declaration per shape of the body, each until the next."""
    ends = [(major, minor - 1) for (major, minor), _ in schemas[1:]]
    spans: list[dict[str, Any]] = [
        {"since": since, "until": until, "body": body}
        for (since, body), until in zip(schemas, ends, strict=False)
    ]
    return [*spans, {"since": schemas[-1][0], "body": schemas[-1][1]}]


for shape in _since((FIRST, CREATE), ((2, 19), CREATE_2_19), ((2, 37), CREATE_2_37)):
    servers.on("POST", policy="os_compute_api:servers:create", status=202, **shape)(create)


@servers.on("GET", policy="os_compute_api:servers:index")
def index(request: Request) -> Json:
    page, instances = _list(request, "index", user_data=False)
    urls = Urls(request)
    shown = (Server(instance, (), urls) for instance in instances)
    return {
        "servers": render_all(SUMMARY, shown, request.version),
        **next_link(request, "/servers", page, [instance.id for instance in instances]),
    }


@servers.on("GET", "/detail", policy="os_compute_api:servers:detail")
def detail(request: Request) -> Json:
    fields = fields_of(request)
    page, instances = _list(request, "detail", user_data=USER_DATA in fields)
    return {
        "servers": show_all(request, fields, instances),
        **next_link(request, "/servers/detail", page, [instance.id for instance in instances]),
    }


@servers.on("GET", "/{id}", policy="os_compute_api:servers:show")
def show(request: Request, id: str) -> Json:
    instance = request.services.instances.get(request.context, uuid_of("Instance", id))
    return {"server": show_all(request, fields_of(request), [instance])[0]}


for shape in _since((FIRST, one("server", UPDATE)), ((2, 19), one("server", UPDATE_2_19))):
    servers.on("PUT", "/{id}", policy="os_compute_api:servers:update", **shape)(update)


@servers.on("DELETE", "/{id}", policy="os_compute_api:servers:delete", status=204)
def delete(request: Request, id: str) -> None:
    request.services.instances.delete(request.context, uuid_of("Instance", id))


# --- lists ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class QueryFilter:
    """A parameter of the query: what it narrows, and who may say it since when."""

    name: str
    field: str  # of Filters; or an attribute of Instance, with a dot before it
    read: Callable[[str, str], Any] = lambda name, text: text
    since: Version = FIRST
    admin: bool = False


def _words(_name: str, text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _one_word(_name: str, text: str) -> list[str]:
    return [text]


def _states(_name: str, text: str) -> list[VmState]:
    return [state for state in VmState if state == text.lower()]


def _ids(_name: str, text: str) -> list[UUID]:
    try:
        return [UUID(text)]
    except ValueError:
        return []


FILTERS = (
    QueryFilter("name", "name"),
    QueryFilter("reservation_id", "reservation_id"),
    QueryFilter("image", "image_id"),
    QueryFilter("flavor", "flavor_id"),
    QueryFilter("ip", "address"),
    QueryFilter("ip6", "address", admin=True),
    QueryFilter("ip6", "address", since=(2, 5)),
    QueryFilter("changes-since", "changed_since", moment),
    QueryFilter("tags", "tags", _words, since=(2, 26)),
    QueryFilter("tags-any", "tags_any", _words, since=(2, 26)),
    QueryFilter("not-tags", "not_tags", _words, since=(2, 26)),
    QueryFilter("not-tags-any", "not_tags_any", _words, since=(2, 26)),
    QueryFilter("host", "host", admin=True),
    QueryFilter("node", "host", admin=True),
    QueryFilter("deleted", "deleted", flag, admin=True),
    QueryFilter("project_id", "project_id", admin=True),
    QueryFilter("tenant_id", "project_id", admin=True),
    QueryFilter("uuid", "ids", _ids, admin=True),
    QueryFilter("vm_state", "vm_states", _states, admin=True),
    QueryFilter("task_state", "task_states", _one_word, admin=True),
    QueryFilter("user_id", ".user_id", admin=True),
    QueryFilter("availability_zone", ".zone", admin=True),
    QueryFilter("hostname", ".hostname", admin=True),
    QueryFilter("key_name", ".key_name", admin=True),
    QueryFilter("display_name", ".display_name", admin=True),
    QueryFilter("display_description", ".description", admin=True),
    QueryFilter("description", ".description", admin=True),
    QueryFilter("launch_index", ".launch_index", whole_number, admin=True),
    QueryFilter("locked_by", ".locked_by", admin=True),
)

#: What states a `status` word stands for; None as task_state is any that has no word of its own.
STATUSES: Mapping[str, list[tuple[VmState, str | None]]] = {
    word: [
        (state, task)
        for state in VmState
        for task in (None, "rebooting", "rebooting_hard")
        if server_status(state, task) == word
    ]
    for word in {
        server_status(state, task)
        for state in VmState
        for task in (None, "rebooting", "rebooting_hard")
    }
}


def _list(request: Request, view: str, *, user_data: bool) -> tuple[Any, Any]:
    """The page asked for, and its instances."""
    page = page_of(request)
    marker = None
    if page.marker is not None:
        try:
            marker = UUID(page.marker)
        except ValueError:
            raise Invalid(f"marker [{page.marker}] not found") from None
    instances = request.services.instances.list(
        request.context,
        _filters(request, view),
        limit=page.limit,
        marker=marker,
        sort=_sort(request),
        user_data=user_data,
    )
    return page, instances


def _filters(request: Request, view: str) -> Filters:
    everything = policy.allows("os_compute_api:servers:allow_all_filters", request)
    said: Json = {}
    equal: Json = {}
    for known in FILTERS:
        text = request.GET.get(known.name)
        if text is None or known.since > request.version or (known.admin and not everything):
            continue
        value = known.read(known.name, text)
        if known.field.startswith("."):
            equal[known.field[1:]] = value
        else:
            said[known.field] = value
    _by_status(request.GET.getall("status"), everything, said)
    all_tenants = request.GET.get("all_tenants")
    if all_tenants is not None:
        said["all_projects"] = flag("all_tenants", all_tenants or "1")
        rule = f"os_compute_api:servers:{view}:get_all_tenants"
        if said["all_projects"] and not policy.allows(rule, request):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
    # Who names a project means that one, wherever the token is for.
    said.setdefault("all_projects", "project_id" in said)
    return Filters(**said, equal=equal)


def _by_status(words: list[str], everything: bool, said: Json) -> None:
    if not words:
        return
    states = [pair for word in words for pair in STATUSES.get(word.upper(), ())]
    said["vm_states"] = {state for state, _ in states}
    if all(task is not None for _, task in states):
        said["task_states"] = {task for _, task in states}
    if VmState.DELETED in said["vm_states"]:
        if not everything:
            raise Forbidden("Only administrators may list deleted instances")
        said["deleted"] = True


def _sort(request: Request) -> list[tuple[str, bool]]:
    """Keys and whether they run downwards; a direction that is missing is the first one's."""
    keys, directions = request.GET.getall("sort_key"), request.GET.getall("sort_dir")
    for name, words, known in (
        ("sort_key", keys, SORT_KEYS),
        ("sort_dir", directions, ("asc", "desc")),
    ):
        for word in words:
            if word not in known:
                raise Invalid(f"Invalid input for query parameters {name}. Value: {word}.")
    if directions and not keys:
        keys = ["created_at"]
    directions += [directions[0] if directions else "desc"] * (len(keys) - len(directions))
    return [(key, way == "desc") for key, way in zip(keys, directions, strict=False)]
