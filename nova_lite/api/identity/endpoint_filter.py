"""Which endpoints a project sees: OS-EP-FILTER, with groups of endpoints."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.catalog import ENDPOINT, INTERFACE
from nova_lite.api.identity.projects import PROJECT
from nova_lite.api.identity.registered import Registered
from nova_lite.api.identity.words import DESCRIPTION, LABEL, url
from nova_lite.services.identity import catalog_kinds
from nova_lite.services.identity.endpoint_filter import ENDPOINT as SINGLE
from nova_lite.services.identity.endpoint_filter import GROUP

FOLDER = "OS-EP-FILTER/"
ENDPOINT_GROUP = Registered(
    "endpoint_group",
    "endpoint_groups",
    (
        Field("id", lambda group: group.id),
        Field("name", lambda group: group.name),
        Field("description", lambda group: group.description),
        Field("filters", lambda group: group.filters),
    ),
    {
        "name": LABEL,
        "description": DESCRIPTION,
        "filters": {
            "type": "object",
            "properties": {
                "interface": INTERFACE,
                "service_id": {"type": "string"},
                "region_id": {"type": ["string", "null"]},
            },
        },
    },
    required=("name", "filters"),
    more=False,
    kind=catalog_kinds.ENDPOINT_GROUP,
    folder=FOLDER,
)

ENDPOINT_GROUPS = ENDPOINT_GROUP.resource()
ASSOCIATIONS = Resource(f"/v3/{FOLDER}".rstrip("/"))

ONE = "/projects/{project_id}/endpoints/{id}"
GROUPED = "/endpoint_groups/{id}/projects/{project_id}"


@ASSOCIATIONS.on("PUT", ONE, policy="identity:add_endpoint_to_project", status=204)
def add_endpoint(request: Request, project_id: str, id: str) -> None:
    request.services.endpoint_filter.add(request.context, SINGLE, project_id, id)


@ASSOCIATIONS.on("GET", ONE, policy="identity:check_endpoint_in_project", status=204)
def check_endpoint(request: Request, project_id: str, id: str) -> None:
    request.services.endpoint_filter.check(request.context, SINGLE, project_id, id)


@ASSOCIATIONS.on("DELETE", ONE, policy="identity:remove_endpoint_from_project", status=204)
def remove_endpoint(request: Request, project_id: str, id: str) -> None:
    request.services.endpoint_filter.remove(request.context, SINGLE, project_id, id)


@ASSOCIATIONS.on(
    "GET", "/projects/{project_id}/endpoints", policy="identity:list_endpoints_for_project"
)
def endpoints_of_project(request: Request, project_id: str) -> dict[str, Any]:
    found = request.services.endpoint_filter.endpoints_of(request.context, project_id)
    return ENDPOINT.page(request, found)


@ASSOCIATIONS.on("GET", "/endpoints/{id}/projects", policy="identity:list_projects_for_endpoint")
def projects_of_endpoint(request: Request, id: str) -> dict[str, Any]:
    found = request.services.endpoint_filter.projects_with(request.context, SINGLE, id)
    return PROJECT.page(request, found)


@ASSOCIATIONS.on("PUT", GROUPED, policy="identity:add_endpoint_group_to_project", status=204)
def add_group(request: Request, project_id: str, id: str) -> None:
    request.services.endpoint_filter.add(request.context, GROUP, project_id, id)


@ASSOCIATIONS.on("GET", GROUPED, policy="identity:get_endpoint_group_in_project")
def show_group(request: Request, project_id: str, id: str) -> dict[str, Any]:
    request.services.endpoint_filter.check(request.context, GROUP, project_id, id)
    here = url(request, f"{FOLDER}endpoint_groups", id, "projects", project_id)
    return {
        "project_endpoint_group": {
            "endpoint_group_id": id,
            "project_id": project_id,
            "links": {"self": here},
        }
    }


@ASSOCIATIONS.on(
    "DELETE", GROUPED, policy="identity:remove_endpoint_group_from_project", status=204
)
def remove_group(request: Request, project_id: str, id: str) -> None:
    request.services.endpoint_filter.remove(request.context, GROUP, project_id, id)


@ASSOCIATIONS.on(
    "GET",
    "/projects/{project_id}/endpoint_groups",
    policy="identity:list_endpoint_groups_for_project",
)
def groups_of_project(request: Request, project_id: str) -> dict[str, Any]:
    found = request.services.endpoint_filter.groups_of(request.context, project_id)
    return ENDPOINT_GROUP.page(request, found)


@ASSOCIATIONS.on(
    "GET",
    "/endpoint_groups/{id}/projects",
    policy="identity:list_projects_associated_with_endpoint_group",
)
def projects_of_group(request: Request, id: str) -> dict[str, Any]:
    found = request.services.endpoint_filter.projects_with(request.context, GROUP, id)
    return PROJECT.page(request, found)


@ASSOCIATIONS.on(
    "GET",
    "/endpoint_groups/{id}/endpoints",
    policy="identity:list_endpoints_associated_with_endpoint_group",
)
def endpoints_of_group(request: Request, id: str) -> dict[str, Any]:
    found = request.services.endpoint_filter.endpoints_in(request.context, id)
    return ENDPOINT.page(request, found)
