"""limits: what the project of whoever asks has, and what it may have.

What this cloud does not have at all (floating addresses, security groups,
server groups, injected files) has a limit of zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nova_lite.api import policy
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.domain.errors import Forbidden
from nova_lite.services.quotas import Usage

Json = dict[str, Any]
limits = Resource("/v2.1/limits")


def _limit(name: str, of: str, **versions: Any) -> Field:
    return Field(name, lambda usage: usage[of].limit, **versions)


def _used(name: str, of: str, **versions: Any) -> Field:
    return Field(name, lambda usage: usage[of].used, **versions)


def _none(name: str, **versions: Any) -> Field:
    return Field(name, lambda usage: 0, **versions)


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
    _none("maxPersonality", until=(2, 56)),
    _none("maxPersonalitySize", until=(2, 56)),
    _none("maxServerGroups"),
    _none("maxServerGroupMembers"),
    _none("totalServerGroupsUsed"),
    _none("maxSecurityGroups", until=(2, 35)),
    _none("maxSecurityGroupRules", until=(2, 35)),
    _none("totalSecurityGroupsUsed", until=(2, 35)),
    _none("maxTotalFloatingIps", until=(2, 35)),
    _none("totalFloatingIpsUsed", until=(2, 35)),
)


@limits.on("GET", policy="os_compute_api:limits")
def show(request: Request) -> Json:
    context, other = request.context, request.GET.get("tenant_id")
    rule = "os_compute_api:limits:other_project"
    if other not in (None, context.project_id) and not policy.allows(rule, request):
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
    usage: Mapping[str, Usage] = request.services.quotas.usage(
        context, other or context.project_id or ""
    )
    return {"limits": {"rate": [], "absolute": render(ABSOLUTE, usage, request.version)}}
