"""By what the filter scheduler orders the hosts that are left.

A weigher gives a number per host, in whatever unit: the scheduler brings them
to between 0 and 1 and multiplies.  A positive multiplier puts hosts with much
first (guests are spread), a negative one hosts with little (they are packed).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.fleet import Fleet, Floats, Ints

Weigher = Callable[[Placement, Fleet], "Floats | Ints"]

WEIGHERS: Mapping[str, Weigher] = {
    "RAMWeigher": lambda request, fleet: fleet.free_memory_mb,
    "CPUWeigher": lambda request, fleet: fleet.free_vcpus,
    "DiskWeigher": lambda request, fleet: fleet.free_disk_gb,
}


def multiplied(settings: SchedulerSettings) -> list[tuple[float, Weigher]]:
    """The weighers that count for something, with what they count."""
    multipliers = {
        "RAMWeigher": settings.ram_weight_multiplier,
        "CPUWeigher": settings.cpu_weight_multiplier,
        "DiskWeigher": settings.disk_weight_multiplier,
    }
    return [(by, WEIGHERS[name]) for name, by in multipliers.items() if by]


def normalised(weights: Floats | Ints) -> Floats:
    """From 0 for the least to 1 for the most; all 0 where all are equal."""
    above: Floats = (weights - weights.min()).astype(np.float64)
    return np.divide(above, above.max() or 1.0)
