"""Floating addresses as the compute API showed them until 2.35.

There is no network outside to take such addresses from, so there is no pool,
and nobody has one.
"""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import thing
from nova_lite.domain.errors import NotFound

Json = dict[str, Any]
pools = Resource("/v2.1/os-floating-ip-pools")
floating_ips = Resource("/v2.1/os-floating-ips")
POLICY = "os_compute_api:os-floating-ips:"
UNTIL = (2, 35)
CREATE = thing(pool={"type": ["string", "null"], "maxLength": 255})


@pools.on("GET", policy="os_compute_api:os-floating-ip-pools", until=UNTIL)
def list_pools(request: Request) -> Json:
    return {"floating_ip_pools": []}


@floating_ips.on("GET", policy=POLICY + "list", until=UNTIL)
def index(request: Request) -> Json:
    return {"floating_ips": []}


@floating_ips.on("POST", policy=POLICY + "create", body=CREATE, until=UNTIL)
def create(request: Request, body: Json) -> Json:
    pool = body.get("pool")
    raise NotFound(f"Floating IP pool {pool} not found." if pool else "Floating IP pool not found.")


@floating_ips.on("GET", "/{id}", policy=POLICY + "show", until=UNTIL)
@floating_ips.on("DELETE", "/{id}", policy=POLICY + "delete", status=202, until=UNTIL)
def show(request: Request, id: str) -> Json:
    raise NotFound(f"Floating IP not found for ID {id}")
