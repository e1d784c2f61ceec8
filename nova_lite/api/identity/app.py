"""The identity API: Keystone's v3, in Keystone's words."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from nova_lite.api.declare import Api, Resource
from nova_lite.api.identity import (
    auth,
    catalog,
    domains,
    grants,
    projects,
    roles,
    users,
    versions,
)

RESOURCES = (
    versions.ROOT,
    auth.AUTH,
    domains.DOMAINS,
    projects.PROJECTS,
    users.USERS,
    roles.ROLES,
    grants.GRANTS,
    grants.ASSIGNMENTS,
    catalog.SERVICES,
    catalog.ENDPOINTS,
    catalog.REGIONS,
)


def factory(_global: Any, **_local: str) -> Api:
    # What an answer contains depends on who asks: caches must not mix them up.
    return Api(
        [_with_head(resource) for resource in RESOURCES],
        fault=fault,
        negotiate=lambda _request: {"Vary": "X-Auth-Token"},
    )


def fault(status: int, message: str) -> Any:
    return {"error": {"code": status, "message": message, "title": HTTPStatus(status).phrase}}


def _with_head(resource: Resource) -> Resource:
    """What can be got can be asked for by HEAD, unless that is declared to mean something else."""
    declared = {endpoint.path for endpoint in resource.endpoints if endpoint.method == "HEAD"}
    heads = [
        replace(endpoint, method="HEAD")
        for endpoint in resource.endpoints
        if endpoint.method == "GET" and endpoint.path not in declared
    ]
    return Resource(resource.path, resource.endpoints + heads)
