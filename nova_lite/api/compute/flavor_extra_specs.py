"""flavors/{id}/os-extra_specs: what else schedulers and hypervisors should know of a flavor."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.server_requests import METADATA
from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import one
from nova_lite.domain.errors import Invalid, NotFound

Json = dict[str, Any]
extra_specs = Resource("/v2.1/flavors/{id}/os-extra_specs")
ITEM = {**METADATA, "minProperties": 1, "maxProperties": 1}


@extra_specs.on("GET", policy="os_compute_api:os-flavor-extra-specs:index")
def index(request: Request, id: str) -> Json:
    return {"extra_specs": request.services.flavors.get(request.context, id).extra_specs}


@extra_specs.on(
    "POST",
    policy="os_compute_api:os-flavor-extra-specs:create",
    body=one("extra_specs", METADATA),
)
def add(request: Request, id: str, body: Json) -> Json:
    request.services.flavors.set_extra_specs(request.context, id, body["extra_specs"])
    return body


@extra_specs.on("GET", "/{key}", policy="os_compute_api:os-flavor-extra-specs:show")
def show(request: Request, id: str, key: str) -> Json:
    found = index(request, id)["extra_specs"]
    if key not in found:
        raise NotFound(f"Flavor {id} has no extra specs with key {key}.")
    return {key: found[key]}


@extra_specs.on("PUT", "/{key}", policy="os_compute_api:os-flavor-extra-specs:update", body=ITEM)
def update(request: Request, id: str, key: str, body: Json) -> Json:
    if key not in body:
        raise Invalid("Request body and URI mismatch")
    request.services.flavors.set_extra_specs(request.context, id, body)
    return body


@extra_specs.on("DELETE", "/{key}", policy="os_compute_api:os-flavor-extra-specs:delete")
def delete(request: Request, id: str, key: str) -> None:
    request.services.flavors.remove_extra_spec(request.context, id, key)
