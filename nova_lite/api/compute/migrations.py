"""os-migrations, how servers moved; servers/{id}/migrations, the live ones under way."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nova_lite.api import policy
from nova_lite.api.compute.common import (
    ABSENT,
    Links,
    next_link,
    page_of,
    precise,
    render_all,
    span,
    uuid_of,
)
from nova_lite.api.declare import FIRST, LATEST, Field, Request, Resource
from nova_lite.api.schema import NONE, Schema, one, thing
from nova_lite.api.schema import UUID as ID
from nova_lite.services.compute.migrations import LIVE, UNDER_WAY, Filters, Migrations

Json = dict[str, Any]
migrations = Resource("/v2.1/os-migrations")
moves = Resource("/v2.1/servers/{id}/migrations")


class Shown:
    """One migration, and who looks at it: which hosts there are is not everybody's to know."""

    def __init__(self, row: Any, request: Request, *, hosts: bool, flavors: Json) -> None:
        self.row = row
        self.source = row.source if hosts else None
        self.dest = row.dest if hosts else None
        self.old, self.new = (
            flavors.get(flavor.get("flavor_id")) for flavor in (row.old_flavor, row.new_flavor)
        )
        live = row.type == LIVE and row.status in UNDER_WAY
        at = f"servers/{row.instance_id}/migrations"
        self.links: Any = Links(request, at).of(row.number) if live else ABSENT


_COMMON = (
    Field("id", lambda m: m.row.number),
    Field("uuid", lambda m: str(m.row.id), since=(2, 59)),
    Field("status", lambda m: m.row.status),
    Field("source_compute", lambda m: m.source),
    Field("source_node", lambda m: m.source),
    Field("dest_compute", lambda m: m.dest),
    Field("dest_host", lambda m: m.dest),
    Field("dest_node", lambda m: m.dest),
    Field("created_at", lambda m: precise(m.row.created_at)),
    Field("updated_at", lambda m: precise(m.row.updated_at)),
    Field("user_id", lambda m: m.row.user_id, since=(2, 80)),
    Field("project_id", lambda m: m.row.project_id, since=(2, 80)),
)
MIGRATION = (
    *_COMMON,
    Field("instance_uuid", lambda m: str(m.row.instance_id)),
    Field("old_instance_type_id", lambda m: m.old),
    Field("new_instance_type_id", lambda m: m.new),
    Field("migration_type", lambda m: m.row.type, since=(2, 23)),
    Field("links", lambda m: m.links, since=(2, 23)),
)
#: How far it is, no driver says.
_PROGRESS = tuple(
    Field(f"{what}_{part}_bytes", lambda m: None)
    for what in ("memory", "disk")
    for part in ("total", "processed", "remaining")
)
MOVE = (*_COMMON, Field("server_uuid", lambda m: str(m.row.instance_id)), *_PROGRESS)


def _shown(request: Request, fields: tuple[Field, ...], rows: Any, rule: str) -> list[Json]:
    hosts = policy.allows(rule, request)
    service: Migrations = request.services.migrations
    flavors = service.flavor_numbers(rows) if fields is MIGRATION else {}
    shown = (Shown(row, request, hosts=hosts, flavors=flavors) for row in rows)
    return render_all(fields, shown, request.version)


# --- the record -----------------------------------------------------------------------------

WORD: Schema = {"type": "array", "items": {"type": "string", "maxLength": 255}}
_ONE_ID: Schema = {"type": "array", "items": ID}
_OLD_QUERY: dict[str, Schema] = {
    **dict.fromkeys(("hidden", "host", "source_compute", "status", "migration_type"), WORD),
    "instance_uuid": _ONE_ID,
}
_PAGED: dict[str, Schema] = {
    **_OLD_QUERY,
    "limit": WORD,
    "marker": _ONE_ID,
    "changes-since": WORD,
}
_UNTIL: dict[str, Schema] = {**_PAGED, "changes-before": WORD}
_OWNED: dict[str, Schema] = {**_UNTIL, "user_id": WORD, "project_id": WORD}
#: Parameter -> the column it is about.
EQUAL = {
    "source_compute": "source",
    "status": "status",
    "migration_type": "type",
    "user_id": "user_id",
    "project_id": "project_id",
}


def index(request: Request) -> Json:
    shown, page, rows = _list(request, limited=False)
    return {"migrations": shown}


def page(request: Request) -> Json:
    shown, page, rows = _list(request, limited=True)
    return {
        "migrations": shown,
        **next_link(request, "/os-migrations", page, [row.id for row in rows]),
    }


def _list(request: Request, *, limited: bool) -> tuple[list[Json], Any, Any]:
    query = request.GET
    known = next(names for since, names in reversed(_NAMES) if since <= request.version)
    said = {name: query[name] for name in known if name in query}
    equal: Json = {EQUAL[name]: text for name, text in said.items() if name in EQUAL}
    if "instance_uuid" in said:
        equal["instance_id"] = uuid_of("Instance", said["instance_uuid"])
    since, before = span(said)
    rule = "os_compute_api:os-migrations:index"
    mine = request.context.project_id
    everything = policy.allows(f"{rule}:all_projects", request)
    if not everything and said.get("project_id", mine) != mine:
        policy.require(f"{rule}:all_projects", request)
    asked = page_of(request)
    rows = request.services.migrations.list(
        request.context,
        Filters(
            all_projects=everything,
            host=said.get("host"),
            changed_since=since,
            changed_before=before,
            equal=equal,
        ),
        limit=asked.limit if limited else request.services.instances.page_size,
        marker=UUID(asked.marker) if limited and asked.marker else None,
    )
    return _shown(request, MIGRATION, rows, f"{rule}:host"), asked, rows


_SPANS = (
    (FIRST, (2, 58), _OLD_QUERY, True, index),
    ((2, 59), (2, 65), _PAGED, False, page),
    ((2, 66), (2, 79), _UNTIL, False, page),
    ((2, 80), LATEST, _OWNED, False, page),
)
_NAMES = [(since, tuple(query)) for since, _, query, _, _ in _SPANS]
for _since, _until, _query, _more, _handler in _SPANS:
    migrations.on(
        "GET",
        policy="os_compute_api:os-migrations:index",
        query=thing(more=_more, **_query),
        since=_since,
        until=_until,
    )(_handler)

# --- of one server ----------------------------------------------------------------------------

RULE = "os_compute_api:servers:migrations:"


@moves.on("GET", policy=RULE + "index", since=(2, 23))
def under_way(request: Request, id: str) -> Json:
    rows = request.services.migrations.under_way(request.context, uuid_of("Instance", id))
    return {"migrations": _shown(request, MOVE, rows, RULE + "index:host")}


@moves.on("GET", "/{migration}", policy=RULE + "show", since=(2, 23))
def show(request: Request, id: str, migration: str) -> Json:
    found = request.services.migrations.get_under_way(
        request.context, uuid_of("Instance", id), migration
    )
    return {"migration": _shown(request, MOVE, [found], RULE + "index:host")[0]}


@moves.on(
    "POST",
    "/{migration}/action",
    policy=RULE + "force_complete",
    status=202,
    action="force_complete",
    body=one("force_complete", NONE),
    since=(2, 22),
)
def force_complete(request: Request, id: str, migration: str, body: Json) -> None:
    request.services.migrations.hurry(request.context, uuid_of("Instance", id), migration)


@moves.on("DELETE", "/{migration}", policy=RULE + "delete", status=202, since=(2, 24))
def abort(request: Request, id: str, migration: str) -> None:
    request.services.migrations.abort(request.context, uuid_of("Instance", id), migration)
