"""What an image really is, found out while its bytes stream by.

An image is a program for the hypervisor's block layer: a header can name any
file of the host as its backing file.  So nothing is believed that is only
declared, and whatever may refer to other files is refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import IO, cast

from oslo_utils.imageutils import format_inspector

from nova_lite.domain.errors import ImageUnacceptable

Inspector = format_inspector.FileInspector

#: What is only bytes to QEMU.
PLAIN = frozenset({"raw", "gpt", "iso"})

#: A partition table is just what a disk may hold.  A CD is to be declared as one,
#: as Glance and Nova insist.
DISK = frozenset({"raw", "gpt"})

#: Per declared format, what the inspector may call it.
DETECTABLE: dict[str, frozenset[str]] = {
    "raw": DISK,
    "iso": frozenset({"gpt", "iso"}),  # a CD that can be put on a stick has a partition table, too
    "aki": DISK,  # kernels, ramdisks and machine images of EC2
    "ari": DISK,
    "ami": DISK,
    "qcow2": frozenset({"qcow2"}),
    "vmdk": frozenset({"vmdk"}),
    "vdi": frozenset({"vdi"}),
    "vhd": frozenset({"vhd"}),
    "vhdx": frozenset({"vhdx"}),
    "ova": frozenset({"raw"}),  # not a disk, but an archive with some in it
}

HEAD = 64 << 10  # bytes; the headers we look at lie within

#: Nobody's disk is larger, and a header can claim anything.
MAX_VIRTUAL_SIZE = 16 << 40


class Inspection:
    """A look at one image that is declared to be `declared`.

    Raises ImageUnacceptable when that is not a format we know.
    """

    def __init__(self, declared: str, *, max_virtual_size: int = MAX_VIRTUAL_SIZE) -> None:
        if declared not in DETECTABLE:
            raise ImageUnacceptable(
                f"Disk format {declared!r} is not served; use one of {', '.join(DETECTABLE)}"
            )
        self._declared = declared
        self._max_virtual_size = max_virtual_size
        self.virtual_size = 0
        """The disk a guest would see, in bytes; known at the end."""

    def of(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """Pass `chunks` on, and raise ImageUnacceptable at their end if they are not what they
        are declared to be, or not safe.

        The bytes are not to be used before the iterator is exhausted.
        """
        # Not told what to expect: it then looks for every format it knows, and a
        # file that is two things at once shows as such.
        size, head = 0, bytearray()
        stream = format_inspector.InspectWrapper(cast(IO[bytes], iter(chunks)))
        for chunk in stream:
            size += len(chunk)
            head += chunk[: HEAD - len(head)]
            yield chunk
        found = self._detected(stream, bytes(head))
        if found is None:
            self.virtual_size = size
        else:
            self._check(found, bytes(head))

    def _detected(self, stream: format_inspector.InspectWrapper, head: bytes) -> Inspector | None:
        """The inspector of a format that has a structure; None for plain bytes."""
        formats = stream.formats
        assert formats, "after the end of the stream there is at least raw"
        detected = {str(found): found for found in formats}
        if is_descriptor(head):
            detected = {"a vmdk descriptor": formats[0]}
        allowed = DETECTABLE[self._declared]
        is_lacking = self._declared in SIGNED and not SIGNED[self._declared](head)
        if is_lacking or not detected.keys() <= allowed:
            raise ImageUnacceptable(
                f"The image is declared {self._declared} but looks like "
                + " and ".join(sorted(detected))
            )
        return None if allowed <= PLAIN else detected[self._declared]

    def _check(self, found: Inspector, head: bytes) -> None:
        try:
            found.safety_check()
            virtual_size = found.virtual_size
        except format_inspector.SafetyCheckFailed as failed:
            raise _unsafe(", ".join(sorted(failed.failures))) from None
        except (format_inspector.ImageFormatError, struct.error, KeyError):
            raise _unsafe("it is damaged") from None
        for reason, is_so in REFUSED.get(self._declared, {}).items():
            if is_so(head):
                raise _unsafe(reason)
        if not 0 < virtual_size <= self._max_virtual_size:
            raise ImageUnacceptable(
                f"The image claims a disk of {virtual_size} bytes; "
                f"at most {self._max_virtual_size} are allowed"
            )
        self.virtual_size = virtual_size


def is_descriptor(head: bytes) -> bool:
    """Whether QEMU, left to guess, would take this for the text that describes a VMDK.

    The inspector sees such a text only if nothing but text is in its first
    sector; QEMU looks no further than the first line that is not a comment.
    """
    lines = (line.strip() for line in head.splitlines())
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return first.startswith(b"version=")


def _unsafe(why: str) -> ImageUnacceptable:
    return ImageUnacceptable(f"The image is not safe to use: {why}")


def _number(format: str, offset: int, head: bytes) -> int:
    return int(struct.unpack_from(format, head, offset)[0])


#: How to know what is plain bytes to the inspector, but not to us.
SIGNED: dict[str, Callable[[bytes], bool]] = {
    # ECMA-119 and ECMA-167, section 2/9.1
    "iso": lambda head: head[0x8001:0x8006] in (b"CD001", b"NSR02", b"NSR03"),
    "ova": lambda head: head[257:262] == b"ustar",  # POSIX.1-1988, "magic"
}

#: What the inspector does not look at.  Where a header has a place for another
#: file, QEMU may open that; what it would refuse today, it need not tomorrow.
REFUSED: dict[str, dict[str, Callable[[bytes], bool]]] = {
    # crypt_method (qcow2 specification)
    "qcow2": {"it is encrypted": lambda head: _number(">I", 32, head) != 0},
    # QEMU looks for the parent's name in 20 sectors, however long the
    # descriptor says it is; and whatever the parent's id.
    "vmdk": {"it has a parent": lambda head: b"parentfilenamehint" in head.lower()},
    # 1 is dynamic, 2 is static; others are differences to another file
    "vdi": {"it is not a whole disk": lambda head: _number("<I", 0x4C, head) not in (1, 2)},
    # 3 is dynamic, 4 is a difference to another file
    "vhd": {"it is not a whole disk": lambda head: _number(">I", 60, head) != 3},
}
