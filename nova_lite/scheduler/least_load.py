"""The host with the smallest share committed."""

from __future__ import annotations

import numpy as np

from nova_lite.scheduler.base import Placement
from nova_lite.scheduler.fleet import Fleet, Floats, Ints
from nova_lite.scheduler.policy import Policy


class LeastLoadScheduler(Policy):
    """Least loaded first.  A host is as loaded as the fullest of memory, VCPUs and disk.

    The share counts, not the amount: of two hosts with four guests each, the
    larger is the less loaded.
    """

    def order(self, request: Placement, fleet: Fleet, rows: Ints) -> list[int]:
        load = _committed(fleet.memory_mb[rows], fleet.free_memory_mb[rows])
        np.maximum(load, _committed(fleet.vcpus[rows], fleet.free_vcpus[rows]), out=load)
        np.maximum(load, _committed(fleet.disk_gb[rows], fleet.free_disk_gb[rows]), out=load)
        return [int(row) for row in rows[self.highest(-load)]]


def _committed(total: Ints, free: Ints) -> Floats:
    # Where there is nothing (hosts without a disk of their own), nothing is committed.
    return (total - free) / np.maximum(total, 1)
