"""limits: what the project of whoever asks has, and what it may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nova_lite.api import policy
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import thing
from nova_lite.services.compute.quotas import Usage

Json = dict[str, Any]
limits = Resource("/v2.1/limits")


def _limit(name: str, of: str, **versions: Any) -> Field:
    return Field(name, lambda usage: usage[of].limit, **versions)


def _used(name: str, of: str, **versions: Any) -> Field:
    return Field(name, lambda usage: usage[of].used, **versions)


ABSOLUTE = (
    _limit("maxTotalInstances", "instances"),
    _limit("maxTotalCores", "cores"),
    _limit("maxTotalRAMSize", "ram"),
    _limit("maxTotalKeypairs", "key_pairs"),
    _limit("maxServerMeta", "metadata_items"),
    _limit("maxImageMeta", "metadata_items", until=(2, 38)),
    _used("totalInstancesUsed", "instances"),
    _used("totalCoresUsed", "cores"),
    _used("totalRAMUsed", "ram"),
    _limit("maxPersonality", "injected_files", until=(2, 56)),
    _limit("maxPersonalitySize", "injected_file_content_bytes", until=(2, 56)),
    _limit("maxServerGroups", "server_groups"),
    _limit("maxServerGroupMembers", "server_group_members"),
    _used("totalServerGroupsUsed", "server_groups"),
    _limit("maxSecurityGroups", "security_groups", until=(2, 35)),
    _limit("maxSecurityGroupRules", "security_group_rules", until=(2, 35)),
    _used("totalSecurityGroupsUsed", "security_groups", until=(2, 35)),
    _limit("maxTotalFloatingIps", "floating_ips", until=(2, 35)),
    _used("totalFloatingIpsUsed", "floating_ips", until=(2, 35)),
)


# `reserved` asks to add what is only reserved, of which there is nothing.
@limits.on("GET", policy="os_compute_api:limits", until=(2, 74))
@limits.on(
    "GET", policy="os_compute_api:limits", since=(2, 75), query=thing(tenant_id={}, reserved={})
)
def show(request: Request) -> Json:
    context, other = request.context, request.GET.get("tenant_id")
    rule = "os_compute_api:limits:other_project"
    if other not in (None, context.project_id):
        policy.require(rule, request)
    usage: Mapping[str, Usage] = request.services.quotas.usage(
        context, other or context.project_id or ""
    )
    return {"limits": {"rate": [], "absolute": render(ABSOLUTE, usage, request.version)}}
