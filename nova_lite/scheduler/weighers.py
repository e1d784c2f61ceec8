"""By what the filter scheduler orders the hosts that are left.

A weigher gives a number per host, in whatever unit, or None: no opinion.  The
scheduler brings them to between 0 and 1 and multiplies.  A positive multiplier puts hosts with much
first (guests are spread), a negative one hosts with little (they are packed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nova_lite.scheduler.base import (
    SOFT_AFFINITY,
    SOFT_ANTI_AFFINITY,
    Placement,
    SchedulerSettings,
)
from nova_lite.scheduler.fleet import Fleet, Floats, Ints

Weigher = Callable[[Placement, Fleet], "Floats | Ints | None"]


def _members(policy: str, sign: int) -> Weigher:
    def weigh(request: Placement, fleet: Fleet) -> Ints | None:
        group = request.group
        if group is None or group.policy != policy:
            return None
        return sign * fleet.counts(group.members)

    return weigh


WEIGHERS: Mapping[str, Weigher] = {
    "RAMWeigher": lambda request, fleet: fleet.free_memory_mb,
    "CPUWeigher": lambda request, fleet: fleet.free_vcpus,
    "DiskWeigher": lambda request, fleet: fleet.free_disk_gb,
    "ServerGroupSoftAffinityWeigher": _members(SOFT_AFFINITY, 1),
    "ServerGroupSoftAntiAffinityWeigher": _members(SOFT_ANTI_AFFINITY, -1),
}


def multiplied(settings: SchedulerSettings) -> list[tuple[float, Weigher]]:
    """The weighers that count for something, with what they count."""
    multipliers = {
        "RAMWeigher": settings.ram_weight_multiplier,
        "CPUWeigher": settings.cpu_weight_multiplier,
        "DiskWeigher": settings.disk_weight_multiplier,
        "ServerGroupSoftAffinityWeigher": settings.soft_affinity_weight_multiplier,
        "ServerGroupSoftAntiAffinityWeigher": settings.soft_anti_affinity_weight_multiplier,
    }
    return [(by, WEIGHERS[name]) for name, by in multipliers.items() if by]


def normalised(weights: Floats | Ints) -> Floats:
    """From 0 for the least to 1 for the most; all 0 where all are equal."""
    above: Floats = (weights - weights.min()).astype(np.float64)
    return np.divide(above, above.max() or 1.0)
