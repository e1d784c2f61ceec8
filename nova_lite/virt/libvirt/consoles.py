"""A guest's consoles: where its screen is, and what it wrote to its serial port.

QEMU appends to one file.  When virtlogd stands in between (the default of
libvirt's packages), it turns the log over at 2 MiB and keeps the older parts
as console.log.0, .1, .2.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from xml.etree import ElementTree as ET

from nova_lite.domain.errors import HypervisorError
from nova_lite.virt.driver import Console

PARTS = ("", ".0", ".1", ".2")  # newest first


def address(domain: str, kind: str) -> Console:
    """Where the graphics of this kind are, as the XML of a running domain says."""
    for graphics in ET.fromstring(domain).iterfind("devices/graphics"):
        port = int(graphics.get("port", "-1"))
        if graphics.get("type") == kind and port > 0:
            return Console(graphics.get("listen", "127.0.0.1"), port)
    raise HypervisorError(f"The guest has no {kind} console")


def tail(log: Path, max_bytes: int) -> bytes:
    """The last `max_bytes`, read without looking at more; empty when nothing was written yet."""
    found: list[bytes] = []
    missing = max_bytes
    for suffix in PARTS:
        if missing <= 0:
            break
        found.insert(0, _tail_of_file(log.with_name(log.name + suffix), missing))
        missing -= len(found[0])
    return b"".join(found)


def _tail_of_file(file: Path, max_bytes: int) -> bytes:
    try:
        with open(file, "rb", buffering=0, opener=_open) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise HypervisorError(f"Console log {file} is not a file")
            stream.seek(max(0, status.st_size - max_bytes))
            return stream.read(max_bytes)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise HypervisorError(f"Console log cannot be read: {error}") from error


def _open(path: str, flags: int) -> int:
    # No link is followed and no pipe waited for: nothing that got into the
    # guest's directory may make us read another file of the host.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
