"""A part of an image, as a Range header asks for it (RFC 9110, section 14)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from webob.byterange import Range

from nova_lite.domain.errors import NovaLiteError
from nova_lite.services.image.stores import CHUNK


class RangeNotSatisfiable(NovaLiteError):
    status = 416


def wanted(header: str, size: int) -> tuple[int, int]:
    """The first byte, and the one behind the last.  Raises RangeNotSatisfiable."""
    # Of several ranges it would take the first.
    asked = None if "," in header else Range.parse(header)
    found = asked and asked.range_for_length(size)
    if not found:
        raise RangeNotSatisfiable(f"There is no {header!r} in an image of {size} bytes.")
    return int(found[0]), int(found[1])


def read(file: BinaryIO, start: int, stop: int) -> Iterator[bytes]:
    """The bytes from `start` up to `stop`; closes the file in the end."""
    with file:
        file.seek(start)
        while start < stop and (chunk := file.read(min(CHUNK, stop - start))):
            start += len(chunk)
            yield chunk
