"""servers/{id}/metadata: key and value pairs its owner hangs on a server."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.compute.server_requests import METADATA
from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import one
from nova_lite.domain.errors import Invalid, NotFound

Json = dict[str, Any]
metadata = Resource("/v2.1/servers/{id}/metadata")
ALL = one("metadata", METADATA)
ITEM = one("meta", {**METADATA, "minProperties": 1, "maxProperties": 1})


@metadata.on("GET", policy="os_compute_api:server-metadata:index")
def index(request: Request, id: str) -> Json:
    instance = request.services.instances.get(request.context, uuid_of("Instance", id))
    return {"metadata": instance.properties}


@metadata.on("POST", policy="os_compute_api:server-metadata:create", body=ALL)
def add(request: Request, id: str, body: Json) -> Json:
    return _set(request, id, body["metadata"])


@metadata.on("PUT", policy="os_compute_api:server-metadata:update_all", body=ALL)
def replace(request: Request, id: str, body: Json) -> Json:
    return _set(request, id, body["metadata"], replace=True)


def _set(request: Request, id: str, items: Json, *, replace: bool = False) -> Json:
    instance = request.services.instances.set_metadata(
        request.context, uuid_of("Instance", id), items, replace=replace
    )
    return {"metadata": instance.properties}


@metadata.on("GET", "/{key}", policy="os_compute_api:server-metadata:show")
def show(request: Request, id: str, key: str) -> Json:
    found = index(request, id)["metadata"]
    if key not in found:
        raise NotFound("Metadata item was not found")
    return {"meta": {key: found[key]}}


@metadata.on("PUT", "/{key}", policy="os_compute_api:server-metadata:update", body=ITEM)
def update(request: Request, id: str, key: str, body: Json) -> Json:
    if key not in body["meta"]:
        raise Invalid("Request body and URI mismatch")
    _set(request, id, body["meta"])
    return {"meta": body["meta"]}


@metadata.on("DELETE", "/{key}", policy="os_compute_api:server-metadata:delete", status=204)
def delete(request: Request, id: str, key: str) -> None:
    request.services.instances.remove_metadata(request.context, uuid_of("Instance", id), key)
