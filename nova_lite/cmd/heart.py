"""A worker's heartbeat: it lives, even while its host is too busy to be looked at."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from nova_lite.bus.messages import HostStatus


class Heart:
    """Sends `look()` at each beat, or `alive` when looking takes longer than `patience` seconds.

    libvirt may keep a question waiting for as long as it starts a slow guest;
    taking the host for dead would move its other boots elsewhere.  A look that
    fails is an error of `beat`, and no sign of life: that host can do nothing.
    """

    def __init__(
        self,
        send: Callable[[HostStatus], None],
        look: Callable[[], HostStatus],
        alive: HostStatus,
        patience: float,
    ) -> None:
        self._send, self._look, self._alive, self._patience = send, look, alive, patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="look")
        self._late: Future[HostStatus] | None = None

    def beat(self) -> None:
        if self._late is not None:
            if not self._late.done():
                return self._send(self._alive)
            self._late = None  # what it has seen is old by now
        looking = self._thread.submit(self._look)
        try:
            status = looking.result(self._patience)
        except TimeoutError:
            self._late = looking
            status = self._alive
        self._send(status)
        return None

    def stop(self) -> None:
        self._thread.shutdown(wait=False)
