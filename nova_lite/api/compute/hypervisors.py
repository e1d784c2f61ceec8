"""os-hypervisors: the compute hosts, what they have, and what of it is taken."""

from __future__ import annotations

from typing import Any

import orjson

from nova_lite.api.compute.common import Page, next_link, page_of
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.domain.errors import Invalid, NotFound, NovaLiteError

Json = dict[str, Any]
hypervisors = Resource("/v2.1/os-hypervisors")
UNTIL = (2, 52)  # from 2.53 on search and servers are parameters of the list
PAGED = (2, 33)

SUMMARY = (
    Field("id", lambda host: host.number),
    Field("hypervisor_hostname", lambda host: host.name),
    Field("state", lambda host: "up" if host.up else "down"),
    Field("status", lambda host: "disabled" if host.disabled else "enabled"),
)
DETAILS = (
    *SUMMARY,
    Field("hypervisor_type", lambda host: host.hypervisor_type),
    Field("hypervisor_version", lambda host: host.hypervisor_version),
    Field("host_ip", lambda host: host.address or None),
    Field("cpu_info", lambda host: orjson.dumps(host.cpu_info).decode(), until=(2, 27)),
    Field("cpu_info", lambda host: host.cpu_info, since=(2, 28)),
    Field("vcpus", lambda host: host.vcpus),
    Field("vcpus_used", lambda host: host.vcpus_used),
    Field("memory_mb", lambda host: host.memory_mb),
    Field("memory_mb_used", lambda host: host.memory_mb_used),
    Field("free_ram_mb", lambda host: host.memory_mb - host.memory_mb_used),
    Field("local_gb", lambda host: host.disk_gb),
    Field("local_gb_used", lambda host: host.disk_gb_used),
    Field("free_disk_gb", lambda host: host.disk_gb - host.disk_gb_used),
    Field("disk_available_least", lambda host: None),  # hosts do not report it
    Field("running_vms", lambda host: host.instances),
    Field("current_workload", lambda host: host.workload),
    Field(
        "service",
        lambda host: {
            "id": host.service_number,
            "host": host.name,
            "disabled_reason": host.disabled_reason,
        },
    ),
)
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


class NotProvided(NovaLiteError):
    """What Nova has, if its driver does; clients ask for it and can do without."""

    status = 501


LIST = "os_compute_api:os-hypervisors:list"
LIST_DETAIL = "os_compute_api:os-hypervisors:list-detail"
EVERYTHING = Page(limit=1_000_000, marker=None)


@hypervisors.on("GET", policy=LIST, until=(2, 32))
def index(request: Request) -> Json:
    return _list(request, "/os-hypervisors", EVERYTHING, SUMMARY)


@hypervisors.on("GET", policy=LIST, since=PAGED)
def paged_index(request: Request) -> Json:
    return _list(request, "/os-hypervisors", page_of(request), SUMMARY)


@hypervisors.on("GET", "/detail", policy=LIST_DETAIL, until=(2, 32))
def detail(request: Request) -> Json:
    return _list(request, "/os-hypervisors/detail", EVERYTHING, DETAILS)


@hypervisors.on("GET", "/detail", policy=LIST_DETAIL, since=PAGED)
def paged_detail(request: Request) -> Json:
    return _list(request, "/os-hypervisors/detail", page_of(request), DETAILS)


def _list(request: Request, path: str, page: Page, fields: tuple[Field, ...]) -> Json:
    marker = page.marker
    if marker is not None and not _is_number(marker):
        raise Invalid(f"marker [{marker}] not found")
    found = request.services.hosts.hypervisors(
        request.context, limit=page.limit, marker=None if marker is None else int(marker)
    )
    return {
        "hypervisors": [render(fields, host, request.version) for host in found],
        **next_link(request, path, page, [host.number for host in found]),
    }


@hypervisors.on("GET", "/statistics", policy="os_compute_api:os-hypervisors:statistics")
def statistics(request: Request) -> Json:
    totals = request.services.hosts.totals(request.context)
    return {"hypervisor_statistics": render(STATISTICS, totals, request.version)}


@hypervisors.on("GET", "/{id}", policy="os_compute_api:os-hypervisors:show")
def show(request: Request, id: str) -> Json:
    return {"hypervisor": render(DETAILS, _hypervisor(request, id), request.version)}


@hypervisors.on("GET", "/{id}/uptime", policy="os_compute_api:os-hypervisors:uptime")
def uptime(request: Request, id: str) -> Json:
    host = _hypervisor(request, id)
    raise NotProvided(f"Hypervisor {host.name} does not report its uptime.")


@hypervisors.on("GET", "/{id}/search", policy="os_compute_api:os-hypervisors:search", until=UNTIL)
def search(request: Request, id: str) -> Json:
    found = _named(request, id)
    return {"hypervisors": [render(SUMMARY, host, request.version) for host in found]}


@hypervisors.on("GET", "/{id}/servers", policy="os_compute_api:os-hypervisors:servers", until=UNTIL)
def servers(request: Request, id: str) -> Json:
    found = _named(request, id)
    guests = request.services.hosts.guests(request.context, [host.name for host in found])
    shown = []
    for host in found:
        its = [{"name": g.display_name, "uuid": str(g.id)} for g in guests[host.name]]
        shown.append(
            {**render(SUMMARY, host, request.version), **({"servers": its} if its else {})}
        )
    return {"hypervisors": shown}


def _named(request: Request, part: str) -> Any:
    found = request.services.hosts.hypervisors(request.context, name=part)
    if not found:
        raise NotFound(f"No hypervisor matching '{part}' could be found.")
    return found


def _hypervisor(request: Request, id: str) -> Any:
    if not _is_number(id):
        raise NotFound(f"Hypervisor with ID '{id}' could not be found.")
    return request.services.hosts.hypervisor(request.context, int(id))


def _is_number(id: str) -> bool:
    return id.isascii() and id.isdecimal() and len(id) <= 9
