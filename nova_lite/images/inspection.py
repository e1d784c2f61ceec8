"""What an image really is, found out while its bytes stream by.

An image is a program for the hypervisor's block layer: a header can name any
file of the host as its backing file.  So nothing is believed that is only
declared, and whatever may refer to other files is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import IO, cast

from oslo_utils.imageutils import format_inspector

from nova_lite.domain.errors import ImageUnacceptable

#: Per declared format, what the inspector may call it.  A raw image is bytes
#: of any kind except those that QEMU would take for a container, so a
#: partition table or an ISO file system in one is no contradiction.
DETECTABLE: dict[str, frozenset[str]] = {
    "qcow2": frozenset({"qcow2"}),
    "raw": frozenset({"raw", "gpt", "iso"}),
}

HEAD = 64 << 10  # bytes; the headers we look at lie within
QCOW2_ENCRYPTION = 32  # offset of crypt_method, a big-endian 32-bit number (qcow2 specification)

#: Nobody's disk is larger, and a header can claim anything.
MAX_VIRTUAL_SIZE = 16 << 40


def inspected(
    chunks: Iterable[bytes], declared: str, *, max_virtual_size: int = MAX_VIRTUAL_SIZE
) -> Iterator[bytes]:
    """Pass `chunks` on, and raise ImageUnacceptable at their end if they are not a safe `declared`.

    The bytes are not to be used before the iterator is exhausted.
    """
    if declared not in DETECTABLE:
        raise ImageUnacceptable(
            f"Disk format {declared!r} is not served; use {' or '.join(sorted(DETECTABLE))}"
        )
    # Not told what to expect: it then looks for every format it knows, and a
    # file that is two things at once shows as such.
    head = bytearray()
    stream = format_inspector.InspectWrapper(cast(IO[bytes], iter(chunks)))
    for chunk in stream:
        head += chunk[: HEAD - len(head)]
        yield chunk
    if is_descriptor(bytes(head)):
        raise ImageUnacceptable(f"The image is declared {declared} but looks like vmdk")
    formats = stream.formats
    assert formats, "after the end of the stream there is at least raw"
    detected = {str(found): found for found in formats}
    if not detected.keys() <= DETECTABLE[declared]:
        raise ImageUnacceptable(
            f"The image is declared {declared} but looks like {' and '.join(sorted(detected))}"
        )
    if declared == "qcow2":
        _check_qcow2(detected["qcow2"], max_virtual_size)
        if any(head[QCOW2_ENCRYPTION : QCOW2_ENCRYPTION + 4]):
            raise ImageUnacceptable("The image is encrypted, and could be opened by nobody here")


def is_descriptor(head: bytes) -> bool:
    """Whether QEMU, left to guess, would take this for the text that describes a VMDK.

    The inspector sees such a text only if nothing but text is in its first
    sector; QEMU looks no further than the first line that is not a comment.
    """
    lines = (line.strip() for line in head.splitlines())
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return first.startswith(b"version=")


def _check_qcow2(image: format_inspector.FileInspector, max_virtual_size: int) -> None:
    try:
        image.safety_check()
    except format_inspector.SafetyCheckFailed as failed:
        raise ImageUnacceptable(
            f"The image is not safe to use: {', '.join(sorted(failed.failures))}"
        ) from None
    if not 0 < image.virtual_size <= max_virtual_size:
        raise ImageUnacceptable(
            f"The image claims a disk of {image.virtual_size} bytes; "
            f"at most {max_virtual_size} are allowed"
        )
