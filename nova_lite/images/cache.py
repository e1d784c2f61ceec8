"""The images a compute host has fetched, each once, and only whole and checked ones.

A file under its final name is complete, has the declared checksum and is safe
to hand to QEMU, as qcow2 if that is what it came as and else as plain bytes.
Until then its bytes are in a hidden file beside it, which is at the same time
the lock: whoever holds it downloads, the others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests

from nova_lite.domain.errors import HypervisorError, ImageUnacceptable
from nova_lite.domain.specs import ImageSource
from nova_lite.images.convert import CONVERTED, to_raw
from nova_lite.images.inspection import MAX_VIRTUAL_SIZE, Inspection

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60  # seconds

# At DEBUG it logs the path of every request, and ours carry signatures.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)

Fetch = Callable[[str], Iterator[bytes]]


def fetch_http(url: str) -> Iterator[bytes]:
    """The bytes at `url`, in pieces.

    Raises HypervisorError for whatever goes wrong; its text never holds the
    URL, which is a key to the image.
    """
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise HypervisorError("an image's address must be http or https")
        with requests.Session() as session:
            # No proxy, .netrc or CA bundle from the environment: the API told us where to go.
            session.trust_env = False
            with session.get(
                url,
                stream=True,
                # A redirect could lead anywhere, for example to the host's own services.
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                headers={"Accept-Encoding": "identity"},
            ) as response:
                if response.status_code != 200:
                    raise HypervisorError(f"the image service answered {response.status_code}")
                yield from response.iter_content(CHUNK)
    except (requests.RequestException, ValueError) as error:
        # Not chained: the messages of these errors contain the URL.
        raise HypervisorError(f"transfer failed: {type(error).__name__}") from None


class ImageCache:
    """Files of images in `base_dir`, by image id; readable by QEMU, writable by none but us."""

    def __init__(
        self,
        base_dir: Path,
        fetch: Fetch = fetch_http,
        *,
        max_virtual_size: int = MAX_VIRTUAL_SIZE,
    ) -> None:
        self._base_dir = base_dir.absolute()
        self._fetch = fetch
        self._max_virtual_size = max_virtual_size

    @property
    def directory(self) -> Path:
        """Where all images lie."""
        return self._base_dir

    def path(self, image: ImageSource) -> Path:
        """Where the image lies, after fetching it if need be.

        Any number of threads and processes may ask at once; one of them
        fetches.  Raises ImageUnacceptable when the bytes are not what was
        declared, HypervisorError when they cannot be had or kept.
        """
        file = self._base_dir / str(image.id)
        try:
            while not _is_whole(file, image):
                self._base_dir.mkdir(mode=0o711, parents=True, exist_ok=True)
                part = self._base_dir / f".{image.id}.part"
                with open(part, "ab") as stream:
                    fcntl.flock(stream, fcntl.LOCK_EX)
                    # Whoever held it before us has renamed or deleted it: look again.
                    if not _is_open_file(part, stream):
                        continue
                    if _is_whole(file, image):
                        part.unlink()  # it was finished between our look and our lock
                    else:
                        self._fetch_into(file, image, stream, part)
        except OSError as error:
            raise HypervisorError(
                f"Image {image.id} could not be kept: {error.strerror or error}"
            ) from None
        return file

    def _fetch_into(self, file: Path, image: ImageSource, stream: BinaryIO, part: Path) -> None:
        raw = part.with_suffix(".raw")
        try:
            virtual_size = self._download(image, stream)
            if image.disk_format in CONVERTED:
                LOG.info("converting image %s from %s", image.id, image.disk_format)
                raw.unlink(missing_ok=True)  # what a killed worker left there
                to_raw(part, image.disk_format, raw, virtual_size)
                _keep(raw, file)
                part.unlink()
            else:
                _keep(part, file)
        except BaseException as error:
            raw.unlink(missing_ok=True)
            part.unlink()
            if isinstance(error, (ImageUnacceptable, HypervisorError)):
                raise type(error)(f"Image {image.id}: {error}") from None
            raise

    def _download(self, image: ImageSource, stream: BinaryIO) -> int:
        """Fetch into `stream`, looking at it on the way; the size of its disk in bytes."""
        LOG.info("fetching image %s, %d bytes", image.id, image.size)
        stream.truncate(0)  # what a killed worker left there
        inspection = Inspection(image.disk_format, max_virtual_size=self._max_virtual_size)
        chunks = verified(self._fetch(image.url), size=image.size, sha512=image.sha512)
        for chunk in inspection.of(chunks):
            stream.write(chunk)
        stream.flush()
        return inspection.virtual_size


def _keep(part: Path, file: Path) -> None:
    """Give what is whole its name."""
    with part.open("rb") as stream:
        os.fchmod(stream.fileno(), 0o644)
        # From now on its size is proof enough that it is whole, so it has to be
        # on disk before it has its name.
        os.fsync(stream.fileno())
    os.replace(part, file)


def verified(chunks: Iterable[bytes], *, size: int, sha512: str) -> Iterator[bytes]:
    """Pass `chunks` on; ImageUnacceptable as soon as they are too many, or at the end wrong."""
    received, checksum = 0, hashlib.sha512()
    for chunk in chunks:
        received += len(chunk)
        if received > size:
            raise ImageUnacceptable(f"more than the declared {size} bytes came")
        checksum.update(chunk)
        yield chunk
    if received != size:
        raise ImageUnacceptable(f"{received} bytes came, {size} were declared")
    if checksum.hexdigest() != sha512.lower():
        raise ImageUnacceptable("the SHA-512 checksum is not the declared one")


def _is_whole(file: Path, image: ImageSource) -> bool:
    try:
        found = file.lstat()
    except FileNotFoundError:
        return False
    # How large a converted one is, only its header knew.
    if image.disk_format not in CONVERTED and found.st_size != image.size:
        LOG.warning(
            "cached image %s has %d bytes instead of %d: fetching it again",
            image.id,
            found.st_size,
            image.size,
        )
        return False
    return True


def _is_open_file(path: Path, stream: BinaryIO) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(stream.fileno()))
    except FileNotFoundError:
        return False
