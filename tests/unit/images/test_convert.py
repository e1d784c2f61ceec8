"""qemu-img may take so much, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nova_lite.domain.errors import ImageUnacceptable
from nova_lite.images import convert
from nova_lite.images.convert import to_raw


def instead_of_qemu_img(path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    program = path / "qemu-img"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path}:{os.environ['PATH']}")


def test_a11_a_compressed_bomb_ends_at_the_size_its_header_claims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "SLACK", 1 << 16)
    plain, source, target = tmp_path / "plain", tmp_path / "source", tmp_path / "target"
    plain.write_bytes(b"\x07" * (8 << 20))
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized"]
        + [str(plain), str(source)],
        check=True,
    )
    assert source.stat().st_size < 1 << 20
    to_raw(source, "vmdk", target, 8 << 20)
    assert target.read_bytes() == plain.read_bytes()
    with pytest.raises(ImageUnacceptable, match="cannot be converted from vmdk"):
        to_raw(source, "vmdk", tmp_path / "other", 1 << 20)
    assert not (tmp_path / "other").exists() or (tmp_path / "other").stat().st_size < 2 << 20


def test_a12_tables_that_burn_the_processor_are_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convert, "CPU_SECONDS", 1)
    instead_of_qemu_img(tmp_path, monkeypatch, "while True: pass")
    with pytest.raises(ImageUnacceptable, match="cannot be converted from vdi: -"):
        to_raw(tmp_path / "source", "vdi", tmp_path / "target", 1)


def test_a12_tables_that_take_all_memory_are_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead_of_qemu_img(tmp_path, monkeypatch, "bytearray(2 << 30)")
    with pytest.raises(ImageUnacceptable, match="MemoryError"):
        to_raw(tmp_path / "source", "vdi", tmp_path / "target", 1)


def test_waiting_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convert, "SECONDS", 0.2)
    instead_of_qemu_img(tmp_path, monkeypatch, "import time; time.sleep(60)")
    with pytest.raises(ImageUnacceptable, match="took too long"):
        to_raw(tmp_path / "source", "vdi", tmp_path / "target", 1)


def test_the_format_is_told_and_where_the_image_lies_is_not(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(1 << 16))
    with pytest.raises(ImageUnacceptable) as refused:
        to_raw(source, "vhdx", tmp_path / "target", 1 << 16)
    assert "the image" in str(refused.value)
    assert str(tmp_path) not in str(refused.value)
