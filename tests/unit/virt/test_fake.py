"""The fake hypervisor: what it promises beyond the conformance suite."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Capacity, GuestSpec
from nova_lite.domain.states import PowerState
from nova_lite.virt.fake import FakeDriver, Machine

P = PowerState
SMALL = Capacity(vcpus=2, memory_mb=1000, disk_gb=10)


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
    return Machine(SMALL, tmp_path / "guests" if request.param == "directory" else None)


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
    guest = spec()
    driver.ensure(guest)
    verbs: dict[str, Callable[[], object]] = {
        "capacity": driver.capacity,
        "guests": driver.guests,
        "ensure": lambda: driver.ensure(guest),
        "power": lambda: driver.power(guest.id, P.RUNNING),
        "reset": lambda: driver.reset(guest.id),
        "console_log": lambda: driver.console_log(guest.id),
        "remove": lambda: driver.remove(guest.id),
    }
    for verb, call in verbs.items():
        machine.broken[verb] = HypervisorError(f"{verb} is broken")
        with pytest.raises(HypervisorError, match=f"{verb} is broken"):
            call()
        call()


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
