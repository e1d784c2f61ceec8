"""The life of a daemon: start its parts, wait for a signal, stop them in the other order."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable

LOG = logging.getLogger(__name__)


class Process:
    """Parts are added with what stops them; the last started stops first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopping = threading.Event()
        self._stops: list[Callable[[], None]] = []

    def on_stop(self, stop: Callable[[], None]) -> None:
        self._stops.append(stop)

    def every(self, seconds: float, work: Callable[[], None], name: str) -> None:
        """Run `work` now and then, until the process stops."""

        def loop() -> None:
            while not self.stopping.wait(seconds):
                try:
                    work()
                except Exception:
                    # One round must not take the following with it.
                    LOG.exception("%s failed; it will be tried again", name)

        threading.Thread(target=loop, name=name, daemon=True).start()

    def run(self) -> None:
        """Until SIGTERM or SIGINT; a second one does not wait for the parts to stop."""
        # The one thing to wait at that a handler of signals may touch: the lock
        # of an Event could be held by the very thread that is interrupted.
        signals: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: signals.put(number))
        LOG.info("%s is up", self.name)
        LOG.info("%s: %s, stopping", self.name, signal.Signals(_first(signals)).name)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        self.stop()

    def stop(self) -> None:
        self.stopping.set()
        for stop in reversed(self._stops):
            try:
                stop()
            except Exception:
                LOG.exception("%s: a part did not stop", self.name)
        LOG.info("%s is down", self.name)


def _first(signals: queue.SimpleQueue[int]) -> int:
    """Wait for a signal, awake now and then.

    One that comes just before the wait begins is heard by the C library, but its
    Python handler only runs once the main thread is awake again.
    """
    while True:
        try:
            return signals.get(timeout=1)
        except queue.Empty:
            continue
