"""Any host that will do."""

from __future__ import annotations

from nova_lite.scheduler.base import Placement
from nova_lite.scheduler.fleet import Fleet, Ints
from nova_lite.scheduler.policy import Policy


class ChanceScheduler(Policy):
    """A random sample of the hosts that will do, each as likely as the other."""

    def order(self, request: Placement, fleet: Fleet, rows: Ints) -> list[int]:
        some = self.rng.sample(range(len(rows)), min(self.alternates, len(rows)))
        return [int(rows[i]) for i in some]
