"""os-hosts: the hosts as they were shown before there were services and hypervisors; until 2.42."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import Schema, thing
from nova_lite.domain.errors import NotProvided
from nova_lite.domain.specs import Role

Json = dict[str, Any]
hosts = Resource("/v2.1/os-hosts")
UNTIL = (2, 42)
POLICY = "os_compute_api:os-hosts:"
_SWITCH: Schema = {
    "enum": [f(word) for word in ("enable", "disable") for f in (str, str.title, str.upper)]
}
UPDATE = {**thing(status=_SWITCH, maintenance_mode=_SWITCH), "minProperties": 1}


@hosts.on("GET", policy=POLICY + "list", until=UNTIL)
def index(request: Request) -> Json:
    """The workers that are not disabled; a blank zone is every zone."""
    zone, service = request.GET.get("zone") or None, request.GET.get("service") or None
    rows = [
        {"host_name": w.host, "service": w.role.removeprefix("nova-"), "zone": w.zone}
        for w in request.services.hosts.services(request.context)
        if not w.disabled
    ]
    return {
        "hosts": [
            row for row in rows if zone in (None, row["zone"]) and service in (None, row["service"])
        ]
    }


@hosts.on("GET", "/{name}", policy=POLICY + "show", until=UNTIL)
def show(request: Request, name: str) -> Json:
    """What the host has, what is promised, and what each project has on it."""
    host, projects = request.services.hosts.usage(request.context, name)
    used_max = [sum(sizes) for sizes in zip(*(p[1:] for p in projects), strict=True)] or [0, 0, 0]
    rows = [
        ("(total)", host.vcpus, host.memory_mb, host.disk_gb),
        ("(used_now)", host.vcpus_used, host.memory_mb_used, host.disk_gb_used),
        ("(used_max)", *used_max),
        *projects,
    ]
    return {
        "host": [
            {
                "resource": {
                    "host": name,
                    "project": project,
                    "cpu": int(cpu),
                    "memory_mb": int(memory),
                    "disk_gb": int(disk),
                }
            }
            for project, cpu, memory, disk in rows
        ]
    }


@hosts.on("PUT", "/{name}", policy=POLICY + "update", body=UPDATE, until=UNTIL)
def update(request: Request, name: str, body: Json) -> Json:
    """Let the host have new servers, or not."""
    request.services.hosts.usage(request.context, name)
    if "maintenance_mode" in body:
        raise NotProvided("Virt driver does not implement host maintenance mode.")
    enabled = body["status"].lower() == "enable"
    request.services.hosts.configure(
        request.context, name, Role.COMPUTE, disabled=not enabled, disabled_reason=None
    )
    return {"host": name, "status": "enabled" if enabled else "disabled"}


@hosts.on("GET", "/{name}/startup", policy=POLICY + "start", until=UNTIL)
@hosts.on("GET", "/{name}/shutdown", policy=POLICY + "shutdown", until=UNTIL)
@hosts.on("GET", "/{name}/reboot", policy=POLICY + "reboot", until=UNTIL)
def power(request: Request, name: str) -> Json:
    request.services.hosts.usage(request.context, name)
    raise NotProvided("Virt driver does not implement host power management.")
