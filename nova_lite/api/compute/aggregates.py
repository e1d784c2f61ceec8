"""os-aggregates: there are none, and none can be made yet.

Clients that show a hypervisor ask which aggregates it is in.
"""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.domain.errors import NotFound

Json = dict[str, Any]
aggregates = Resource("/v2.1/os-aggregates")


@aggregates.on("GET", policy="os_compute_api:os-aggregates:index")
def index(request: Request) -> Json:
    return {"aggregates": []}


@aggregates.on("GET", "/{id}", policy="os_compute_api:os-aggregates:show")
def show(request: Request, id: str) -> Json:
    raise NotFound(f"Aggregate {id} could not be found.")
