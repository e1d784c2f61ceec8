"""Processes that are known by their command line, as no file of ours can lie about them."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path


def command_line(pid: int) -> list[str]:
    """The arguments of a process; none when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []


def running(program: str, argument: str) -> list[int]:
    """The processes of a program, or a script, of that name that have this argument."""
    return sorted(pid for pid in _all() if _is(command_line(pid), program, argument))


def _is(words: Sequence[str], program: str, argument: str) -> bool:
    # The second word is the script when the first is its interpreter.
    return argument in words and program in {os.path.basename(word) for word in words[:2]}


def _all() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def end(program: str, argument: str, patience: float) -> list[int]:
    """Stop them all, by force what does not stop within `patience` seconds; who they were."""
    pids = running(program, argument)
    for pid in pids:
        with suppress(ProcessLookupError):  # gone is what we want
            # A handle stays with the process, while its number can pass to another.
            handle = os.pidfd_open(pid)
            try:
                if _is(command_line(pid), program, argument):
                    _end(handle, patience)
            finally:
                os.close(handle)
    return pids


def _end(handle: int, patience: float) -> None:
    for demand in (signal.SIGTERM, signal.SIGKILL):
        signal.pidfd_send_signal(handle, demand)
        if select.select([handle], [], [], patience)[0]:
            return
