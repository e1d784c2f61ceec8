"""The identity API: Keystone's v3, in Keystone's words."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from nova_lite.api.declare import Api, Resource
from nova_lite.api.identity import (
    application_credentials,
    auth,
    catalog,
    consumers,
    credentials,
    domain_config,
    domains,
    endpoint_filter,
    grants,
    groups,
    limits,
    memberships,
    policies,
    project_tags,
    projects,
    role_assignments,
    role_inferences,
    roles,
    trusts,
    users,
    versions,
)

RESOURCES = (
    versions.ROOT,
    auth.AUTH,
    domains.DOMAINS,
    projects.PROJECTS,
    project_tags.TAGS_OF,
    users.USERS,
    application_credentials.CREDENTIALS,
    application_credentials.RULES,
    credentials.EC2,
    credentials.CREDENTIALS,
    trusts.TRUSTS,
    groups.GROUPS,
    memberships.MEMBERSHIPS,
    roles.ROLES,
    grants.GRANTS,
    role_assignments.ASSIGNMENTS,
    role_inferences.IMPLIED,
    role_inferences.INFERENCES,
    catalog.SERVICES,
    catalog.ENDPOINTS,
    catalog.REGIONS,
    endpoint_filter.ENDPOINT_GROUPS,
    endpoint_filter.ASSOCIATIONS,
    policies.POLICIES,
    policies.ASSOCIATIONS,
    policies.ENDPOINT_POLICY,
    consumers.CONSUMERS,
    domain_config.DEFAULT_CONFIG,
    domain_config.DOMAIN_CONFIG,
    limits.REGISTERED_LIMITS,
    limits.MODEL,  # before the limit of that id
    limits.LIMITS,
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
