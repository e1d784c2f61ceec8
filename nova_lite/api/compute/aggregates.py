"""os-aggregates: what administrators say of some hosts together."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import precise
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import NAME, NONE, Schema, one, thing
from nova_lite.api.schema import UUID as UUID_SCHEMA
from nova_lite.domain.errors import Invalid, NotFound

Json = dict[str, Any]
aggregates = Resource("/v2.1/os-aggregates")
POLICY = "os_compute_api:os-aggregates:"

CREATED = (
    Field("availability_zone", lambda aggregate: aggregate.zone),
    Field("created_at", lambda aggregate: precise(aggregate.created_at)),
    Field("deleted", lambda aggregate: False),
    Field("deleted_at", lambda aggregate: None),
    Field("id", lambda aggregate: aggregate.number),
    Field("name", lambda aggregate: aggregate.name),
    Field("updated_at", lambda aggregate: precise(aggregate.updated_at)),
    Field("uuid", lambda aggregate: str(aggregate.id), since=(2, 41)),
)
AGGREGATE = (
    *CREATED,
    Field("hosts", lambda aggregate: list(aggregate.hosts)),
    Field("metadata", lambda aggregate: dict(aggregate.metadata)),
)

# Of a zone and a host there may be `zone:host`.
ZONE: Schema = {"anyOf": [{**NAME, "pattern": r"^(?! )[^\x00-\x1f\x7f:]+(?<! )\Z"}, NONE]}
HOSTNAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^[a-zA-Z0-9._-]*\Z",
}
METADATA: Schema = {
    "type": "object",
    "patternProperties": {
        r"^[a-zA-Z0-9_:. -]{1,255}\Z": {"type": ["string", "null"], "maxLength": 255}
    },
    "additionalProperties": False,
}
CREATE = one("aggregate", thing(("name",), name=NAME, availability_zone=ZONE))
UPDATE = one("aggregate", {**thing(name=NAME, availability_zone=ZONE), "minProperties": 1})
ADD_HOST = one("add_host", thing(("host",), host=HOSTNAME))
REMOVE_HOST = one("remove_host", thing(("host",), host=HOSTNAME))
SET_METADATA = one("set_metadata", thing(("metadata",), metadata=METADATA))
CACHE = one(
    "cache",
    {
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "uniqueItems": True,
        "items": thing(("id",), id=UUID_SCHEMA),
    },
)


@aggregates.on("GET", policy=POLICY + "index")
def index(request: Request) -> Json:
    found = request.services.aggregates.list(request.context)
    return {"aggregates": [render(AGGREGATE, each, request.version) for each in found]}


@aggregates.on("POST", policy=POLICY + "create", body=CREATE)
def create(request: Request, body: Json) -> Json:
    asked = body["aggregate"]
    made = request.services.aggregates.create(
        request.context, asked["name"], asked.get("availability_zone")
    )
    return {"aggregate": render(CREATED, made, request.version)}


@aggregates.on("GET", "/{id}", policy=POLICY + "show")
def show(request: Request, id: str) -> Json:
    return _shown(request, request.services.aggregates.get(request.context, number_of(id)))


@aggregates.on("PUT", "/{id}", policy=POLICY + "update", body=UPDATE)
def update(request: Request, id: str, body: Json) -> Json:
    asked = body["aggregate"]
    words = {"name": "name", "availability_zone": "zone"}
    changes = {words[name]: value for name, value in asked.items()}
    changed = request.services.aggregates.update(request.context, number_of(id), **changes)
    return _shown(request, changed)


@aggregates.on("DELETE", "/{id}", policy=POLICY + "delete")
def delete(request: Request, id: str) -> None:
    request.services.aggregates.delete(request.context, number_of(id))


@aggregates.action("add_host", policy=POLICY + "add_host", body=ADD_HOST, status=200)
def add_host(request: Request, id: str, body: Json) -> Json:
    host = body["add_host"]["host"]
    return _shown(
        request, request.services.aggregates.add_host(request.context, number_of(id), host)
    )


@aggregates.action("remove_host", policy=POLICY + "remove_host", body=REMOVE_HOST, status=200)
def remove_host(request: Request, id: str, body: Json) -> Json:
    host = body["remove_host"]["host"]
    return _shown(
        request, request.services.aggregates.remove_host(request.context, number_of(id), host)
    )


@aggregates.action("set_metadata", policy=POLICY + "set_metadata", body=SET_METADATA, status=200)
def set_metadata(request: Request, id: str, body: Json) -> Json:
    items = body["set_metadata"]["metadata"]
    return _shown(
        request, request.services.aggregates.set_metadata(request.context, number_of(id), items)
    )


@aggregates.on(
    "POST",
    "/{id}/images",
    policy="compute:aggregates:images",
    body=CACHE,
    status=202,
    since=(2, 81),
)
def cache_images(request: Request, id: str, body: Json) -> None:
    images = [UUID(image["id"]) for image in body["cache"]]
    request.services.aggregates.cache_images(request.context, number_of(id), images)


def _shown(request: Request, aggregate: Any) -> Json:
    return {"aggregate": render(AGGREGATE, aggregate, request.version)}


def number_of(id: str) -> int:
    """The number in a path.  Raises Invalid for what is none, NotFound for what is nobody's."""
    if not re.fullmatch(r"-?[0-9]+", id, re.ASCII):
        raise Invalid(f"Invalid input for field/attribute id. Value: {id}. It is not an integer.")
    if len(id) > 9:
        raise NotFound(f"Aggregate {id} could not be found.")
    return int(id)
