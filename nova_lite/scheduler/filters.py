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
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from nova_lite.scheduler import plugins
from nova_lite.scheduler.base import Placement, counted
from nova_lite.scheduler.fleet import Fleet, HostView, Mask

GROUP = "nova_lite.filters"


class Filter(Protocol):
    """A rule by which hosts are put out."""

    def describe(self, request: Placement) -> str:
        """What the request asks of this rule, in words: '512 MB', 'any zone'."""

    def mask(self, request: Placement, fleet: Fleet, left: Mask) -> Mask | None:
        """True for each host that may stay, or None if all may.

        `left` are the hosts earlier filters have left; what is said about
        others does not matter, so a dear rule need not look at them.
        """


@dataclass(frozen=True)
class ColumnFilter:
    """A rule that is a line of arithmetic over the columns."""

    asked: Callable[[Placement], str]
    keep: Callable[[Placement, Fleet], Mask | None]

    def describe(self, request: Placement) -> str:
        return self.asked(request)

    def mask(self, request: Placement, fleet: Fleet, left: Mask) -> Mask | None:
        return self.keep(request, fleet)


@dataclass(frozen=True)
class HostFilter:
    """A rule that has to look at one host at a time; it is shown only those still left."""

    asked: Callable[[Placement], str]
    keep: Callable[[Placement, HostView], bool]

    def describe(self, request: Placement) -> str:
        return self.asked(request)

    def mask(self, request: Placement, fleet: Fleet, left: Mask) -> Mask:
        answer = np.zeros(len(fleet), dtype=np.bool_)
        for row in np.flatnonzero(left).tolist():
            answer[row] = self.keep(request, fleet.host(row))
        return answer


def _zone(request: Placement, fleet: Fleet) -> Mask | None:
    return None if request.zone is None else fleet.in_zone(request.zone)


def _not_tried(request: Placement, fleet: Fleet) -> Mask | None:
    return ~_named(request.avoid, fleet) if request.avoid else None


def _there(request: Placement, fleet: Fleet) -> Mask | None:
    return None if request.host is None else _named([request.host], fleet)


def _named(hosts: Iterable[str], fleet: Fleet) -> Mask:
    mask = np.zeros(len(fleet), dtype=np.bool_)
    mask[[fleet.index[host] for host in hosts if host in fleet.index]] = True
    return mask


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
        lambda request: "not " + (", ".join(sorted(request.avoid)) or "tried before"),
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
}

# An administrator's wish narrows the choice; it does not lift the other rules.
# Asked first, and only if there is such a wish, so that refusals stay short.
FORCED_HOST: Mapping[str, Filter] = {
    "ForcedHostFilter": ColumnFilter(lambda request: f"host {request.host}", _there),
}


def enabled(names: Iterable[str]) -> dict[str, Filter]:
    """The filters of these names, in this order.

    Ours go before others' of the same name.  Raises `plugins.Unknown`.
    """
    return {
        name: BASE[name] if name in BASE else plugins.find(GROUP, name, also=BASE) for name in names
    }
