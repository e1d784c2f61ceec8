"""kombu's in-memory broker, without its polling.

kombu's own `memory` transport asks its queues again and again, which costs a
whole core while nothing happens.  Here a consumer sleeps until somebody puts a
message into one of its queues.  Everything else is kombu's.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from queue import Empty
from time import monotonic
from typing import Any

from kombu import transport
from kombu.transport import memory

SCHEME = "embedded"
transport.TRANSPORT_ALIASES[SCHEME] = f"{__name__}:Transport"

_consumers: defaultdict[str, set[threading.Event]] = defaultdict(set)
_bookkeeping = threading.Lock()


class Channel(memory.Channel):  # type: ignore[misc]
    queues: dict[str, Any] = {}

    def basic_consume(self, queue: str, *args: Any, **kwargs: Any) -> Any:
        with _bookkeeping:
            _consumers[queue].add(self.connection.arrived)
        self.connection.arrived.set()  # there may be something already
        return super().basic_consume(queue, *args, **kwargs)

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        super()._put(queue, message, **kwargs)
        _announce(queue)

    def _put_fanout(
        self, exchange: str, message: Any, routing_key: str | None = None, **kwargs: Any
    ) -> None:
        super()._put_fanout(exchange, message, routing_key, **kwargs)
        for queue in self._lookup(exchange, routing_key):
            _announce(queue)


class Transport(memory.Transport):  # type: ignore[misc]
    Channel = Channel

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.arrived = threading.Event()

    def drain_events(self, connection: Any, timeout: float | None = None) -> None:
        deadline = None if timeout is None else monotonic() + timeout
        while True:
            # Cleared before the look, so that what arrives after it is not missed.
            self.arrived.clear()
            try:
                self.cycle.get(self._deliver, timeout=timeout)
                return
            except Empty:
                left = None if deadline is None else deadline - monotonic()
                if (left is not None and left <= 0) or not self.arrived.wait(left):
                    raise TimeoutError from None

    def close_connection(self, connection: Any) -> None:
        with _bookkeeping:
            for waiting in _consumers.values():
                waiting.discard(self.arrived)
        super().close_connection(connection)


def _announce(queue: str) -> None:
    with _bookkeeping:
        waiting = tuple(_consumers.get(queue, ()))
    for arrived in waiting:
        arrived.set()
