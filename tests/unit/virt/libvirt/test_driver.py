"""The libvirt driver on libvirt's own mock: what it promises beyond the conformance suite."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import libvirt
import pytest

from nova_lite.domain.errors import GuestNotFound, HypervisorError
from nova_lite.domain.specs import Disk, GuestSpec
from nova_lite.domain.states import PowerState
from nova_lite.images.cache import ImageCache
from nova_lite.virt.libvirt.connection import Connection, ConnectionLost
from nova_lite.virt.libvirt.driver import LibvirtDriver, host_memory_mb
from tests.unit.virt.libvirt.errors import libvirt_error

URI = "test:///default"
P = PowerState


@pytest.fixture
def mock() -> Iterator[Any]:
    """The mock itself, which lives as long as a connection to it is open."""
    connection = libvirt.open(URI)
    yield connection
    connection.close()


@pytest.fixture
def driver(mock: Any, tmp_path: Path) -> Iterator[LibvirtDriver]:
    driver = LibvirtDriver(URI, tmp_path, ImageCache(tmp_path / "_base"), "test")
    yield driver
    driver.close()


def spec() -> GuestSpec:
    return GuestSpec(
        uuid4(), "instance-00000001", "web", "p", 1, 64, (Disk("vda", 1), Disk("vdb", 1)), ()
    )


def test_a_guest_of_others_cannot_be_touched(driver: LibvirtDriver, mock: Any) -> None:
    theirs = UUID(mock.lookupByName("test").UUIDString())
    assert theirs not in driver.guests()
    for touch in (
        lambda: driver.power(theirs, P.SHUTDOWN),
        lambda: driver.reset(theirs),
        lambda: driver.console_log(theirs),
        lambda: driver.diagnostics(theirs),
        lambda: driver.set_password(theirs, "root", "x"),
        lambda: driver.interrupt(theirs),
        lambda: driver.snapshot(theirs).__enter__(),
    ):
        with pytest.raises(GuestNotFound):
            touch()
    driver.remove(theirs)
    assert mock.lookupByName("test").isActive()


def test_a_name_that_is_taken_by_others_is_refused(driver: LibvirtDriver, mock: Any) -> None:
    wanted = spec()
    mock.defineXML(
        f"<domain type='test'><name>{wanted.name}</name><memory>1</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    with pytest.raises(HypervisorError, match="already exists"):
        driver.ensure(wanted)


def test_an_ensure_that_was_cut_short_is_completed(driver: LibvirtDriver, tmp_path: Path) -> None:
    wanted = spec()
    directory = tmp_path / str(wanted.id)
    directory.mkdir()
    (directory / "disk.part").write_bytes(b"half")
    driver.ensure(wanted)
    assert sorted(os.listdir(directory)) == ["disk", "disk.vdb"]
    assert wanted.id in driver.guests()


def test_removal_finds_the_files_that_have_no_guest(driver: LibvirtDriver, tmp_path: Path) -> None:
    directory = tmp_path / str(uuid4())
    directory.mkdir()
    (directory / "disk").touch()
    driver.remove(UUID(directory.name))
    assert not directory.exists()


def test_removal_finds_the_guest_that_has_no_files(
    driver: LibvirtDriver, mock: Any, tmp_path: Path
) -> None:
    wanted = spec()
    driver.ensure(wanted)
    driver.power(wanted.id, P.RUNNING)
    for file in (tmp_path / str(wanted.id)).iterdir():
        file.unlink()
    (tmp_path / str(wanted.id)).rmdir()
    driver.remove(wanted.id)
    assert [domain.name() for domain in mock.listAllDomains()] == ["test"]


def test_the_serial_port_is_what_the_console_log_shows(
    driver: LibvirtDriver, tmp_path: Path
) -> None:
    wanted = spec()
    driver.ensure(wanted)
    (tmp_path / str(wanted.id) / "console.log").write_bytes(b"login: ")
    assert driver.console_log(wanted.id) == b"login: "
    assert driver.console_log(wanted.id, 3) == b"n: "


def test_disks_are_thrown_away_only_when_they_are_of_an_older_generation(
    driver: LibvirtDriver, tmp_path: Path
) -> None:
    wanted = spec()
    disk = tmp_path / str(wanted.id) / "disk"
    seen: list[bytes] = []
    for number, generation in enumerate((1, 1, 0, 1, 2, 2)):
        driver.ensure(replace(wanted, disk_generation=generation))
        read = subprocess.check_output(["qemu-io", "-f", "qcow2", "-c", "read -v 0 1", str(disk)])
        seen.append(read.split()[1])
        write = f"write -q -P {number + 1} 0 512"
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", write, str(disk)], check=True)
    assert seen == [b"00", b"01", b"02", b"03", b"00", b"05"]


def test_a_worker_that_begins_finds_no_scratch(driver: LibvirtDriver, tmp_path: Path) -> None:
    driver.clean()
    wanted = spec()
    driver.ensure(wanted)
    (tmp_path / str(wanted.id) / "snapshot").mkdir()
    driver.clean()
    assert sorted(os.listdir(tmp_path / str(wanted.id))) == ["disk", "disk.vdb"]


class Deaf:
    """A guest of ours whose agent does not do what it is told."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.timeout: int | None = None

    def XMLDesc(self, _: int) -> str:
        return (
            '<domain><metadata><nova:guest xmlns:nova="https://nova-lite.org/xmlns/libvirt/1"/>'
            "</metadata></domain>"
        )

    def agentSetResponseTimeout(self, seconds: int) -> None:
        self.timeout = seconds

    def setUserPassword(self, user: str, password: str) -> None:
        assert self.timeout and 0 < self.timeout < 60, "it could keep us waiting for ever"
        raise libvirt_error(self.code, "QEMU guest agent is not connected")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, "has no guest agent that answers"),
        (libvirt.VIR_ERR_INTERNAL_ERROR, "QEMU guest agent is not connected"),
    ],
)
def test_without_an_agent_no_password_is_set(
    remote: LibvirtDriver, monkeypatch: pytest.MonkeyPatch, code: int, why: str
) -> None:
    monkeypatch.setattr(Wire, "lookupByUUIDString", lambda *_: Deaf(code))
    with pytest.raises(HypervisorError, match=why) as refused:
        remote.set_password(uuid4(), "root", "secret")
    assert "secret" not in str(refused.value)


def test_the_hosts_memory_is_what_the_kernel_says(tmp_path: Path) -> None:
    assert host_memory_mb() == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    (tmp_path / "meminfo").write_text("MemFree: 1 kB\n")
    with pytest.raises(HypervisorError, match="does not tell"):
        host_memory_mb(tmp_path / "meminfo")


def test_the_mock_is_described_as_what_it_is(driver: LibvirtDriver) -> None:
    capacity = driver.capacity()
    assert capacity.hypervisor_type == "TEST"
    assert capacity.cpu_info["arch"] == "i686"


class Wire:
    """A connection to libvirtd: it works until it is cut."""

    def __init__(self) -> None:
        self.alive = True
        self.closed = False

    def isAlive(self) -> bool:
        return self.alive

    def setKeepAlive(self, interval: int, count: int) -> None:
        assert interval * count <= 60

    def getAllDomainStats(self, *_: int) -> list[tuple[Any, Any]]:
        if not self.alive:
            raise libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR, "client socket is closed")
        return []

    def lookupByUUIDString(self, _: str) -> Any:
        raise libvirt_error(libvirt.VIR_ERR_NO_DOMAIN, "no domain")

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def wires(monkeypatch: pytest.MonkeyPatch) -> list[Wire]:
    opened: list[Wire] = []

    def open(_: str) -> Wire:
        opened.append(Wire())
        return opened[-1]

    monkeypatch.setattr(libvirt, "open", open)
    return opened


@pytest.fixture
def remote(wires: list[Wire], tmp_path: Path) -> LibvirtDriver:
    return LibvirtDriver("qemu:///system", tmp_path, ImageCache(tmp_path / "_base"))


def test_one_connection_serves_all_calls_until_it_is_closed(
    remote: LibvirtDriver, wires: list[Wire]
) -> None:
    remote.close()
    assert remote.guests() == remote.guests() == {}
    assert len(wires) == 1
    remote.close()
    assert wires[0].closed
    assert remote.guests() == {}
    assert len(wires) == 2


def test_a_restart_of_libvirtd_is_not_noticed(remote: LibvirtDriver, wires: list[Wire]) -> None:
    remote.guests()
    wires[0].alive = False
    assert remote.guests() == {}
    assert len(wires) == 2


def test_a_libvirtd_that_stays_away_is_an_error_and_tried_again_later(
    remote: LibvirtDriver, wires: list[Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    remote.guests()
    wires[0].alive = False
    working = libvirt.open

    def refuse(_: str) -> Wire:
        raise libvirt_error(libvirt.VIR_ERR_SYSTEM_ERROR, "Failed to connect socket")

    monkeypatch.setattr(libvirt, "open", refuse)
    for _ in "twice":
        with pytest.raises(HypervisorError, match="Failed to connect socket"):
            remote.guests()
    monkeypatch.setattr(libvirt, "open", working)
    assert remote.guests() == {}


def test_work_that_kills_every_connection_is_given_up(wires: list[Wire]) -> None:
    connection = Connection("qemu:///system")

    def deadly(live: Any) -> None:
        live.alive = False
        live.getAllDomainStats()

    with pytest.raises(ConnectionLost):
        connection.run(deadly)
    assert len(wires) == 2


def test_two_threads_that_lose_one_connection_make_one_new_one(wires: list[Wire]) -> None:
    connection = Connection("qemu:///system")
    seen: list[Wire] = []

    def lose(live: Any) -> None:
        seen.append(live)
        if len(seen) == 1:
            live.alive = False
            # Meanwhile another thread notices the same, and is faster.
            connection.run(lambda other: other.getAllDomainStats())
            live.getAllDomainStats()

    connection.run(lose)
    assert len(wires) == 2 and seen == wires


def test_a_wire_that_cannot_be_kept_alive_is_an_error(
    wires: list[Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR, "no event loop")

    monkeypatch.setattr(Wire, "setKeepAlive", fail)
    with pytest.raises(HypervisorError, match="no event loop"):
        Connection("qemu:///system").run(lambda _: None)


def test_a_guest_that_vanishes_is_not_found(remote: LibvirtDriver) -> None:
    with pytest.raises(GuestNotFound):
        remote.power(uuid4(), P.RUNNING)


class Vanishing:
    """A domain that is removed between two looks at it, or breaks."""

    def __init__(self, code: int) -> None:
        self.code = code

    def XMLDesc(self, _: int) -> str:
        raise libvirt_error(self.code, "cannot tell")


def test_a_guest_that_goes_away_while_all_are_listed_is_left_out(
    remote: LibvirtDriver, wires: list[Wire], monkeypatch: pytest.MonkeyPatch
) -> None:
    def listing(code: int) -> Any:
        return lambda *_: [(Vanishing(code), {"state.state": 1, "state.reason": 0})]

    monkeypatch.setattr(Wire, "getAllDomainStats", listing(libvirt.VIR_ERR_NO_DOMAIN))
    assert remote.guests() == {}
    monkeypatch.setattr(Wire, "getAllDomainStats", listing(libvirt.VIR_ERR_INTERNAL_ERROR))
    with pytest.raises(HypervisorError, match="cannot tell"):
        remote.guests()
