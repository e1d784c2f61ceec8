"""Images are what they claim to be, or they are refused."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from nova_lite.domain.errors import ImageUnacceptable
from nova_lite.images.inspection import inspected


def image(path: Path, disk_format: str, *arguments: str, size: str = "1M") -> bytes:
    file = path / "image"
    command = ["qemu-img", "create", "-q", "-f", disk_format, *arguments, str(file), size]
    subprocess.run(command, check=True)
    return file.read_bytes()


def inspect(content: bytes, declared: str, **limits: int) -> bytes:
    chunks = (content[i : i + 1000] for i in range(0, len(content), 1000))
    return b"".join(inspected(chunks, declared, **limits))


def with_boot_signature(content: bytes) -> bytes:
    return content[:510] + b"\x55\xaa" + content[512:]


def test_good_images_pass_unchanged(tmp_path: Path) -> None:
    qcow2 = image(tmp_path, "qcow2")
    assert inspect(qcow2, "qcow2") == qcow2
    raw = b"\x01" * 100_000
    assert inspect(raw, "raw") == raw
    assert inspect(with_boot_signature(bytes(100_000)), "raw")


@pytest.mark.parametrize("actual", ["qcow2", "vmdk", "vdi", "vpc", "vhdx", "qed"])
def test_no_container_passes_as_raw(tmp_path: Path, actual: str) -> None:
    with pytest.raises(ImageUnacceptable, match="declared raw but looks like"):
        inspect(image(tmp_path, actual), "raw")


def test_raw_bytes_do_not_pass_as_qcow2() -> None:
    with pytest.raises(ImageUnacceptable, match="declared qcow2 but looks like raw"):
        inspect(bytes(100_000), "qcow2")


def test_what_is_two_things_at_once_is_neither(tmp_path: Path) -> None:
    both = with_boot_signature(image(tmp_path, "qcow2"))
    for declared in ("qcow2", "raw"):
        with pytest.raises(ImageUnacceptable, match="looks like gpt and qcow2"):
            inspect(both, declared)


def test_a_backing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(1 << 20))
    content = image(tmp_path, "qcow2", "-b", str(tmp_path / "secret"), "-F", "raw")
    with pytest.raises(ImageUnacceptable, match="backing_file"):
        inspect(content, "qcow2")


def test_an_external_data_file_is_refused(tmp_path: Path) -> None:
    content = image(tmp_path, "qcow2", "-o", f"data_file={tmp_path}/data")
    with pytest.raises(ImageUnacceptable, match="data_file"):
        inspect(content, "qcow2")


def test_an_absurd_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageUnacceptable, match="1125899906842624 bytes"):
        inspect(image(tmp_path, "qcow2", size="1024T"), "qcow2")
    with pytest.raises(ImageUnacceptable, match="at most 1048575 are allowed"):
        inspect(image(tmp_path, "qcow2"), "qcow2", max_virtual_size=(1 << 20) - 1)
    nothing = bytearray(image(tmp_path, "qcow2"))
    struct.pack_into(">Q", nothing, 24, 0)
    with pytest.raises(ImageUnacceptable, match="a disk of 0 bytes"):
        inspect(bytes(nothing), "qcow2")


def test_only_formats_we_serve_are_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ImageUnacceptable, match="'vmdk' is not served; use qcow2 or raw"):
        inspect(image(tmp_path, "vmdk"), "vmdk")
