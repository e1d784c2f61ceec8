"""One connection to libvirt, shared by all threads, made anew when libvirtd was restarted.

Everything above speaks in units of work: a function of a live connection that
may be run a second time from its beginning.  That is what makes a restart of
libvirtd harmless, and it costs nothing, since every verb of a driver may be
said twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from threading import Lock, Thread
from typing import Any, TypeVar

import libvirt

from nova_lite.domain.errors import GuestNotFound, HypervisorError

LOG = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds between two signs of life, and how many may be missed: a daemon that
#: hangs without closing its socket is noticed after their product.
KEEPALIVE = (5, 3)


class ConnectionLost(HypervisorError):
    """libvirtd went away in the middle of something."""


class Connection:
    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._lock = Lock()
        self._live: Any = None

    def run(self, work: Callable[[Any], T]) -> T:
        """The result of `work`; it runs again, once, when the connection turns out to be dead.

        libvirt's own errors become HypervisorError, or GuestNotFound; ours pass.
        """
        try:
            return self._attempt(work)
        except ConnectionLost as lost:
            LOG.warning("connecting to %s again: %s", self._uri, lost)
            return self._attempt(work)

    def close(self) -> None:
        with self._lock:
            live, self._live = self._live, None
        if live:
            live.close()

    def _attempt(self, work: Callable[[Any], T]) -> T:
        connection = None
        try:
            connection = self._connect()
            return work(connection)
        except libvirt.libvirtError as error:
            if connection is None or connection.isAlive():
                raise _ours(error) from error
            self._forget(connection)
            raise ConnectionLost(str(error)) from error

    def _connect(self) -> Any:
        with self._lock:
            if self._live is None:
                self._live = _open(self._uri)
            return self._live

    def _forget(self, dead: Any) -> None:
        with self._lock:
            # Another thread may have replaced it already.
            if self._live is dead:
                self._live = None


def _ours(error: libvirt.libvirtError) -> HypervisorError:
    missing = error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN
    return GuestNotFound(str(error)) if missing else HypervisorError(str(error))


def _open(uri: str) -> Any:
    _start_event_loop()
    connection = libvirt.open(uri)
    try:
        connection.setKeepAlive(*KEEPALIVE)
    except libvirt.libvirtError as error:
        # A hypervisor inside this process, like test:///default, has no wire to keep alive.
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise
    return connection


@cache
def _start_event_loop() -> None:
    """What sends and expects the signs of life.  One per process, before the first connection."""
    libvirt.virEventRegisterDefaultImpl()
    # Errors reach us as exceptions; by default libvirt prints them to stderr as well.
    libvirt.registerErrorHandler(_ignore, None)
    Thread(target=_run_event_loop, name="libvirt-events", daemon=True).start()


def _run_event_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _ignore(_context: object, _error: object) -> None:
    """libvirt's C side calls this for each error, which it then also raises."""
