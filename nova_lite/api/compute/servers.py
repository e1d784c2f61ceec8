"""servers: create, look at, change what they say of themselves, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
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
    CREATE_STEPS,
    UPDATE_STEPS,
    changes,
    create_body,
    new_instance,
    security_groups,
    shapes,
)
from nova_lite.api.compute.server_views import (
    DETAILS,
    NOWHERE,
    ONE,
    SUMMARY,
    UPDATED,
    USER_DATA,
    Server,
    Urls,
    fields_of,
    show_all,
    show_one,
)
from nova_lite.api.declare import FIRST, Request, Resource, Version, answer
from nova_lite.api.schema import ANY, Schema, boolean, one, thing
from nova_lite.domain.errors import Forbidden, Invalid
from nova_lite.domain.states import TELLING_TASKS, PowerNumber, PowerState, VmState, server_status
from nova_lite.services.compute.instance_lists import SORT_KEYS, Filters
from nova_lite.services.identity.passwords import generated

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
        "adminPass": server.get("adminPass") or generated(),
    }
    return answer(202, {"server": shown}, Location=links[0]["href"])


def update(request: Request, id: str, body: Json) -> Json:
    instance = request.services.instances.update(
        request.context, uuid_of("Instance", id), **changes(body["server"])
    )
    return {"server": show_all(request, fields_of(request, UPDATED), [instance])[0]}


for since, until, shape in shapes(CREATE_STEPS, ("name", "flavorRef"), {(2, 37): "networks"}):
    servers.on(
        "POST",
        policy="os_compute_api:servers:create",
        status=202,
        since=since,
        until=until,
        body=create_body(shape),
    )(create)


def index(request: Request) -> Json:
    page, instances = _list(request, "index", user_data=False)
    urls = Urls(request)
    shown = (Server(instance, NOWHERE, urls) for instance in instances)
    return {
        "servers": render_all(SUMMARY, shown, request.version),
        **next_link(request, "/servers", page, [instance.id for instance in instances]),
    }


def detail(request: Request) -> Json:
    fields = fields_of(request, DETAILS)
    page, instances = _list(request, "detail", user_data=USER_DATA in fields)
    return {
        "servers": show_all(request, fields, instances),
        **next_link(request, "/servers/detail", page, [instance.id for instance in instances]),
    }


@servers.on("GET", "/{id}", policy="os_compute_api:servers:show")
def show(request: Request, id: str) -> Json:
    seen = request.services.instances.look(request.context, uuid_of("Instance", id))
    return {"server": show_one(request, fields_of(request, ONE), seen)}


for since, until, shape in shapes(UPDATE_STEPS):
    servers.on(
        "PUT",
        "/{id}",
        policy="os_compute_api:servers:update",
        since=since,
        until=until,
        body=one("server", shape),
    )(update)


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


def _power_states(_name: str, text: str) -> list[PowerState]:
    """By its number, as it is shown."""
    return [state for state in PowerState if str(PowerNumber[state.name].value) == text]


def _for_all_since(since: Version, *filters: QueryFilter) -> Iterator[QueryFilter]:
    """Filters that were an administrator's before."""
    for known in filters:
        yield replace(known, admin=True)
        yield replace(known, since=since)


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
    QueryFilter("deleted", "deleted", flag, admin=True),
    QueryFilter("project_id", "project_id", admin=True),
    QueryFilter("tenant_id", "project_id", admin=True),
    QueryFilter("uuid", "ids", _ids, admin=True),
    QueryFilter("changes-before", "changed_before", moment, since=(2, 66)),
    QueryFilter("locked", "locked", flag, since=(2, 73)),
    QueryFilter("soft_deleted", "soft_deleted", flag, admin=True),
    QueryFilter("node", "host", admin=True),
    QueryFilter("hostname", ".hostname", admin=True),
    QueryFilter("image_ref", "image_id", admin=True),
    QueryFilter("instance_type_id", "flavor_id", admin=True),
    QueryFilter("display_name", ".display_name", admin=True),
    QueryFilter("access_ip_v4", ".access_ip_v4", admin=True),
    QueryFilter("access_ip_v6", ".access_ip_v6", admin=True),
    QueryFilter("auto_disk_config", ".auto_disk_config", flag, admin=True),
    *_for_all_since(
        (2, 83),
        QueryFilter("user_id", ".user_id"),
        QueryFilter("availability_zone", ".zone"),
        QueryFilter("key_name", ".key_name"),
        QueryFilter("config_drive", ".config_drive", flag),
        QueryFilter("power_state", "power_states", _power_states),
        QueryFilter("vm_state", "vm_states", _states),
        QueryFilter("task_state", "task_states", _one_word),
        QueryFilter("created_at", ".created_at", moment),
        QueryFilter("launched_at", ".launched_at", moment),
        QueryFilter("terminated_at", ".terminated_at", moment),
        QueryFilter("progress", "progress", whole_number),
    ),
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
        for task in (None, *TELLING_TASKS)
        if server_status(state, task) == word
    ]
    for word in {server_status(state, task) for state in VmState for task in (None, *TELLING_TASKS)}
}


#: What a query may say beside its filters.
_ALSO = ("limit", "marker", "sort_key", "sort_dir", "status", "all_tenants")
_KNOWN: dict[str, Schema] = dict.fromkeys((*_ALSO, *(known.name for known in FILTERS)), ANY)
_STRICT = thing((), more=False, **_KNOWN)
for handler, path, view in ((index, "", "index"), (detail, "/detail", "detail")):
    rule = f"os_compute_api:servers:{view}"
    servers.on("GET", path, policy=rule, until=(2, 74))(handler)
    # From here on a parameter that is not known is refused.
    servers.on("GET", path, policy=rule, since=(2, 75), query=_STRICT)(handler)


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
        if said["all_projects"]:
            policy.require(rule, request)
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
