"""os-availability-zone: groups of hosts that one may choose between."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import precise
from nova_lite.api.declare import Request, Resource
from nova_lite.domain.specs import Role

Json = dict[str, Any]
zones = Resource("/v2.1/os-availability-zone")


@zones.on("GET", policy="os_compute_api:os-availability-zone:list")
def index(request: Request) -> Json:
    """Those one can ask for: zones of compute hosts."""
    shown = {
        zone: _zone(zone, workers, None)
        for zone, workers in _workers(request).items()
        if any(worker.role == Role.COMPUTE for worker in workers)
    }
    return {"availabilityZoneInfo": list(shown.values())}


@zones.on("GET", "/detail", policy="os_compute_api:os-availability-zone:detail")
def detail(request: Request) -> Json:
    """Every zone, with the workers in it that are enabled."""
    shown = []
    for zone, workers in _workers(request).items():
        hosts: Json = {}
        for worker in workers:
            if not worker.disabled:
                hosts.setdefault(worker.host, {})[worker.role] = {
                    "active": True,
                    "available": bool(worker.up),
                    "updated_at": precise(worker.last_seen_at),
                }
        shown.append(_zone(zone, workers, hosts or None))
    return {"availabilityZoneInfo": shown}


def _workers(request: Request) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for worker in request.services.hosts.services(request.context):
        found.setdefault(worker.zone, []).append(worker)
    return dict(sorted(found.items()))


def _zone(zone: str, workers: list[Any], hosts: Json | None) -> Json:
    available = any(not worker.disabled for worker in workers)
    return {"zoneName": zone, "zoneState": {"available": available}, "hosts": hosts}
