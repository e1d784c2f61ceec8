"""One host after the other, in the order of their names."""

from __future__ import annotations

import bisect
import random
import threading

import numpy as np

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.fleet import Fleet, Ints
from nova_lite.scheduler.policy import Policy


class RoundRobinScheduler(Policy):
    """A B C A B C; who will not do is passed over.

    Whose turn it is, this process remembers: several take turns each for
    itself, and a new process begins with the first host.
    """

    def __init__(self, settings: SchedulerSettings, rng: random.Random) -> None:
        super().__init__(settings, rng)
        self._lock = threading.Lock()
        # A name and not a row: fleets come and go, and with them the rows.
        self._last = ""

    def order(self, request: Placement, fleet: Fleet, rows: Ints) -> list[int]:
        with self._lock:
            begin = int(np.searchsorted(rows, bisect.bisect_right(fleet.names, self._last)))
            turns = range(begin, begin + min(self.alternates, len(rows)))
            best = [int(rows[turn % len(rows)]) for turn in turns]
            self._last = fleet.names[best[0]]
        return best
