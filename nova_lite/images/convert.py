"""Making plain bytes of the disk formats that guests do not run on.

qemu-img reads what somebody uploaded, so it is told the format instead of
guessing, and may take so much memory, processor and disk and no more.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from nova_lite.domain.errors import ImageUnacceptable

#: What QEMU calls the formats that are converted.
CONVERTED = {"vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}

MEMORY = 1 << 30  # bytes of address space
CPU_SECONDS, SECONDS = 600, 1800
SLACK = 32 << 20  # bytes; a VHD's geometry rounds the size in its header up


def to_raw(source: Path, disk_format: str, target: Path, virtual_size: int) -> None:
    """Write the disk that `source` describes, of `virtual_size` bytes, to `target`.

    Raises ImageUnacceptable when it cannot be done within the limits.
    """
    limits = (f"--as={MEMORY}", f"--cpu={CPU_SECONDS}", f"--fsize={virtual_size + SLACK}")
    qemu = CONVERTED[disk_format]
    command = ["qemu-img", "convert", "-q", "-f", qemu, "-O", "raw", str(source), str(target)]
    try:
        done = subprocess.run(
            ["prlimit", *limits, "--", *command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            # It has up to 64 threads; an arena for each would take all of that address space.
            env={**os.environ, "LC_ALL": "C", "MALLOC_ARENA_MAX": "1"},
        )
    except subprocess.TimeoutExpired:
        raise ImageUnacceptable(f"converting it from {disk_format} took too long") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        # It may name files of the host; who reads our errors need not know them.
        why = lines[-1].replace(str(source), "the image") if lines else f"{done.returncode}"
        raise ImageUnacceptable(f"it cannot be converted from {disk_format}: {why}")
