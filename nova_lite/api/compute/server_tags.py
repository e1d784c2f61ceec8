"""servers/{id}/tags: words by which servers can be found, since 2.26."""

from __future__ import annotations

from typing import Any

import webob

from nova_lite.api.compute.common import Links, uuid_of
from nova_lite.api.declare import Request, Resource, answer
from nova_lite.api.schema import Schema, one, validate
from nova_lite.domain.errors import NotFound
from nova_lite.services.compute.instances import MAX_TAGS

Json = dict[str, Any]
tags = Resource("/v2.1/servers/{id}/tags")
SINCE = (2, 26)
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": r"^[^,/]*\Z"}
TAGS = one("tags", {"type": "array", "items": TAG, "maxItems": MAX_TAGS})


@tags.on("GET", policy="os_compute_api:os-server-tags:index", since=SINCE)
def index(request: Request, id: str) -> Json:
    instance = request.services.instances.get(request.context, uuid_of("Instance", id))
    return {"tags": instance.tags}


@tags.on("PUT", policy="os_compute_api:os-server-tags:update_all", body=TAGS, since=SINCE)
def replace(request: Request, id: str, body: Json) -> Json:
    instance = request.services.instances.set_tags(
        request.context, uuid_of("Instance", id), body["tags"]
    )
    return {"tags": instance.tags}


@tags.on("DELETE", policy="os_compute_api:os-server-tags:delete_all", status=204, since=SINCE)
def clear(request: Request, id: str) -> None:
    request.services.instances.set_tags(request.context, uuid_of("Instance", id), ())


@tags.on("GET", "/{tag}", policy="os_compute_api:os-server-tags:show", status=204, since=SINCE)
def show(request: Request, id: str, tag: str) -> None:
    if tag not in index(request, id)["tags"]:
        raise NotFound(f"Server {id} has no tag '{tag}'")


@tags.on("PUT", "/{tag}", policy="os_compute_api:os-server-tags:update", since=SINCE)
def add(request: Request, id: str, tag: str) -> webob.Response:
    validate(TAG, tag, "tag")
    new = request.services.instances.add_tag(request.context, uuid_of("Instance", id), tag)
    where = f"{Links(request, 'servers').self}{id}/tags/{tag}"
    return answer(201 if new else 204, None, Location=where)


@tags.on("DELETE", "/{tag}", policy="os_compute_api:os-server-tags:delete", status=204, since=SINCE)
def delete(request: Request, id: str, tag: str) -> None:
    request.services.instances.remove_tag(request.context, uuid_of("Instance", id), tag)
