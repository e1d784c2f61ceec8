"""Images are what they claim to be, or they are refused."""

from __future__ import annotations

import struct
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_lite.domain.errors import ImageUnacceptable
from nova_lite.images.inspection import DETECTABLE, Inspection

MIB = 1 << 20
#: What qemu-img calls the formats that have a structure, and how to make a good one of it.
MAKE = {
    "qcow2": ("qcow2",),
    "vmdk": ("vmdk", "-o", "subformat=monolithicSparse"),
    "vdi": ("vdi",),
    "vhd": ("vpc", "-o", "force_size=on"),
    "vhdx": ("vhdx",),
}


def image(path: Path, disk_format: str, *arguments: str, size: str = "1M") -> bytes:
    file = path / "image"
    command = ["qemu-img", "create", "-q", "-f", disk_format, *arguments, str(file), size]
    subprocess.run(command, check=True)
    return file.read_bytes()


def inspect(content: bytes, declared: str, **limits: int) -> Inspection:
    inspection = Inspection(declared, **limits)
    chunks = (content[i : i + 1000] for i in range(0, len(content), 1000))
    assert b"".join(inspection.of(chunks)) == content, "it passes unchanged"
    return inspection


def refused(content: bytes, declared: str, why: str, **limits: int) -> None:
    with pytest.raises(ImageUnacceptable, match=why):
        inspect(content, declared, **limits)


def with_boot_signature(content: bytes) -> bytes:
    return content[:510] + b"\x55\xaa" + content[512:]


def with_number(content: bytes, format: str, offset: int, number: int) -> bytes:
    changed = bytearray(content)
    struct.pack_into(format, changed, offset, number)
    return bytes(changed)


def cd(signature: bytes = b"CD001") -> bytes:
    return bytes(0x8001) + signature + bytes(4096)


def archive() -> bytes:
    return b"disk.ovf".ljust(257, b"\0") + b"ustar".ljust(10_000, b"\0")


# --- good ones --------------------------------------------------------------------------------


@pytest.mark.parametrize("declared", MAKE)
def test_the_size_of_the_disk_is_the_headers(tmp_path: Path, declared: str) -> None:
    content = image(tmp_path, *MAKE[declared], size="64M")
    assert inspect(content, declared).virtual_size == 64 * MIB


@pytest.mark.parametrize("declared", ["raw", "aki", "ari", "ami"])
def test_plain_bytes_may_be_anything_that_is_no_container(declared: str) -> None:
    for content in (b"\x01" * 100_000, with_boot_signature(bytes(100_000)), b"x", b""):
        assert inspect(content, declared).virtual_size == len(content)


@pytest.mark.parametrize("declared", ["raw", "aki", "ari", "ami"])
def test_a_cd_is_to_be_declared_as_one(declared: str) -> None:
    refused(cd(), declared, f"declared {declared} but looks like iso")


def test_a_cd_is_known_by_its_signature() -> None:
    for signature in (b"CD001", b"NSR02", b"NSR03"):
        content = cd(signature)
        assert inspect(content, "iso").virtual_size == len(content)
        assert inspect(with_boot_signature(content), "iso").virtual_size == len(content)
    refused(bytes(100_000), "iso", "declared iso but looks like raw")
    refused(with_boot_signature(bytes(100_000)), "iso", "declared iso but looks like gpt")


def test_an_archive_is_known_by_its_signature() -> None:
    assert inspect(archive(), "ova").virtual_size == len(archive())
    refused(bytes(10_000), "ova", "declared ova but looks like raw")


def test_memory_does_not_grow_with_the_image() -> None:
    chunk = b"\x01" * MIB
    inspection = Inspection("raw")

    def many() -> Iterator[bytes]:
        for _ in range(64):
            yield chunk

    tracemalloc.start()
    for _ in inspection.of(many()):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert inspection.virtual_size == 64 * MIB
    assert peak < 8 * MIB


# --- not what they are declared to be ---------------------------------------------------------


@pytest.mark.parametrize("actual", ["qcow2", "vmdk", "vdi", "vpc", "vhdx", "qed"])
def test_no_container_passes_as_another(tmp_path: Path, actual: str) -> None:
    content = image(tmp_path, actual)
    for declared in DETECTABLE.keys() - {"vhd" if actual == "vpc" else actual}:
        refused(content, declared, f"declared {declared} but looks like")


@pytest.mark.parametrize("declared", MAKE)
def test_plain_bytes_do_not_pass_as_a_container(declared: str) -> None:
    refused(bytes(100_000), declared, f"declared {declared} but looks like raw")


@pytest.mark.parametrize("declared", MAKE)
def test_what_is_two_things_at_once_is_neither(tmp_path: Path, declared: str) -> None:
    both = with_boot_signature(image(tmp_path, *MAKE[declared]).ljust(100_000, b"\0"))
    refused(both, declared, "looks like gpt and")
    refused(both, "raw", "looks like gpt and")


def test_only_formats_we_serve_are_looked_at() -> None:
    with pytest.raises(ImageUnacceptable, match="'qed' is not served; use one of raw, iso"):
        Inspection("qed")


# --- not safe ---------------------------------------------------------------------------------


def test_a_backing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(MIB))
    content = image(tmp_path, "qcow2", "-b", str(tmp_path / "secret"), "-F", "raw")
    refused(content, "qcow2", "backing_file")


def test_an_external_data_file_is_refused(tmp_path: Path) -> None:
    content = image(tmp_path, "qcow2", "-o", f"data_file={tmp_path}/data")
    refused(content, "qcow2", "data_file")


def test_an_encrypted_disk_is_refused(tmp_path: Path) -> None:
    refused(with_number(image(tmp_path, "qcow2"), ">I", 32, 2), "qcow2", "encrypted")


def test_a_vmdk_with_a_parent_is_refused(tmp_path: Path) -> None:
    base = tmp_path / "base"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", str(base), "1M"], check=True)
    content = image(tmp_path, "vmdk", "-b", str(base), "-F", "vmdk", "-u")
    assert b"parentFileNameHint" in content
    refused(content, "vmdk", "it has a parent")
    # The header may say that the descriptor is shorter than what QEMU reads of it.
    whole = bytearray(image(tmp_path, *MAKE["vmdk"]))
    end = whole.index(b"\0", 0x200)
    short = -(-(end - 0x200) // 512)
    hidden = with_number(bytes(whole), "<Q", 36, short)
    place = 0x200 + short * 512
    hint = b' parentFileNameHint="/etc/passwd"\n'
    filled = hidden[:end] + b" " * (place - end) + hint + hidden[place + len(hint) :]
    refused(filled, "vmdk", "not safe")


def test_a_vmdk_in_several_files_is_refused(tmp_path: Path) -> None:
    for subformat in ("monolithicFlat", "twoGbMaxExtentSparse", "twoGbMaxExtentFlat"):
        content = image(tmp_path, "vmdk", "-o", f"subformat={subformat}")
        for declared in ("vmdk", "raw"):
            refused(content, declared, "looks like")
    sparse = bytearray(image(tmp_path, *MAKE["vmdk"]))
    place = sparse.index(b"monolithicSparse")
    sparse[place : place + 16] = b'monolithicFlat"\n'
    refused(bytes(sparse), "vmdk", "descriptor")
    there = sparse.index(b"SPARSE")
    sparse[place : place + 16] = b"monolithicSparse"
    sparse[there + 8 : there + 13] = b"/etc/"
    refused(bytes(sparse), "vmdk", "descriptor")


def test_a_difference_to_another_disk_is_refused(tmp_path: Path) -> None:
    vdi = image(tmp_path, "vdi")
    for kind in (0, 3, 4):
        refused(with_number(vdi, "<I", 0x4C, kind), "vdi", "not a whole disk")
    vhd = image(tmp_path, "vpc")
    for kind in (0, 2, 4):
        refused(with_number(vhd, ">I", 60, kind), "vhd", "not a whole disk")


#: Where a format keeps the size of its disk: how it is written, where, and in which unit.
SIZE = {
    "qcow2": (">Q", 24, 1),
    "vmdk": ("<Q", 12, 512),
    "vdi": ("<Q", 0x170, 1),
    "vhd": (">Q", 40, 1),
}


@pytest.mark.parametrize("declared", SIZE)
def test_an_absurd_size_is_refused(tmp_path: Path, declared: str) -> None:
    content = image(tmp_path, *MAKE[declared])
    format, offset, unit = SIZE[declared]
    huge = with_number(content, format, offset, (1 << 50) // unit)
    refused(huge, declared, "claims a disk of 1125899906842624 bytes")
    refused(with_number(content, format, offset, 0), declared, "a disk of 0 bytes")
    refused(content, declared, "at most 1048575 are allowed", max_virtual_size=MIB - 1)


@pytest.mark.parametrize("declared", MAKE)
@pytest.mark.parametrize("length", [600, 70_000, 200_000, 300_000])
def test_half_a_header_is_refused(tmp_path: Path, declared: str, length: int) -> None:
    """Or the disk is still described in whole: what its blocks hold is the guest's affair."""
    content = image(tmp_path, *MAKE[declared])
    try:
        inspection = inspect(content[:length], declared)
    except ImageUnacceptable:
        return
    assert inspection.virtual_size == MIB


def test_a_size_of_the_wrong_size_is_damage(tmp_path: Path) -> None:
    content = bytearray(image(tmp_path, *MAKE["vhdx"]))
    item = content.index(bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8"))  # virtual disk size
    struct.pack_into("<I", content, item + 20, 4)
    refused(bytes(content), "vhdx", "damaged")
