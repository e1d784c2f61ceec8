"""qemu-img, held in check: an image is a program for the block layer, and some are hostile."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

from nova_lite.domain.errors import HypervisorError


class Limit(NamedTuple):
    """What a run may cost at most, whatever an image makes of it."""

    seconds: float  # of which a quarter may be CPU
    address_space: int  # bytes


QUICK = Limit(120, 1 << 30)  # what only reads or writes a header
# What moves the contents of a disk: it has up to 64 threads, each with some 70 MiB set apart.
COPY = Limit(3600, 8 << 30)


def qemu_img(*arguments: str, limit: Limit = QUICK) -> bytes:
    """What `qemu-img arguments` prints.  HypervisorError with its complaint when it fails."""
    try:
        done = subprocess.run(
            [*prlimit(limit), "--", "qemu-img", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit.seconds,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise HypervisorError(f"qemu-img {arguments[0]} took too long") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"exit status {done.returncode}"
        raise HypervisorError(f"qemu-img {arguments[0]} failed: {why}")
    return done.stdout


def prlimit(limit: Limit) -> tuple[str, ...]:
    return "prlimit", f"--as={limit.address_space}", f"--cpu={max(1, int(limit.seconds / 4))}"


def info(file: Path, disk_format: str) -> dict[str, Any]:
    """What the header of `file` says; a running guest may be using it."""
    answer = qemu_img("info", "-U", "--output=json", "-f", disk_format, str(file))
    found: dict[str, Any] = json.loads(answer)
    return found
