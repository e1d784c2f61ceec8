"""What a scheduler process is made of: the runner, the reconcilers, and their inbox.

Messages only put something on a list; a few threads take what has gathered
there and handle it in one go, so that a burst costs few transactions.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from nova_lite.bus.bus import Bus
from nova_lite.bus.messages import HostStatus, Report
from nova_lite.db.engine import Database, again_if_passing
from nova_lite.domain.specs import Role
from nova_lite.operations import FLOWS
from nova_lite.operations.runner import Runner
from nova_lite.operations.world import World
from nova_lite.reconcilers.filters import PROTECT, Filters
from nova_lite.reconcilers.hosts import Hosts
from nova_lite.reconcilers.instances import Instances
from nova_lite.reconcilers.networks import Networks

LOG = logging.getLogger(__name__)
BATCH = 32  # things handled in one go
DUE_EVERY = 1.0  # seconds between two looks at what is due
RECONCILE_EVERY = 5.0  # seconds between two looks at what should converge


class Control:
    """A SchedulerInbox.  `drain` handles what is there; `start` does so in threads."""

    def __init__(self, database: Database, world: World, bus: Bus, rng: random.Random) -> None:
        self._inbox: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self.runner = Runner(database, FLOWS, world, bus.publish, self.network_changed, rng)
        self.networks = Networks(database, world, bus.publish, self.wake)
        self.instances = Instances(database, world, self.wake)
        self.filters = Filters(database, world, bus.publish)
        self.hosts = Hosts(database, world, bus.publish, self.wake, self.network_changed)

    # --- the inbox -------------------------------------------------------------------------

    def wake(self, operations: Sequence[UUID]) -> None:
        for id in operations:
            self._inbox.put(("run", id))

    def report(self, report: Report) -> None:
        kind = "network" if report.role is Role.NETWORK else "report"
        self._inbox.put(("filters" if report.verb == PROTECT else kind, report))

    def status(self, status: HostStatus) -> None:
        self._inbox.put(("status", status))

    def network_changed(self, network: UUID) -> None:
        self._inbox.put(("changed", network))

    # --- the work --------------------------------------------------------------------------

    def drain(self) -> bool:
        """Handle everything that is in the inbox now; say whether there was anything."""
        things = self._gathered()
        self._handle(things)
        return bool(things)

    def look(self) -> None:
        """Run what is due."""
        due = self.runner.due()
        if due:
            self.wake(due)
        self.instances.run()

    def reconcile(self) -> None:
        """Look after what should converge, whether or not anybody said so."""
        self.networks.reconcile_all()
        self.instances.run()
        self.filter()

    def filter(self) -> None:
        """Tell hosts what their guests let through now; many at a time while nothing else waits."""
        while self.filters.run() and self._inbox.empty():
            pass

    def start(self, threads: int) -> None:
        for i in range(threads):
            self._spawn(f"operations-{i}", self._work)
        self._spawn("due", lambda: self._every(DUE_EVERY, self.look))
        self._spawn("filters", lambda: self._every(DUE_EVERY, self.filter))
        self._spawn("reconcile", lambda: self._every(RECONCILE_EVERY, self.reconcile))

    def stop(self) -> None:
        self._stopping.set()
        self._inbox.put(("stop", None))
        for thread in self._threads:
            thread.join()

    def _spawn(self, name: str, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            first = self._inbox.get()
            self._handle([first, *self._gathered()])
        self._inbox.put(("stop", None))  # for the thread after us

    def _gathered(self) -> list[tuple[str, Any]]:
        things: list[tuple[str, Any]] = []
        while len(things) < BATCH:
            try:
                things.append(self._inbox.get_nowait())
            except queue.Empty:
                break
        return things

    def _handle(self, things: Sequence[tuple[str, Any]]) -> None:
        def of(kind: str) -> list[Any]:
            return [thing for name, thing in things if name == kind]

        ids, reports = of("run"), of("report")
        if ids or reports:
            self._carefully("operations", lambda: self.runner.run(ids, reports))
        if filters := of("filters"):
            self._carefully("filters", lambda: self.filters.accept(filters))
        for report in of("network"):
            self._carefully("network report", partial(self.networks.accept, report))
        for status in of("status"):
            self._carefully("status", partial(self.hosts.accept, status))
        for network in dict.fromkeys(of("changed")):
            self._carefully("network", partial(self.networks.reconcile, network))

    def _every(self, seconds: float, look: Callable[[], None]) -> None:
        while not self._stopping.wait(seconds):
            began = time.monotonic()
            self._carefully("periodic look", look)
            LOG.debug("%s took %.3f s", look.__name__, time.monotonic() - began)

    def _carefully(self, what: str, work: Callable[[], None]) -> None:
        """One piece of work must not take the next with it; all of it is found again."""
        try:
            again_if_passing(work)
        except Exception:
            LOG.exception("%s failed; it will be tried again", what)
