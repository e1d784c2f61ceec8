"""os-simple-tenant-usage: what projects used in a period: hours, and hours times size."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import Page, next_link, page_of, precise
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import thing
from nova_lite.domain.errors import Forbidden, Invalid
from nova_lite.services.compute.usage import Period, ServerUsage

Json = dict[str, Any]
usage = Resource("/v2.1/os-simple-tenant-usage")
POLICY = "os_compute_api:os-simple-tenant-usage:"
PATH = "/os-simple-tenant-usage"
FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")
QUERY_2_75 = thing(start={}, end={}, detailed={}, limit={}, marker={})

SERVER = (
    Field("instance_id", lambda server: str(server.id)),
    Field("name", lambda server: server.name),
    Field("tenant_id", lambda server: server.project_id),
    Field("flavor", lambda server: server.flavor),
    Field("state", lambda server: server.state),
    Field("started_at", lambda server: precise(server.started_at)),
    Field("ended_at", lambda server: precise(server.ended_at)),
    Field("uptime", lambda server: int(server.uptime.total_seconds())),
    Field("hours", lambda server: server.hours),
    Field("vcpus", lambda server: server.vcpus),
    Field("memory_mb", lambda server: server.memory_mb),
    Field("local_gb", lambda server: server.local_gb),
)
#: What is summed up, and what an hour of a server adds to it.
TOTALS: dict[str, Callable[[ServerUsage], int]] = {
    "total_hours": lambda server: 1,
    "total_vcpus_usage": lambda server: server.vcpus,
    "total_memory_mb_usage": lambda server: server.memory_mb,
    "total_local_gb_usage": lambda server: server.local_gb,
}


def list_all(request: Request) -> Json:
    return _list(request, None)


def list_page(request: Request) -> Json:
    return _list(request, page_of(request))


def show_all(request: Request, project_id: str) -> Json:
    return _show(request, project_id, None)


def show_page(request: Request, project_id: str) -> Json:
    return _show(request, project_id, page_of(request))


for _path, _rule, _plain, _paged in (
    ("", "list", list_all, list_page),
    ("/{project_id}", "show", show_all, show_page),
):
    usage.on("GET", _path, policy=POLICY + _rule, until=(2, 39))(_plain)
    usage.on("GET", _path, policy=POLICY + _rule, since=(2, 40), until=(2, 74))(_paged)
    usage.on("GET", _path, policy=POLICY + _rule, since=(2, 75), query=QUERY_2_75)(_paged)


def _list(request: Request, page: Page | None) -> Json:
    period = _period(request)
    servers = _servers(request, period, None, page)
    projects: dict[str, list[ServerUsage]] = {}
    for server in servers:
        projects.setdefault(server.project_id, []).append(server)
    detailed = request.GET.get("detailed", "").lower() in ("1", "true")
    return {
        "tenant_usages": [
            _project(request, project, theirs, period, detailed)
            for project, theirs in projects.items()
        ],
        **_links(request, PATH, "tenant_usages", page, servers),
    }


def _show(request: Request, project_id: str, page: Page | None) -> Json:
    context = request.context
    if not context.owns(project_id):
        raise Forbidden(f"Policy doesn't allow {POLICY}show to be performed.")
    period = _period(request)
    servers = _servers(request, period, project_id, page)
    return {
        "tenant_usage": (
            _project(request, project_id, servers, period, detailed=True) if servers else {}
        ),
        **_links(request, f"{PATH}/{project_id}", "tenant_usage", page, servers),
    }


def _servers(
    request: Request, period: Period, project_id: str | None, page: Page | None
) -> Sequence[ServerUsage]:
    found: Sequence[ServerUsage] = request.services.usages.servers(
        request.context,
        period,
        project_id=project_id,
        limit=page.limit if page else None,
        marker=_marker(page),
    )
    return found


def _project(
    request: Request,
    project_id: str,
    servers: Sequence[ServerUsage],
    period: Period,
    detailed: bool,
) -> Json:
    shown = [render(SERVER, server, request.version) for server in servers] if detailed else []
    return {
        "tenant_id": project_id,
        "start": precise(period.start),
        "stop": precise(period.stop),
        **{
            name: sum(each(server) * server.hours for server in servers)
            for name, each in TOTALS.items()
        },
        **({"server_usages": shown} if detailed else {}),
    }


def _links(
    request: Request, path: str, name: str, page: Page | None, servers: Sequence[ServerUsage]
) -> Json:
    if page is None:
        return {}
    link = next_link(request, path, page, [server.id for server in servers])
    return {f"{name}_links": links for links in link.values()}


def _marker(page: Page | None) -> UUID | None:
    if page is None or page.marker is None:
        return None
    try:
        return UUID(page.marker)
    except ValueError:
        raise Invalid(f"marker [{page.marker[:64]}] not found") from None


def _period(request: Request) -> Period:
    """Of the query; what it does not say is now."""
    now = request.services.usages.now
    start = _time(request.GET.get("start"), now)
    stop = _time(request.GET.get("end"), now)
    if start > stop or (start == stop and request.GET.get("start")):
        raise Invalid("Invalid start time. The start time cannot occur after the end time.")
    return Period(start, stop)


def _time(text: str | None, now: Callable[[], dt.datetime]) -> dt.datetime:
    if not text:
        return now()
    for format in FORMATS:
        try:
            return dt.datetime.strptime(text, format).replace(tzinfo=dt.UTC)
        except ValueError:
            continue  # the next may fit
    raise Invalid(f"Datetime is in invalid format: {text[:64]}")
