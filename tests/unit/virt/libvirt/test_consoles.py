"""The console log, bounded, and nothing but the console log; and where the screen is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.virt.driver import Console
from nova_lite.virt.libvirt.consoles import address, tail


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "console.log"


def test_before_the_first_byte_there_is_nothing(log: Path) -> None:
    assert tail(log, 100) == b""


def test_the_end_of_the_log_is_what_counts(log: Path) -> None:
    log.write_bytes(b"first\nlast\n")
    assert tail(log, 100) == b"first\nlast\n"
    assert tail(log, 5) == b"last\n"
    assert tail(log, 0) == b""
    assert tail(log, -1) == b""


def test_a_log_that_was_turned_over_is_read_as_one(log: Path) -> None:
    for suffix, text in ((".2", b"one "), (".1", b"two "), (".0", b"three "), ("", b"four")):
        log.with_name(log.name + suffix).write_bytes(text)
    assert tail(log, 100) == b"one two three four"
    assert tail(log, 9) == b"hree four"
    assert tail(log, 4) == b"four"


def test_a_huge_log_costs_nothing(log: Path) -> None:
    with log.open("wb") as stream:
        stream.truncate(1 << 40)  # sparse: reading it all would take hours
        stream.seek(0, os.SEEK_END)
        stream.write(b"end")
    assert tail(log, 10) == bytes(7) + b"end"


def test_no_link_is_followed(log: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    log.symlink_to(tmp_path / "secret")
    with pytest.raises(HypervisorError, match="cannot be read"):
        tail(log, 100)


def test_neither_pipes_nor_directories_are_read(log: Path) -> None:
    os.mkfifo(log)
    with pytest.raises(HypervisorError, match="not a file"):
        tail(log, 100)
    log.unlink()
    log.mkdir()
    with pytest.raises(HypervisorError):
        tail(log, 100)


def test_a_screen_is_where_the_running_domain_says() -> None:
    def domain(port: str, listen: str = "") -> str:
        where = f'<graphics type="vnc" port="{port}"{listen}/>'
        return f"<domain><devices><graphics type='spice'/>{where}</devices></domain>"

    assert address(domain("5901"), "vnc") == Console("127.0.0.1", 5901)
    assert address(domain("5901", ' listen="192.0.2.1"'), "vnc") == Console("192.0.2.1", 5901)
    for text, kind in ((domain("-1"), "vnc"), (domain("5901"), "spice"), (domain("1"), "serial")):
        with pytest.raises(HypervisorError, match=f"no {kind} console"):
            address(text, kind)
