"""os-quota-sets: the quota of a project.

Quotas come from the configuration and are the same for every project; they can
be looked at, and are changed there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.services.quotas import Usage

Json = dict[str, Any]
quota_sets = Resource("/v2.1/os-quota-sets")
NOTHING = Usage(used=0, limit=0)


def _of(name: str) -> Callable[[Mapping[str, Usage]], Usage]:
    return lambda usage: usage[name]


def _none(_usage: Mapping[str, Usage]) -> Usage:
    """Of what this cloud does not have."""
    return NOTHING


QUOTA = (
    Field("instances", _of("instances")),
    Field("cores", _of("cores")),
    Field("ram", _of("ram")),
    Field("key_pairs", _of("key_pairs")),
    Field("metadata_items", _of("metadata_items")),
    Field("injected_files", _none, until=(2, 56)),
    Field("injected_file_content_bytes", _none, until=(2, 56)),
    Field("injected_file_path_bytes", _none, until=(2, 56)),
    Field("server_groups", _none),
    Field("server_group_members", _none),
    Field("fixed_ips", _of("ports"), until=(2, 35)),
    Field("floating_ips", _none, until=(2, 35)),
    Field("security_groups", _none, until=(2, 35)),
    Field("security_group_rules", _none, until=(2, 35)),
)


@quota_sets.on("GET", "/{project_id}", policy="os_compute_api:os-quota-sets:show")
def show(request: Request, project_id: str) -> Json:
    return _show(request, project_id, lambda usage: usage.limit)


@quota_sets.on("GET", "/{project_id}/defaults", policy="os_compute_api:os-quota-sets:defaults")
def defaults(request: Request, project_id: str) -> Json:
    return _show(request, project_id, lambda usage: usage.limit)


@quota_sets.on("GET", "/{project_id}/detail", policy="os_compute_api:os-quota-sets:detail")
def detail(request: Request, project_id: str) -> Json:
    # What is being created counts as used from the first moment: nothing is only reserved.
    return _show(
        request,
        project_id,
        lambda usage: {"in_use": usage.used, "limit": usage.limit, "reserved": 0},
    )


def _show(request: Request, project_id: str, how: Callable[[Usage], Any]) -> Json:
    usage = request.services.quotas.usage(request.context, project_id)
    quota = render(QUOTA, usage, request.version)
    return {"quota_set": {"id": project_id, **{name: how(u) for name, u in quota.items()}}}
