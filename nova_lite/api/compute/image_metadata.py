"""images/{id}/metadata until 2.38: the properties of an image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.compute.server_requests import METADATA
from nova_lite.api.declare import Request, Resource
from nova_lite.api.image.attributes import READ_ONLY, RESERVED, RESERVED_PREFIX, WRITABLE
from nova_lite.api.schema import one
from nova_lite.domain.errors import Invalid, NotFound
from nova_lite.services.image.images import Change

Json = dict[str, Any]
metadata = Resource("/v2.1/images/{id}/metadata")
UNTIL = (2, 38)
ALL = one("metadata", METADATA)
ITEM = one("meta", {**METADATA, "minProperties": 1, "maxProperties": 1})


@metadata.on("GET", policy="get_image", until=UNTIL)
def index(request: Request, id: str) -> Json:
    return {"metadata": _properties(request, id)}


@metadata.on("POST", policy="modify_image", body=ALL, until=UNTIL)
def add(request: Request, id: str, body: Json) -> Json:
    return _change(request, id, _setting(body["metadata"]))


@metadata.on("PUT", policy="modify_image", body=ALL, until=UNTIL)
def replace(request: Request, id: str, body: Json) -> Json:
    wanted = body["metadata"]
    stale = [name for name in _properties(request, id) if name not in wanted]
    return _change(request, id, [*_removing(stale), *_setting(wanted)])


@metadata.on("GET", "/{key}", policy="get_image", until=UNTIL)
def show(request: Request, id: str, key: str) -> Json:
    return {"meta": {key: _known(request, id, key)}}


@metadata.on("PUT", "/{key}", policy="modify_image", body=ITEM, until=UNTIL)
def update(request: Request, id: str, key: str, body: Json) -> Json:
    if key not in body["meta"]:
        raise Invalid("Request body and URI mismatch")
    _change(request, id, _setting(body["meta"]))
    return body


@metadata.on("DELETE", "/{key}", policy="modify_image", status=204, until=UNTIL)
def delete(request: Request, id: str, key: str) -> None:
    _known(request, id, key)
    _change(request, id, _removing([key]))


def _properties(request: Request, id: str) -> dict[str, str]:
    image = request.services.images.get(request.context, uuid_of("Image", id))
    return dict(image.properties)


def _known(request: Request, id: str, key: str) -> str:
    properties = _properties(request, id)
    if key not in properties:
        raise NotFound(f"Metadata item {key} was not found")
    return properties[key]


def _setting(items: Json) -> list[Change]:
    for name in items:
        known = WRITABLE | READ_ONLY | RESERVED
        if name in known or name.startswith(RESERVED_PREFIX):
            raise Invalid(f"metadata.{name}: an image has this itself; it is no property.")
    return [Change("add", name, value) for name, value in items.items()]


def _removing(names: Iterable[str]) -> list[Change]:
    return [Change("remove", name) for name in names]


def _change(request: Request, id: str, changes: list[Change]) -> Json:
    image = request.services.images.update(request.context, uuid_of("Image", id), changes)
    return {"metadata": image.properties}
