"""The catalog, whole as tokens contain it, and in its parts: services, endpoints, regions."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, render
from nova_lite.api.identity.registered import Registered
from nova_lite.api.identity.words import DESCRIPTION, FLAG, ID, LABEL
from nova_lite.api.schema import NONE, Schema, validate
from nova_lite.domain.errors import Invalid
from nova_lite.services.identity import catalog_kinds
from nova_lite.services.identity.endpoint_urls import located

SERVICE_FIELDS = (
    Field("id", lambda service: service.id),
    Field("type", lambda service: service.type),
    Field("name", lambda service: service.name),
)
ENDPOINT_FIELDS = (
    Field("id", lambda endpoint: endpoint.id),
    Field("interface", lambda endpoint: endpoint.interface),
    Field("region", lambda endpoint: endpoint.region),
    Field("region_id", lambda endpoint: endpoint.region),
    Field("url", lambda endpoint: endpoint.url),
)
#: Of what keeps its ids in a String(255).
REGION_ID: Schema = {**LABEL, "pattern": r"^[^\x00-\x1f\x7f/]+\Z"}
REGION_OR_NULL: Schema = {"anyOf": [REGION_ID, NONE]}
INTERFACE: Schema = {"enum": ["public", "internal", "admin"]}

SERVICE = Registered(
    "service",
    "services",
    (
        *SERVICE_FIELDS,
        Field("description", lambda service: service.description),
        Field("enabled", lambda service: service.enabled),
    ),
    {"type": LABEL, "name": LABEL, "description": DESCRIPTION, "enabled": FLAG},
    required=("type",),
    filters=("type", "name"),
    kind=catalog_kinds.SERVICE,
)
REGION = Registered(
    "region",
    "regions",
    (
        Field("id", lambda region: region.id),
        Field("description", lambda region: region.description),
        Field("parent_region_id", lambda region: region.parent_region_id),
    ),
    {"description": DESCRIPTION, "parent_region_id": REGION_OR_NULL},
    required=(),
    filters=("parent_region_id",),
    once={"id": REGION_ID},
    kind=catalog_kinds.REGION,
)


class _Endpoint(Registered):
    """An endpoint of ours is shown with the URL it has for the client."""

    def render(self, request: Request, thing: Any) -> dict[str, Any]:
        shown = super().render(request, thing)
        return {**shown, "url": located(thing.url, request.outside_url)}


ENDPOINT = _Endpoint(
    "endpoint",
    "endpoints",
    (
        Field("id", lambda endpoint: endpoint.id),
        Field("interface", lambda endpoint: endpoint.interface),
        Field("region", lambda endpoint: endpoint.region_id),
        Field("region_id", lambda endpoint: endpoint.region_id),
        Field("service_id", lambda endpoint: endpoint.service_id),
        Field("enabled", lambda endpoint: endpoint.enabled),
    ),
    {
        "interface": INTERFACE,
        "service_id": ID,
        "region": REGION_OR_NULL,
        "region_id": REGION_OR_NULL,
        # A path is for what we serve ourselves.
        "url": {
            "type": "string",
            "maxLength": 225,
            "pattern": r"^([a-zA-Z0-9+.-]+:|/)[^\x00-\x20\x7f]+\Z",
        },
        "enabled": FLAG,
    },
    required=("interface", "service_id", "url"),
    filters=("interface", "service_id", "region_id", "region"),
    kind=catalog_kinds.ENDPOINT,
)

SERVICES = SERVICE.resource()
ENDPOINTS = ENDPOINT.resource()
REGIONS = REGION.resource()
NEW_REGION = REGION.creation


@REGIONS.on("PUT", "/{id}", policy="identity:create_region", status=201, body=NEW_REGION)
def create_region_as(request: Request, id: str, body: Any) -> dict[str, Any]:
    said = body["region"]
    if said.get("id", id) != id:
        raise Invalid(
            f"Conflicting region IDs specified: {id!r} in the URL, {said['id']!r} in the body."
        )
    named = {"region": {**said, "id": id}}
    validate(NEW_REGION, named)
    return REGION.make(request, REGION.values(named))


def entries(request: Request, user_id: str, project_id: str | None) -> list[dict[str, Any]]:
    """The catalog for this user, and this project if his token is for one."""
    found = request.services.catalog.entries(
        request.outside_url, user_id=user_id, project_id=project_id
    )
    return [
        {
            **render(SERVICE_FIELDS, entry),
            "endpoints": [render(ENDPOINT_FIELDS, endpoint) for endpoint in entry.endpoints],
        }
        for entry in found
    ]
