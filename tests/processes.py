"""Real programs run from tests: each dies with the test run, whatever ends it."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Return as soon as the condition holds; TimeoutError naming `what` if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not within {seconds:g} s: {what}")
        time.sleep(0.05)


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    account: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that appends its output to `log`, as `account` if one is given (root only).

    The kernel kills it when the thread that called this ends, so call it from the main thread.
    """
    become = ["--reuid", account, "--regid", account, "--init-groups"] if account else []
    with log.open("ab") as output:
        return subprocess.Popen(
            ["setpriv", *become, "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=log.parent,
            start_new_session=True,
        )


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL for the process and everything it started, as a power failure would do it."""
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    process.kill()
    for member in family:
        try:
            member.kill()
        except psutil.NoSuchProcess:
            pass  # it went with its parent, which is what we want
    process.wait()
    wait_until(lambda: not any(map(_alive, family)), seconds=10, what=f"{process.args!r} is gone")


def _alive(process: psutil.Process) -> bool:
    """A zombie is dead: who inherits it may take a while to notice."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
