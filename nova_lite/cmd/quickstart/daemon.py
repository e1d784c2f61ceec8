"""nova-all as a daemon: found by its command line, stopped by a signal, known to be up by asking.

A plain process also where systemd is: it starts, stops and leaves nothing the
same way everywhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import requests

from nova_lite.cmd.quickstart import processes
from nova_lite.cmd.quickstart.place import Place, write
from nova_lite.cmd.quickstart.terminal import Refusal

PROGRAM = "nova-all"
START = 120.0  # seconds: on a busy machine that probes KVM
STOP = 30.0  # seconds for what is under way
LAST_WORDS = 15  # lines of the log


#: They outlive us, and Python warns of a child that runs and is forgotten.
_started: list[subprocess.Popen[bytes]] = []


class Daemon:
    def __init__(self, place: Place, url: str) -> None:
        self.place = place
        self.url = url
        self._child: subprocess.Popen[bytes] | None = None

    def running(self) -> int | None:
        """Its process, whoever started it."""
        pids = processes.running(PROGRAM, str(self.place.config))
        return pids[0] if pids else None

    def start(self, *, foreground: bool = False) -> None:
        """Start it.  In the foreground it shares our terminal, and Ctrl-C reaches it, too."""
        program = Path(sys.executable).with_name(PROGRAM)
        command: list[str | Path] = [program, "--config-file", self.place.config]
        log = None if foreground else os.open(self.place.log, _APPEND, 0o600)
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=not foreground,
                cwd="/",
                umask=0o022,  # QEMU and dnsmasq pass through directories that it makes
            )
        finally:
            if log is not None:
                os.close(log)
        _started.append(self._child)
        write(self.place.pid, f"{self._child.pid}\n")

    def wait(self) -> None:
        """Until it answers."""
        end = time.monotonic() + START
        while not self._answers():
            if self._has_ended():
                raise Refusal(f"nova-all ended by itself:\n{self._last_words()}")
            if time.monotonic() > end:
                raise Refusal(f"nova-all does not answer:\n{self._last_words()}")
            time.sleep(0.1)

    def _has_ended(self) -> bool:
        # Of a child we are told; its command line cannot be read while it is being replaced.
        return self._child.poll() is not None if self._child else self.running() is None

    def stop(self) -> bool:
        """Whether there was anything to stop."""
        was = processes.end(PROGRAM, str(self.place.config), STOP)
        if self._child:
            self._child.wait()
        self.place.pid.unlink(missing_ok=True)
        return bool(was)

    def stay(self) -> int:
        """In the foreground, until it ends: its exit status."""
        assert self._child
        while True:
            try:
                return self._child.wait()
            except KeyboardInterrupt:
                continue  # it has heard it as well

    def _answers(self) -> bool:
        with requests.Session() as session:
            session.trust_env = False  # no proxy leads to this host
            try:
                return session.get(f"{self.url}/identity/v3", timeout=5).ok
            except requests.RequestException:
                return False

    def _last_words(self) -> str:
        if not self.place.log.exists():
            return "see above"
        lines = self.place.log.read_text(errors="replace").splitlines()
        return "\n".join([*lines[-LAST_WORDS:], f"(from {self.place.log})"])


_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
