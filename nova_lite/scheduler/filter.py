"""Filters and weighers of the operator's choice."""

from __future__ import annotations

import random

import numpy as np

from nova_lite.scheduler import filters, weighers
from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.fleet import Fleet, Ints
from nova_lite.scheduler.policy import Policy


class FilterScheduler(Policy):
    """Drop the hosts that will not do, then order what is left by weighted sum.

    A filter that is not enabled is not asked.  The claim asks for room in any
    case, so leaving out RamFilter gives more refused claims, not fuller hosts.
    """

    def __init__(self, settings: SchedulerSettings, rng: random.Random) -> None:
        super().__init__(settings, rng)
        self.filters = filters.enabled(settings.enabled_filters, settings)
        self.weighers = weighers.multiplied(settings)

    def preferred(self, request: Placement, fleet: Fleet, rows: Ints) -> Ints:
        """All of them: here a soft affinity is a weigher among others."""
        return rows

    def order(self, request: Placement, fleet: Fleet, rows: Ints) -> list[int]:
        scores = np.zeros(len(rows))
        for multiplier, weigh in self.weighers:
            weights = weigh(request, fleet)
            if weights is not None:
                scores += multiplier * weighers.normalised(weights[rows])
        return [int(row) for row in rows[self.highest(scores)]]
