"""What is to be sent, until a thread of its own has sent it.

A broker that is away, or takes nothing more, must not hold up a request or an
operation.  Whoever sends has a row from which it can be sent again, so what has
waited for long is better forgotten than heard late.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from time import monotonic

LOG = logging.getLogger(__name__)
Send = Callable[[], None]


class Outbox:
    """Sends in the order of `put`.  Keeps `most` things, none for longer than `seconds`.

    The thread begins with the first of them, so that a process may fork before.
    """

    def __init__(self, most: int = 10_000, seconds: float = 10.0) -> None:
        self._most, self._seconds = most, seconds
        self._waiting: deque[tuple[float, Send]] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._sending = self._closed = False
        self._dropped = 0

    def put(self, send: Send) -> None:
        """Never waits.  When there are too many, the oldest goes."""
        with self._changed:
            if len(self._waiting) >= self._most:
                self._waiting.popleft()
                self._dropped += 1
            self._waiting.append((monotonic(), send))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self, seconds: float) -> bool:
        """Give what is waiting so long to leave; say whether all of it has."""
        with self._changed:
            empty = self._changed.wait_for(
                lambda: not (self._waiting or self._sending), timeout=seconds
            )
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        return empty

    def _run(self) -> None:
        while (send := self._next()) is not None:
            try:
                send()
            except Exception:
                LOG.exception("bus: a message could not be sent")

    def _next(self) -> Send | None:
        with self._changed:
            self._sending = False
            self._changed.notify_all()
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return None
                since, send = self._waiting.popleft()
                if monotonic() - since <= self._seconds:
                    break
                self._dropped += 1
            if self._dropped:
                LOG.warning("bus: %d messages had waited too long and were dropped", self._dropped)
                self._dropped = 0
            self._sending = True
            return send
