"""The files of a guest: one directory per guest, named by its id.

    <instances_path>/<uuid>/disk          vda, a qcow2 overlay on a cached image
    <instances_path>/<uuid>/disk.vdb      further disks
    <instances_path>/<uuid>/console.log   what the guest wrote to its serial port
    <instances_path>/<uuid>/snapshot/     a copy of the root disk, while it is sent away

A disk that has its final name is complete, and its header is the only memory of
what lies below it: a guest outlives the image that it was made from.
Directories can be passed through but not listed by QEMU, which runs as a user
of its own; libvirt gives it the files of a guest when that guest starts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Disk, GuestSpec, ImageSource
from nova_lite.virt.libvirt.qemu_img import COPY, info, qemu_img
from nova_lite.virt.libvirt.xml import DiskFile

GIB = 1 << 30
ROOT = "vda"

#: Makes a disk of a guest so many bytes large.
Grow = Callable[[DiskFile, int], None]


class Images(Protocol):
    """Where images come from; `nova_lite.images.cache.ImageCache` is one."""

    @property
    def directory(self) -> Path:
        """Where they all lie."""

    def path(self, image: ImageSource) -> Path:
        """A complete, checked file that stays where it is."""


class Disks:
    def __init__(self, instances_path: Path, images: Images) -> None:
        self._instances_path = instances_path.absolute()
        self._images = images

    def fetch(self, image: ImageSource) -> None:
        self._images.path(image)

    def directory(self, guest: UUID) -> Path:
        return self._instances_path / str(guest)

    def console_log(self, guest: UUID) -> Path:
        return self.directory(guest) / "console.log"

    def total_gb(self) -> int:
        """Size of the file system that disks of guests are on."""
        with _storage_errors():
            self._instances_path.mkdir(mode=0o711, parents=True, exist_ok=True)
            return shutil.disk_usage(self._instances_path).total // GIB

    def ensure(self, spec: GuestSpec, grow: Grow) -> list[DiskFile]:
        """Make the disks that are not there yet, have the others grow, and say where all are."""
        with _storage_errors():
            directory = self.directory(spec.id)
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            return [self._ensure(directory, disk, grow) for disk in spec.disks]

    def prepare(self, spec: GuestSpec) -> None:
        """See to it that all disks of `spec` could be made; HypervisorError when they could not."""
        for disk in spec.disks:
            _file_name(disk.target)
            self._base(disk)

    def keep(self, guest: UUID, targets: Sequence[str]) -> None:
        """Delete all disks but those, and whatever was left half made."""
        names = {_file_name(target) for target in targets}
        with _storage_errors(), suppress(FileNotFoundError):
            for file in self.directory(guest).iterdir():
                if file.name not in names and re.match(r"disk(\.|$)", file.name):
                    file.unlink()

    def remove(self, guest: UUID) -> None:
        with _storage_errors():
            _remove_tree(self.directory(guest))

    @contextmanager
    def scratch(self, guest: UUID) -> Iterator[Path]:
        """The name for a file that is gone at the end, or at least when it is asked for again."""
        with _storage_errors():
            directory = self.directory(guest) / "snapshot"
            _remove_tree(directory)
            directory.mkdir(mode=0o711, parents=True)
        try:
            yield directory / "disk"
        finally:
            with _storage_errors():
                _remove_tree(directory)

    def clean(self) -> None:
        """Remove what snapshots left whose worker died; only while none is being made."""
        with _storage_errors():
            for directory in self._instances_path.glob("*/snapshot"):
                _remove_tree(directory)

    def copy(self, guest: UUID, to: Path) -> None:
        """Write all of the root disk of a guest that is off to `to`, a qcow2 of its own."""
        root = self._found(Disk(ROOT, 0), self.directory(guest) / _file_name(ROOT))[0]
        with _storage_errors():
            to.unlink(missing_ok=True)
        source = json.dumps(_qcow2(root.path, _below(root)))
        qemu_img("convert", "-q", "-O", "qcow2", f"json:{source}", str(to), limit=COPY)

    def _ensure(self, directory: Path, disk: Disk, grow: Grow) -> DiskFile:
        path = directory / _file_name(disk.target)
        if path.exists():
            file, size = self._found(disk, path)
            if size < disk.size_gb * GIB:
                grow(file, disk.size_gb * GIB)
            return file
        base, base_format = self._base(disk)
        file = DiskFile(disk.target, path, base, base_format, disk.boot)
        part = path.with_name(path.name + ".part")
        _create(part, file, disk.size_gb * GIB)
        part.chmod(0o600)
        # A crash of the host must not leave an empty file under the final name.
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.rename(path)
        return file

    def _base(self, disk: Disk) -> tuple[Path | None, str]:
        """What a new disk is to lie on."""
        if not disk.image:
            return None, "raw"
        if not disk.image.url:
            raise HypervisorError(f"Disk {disk.target}: image {disk.image.id} is gone")
        return self._images.path(disk.image), disk.image.kept_as

    def _found(self, disk: Disk, path: Path) -> tuple[DiskFile, int]:
        """A disk that is there, and its size in bytes."""
        header = info(path, "qcow2")
        base = header.get("full-backing-filename") or header.get("backing-filename")
        # QEMU writes these headers.  One that a guest has taken over could name
        # any file of the host, which we would then read for it, as root.
        foreign = base and Path(base).parent != self._images.directory
        if foreign or "data-file" in header["format-specific"]["data"]:
            raise HypervisorError(f"{path} refers to a file that is no image")
        if base and disk.image and disk.image.url and Path(base).name == str(disk.image.id):
            self._images.path(disk.image)  # brings back one that is damaged or was deleted
        base_format = header.get("backing-filename-format", "raw")
        file = DiskFile(disk.target, path, Path(base) if base else None, base_format, disk.boot)
        return file, int(header["virtual-size"])


def resize(path: Path, size: int) -> None:
    """Change the size, in bytes, of a disk that nobody uses."""
    qemu_img("resize", "-q", "-f", "qcow2", str(path), str(size))


def virtual_size(file: Path, disk_format: str) -> int:
    """Bytes of the disk that the image at `file` describes."""
    return int(info(file, disk_format)["virtual-size"])


def _create(part: Path, file: DiskFile, size: int) -> None:
    backing: Sequence[str] = ()
    if file.base:
        backing = ("-b", str(file.base), "-F", file.base_format)
        size = max(size, virtual_size(file.base, file.base_format))
    if not size:
        raise HypervisorError(f"Disk {file.target} has neither a size nor an image")
    qemu_img("create", "-q", "-f", "qcow2", *backing, str(part), str(size))


def _below(file: DiskFile) -> dict[str, Any] | None:
    if file.base is None:
        return None
    if file.base_format == "qcow2":
        return _qcow2(file.base, None)
    return {"driver": file.base_format, "file": _file(file.base)}


def _qcow2(path: Path, backing: dict[str, Any] | None) -> dict[str, Any]:
    # The whole chain is spelled out, as in a definition: the header has no say.
    return {"driver": "qcow2", "file": _file(path), "backing": backing}


def _file(path: Path) -> dict[str, str]:
    return {"driver": "file", "filename": str(path)}


def _file_name(target: str) -> str:
    if not re.fullmatch("vd[a-z]", target):
        raise HypervisorError(f"A disk cannot be called {target!r}")
    return "disk" if target == ROOT else f"disk.{target}"


def _remove_tree(directory: Path) -> None:
    # Nothing there is what was asked for.
    with suppress(FileNotFoundError):
        shutil.rmtree(directory)


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise HypervisorError(f"Storage of guests: {error}") from error
