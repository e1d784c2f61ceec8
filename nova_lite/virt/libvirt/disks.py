"""The files of a guest: one directory per guest, named by its id.

    <instances_path>/<uuid>/disk          vda, a qcow2 overlay on a cached image
    <instances_path>/<uuid>/disk.vdb      further disks
    <instances_path>/<uuid>/console.log   what the guest wrote to its serial port

A disk that has its final name is complete.  Directories can be passed through
but not listed by QEMU, which runs as a user of its own; libvirt gives it the
files of a guest when that guest starts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from uuid import UUID

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Disk, GuestSpec, ImageSource
from nova_lite.virt.libvirt.xml import DiskFile

GIB = 1 << 30

# What a crafted image may cost us at most: bytes of address space, and seconds of CPU.
QEMU_IMG_LIMITS = (f"--as={1 << 30}", "--cpu=30")
QEMU_IMG_TIMEOUT = 120  # seconds


class Images(Protocol):
    """Where images come from; `nova_lite.images.cache.ImageCache` is one."""

    def path(self, image: ImageSource) -> Path:
        """A complete, checked file that stays where it is."""


class Disks:
    def __init__(self, instances_path: Path, images: Images) -> None:
        self._instances_path = instances_path.absolute()
        self._images = images

    def directory(self, guest: UUID) -> Path:
        return self._instances_path / str(guest)

    def console_log(self, guest: UUID) -> Path:
        return self.directory(guest) / "console.log"

    def total_gb(self) -> int:
        """Size of the file system that disks of guests are on."""
        with _storage_errors():
            self._instances_path.mkdir(mode=0o711, parents=True, exist_ok=True)
            return shutil.disk_usage(self._instances_path).total // GIB

    def ensure(self, spec: GuestSpec) -> list[DiskFile]:
        """Make the disks that are not there yet, and say where all of them are."""
        with _storage_errors():
            directory = self.directory(spec.id)
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            return [self._ensure(directory, disk) for disk in spec.disks]

    def remove(self, guest: UUID) -> None:
        with _storage_errors():
            try:
                shutil.rmtree(self.directory(guest))
            except FileNotFoundError:
                pass  # Nothing there is what was asked for.

    def _ensure(self, directory: Path, disk: Disk) -> DiskFile:
        base = self._images.path(disk.image) if disk.image else None
        base_format = disk.image.disk_format if disk.image else "raw"
        file = DiskFile(disk.target, directory / _file_name(disk.target), base, base_format)
        if not file.path.exists():
            part = file.path.with_name(file.path.name + ".part")
            _create(part, file, disk.size_gb * GIB)
            part.chmod(0o600)
            # A crash of the host must not leave an empty file under the final name.
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.rename(file.path)
        return file


def virtual_size(file: Path, disk_format: str) -> int:
    """Bytes of the disk that the image at `file` describes."""
    answer = _qemu_img("info", "--output=json", "-f", disk_format, str(file))
    return int(json.loads(answer)["virtual-size"])


def _create(part: Path, file: DiskFile, size: int) -> None:
    backing: Sequence[str] = ()
    if file.base:
        backing = ("-b", str(file.base), "-F", file.base_format)
        size = max(size, virtual_size(file.base, file.base_format))
    if not size:
        raise HypervisorError(f"Disk {file.target} has neither a size nor an image")
    _qemu_img("create", "-q", "-f", "qcow2", *backing, str(part), str(size))


def _file_name(target: str) -> str:
    if not re.fullmatch("vd[a-z]", target):
        raise HypervisorError(f"A disk cannot be called {target!r}")
    return "disk" if target == "vda" else f"disk.{target}"


def _qemu_img(*arguments: str) -> bytes:
    command = ["prlimit", *QEMU_IMG_LIMITS, "--", "qemu-img", *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=QEMU_IMG_TIMEOUT,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired:
        raise HypervisorError(f"qemu-img {arguments[0]} took too long") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"exit status {done.returncode}"
        raise HypervisorError(f"qemu-img {arguments[0]} failed: {why}")
    return done.stdout


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HypervisorError(f"Storage of guests: {error}") from error
