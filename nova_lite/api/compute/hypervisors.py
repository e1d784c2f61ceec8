"""os-hypervisors: the compute hosts, what they have, and what of it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson

from nova_lite.api.compute.aggregates import HOSTNAME
from nova_lite.api.compute.common import ABSENT, Page, flag, next_link, page_of, render_all
from nova_lite.api.compute.services import uuid
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import Schema, thing
from nova_lite.domain.errors import Invalid, NotFound, NotProvided

Json = dict[str, Any]
hypervisors = Resource("/v2.1/os-hypervisors")
UNTIL, SINCE = (2, 52), (2, 53)  # then ids are UUIDs; search and servers are words of the query
UNTIL_PLACEMENT = (2, 87)  # what is had and taken is asked of placement then


@dataclass(frozen=True)
class View:
    host: Any
    servers: Sequence[Any] | None = None  # None: nobody asked

    @property
    def named_servers(self) -> list[Json]:
        return [{"name": each.display_name, "uuid": str(each.id)} for each in self.servers or ()]


SUMMARY = (
    Field("id", lambda view: view.host.number, until=UNTIL),
    Field("id", lambda view: str(view.host.id), since=SINCE),
    Field("hypervisor_hostname", lambda view: view.host.name),
    Field("state", lambda view: "up" if view.host.up else "down"),
    Field("status", lambda view: "disabled" if view.host.disabled else "enabled"),
    Field("servers", lambda view: view.named_servers or ABSENT, until=(2, 74)),
    Field(
        "servers",
        lambda view: ABSENT if view.servers is None else view.named_servers,
        since=(2, 75),
    ),
)
RESOURCES = (
    Field("cpu_info", lambda view: orjson.dumps(view.host.cpu_info).decode(), until=(2, 27)),
    Field("cpu_info", lambda view: view.host.cpu_info, since=(2, 28), until=UNTIL_PLACEMENT),
    *(
        Field(name, value, until=UNTIL_PLACEMENT)
        for name, value in (
            ("vcpus", lambda view: view.host.vcpus),
            ("vcpus_used", lambda view: view.host.vcpus_used),
            ("memory_mb", lambda view: view.host.memory_mb),
            ("memory_mb_used", lambda view: view.host.memory_mb_used),
            ("free_ram_mb", lambda view: view.host.memory_mb - view.host.memory_mb_used),
            ("local_gb", lambda view: view.host.disk_gb),
            ("local_gb_used", lambda view: view.host.disk_gb_used),
            ("free_disk_gb", lambda view: view.host.disk_gb - view.host.disk_gb_used),
            ("disk_available_least", lambda view: None),  # hosts do not report it
            ("running_vms", lambda view: view.host.instances),
            ("current_workload", lambda view: view.host.workload),
        )
    ),
)


def _service(view: View, id: Any) -> Json:
    return {"id": id, "host": view.host.name, "disabled_reason": view.host.disabled_reason}


DETAILS = (
    *SUMMARY,
    Field("hypervisor_type", lambda view: view.host.hypervisor_type),
    Field("hypervisor_version", lambda view: view.host.hypervisor_version),
    Field("host_ip", lambda view: view.host.address or None),
    *RESOURCES,
    Field("service", lambda view: _service(view, view.host.service_number), until=UNTIL),
    Field("service", lambda view: _service(view, str(view.host.service_id)), since=SINCE),
    Field("uptime", lambda view: view.host.uptime if view.host.up else None, since=(2, 88)),
)
UPTIME = (*SUMMARY, Field("uptime", lambda view: view.host.uptime))
STATISTICS = (
    Field("count", lambda totals: totals["count"]),
    Field("vcpus", lambda totals: totals["vcpus"]),
    Field("vcpus_used", lambda totals: totals["vcpus_used"]),
    Field("memory_mb", lambda totals: totals["memory_mb"]),
    Field("memory_mb_used", lambda totals: totals["memory_mb_used"]),
    Field("free_ram_mb", lambda totals: totals["memory_mb"] - totals["memory_mb_used"]),
    Field("local_gb", lambda totals: totals["disk_gb"]),
    Field("local_gb_used", lambda totals: totals["disk_gb_used"]),
    Field("free_disk_gb", lambda totals: totals["disk_gb"] - totals["disk_gb_used"]),
    Field("disk_available_least", lambda totals: None),
    Field("running_vms", lambda totals: totals["instances"]),
    Field("current_workload", lambda totals: totals["workload"]),
)


LIST = "os_compute_api:os-hypervisors:list"
LIST_DETAIL = "os_compute_api:os-hypervisors:list-detail"
SHOW = "os_compute_api:os-hypervisors:show"
EVERYTHING = Page(limit=1_000_000, marker=None)


def _single(value: Schema) -> Schema:
    return {"type": "array", "maxItems": 1, "items": value}


_YES_OR_NO: Schema = {"type": "string", "pattern": r"^(?i:true|false|1|0|on|off|yes|no)\Z"}
SHOW_QUERY_2_53 = thing(with_servers=_single(_YES_OR_NO))
LIST_QUERY_2_53 = thing(
    limit=_single({"type": "string", "pattern": r"^[0-9]{1,9}\Z"}),
    marker=_single({"type": "string"}),
    hypervisor_hostname_pattern=_single(HOSTNAME),
    with_servers=_single(_YES_OR_NO),
)


@hypervisors.on("GET", policy=LIST, until=(2, 32))
def index(request: Request) -> Json:
    return _list(request, "/os-hypervisors", EVERYTHING, SUMMARY)


@hypervisors.on("GET", policy=LIST, since=(2, 33), until=UNTIL)
def paged_index(request: Request) -> Json:
    return _list(request, "/os-hypervisors", page_of(request), SUMMARY)


@hypervisors.on("GET", policy=LIST, since=SINCE, query=LIST_QUERY_2_53)
def searched_index(request: Request) -> Json:
    return _search(request, "/os-hypervisors", SUMMARY)


@hypervisors.on("GET", "/detail", policy=LIST_DETAIL, until=(2, 32))
def detail(request: Request) -> Json:
    return _list(request, "/os-hypervisors/detail", EVERYTHING, DETAILS)


@hypervisors.on("GET", "/detail", policy=LIST_DETAIL, since=(2, 33), until=UNTIL)
def paged_detail(request: Request) -> Json:
    return _list(request, "/os-hypervisors/detail", page_of(request), DETAILS)


@hypervisors.on("GET", "/detail", policy=LIST_DETAIL, since=SINCE, query=LIST_QUERY_2_53)
def searched_detail(request: Request) -> Json:
    return _search(request, "/os-hypervisors/detail", DETAILS)


def _list(request: Request, path: str, page: Page, fields: tuple[Field, ...]) -> Json:
    marker = page.marker
    if marker is not None and not _is_number(marker):
        raise Invalid(f"marker [{marker}] not found")
    found = request.services.hosts.hypervisors(
        request.context, limit=page.limit, marker=None if marker is None else int(marker)
    )
    return {
        "hypervisors": render_all(fields, map(View, found), request.version),
        **next_link(request, path, page, [host.number for host in found]),
    }


def _search(request: Request, path: str, fields: tuple[Field, ...]) -> Json:
    part, page = request.GET.get("hypervisor_hostname_pattern"), page_of(request)
    if part is not None:
        if {"limit", "marker"} & set(request.GET):
            raise Invalid(
                "Paging over hypervisors with the hypervisor_hostname_pattern query "
                "parameter is not supported."
            )
        found, links = _named(request, part), {}
    else:
        found = request.services.hosts.hypervisors(
            request.context,
            limit=page.limit,
            marker=None if page.marker is None else _marker(page.marker),
        )
        links = next_link(request, path, page, [host.id for host in found])
    views = _views(request, found, flag("with_servers", request.GET.get("with_servers", "no")))
    return {"hypervisors": render_all(fields, views, request.version), **links}


def _marker(marker: str) -> UUID:
    try:
        return UUID(marker)
    except ValueError:
        raise Invalid(f"marker [{marker}] not found") from None


def _views(request: Request, found: Sequence[Any], with_servers: bool) -> list[View]:
    if not with_servers:
        return [View(host) for host in found]
    guests = request.services.hosts.guests(request.context, [host.name for host in found])
    return [View(host, guests[host.name]) for host in found]


@hypervisors.on(
    "GET",
    "/statistics",
    policy="os_compute_api:os-hypervisors:statistics",
    until=UNTIL_PLACEMENT,
)
def statistics(request: Request) -> Json:
    totals = request.services.hosts.totals(request.context)
    return {"hypervisor_statistics": render(STATISTICS, totals, request.version)}


@hypervisors.on("GET", "/{id}", policy=SHOW, until=UNTIL)
def show_by_number(request: Request, id: str) -> Json:
    return _shown(request, DETAILS, _numbered(request, id))


@hypervisors.on("GET", "/{id}", policy=SHOW, since=SINCE, query=SHOW_QUERY_2_53)
def show(request: Request, id: str) -> Json:
    host = request.services.hosts.hypervisor(request.context, uuid(id))
    with_servers = flag("with_servers", request.GET.get("with_servers", "no"))
    return _shown(request, DETAILS, host, with_servers)


@hypervisors.on("GET", "/{id}/uptime", policy="os_compute_api:os-hypervisors:uptime", until=UNTIL)
def uptime_by_number(request: Request, id: str) -> Json:
    return _uptime(request, _numbered(request, id))


@hypervisors.on(
    "GET",
    "/{id}/uptime",
    policy="os_compute_api:os-hypervisors:uptime",
    since=SINCE,
    until=UNTIL_PLACEMENT,
)
def uptime(request: Request, id: str) -> Json:
    return _uptime(request, request.services.hosts.hypervisor(request.context, uuid(id)))


def _uptime(request: Request, host: Any) -> Json:
    if not host.up:
        raise Invalid(f"Compute service of {host.name} is unavailable at this time.")
    if host.uptime is None:
        raise NotProvided(f"Hypervisor {host.name} does not report its uptime.")
    return _shown(request, UPTIME, host)


@hypervisors.on("GET", "/{id}/search", policy="os_compute_api:os-hypervisors:search", until=UNTIL)
def search(request: Request, id: str) -> Json:
    views = map(View, _named(request, id))
    return {"hypervisors": render_all(SUMMARY, views, request.version)}


@hypervisors.on("GET", "/{id}/servers", policy="os_compute_api:os-hypervisors:servers", until=UNTIL)
def servers(request: Request, id: str) -> Json:
    views = _views(request, _named(request, id), True)
    return {"hypervisors": render_all(SUMMARY, views, request.version)}


def _shown(
    request: Request, fields: tuple[Field, ...], host: Any, with_servers: bool = False
) -> Json:
    (shown,) = render_all(fields, _views(request, [host], with_servers), request.version)
    return {"hypervisor": shown}


def _named(request: Request, part: str) -> Any:
    found = request.services.hosts.hypervisors(request.context, name=part)
    if not found:
        raise NotFound(f"No hypervisor matching '{part}' could be found.")
    return found


def _numbered(request: Request, id: str) -> Any:
    if not _is_number(id):
        raise NotFound(f"Hypervisor with ID '{id}' could not be found.")
    return request.services.hosts.hypervisor(request.context, int(id))


def _is_number(id: str) -> bool:
    return id.isascii() and id.isdecimal() and len(id) <= 9
