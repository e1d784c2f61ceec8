"""Projects, each directly in its domain: /v3/projects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.words import (
    DESCRIPTION,
    FLAG,
    NO_OPTIONS,
    NO_TAGS,
    OR_NULL,
    flag,
    listing,
    member,
    shape,
    texts,
)
from nova_lite.api.schema import NAME, Schema
from nova_lite.domain.errors import Invalid

PROJECTS = Resource("/v3/projects")
FIELDS = (
    Field("id", lambda project: project.id),
    Field("name", lambda project: project.name),
    Field("domain_id", lambda project: project.domain_id),
    Field("description", lambda project: project.description),
    Field("enabled", lambda project: project.enabled),
    # Keystone's name for being in no other project.
    Field("parent_id", lambda project: project.domain_id),
    Field("is_domain", lambda project: False),
    Field("options", lambda project: {}),
    Field("tags", lambda project: []),
)
PROPERTIES: dict[str, Schema] = {
    "name": {**NAME, "maxLength": 64},
    "domain_id": OR_NULL,
    "description": DESCRIPTION,
    "enabled": FLAG,
    "parent_id": OR_NULL,
    "is_domain": {"enum": [False]},
    "options": NO_OPTIONS,
    "tags": NO_TAGS,
}
CREATE = shape("project", PROPERTIES, "name")
UPDATE = shape("project", PROPERTIES)
SETTABLE = ("name", "description", "enabled")


def render_project(request: Request, project: Any) -> dict[str, Any]:
    return member(request, FIELDS, "projects", project)


def project_filters(request: Request) -> dict[str, Any]:
    return {
        "name": request.GET.get("name"),
        "domain_id": request.GET.get("domain_id") or request.GET.get("parent_id"),
        "enabled": flag(request, "enabled"),
    }


@PROJECTS.on("GET", policy="identity:list_projects")
def index(request: Request) -> dict[str, Any]:
    found = (
        # A domain is never a project here.
        []
        if flag(request, "is_domain")
        else request.services.identity.list_projects(request.context, **project_filters(request))
    )
    return listing(request, "projects", (render_project(request, project) for project in found))


@PROJECTS.on("POST", policy="identity:create_project", status=201, body=CREATE)
def create(request: Request, body: Any) -> dict[str, Any]:
    values = texts(body["project"], *SETTABLE)
    project = request.services.identity.create_project(
        request.context, **values, domain_id=_domain(body["project"])
    )
    return {"project": render_project(request, project)}


@PROJECTS.on("GET", "/{id}", policy="identity:get_project")
def show(request: Request, id: str) -> dict[str, Any]:
    project = request.services.identity.get_project(request.context, id)
    return {"project": render_project(request, project)}


@PROJECTS.on("PATCH", "/{id}", policy="identity:update_project", body=UPDATE)
def update(request: Request, id: str, body: Any) -> dict[str, Any]:
    values = texts(body["project"], *SETTABLE)
    domain = _domain(body["project"])
    if domain is not None:
        values["domain_id"] = domain
    project = request.services.identity.update_project(request.context, id, **values)
    return {"project": render_project(request, project)}


@PROJECTS.on("DELETE", "/{id}", policy="identity:delete_project", status=204)
def delete(request: Request, id: str) -> None:
    request.services.identity.delete_project(request.context, id)


def _domain(project: Mapping[str, Any]) -> str | None:
    """The domain a project shall be in; its parent can be nothing else."""
    domain, parent = project.get("domain_id"), project.get("parent_id")
    if domain and parent and domain != parent:
        raise Invalid(
            "Invalid input for field/attribute parent_id. "
            "Projects within projects are not supported: it can only be the domain."
        )
    return domain or parent
