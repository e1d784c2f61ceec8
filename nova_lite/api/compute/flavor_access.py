"""Which projects may use a flavor that is not public."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import one, thing

Json = dict[str, Any]
access = Resource("/v2.1/flavors")
TENANT = thing(("tenant",), tenant={"type": "string", "minLength": 1, "maxLength": 255})


@access.on("GET", "/{id}/os-flavor-access", policy="os_compute_api:os-flavor-access")
def index(request: Request, id: str) -> Json:
    return _shown(id, request.services.flavors.projects(request.context, id))


def _add(request: Request, id: str, body: Json, refuse_public: bool) -> Json:
    project = body["addTenantAccess"]["tenant"]
    return _shown(
        id,
        request.services.flavors.grant(request.context, id, project, refuse_public=refuse_public),
    )


@access.action(
    "addTenantAccess",
    status=200,
    policy="os_compute_api:os-flavor-access:add_tenant_access",
    body=one("addTenantAccess", TENANT),
    until=(2, 6),
)
def add(request: Request, id: str, body: Json) -> Json:
    return _add(request, id, body, refuse_public=False)


@access.action(
    "addTenantAccess",
    status=200,
    policy="os_compute_api:os-flavor-access:add_tenant_access",
    body=one("addTenantAccess", TENANT),
    since=(2, 7),
)
def add_to_private(request: Request, id: str, body: Json) -> Json:
    return _add(request, id, body, refuse_public=True)


@access.action(
    "removeTenantAccess",
    status=200,
    policy="os_compute_api:os-flavor-access:remove_tenant_access",
    body=one("removeTenantAccess", TENANT),
)
def remove(request: Request, id: str, body: Json) -> Json:
    project = body["removeTenantAccess"]["tenant"]
    return _shown(id, request.services.flavors.withdraw(request.context, id, project))


def _shown(id: str, projects: Sequence[str]) -> Json:
    return {"flavor_access": [{"flavor_id": id, "tenant_id": project} for project in projects]}
