"""The fake hypervisor: what it promises beyond the conformance suite."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import HypervisorError, ImageUnacceptable
from nova_lite.domain.specs import ABILITIES, Capacity, Disk, GuestSpec, ImageSource
from nova_lite.domain.states import PowerState
from nova_lite.virt.fake import FakeDriver, Machine

P = PowerState
SMALL = Capacity(vcpus=2, memory_mb=1000, disk_gb=10)
ABLE = replace(SMALL, abilities=ABILITIES)


def spec(memory_mb: int = 400) -> GuestSpec:
    return GuestSpec(
        id=uuid4(),
        name="instance-00000001",
        display_name="web",
        project_id="p",
        vcpus=1,
        memory_mb=memory_mb,
        disks=(),
        nics=(),
        sequence=5,
    )


def running(driver: FakeDriver, memory_mb: int = 400) -> UUID:
    guest = spec(memory_mb)
    driver.ensure(guest)
    driver.power(guest.id, P.RUNNING)
    return guest.id


@pytest.fixture(params=["memory", "directory"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(ABLE, tmp_path / "guests" if request.param == "directory" else None)


def test_guests_that_run_take_memory_and_others_do_not(machine: Machine) -> None:
    driver = FakeDriver(machine)
    first, _ = running(driver), running(driver)
    third = spec()
    driver.ensure(third)
    with pytest.raises(HypervisorError, match="Cannot allocate 400 MiB"):
        driver.power(third.id, P.RUNNING)
    assert driver.guests()[third.id].power_state == P.SHUTDOWN

    driver.power(first, P.PAUSED)
    with pytest.raises(HypervisorError):
        driver.reset(third.id)
    driver.remove(first)
    driver.power(third.id, P.RUNNING)


def test_a_guest_larger_than_the_machine_is_refused_at_once(machine: Machine) -> None:
    driver = FakeDriver(machine)
    with pytest.raises(HypervisorError):
        driver.ensure(spec(memory_mb=1001))
    assert not driver.guests()


def test_memory_comes_back_when_guests_go_down(machine: Machine) -> None:
    driver = FakeDriver(machine)
    crashing, stopping = running(driver, 500), running(driver, 500)
    machine.crash_guest(crashing)
    driver.power(stopping, P.SHUTDOWN)
    assert driver.guests()[crashing].power_state == P.CRASHED
    running(driver, 1000)


def test_a_power_failure_stops_all_that_ran(machine: Machine) -> None:
    driver = FakeDriver(machine)
    up, paused, crashed = running(driver, 100), running(driver, 100), running(driver, 100)
    driver.power(paused, P.PAUSED)
    machine.crash_guest(crashed)
    machine.lose_power()
    states = {id: guest.power_state for id, guest in driver.guests().items()}
    assert states == {up: P.SHUTDOWN, paused: P.SHUTDOWN, crashed: P.CRASHED}
    running(driver, 1000)


def test_each_verb_can_be_broken_once(machine: Machine) -> None:
    driver = FakeDriver(machine)
    machine.peers = {"b": Machine()}
    guest = spec()
    driver.ensure(guest)
    FakeDriver(machine.peers["b"]).ensure(guest)
    verbs: dict[str, Callable[[], object]] = {
        "capacity": driver.capacity,
        "guests": driver.guests,
        "ensure": lambda: driver.ensure(guest),
        "power": lambda: driver.power(guest.id, P.RUNNING),
        "reset": lambda: driver.reset(guest.id),
        "console_log": lambda: driver.console_log(guest.id),
        "plug": lambda: driver.plug(guest),
        "snapshot": lambda: snapshot(driver, guest.id),
        "diagnostics": lambda: driver.diagnostics(guest.id),
        "set_password": lambda: driver.set_password(guest.id, "root", "x"),
        "interrupt": lambda: driver.interrupt(guest.id),
        # Those go last who leave nothing behind.
        "migrate": lambda: driver.migrate(guest.id, "b"),
        "remove": lambda: driver.remove(guest.id),
    }
    for verb, call in verbs.items():
        machine.broken[verb] = HypervisorError(f"{verb} is broken")
        with pytest.raises(HypervisorError, match=f"{verb} is broken"):
            call()
        call()
    assert guest.id in machine.peers["b"].guests


def snapshot(driver: FakeDriver, guest: UUID) -> bytes:
    with driver.snapshot(guest) as copy:
        return copy.path.read_bytes()


def test_a_snapshot_tells_whose_disk_it_is_in_whole_sectors(machine: Machine) -> None:
    driver = FakeDriver(machine)
    guest = running(driver)
    content = snapshot(driver, guest)
    assert str(guest).encode() in content and len(content) % 512 == 0
    assert snapshot(driver, guest) == content
    assert snapshot(driver, running(driver)) != content


def test_a_suspended_guest_goes_on_without_booting_and_needs_no_memory(machine: Machine) -> None:
    driver = FakeDriver(machine)
    guest = running(driver, 1000)
    driver.power(guest, P.SUSPENDED)
    other = running(driver, 1000)
    with pytest.raises(HypervisorError, match="Cannot allocate"):
        driver.power(guest, P.RUNNING)
    driver.remove(other)
    machine.lose_power()
    driver.power(guest, P.RUNNING)
    assert machine.guests[guest].boots == 1
    driver.power(guest, P.SUSPENDED)
    driver.reset(guest)
    assert machine.guests[guest].boots == 2


def test_disks_are_made_once_and_of_the_image_they_were_made_of(machine: Machine) -> None:
    def image(number: int) -> ImageSource:
        return ImageSource(UUID(int=number), "http://x/", "raw", 1, "")

    driver = FakeDriver(machine)
    guest = replace(spec(), disks=(Disk("vda", 1, image(1)), Disk("vdb", 1)), disk_generation=3)
    driver.ensure(guest)
    first = (f"vda {UUID(int=1)}", "vdb")
    assert machine.guests[guest.id].disks == first
    other = replace(guest, disks=(Disk("vda", 1, image(2)), Disk("vdb", 1)), disk_generation=2)
    for same in (other, replace(other, disk_generation=3)):
        driver.ensure(same)
        assert machine.guests[guest.id].disks == first
    driver.ensure(replace(other, disk_generation=4))
    assert machine.guests[guest.id].disks == (f"vda {UUID(int=2)}", "vdb")


def test_what_was_said_to_a_guest_is_there_to_be_looked_at(machine: Machine) -> None:
    driver = FakeDriver(machine)
    guest = running(driver)
    driver.set_password(guest, "root", "x")
    driver.interrupt(guest)
    assert (machine.guests[guest].password, machine.guests[guest].interrupts) == ("root:x", 1)


def test_a_guest_migrates_once_however_often_it_is_told(machine: Machine) -> None:
    here, there = FakeDriver(machine), FakeDriver(Machine())
    machine.peers = {"here": machine, "there": there.machine}
    guest = spec()
    here.ensure(guest)
    with pytest.raises(HypervisorError, match="is shutdown"):
        here.migrate(guest.id, "there")
    here.power(guest.id, P.RUNNING)
    with pytest.raises(HypervisorError, match="Nothing is prepared"):
        here.migrate(guest.id, "there")
    there.ensure(replace(guest, sequence=6))
    for _ in "twice":
        here.migrate(guest.id, "there")
        assert guest.id not in here.guests()
        found = there.guests()[guest.id]
        assert (found.power_state, found.sequence) == (P.RUNNING, 6)
    assert there.console_log(guest.id).count(b"Linux version") == 1, "it did not boot again"
    running(here, 1000)


def test_a_machine_of_few_abilities_keeps_its_guests() -> None:
    driver = FakeDriver(Machine(SMALL))
    guest = running(driver)
    with pytest.raises(HypervisorError, match="cannot be moved"):
        driver.migrate(guest, "there")


def test_each_boot_leaves_its_text_on_the_console(machine: Machine) -> None:
    driver = FakeDriver(machine)
    guest = running(driver)
    once = driver.console_log(guest)
    assert b"Linux version" in once and once.endswith(b"instance-00000001 login: \n")
    driver.power(guest, P.PAUSED)
    driver.power(guest, P.RUNNING)
    assert driver.console_log(guest) == once, "waking up is no boot"
    driver.reset(guest)
    assert driver.console_log(guest) == once * 2
    assert driver.console_log(guest, 7) == b"login: \n"[-7:]
    assert driver.console_log(guest, 0) == b""


def test_a_killed_process_finds_its_guests_again(tmp_path: Path) -> None:
    driver = FakeDriver(Machine(SMALL, tmp_path))
    up, gone = running(driver, 600), running(driver, 100)
    driver.remove(gone)
    (tmp_path / f"{uuid4()}.json.part").write_text('{"half')

    again = FakeDriver(Machine(SMALL, tmp_path))
    assert again.guests() == driver.guests()
    assert again.guests()[up].sequence == 5
    assert again.console_log(up) == driver.console_log(up)
    with pytest.raises(HypervisorError):
        running(again, 600)


def test_a_guests_file_can_be_read_by_anybody(tmp_path: Path) -> None:
    guest = running(FakeDriver(Machine(directory=tmp_path)))
    kept = json.loads((tmp_path / f"{guest}.json").read_text())
    assert (kept["id"], kept["power_state"], kept["memory_mb"]) == (str(guest), "running", 400)


def test_an_image_that_it_would_not_touch_becomes_no_disk(machine: Machine) -> None:
    good, bad = (ImageSource(uuid4(), "http://api/image", "raw", 1, "") for _ in range(2))

    def look(image: ImageSource) -> None:
        if image is bad:
            raise ImageUnacceptable("The image is declared raw but looks like qcow2")

    driver = FakeDriver(machine, look)
    guest = replace(spec(), disks=(Disk("vda", 1, bad),))
    with pytest.raises(ImageUnacceptable, match="looks like qcow2"):
        driver.ensure(guest)
    with pytest.raises(ImageUnacceptable, match="looks like qcow2"):
        driver.fetch(bad)
    assert (driver.guests(), machine.images) == ({}, set())
    driver.ensure(replace(guest, disks=(Disk("vda", 1, good),)))
    driver.fetch(good)
    assert machine.images == {good.id}
