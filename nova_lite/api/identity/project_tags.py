"""The tags of a project: /v3/projects/{id}/tags."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource, answer
from nova_lite.api.identity.words import TAG, TAGS, url
from nova_lite.api.schema import one, validate
from nova_lite.services.identity.projects import check_tagged

TAGS_OF = Resource("/v3/projects/{id}/tags")


@TAGS_OF.on("GET", policy="identity:list_project_tags")
def index(request: Request, id: str) -> dict[str, Any]:
    project = request.services.identity.get_project(request.context, id)
    return _said(request, id, project.tags)


@TAGS_OF.on("PUT", policy="identity:update_project_tags", body=one("tags", TAGS))
def replace(request: Request, id: str, body: Any) -> dict[str, Any]:
    project = request.services.identity.update_project(request.context, id, tags=body["tags"])
    return _said(request, id, project.tags)


@TAGS_OF.on("DELETE", policy="identity:delete_project_tags", status=204)
def clear(request: Request, id: str) -> None:
    request.services.identity.update_project(request.context, id, tags=[])


@TAGS_OF.on("GET", "/{tag}", policy="identity:get_project_tag", status=204)
def check(request: Request, id: str, tag: str) -> None:
    check_tagged(request.services.identity.get_project(request.context, id), tag)


@TAGS_OF.on("PUT", "/{tag}", policy="identity:create_project_tag")
def add(request: Request, id: str, tag: str) -> Any:
    validate(TAG, tag, "tag")
    request.services.identity.tag_project(request.context, id, tag)
    return answer(201, None, Location=url(request, "projects", id, "tags", tag))


@TAGS_OF.on("DELETE", "/{tag}", policy="identity:delete_project_tag", status=204)
def remove(request: Request, id: str, tag: str) -> None:
    request.services.identity.untag_project(request.context, id, tag)


def _said(request: Request, id: str, tags: list[str]) -> dict[str, Any]:
    return {"tags": tags, "links": {"self": url(request, "projects", id, "tags")}}
