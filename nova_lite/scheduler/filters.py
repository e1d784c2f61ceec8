"""The rules by which a host is put out, under the names Nova's operators know.

A filter answers for all hosts at once with a mask, or with None: no opinion.
It also says in words what it was asked, which is half of the answer to "why is
there no valid host".  Its answer about a host depends on the request and on
that host's row alone: many servers of one request are placed on the strength
of that, by asking anew only about the host that has just got one of them.

Others are found in the entry-point group `nova_lite.filters`: name -> an object
that keeps the `Filter` protocol, most easily a `ColumnFilter` or a `HostFilter`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address, ip_network

from nova_lite.scheduler import aggregates, capabilities, plugins, query
from nova_lite.scheduler.base import (
    AFFINITY,
    ANTI_AFFINITY,
    Placement,
    SchedulerSettings,
    counted,
)
from nova_lite.scheduler.fleet import Fleet, HostView, Mask
from nova_lite.scheduler.rule import ColumnFilter as ColumnFilter
from nova_lite.scheduler.rule import Filter as Filter
from nova_lite.scheduler.rule import HostFilter as HostFilter

GROUP = "nova_lite.filters"


def _zone(request: Placement, fleet: Fleet) -> Mask | None:
    return None if request.zone is None else fleet.in_zone(request.zone)


def _not_tried(request: Placement, fleet: Fleet) -> Mask | None:
    return ~fleet.named(request.avoid) if request.avoid else None


def _there(request: Placement, fleet: Fleet) -> Mask | None:
    return None if request.host is None else fleet.named([request.host])


def _policy(request: Placement) -> str | None:
    return None if request.group is None else request.group.policy


def _together(request: Placement, fleet: Fleet) -> Mask | None:
    assert request.group
    return fleet.named(request.group.members) if request.group.members else None


def _full(request: Placement) -> list[str]:
    """The hosts that have as many members of the group as they may."""
    assert request.group
    most = request.group.max_per_host
    return sorted(host for host, count in request.group.members.items() if count >= most)


def _listed(hosts: Iterable[str]) -> str:
    return ", ".join(sorted(hosts))


def _near(request: Placement, host: HostView) -> bool:
    try:
        return ip_address(host.address) in ip_network(request.near or "", strict=False)
    except ValueError:
        return False


# What every policy keeps to, cheapest first.
BASE: Mapping[str, Filter] = {
    "ComputeFilter": ColumnFilter(
        lambda request: "up and enabled",
        lambda request, fleet: fleet.up & fleet.enabled,
    ),
    "AvailabilityZoneFilter": ColumnFilter(
        lambda request: "any zone" if request.zone is None else f"zone {request.zone}",
        _zone,
    ),
    "RetryFilter": ColumnFilter(
        lambda request: "not " + (_listed(request.avoid) or "tried before"),
        _not_tried,
    ),
    "RamFilter": ColumnFilter(
        lambda request: f"{request.memory_mb} MB",
        lambda request, fleet: fleet.free_memory_mb >= request.memory_mb,
    ),
    "CoreFilter": ColumnFilter(
        lambda request: counted(request.vcpus, "VCPU"),
        lambda request, fleet: fleet.free_vcpus >= request.vcpus,
    ),
    "DiskFilter": ColumnFilter(
        lambda request: f"{request.disk_gb} GB",
        lambda request, fleet: fleet.free_disk_gb >= request.disk_gb,
    ),
    "SameHostFilter": ColumnFilter(
        lambda request: f"one of {_listed(request.same_hosts or ()) or 'no hosts'}",
        lambda request, fleet: fleet.named(request.same_hosts or ()),
        lambda request: request.same_hosts is not None,
    ),
    "DifferentHostFilter": ColumnFilter(
        lambda request: f"not {_listed(request.other_hosts)}",
        lambda request, fleet: ~fleet.named(request.other_hosts),
        lambda request: bool(request.other_hosts),
    ),
    "ServerGroupAffinityFilter": ColumnFilter(
        lambda request: (
            f"with its group on {_listed(request.group.members)}"
            if request.group and request.group.members
            else "the first of its group"
        ),
        _together,
        lambda request: _policy(request) == AFFINITY,
    ),
    "ServerGroupAntiAffinityFilter": ColumnFilter(
        lambda request: f"not with its group on {', '.join(_full(request)) or 'any host'}",
        lambda request, fleet: ~fleet.named(_full(request)),
        lambda request: _policy(request) == ANTI_AFFINITY,
    ),
    **capabilities.FILTERS,
    "AggregateInstanceExtraSpecsFilter": aggregates.FILTERS["AggregateInstanceExtraSpecsFilter"],
}

_SIZES = {"Ram": "RamFilter", "Core": "CoreFilter", "Disk": "DiskFilter"}

#: What an operator may enable beside these.  Ratios of aggregates count in any
#: case: the filters that say so in their name are the plain ones.
OTHERS: Mapping[str, Filter] = {
    "AllHostsFilter": ColumnFilter(lambda request: "any host", lambda request, fleet: None),
    "SimpleCIDRAffinityFilter": HostFilter(
        lambda request: f"address in {request.near}",
        _near,
        lambda request: request.near is not None,
    ),
    **query.FILTERS,
    **aggregates.FILTERS,
    **{f"Aggregate{size}Filter": BASE[name] for size, name in _SIZES.items()},
}


def isolated(settings: SchedulerSettings) -> Filter:
    """Some images run on some hosts only, and with `restrict` nothing else does."""
    hosts, images = frozenset(settings.isolated_hosts), frozenset(settings.isolated_images)

    def keep(request: Placement, fleet: Fleet) -> Mask | None:
        if request.image_id in images:
            return fleet.named(hosts)
        if settings.restrict_isolated_hosts_to_isolated_images:
            return ~fleet.named(hosts)
        return None

    return ColumnFilter(
        lambda request: "isolated" if request.image_id in images else "not isolated",
        keep,
        lambda request: bool(hosts or images),
    )


#: Those that depend on the configuration.
CONFIGURED: Mapping[str, Callable[[SchedulerSettings], Filter]] = {
    "IsolatedHostsFilter": isolated,
    "NumInstancesFilter": aggregates.fewer_instances,
    "AggregateNumInstancesFilter": aggregates.fewer_instances,
    "AggregateImagePropertiesIsolation": aggregates.images_isolated,
}

# An administrator's wish narrows the choice; it does not lift the other rules.
# Asked first, and only if there is such a wish, so that refusals stay short.
FORCED_HOST: Mapping[str, Filter] = {
    "ForcedHostFilter": ColumnFilter(
        lambda request: f"host {request.host}", _there, lambda request: request.host is not None
    ),
}


def enabled(
    names: Iterable[str],
    settings: SchedulerSettings = SchedulerSettings(),  # noqa: B008
) -> dict[str, Filter]:
    """The filters of these names, in this order.

    Ours go before others' of the same name.  Raises `plugins.Unknown`.
    """
    return {name: _find(name, settings) for name in names}


def _find(name: str, settings: SchedulerSettings) -> Filter:
    ours = {**BASE, **OTHERS}
    if name in ours:
        return ours[name]
    if name in CONFIGURED:
        return CONFIGURED[name](settings)
    found: Filter = plugins.find(GROUP, name, also={**ours, **CONFIGURED})
    return found
