"""What every hypervisor driver promises, as tests that any driver can be put to.

A driver's own tests subclass VirtDriverConformance and say how to connect:

    class TestMyDriver(VirtDriverConformance):
        @pytest.fixture
        def connect(self) -> Connect:
            return lambda: MyDriver("my://hypervisor")

Guests of others may be on the machine; they are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import GuestNotFound, HypervisorError
from nova_lite.domain.specs import Disk, Guest, GuestSpec
from nova_lite.domain.states import PowerState
from nova_lite.virt.driver import VirtDriver

Connect = Callable[[], VirtDriver]
P = PowerState

#: Every change of power that can be asked for: where from, and where to.
TRANSITIONS = (
    (P.SHUTDOWN, P.SHUTDOWN),
    (P.SHUTDOWN, P.RUNNING),
    (P.RUNNING, P.RUNNING),
    (P.RUNNING, P.PAUSED),
    (P.RUNNING, P.SHUTDOWN),
    (P.PAUSED, P.RUNNING),
    (P.PAUSED, P.PAUSED),
    (P.PAUSED, P.SHUTDOWN),
)
#: How a new guest gets to each state.
WAYS = {P.SHUTDOWN: (), P.RUNNING: (P.RUNNING,), P.PAUSED: (P.RUNNING, P.PAUSED)}


class VirtDriverConformance:
    """Subclass it, override `connect`, and `spec` where a smaller or larger guest is wanted."""

    @pytest.fixture
    def connect(self) -> Connect:
        """Makes a driver; each call a new one, all on the same machine."""
        raise NotImplementedError

    @pytest.fixture
    def driver(self, connect: Connect) -> Iterator[VirtDriver]:
        yield connect()
        cleaner = connect()
        for guest in cleaner.guests():
            cleaner.remove(guest)

    def spec(self, **changes: Any) -> GuestSpec:
        id = uuid4()
        spec = GuestSpec(
            id=id,
            name=f"instance-{id.hex[:8]}",
            display_name="web server",
            project_id=uuid4().hex,
            vcpus=1,
            memory_mb=64,
            disks=(Disk("vda", 1),),
            nics=(),
            sequence=1,
        )
        return replace(spec, **changes)

    def guest(self, driver: VirtDriver, state: PowerState = P.SHUTDOWN) -> UUID:
        """A new guest in `state`."""
        spec = self.spec()
        driver.ensure(spec)
        for target in WAYS[state]:
            driver.power(spec.id, target)
        return spec.id

    # Existence

    def test_a_new_guest_is_listed_as_described_and_off(self, driver: VirtDriver) -> None:
        spec = self.spec(vcpus=2, memory_mb=96, sequence=7)
        assert spec.id not in driver.guests()
        driver.ensure(spec)
        assert driver.guests()[spec.id] == Guest(
            spec.id, P.SHUTDOWN, vcpus=2, memory_mb=96, sequence=7
        )

    def test_describing_a_guest_twice_makes_it_once(self, driver: VirtDriver) -> None:
        spec = self.spec()
        others = set(driver.guests())
        driver.ensure(spec)
        driver.ensure(spec)
        assert set(driver.guests()) == others | {spec.id}

    @pytest.mark.parametrize("state", WAYS)
    def test_a_new_description_keeps_the_power_state(
        self, driver: VirtDriver, state: PowerState
    ) -> None:
        spec = self.spec(sequence=1)
        driver.ensure(spec)
        for target in WAYS[state]:
            driver.power(spec.id, target)
        driver.ensure(replace(spec, display_name="renamed", memory_mb=80, sequence=2))
        assert driver.guests()[spec.id] == Guest(spec.id, state, 1, memory_mb=80, sequence=2)

    def test_names_are_only_names(self, driver: VirtDriver) -> None:
        names = ("</name><vcpu>9</vcpu>", "a&b<!--", "]]>", "\x00\x1b[2J\n", "\ud800", "\U0001f4a9")
        for name in names:
            spec = self.spec(display_name=name, project_id=name)
            driver.ensure(spec)
            assert driver.guests()[spec.id] == Guest(spec.id, P.SHUTDOWN, 1, 64, sequence=1)

    def test_guests_outlive_the_driver(self, driver: VirtDriver, connect: Connect) -> None:
        running, stopped = self.guest(driver, P.RUNNING), self.guest(driver)
        another = connect()
        assert another.guests() == driver.guests()
        another.power(running, P.SHUTDOWN)
        another.remove(stopped)
        third = connect()
        assert third.guests()[running].power_state == P.SHUTDOWN
        assert stopped not in third.guests()

    def test_different_guests_can_be_worked_on_at_once(self, driver: VirtDriver) -> None:
        def live(_: int) -> UUID:
            guest = self.guest(driver, P.RUNNING)
            driver.power(guest, P.SHUTDOWN)
            driver.reset(guest)
            assert driver.guests()[guest].power_state == P.RUNNING
            return guest

        with ThreadPoolExecutor(4) as threads:
            guests = set(threads.map(live, range(4)))
            assert guests <= driver.guests().keys()
            list(threads.map(driver.remove, guests))
        assert not guests & driver.guests().keys()

    # Power

    @pytest.mark.parametrize(("start", "target"), TRANSITIONS)
    def test_power_is_brought_to_where_it_should_be(
        self, driver: VirtDriver, start: PowerState, target: PowerState
    ) -> None:
        guest = self.guest(driver, start)
        for _ in "twice":
            driver.power(guest, target)
            assert driver.guests()[guest].power_state == target

    def test_a_guest_that_is_off_cannot_pause(self, driver: VirtDriver) -> None:
        guest = self.guest(driver)
        with pytest.raises(HypervisorError):
            driver.power(guest, P.PAUSED)
        assert driver.guests()[guest].power_state == P.SHUTDOWN

    @pytest.mark.parametrize("target", [P.CRASHED, P.NOSTATE])
    def test_nobody_can_order_what_only_happens(
        self, driver: VirtDriver, target: PowerState
    ) -> None:
        guest = self.guest(driver, P.RUNNING)
        with pytest.raises(HypervisorError):
            driver.power(guest, target)
        assert driver.guests()[guest].power_state == P.RUNNING

    def test_grace_ends_with_the_plug(self, driver: VirtDriver) -> None:
        guest = self.guest(driver, P.RUNNING)
        for _ in "twice":
            driver.power(guest, P.SHUTDOWN, grace=0.5)
            assert driver.guests()[guest].power_state == P.SHUTDOWN

    @pytest.mark.parametrize("state", WAYS)
    def test_a_reset_leaves_the_guest_running(self, driver: VirtDriver, state: PowerState) -> None:
        guest = self.guest(driver, state)
        for _ in "twice":
            driver.reset(guest)
            assert driver.guests()[guest].power_state == P.RUNNING

    # Removal

    @pytest.mark.parametrize("state", WAYS)
    def test_a_removed_guest_is_gone_and_stays_so(
        self, driver: VirtDriver, state: PowerState
    ) -> None:
        guest, neighbour = self.guest(driver, state), self.guest(driver)
        for _ in "twice":
            driver.remove(guest)
            assert guest not in driver.guests()
            assert neighbour in driver.guests()

    def test_removing_what_never_was_is_fine(self, driver: VirtDriver) -> None:
        before = driver.guests()
        driver.remove(uuid4())
        assert driver.guests() == before

    def test_a_removed_guest_can_be_made_again(self, driver: VirtDriver) -> None:
        spec = self.spec()
        driver.ensure(spec)
        driver.remove(spec.id)
        driver.ensure(spec)
        driver.power(spec.id, P.RUNNING)
        assert driver.guests()[spec.id].power_state == P.RUNNING

    # The unknown

    def test_what_needs_a_guest_says_when_there_is_none(self, driver: VirtDriver) -> None:
        nobody = uuid4()
        for target in WAYS:
            with pytest.raises(GuestNotFound):
                driver.power(nobody, target)
        with pytest.raises(GuestNotFound):
            driver.reset(nobody)
        with pytest.raises(GuestNotFound):
            driver.console_log(nobody)
        assert nobody not in driver.guests()

    # The rest

    def test_the_console_log_can_be_read_at_any_time(self, driver: VirtDriver) -> None:
        guest = self.guest(driver)
        assert driver.console_log(guest) == b""
        driver.power(guest, P.RUNNING)
        for limit in (0, 10, 100_000):
            assert len(driver.console_log(guest, limit)) <= limit

    def test_capacity_is_that_of_a_machine(self, driver: VirtDriver) -> None:
        capacity = driver.capacity()
        assert capacity.vcpus >= 1
        assert capacity.memory_mb >= 64
        assert capacity.disk_gb >= 1
        assert capacity.hypervisor_type
        assert capacity == driver.capacity()
