"""An image store: a directory with one file per image, named by its id.

A file under its id is whole, inspected and on disk.  Before that its bytes are
under the same name in `incoming/`, which is at the same time the lock: whoever
holds it is uploading, and a file there that nobody holds was left by a process
that died.  So it needs no clock to tell the two apart.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from uuid import UUID

from nova_lite.domain.errors import Conflict, ImageUnacceptable, NotFound, TooLarge
from nova_lite.images.inspection import MAX_VIRTUAL_SIZE, Inspection

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Stored:
    """What was found out about an image while its bytes went by."""

    size: int  # bytes
    virtual_size: int | None  # bytes; what a guest would see as its disk, if that is known
    md5: str
    sha512: str


class Part:
    """An image on its way into the store; nobody else writes it."""

    def __init__(
        self, stream: BinaryIO, path: Path, file: Path, max_virtual_size: int, must_match: bool
    ) -> None:
        self._stream, self._path, self._file = stream, path, file
        self._max_virtual_size, self._must_match = max_virtual_size, must_match
        self.kept = False

    def fill(self, chunks: Iterable[bytes], disk_format: str | None) -> Stored:
        """Write `chunks` to disk, and look at them on the way.

        Without a `disk_format` they are not looked at: for what is only put by.
        Raises ImageUnacceptable when they are not a safe `disk_format`,
        NotFound when the image is removed meanwhile, TooLarge when the disk is
        full.
        """
        inspection = None
        if disk_format is not None:
            inspection = Inspection(disk_format, max_virtual_size=self._max_virtual_size)
            chunks = self._inspected(inspection, chunks)
        size, md5, sha512 = 0, hashlib.md5(usedforsecurity=False), hashlib.sha512()
        self._stream.seek(0)
        self._stream.truncate(0)  # what a process that died left there
        for chunk in chunks:
            if os.fstat(self._stream.fileno()).st_nlink == 0:
                raise NotFound("The image was deleted while its data was being uploaded.")
            self._write(chunk)
            size += len(chunk)
            md5.update(chunk)
            sha512.update(chunk)
        # An inspection that did not get to its end says zero bytes.
        virtual_size = inspection.virtual_size or None if inspection else size
        os.fchmod(self._stream.fileno(), 0o640)
        os.fsync(self._stream.fileno())
        return Stored(size, virtual_size, md5.hexdigest(), sha512.hexdigest())

    def _inspected(self, inspection: Inspection, chunks: Iterable[bytes]) -> Iterator[bytes]:
        try:
            yield from inspection.of(chunks)
        except ImageUnacceptable as error:
            if self._must_match:
                raise
            LOG.warning("image %s is kept as it is: %s", self._file.name, error)

    def read(self) -> Iterator[bytes]:
        """What was filled in, from its beginning."""
        place = 0
        while chunk := os.pread(self._stream.fileno(), CHUNK, place):
            place += len(chunk)
            yield chunk

    def _write(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        try:
            while left:
                left = left[self._stream.write(left) :]
        except OSError as error:
            if error.errno not in FULL:
                raise
            LOG.error("the image store cannot take more: %s", error.strerror)
            raise TooLarge("There is not enough room left in the image store.") from None

    def keep(self) -> None:
        """Give it its name, where it survives a loss of power."""
        os.replace(self._path, self._file)
        self.kept = True
        directory = os.open(self._file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


class FileStore:
    """Images in `directory`.  All API processes of a site share one, if need be over NFS.

    Unless they `must_match`, also images that are not what they are declared to
    be are kept; whoever uses one has to look for himself.
    """

    type = "file"

    def __init__(
        self,
        directory: Path,
        *,
        max_virtual_size: int = MAX_VIRTUAL_SIZE,
        must_match: bool = True,
    ) -> None:
        self._directory = directory.absolute()
        self._incoming = self._directory / "incoming"
        self._max_virtual_size, self._must_match = max_virtual_size, must_match

    @contextmanager
    def incoming(self, id: UUID) -> Iterator[Part]:
        """A place for the bytes of an image; gone at the end, unless they were kept.

        Raises Conflict while another upload of the same image is under way.
        """
        self._directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        self._incoming.mkdir(mode=0o700, exist_ok=True)
        path = self._incoming / str(id)
        with _locked(path) as stream:
            file = self._directory / str(id)
            part = Part(stream, path, file, self._max_virtual_size, self._must_match)
            try:
                yield part
            finally:
                if not part.kept:
                    path.unlink(missing_ok=True)

    def open(self, id: UUID) -> BinaryIO:
        """The bytes of an image.  Raises NotFound."""
        try:
            return open(self._directory / str(id), "rb")
        except FileNotFoundError:
            raise NotFound(f"Image {id} has no data.") from None

    def remove(self, id: UUID) -> None:
        """No bytes of this image are left, and an upload under way comes to its end."""
        for directory in (self._directory, self._incoming):
            (directory / str(id)).unlink(missing_ok=True)

    @property
    def properties(self) -> dict[str, Any]:
        """What an administrator may know of it."""
        return {"data_dir": str(self._directory), "chunk_size": CHUNK, "thin_provisioning": False}

    def ids(self) -> set[UUID]:
        """The images whose bytes are here, whole."""
        return _named_by_id(self._directory)

    def clean(self) -> None:
        """Remove what uploads left whose process died."""
        for id in _named_by_id(self._incoming):
            try:
                with self.incoming(id):
                    LOG.warning("removing what an upload of image %s left behind", id)
            except Conflict:
                continue  # not dead at all


class Locks:
    """One per image, for whoever changes where its bytes are; whoever dies lets go."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()

    @contextmanager
    def hold(self, id: UUID) -> Iterator[None]:
        """Raises Conflict while somebody else holds it."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._directory / str(id)
        with _locked(path):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def clean(self) -> None:
        """Remove what the dead left."""
        for id in _named_by_id(self._directory):
            try:
                with self.hold(id):
                    pass
            except Conflict:
                continue  # alive


@contextmanager
def _locked(path: Path) -> Iterator[BinaryIO]:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "r+b", buffering=0) as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(f"Image {path.name} is being uploaded by somebody else.") from None
            # Whoever held it before us may have kept it: then these are the
            # bytes of an active image, which nobody may touch.
            if _is_at(path, stream):
                yield cast(BinaryIO, stream)
                return


def _is_at(path: Path, stream: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False


def _named_by_id(directory: Path) -> set[UUID]:
    found = set()
    for path in directory.iterdir() if directory.is_dir() else ():
        try:
            found.add(UUID(path.name))
        except ValueError:
            continue  # not ours: we name by id
    return found
