"""What every hypervisor driver promises, as tests that any driver can be put to.

A driver's own tests subclass VirtDriverConformance and say how to connect:

    class TestMyDriver(VirtDriverConformance):
        @pytest.fixture
        def connect(self) -> Connect:
            return lambda: MyDriver("my://hypervisor")

Guests of others may be on the machine; they are never touched.

Where an image is needed it is IMAGE; whatever its driver fetches images with
has to give it CONTENT for the URL of that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import GuestNotFound, HypervisorError
from nova_lite.domain.specs import (
    ABILITIES,
    LIVE_MIGRATE,
    Disk,
    Guest,
    GuestSpec,
    ImageSource,
    Link,
    Nic,
)
from nova_lite.domain.states import PowerState
from nova_lite.virt.driver import VirtDriver

#: What a hypervisor under test may lack, be it a mock or a guest without a system.
HOT = "changing and copying hardware that is in use"
AGENT = "an agent in its guests"
SCREEN = "a port where the screen of a guest is seen"
AGREEMENT = "guests that let go of a NIC when they are asked to"

CONTENT = bytes(1 << 16)
IMAGE = ImageSource(
    UUID(int=0xC0FFEE), "conformance", "raw", len(CONTENT), hashlib.sha512(CONTENT).hexdigest()
)
GONE = ImageSource(IMAGE.id, url="", disk_format="", size=0, sha512="")

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
    (P.RUNNING, P.SUSPENDED),
    (P.PAUSED, P.SUSPENDED),
    (P.SUSPENDED, P.SUSPENDED),
    (P.SUSPENDED, P.RUNNING),
    (P.SUSPENDED, P.SHUTDOWN),
)
#: How a new guest gets to each state.
WAYS: dict[PowerState, tuple[PowerState, ...]] = {
    P.SHUTDOWN: (),
    P.RUNNING: (P.RUNNING,),
    P.PAUSED: (P.RUNNING, P.PAUSED),
    P.SUSPENDED: (P.RUNNING, P.SUSPENDED),
}
IN_MEMORY = (P.RUNNING, P.PAUSED)
OFF = (P.SHUTDOWN, P.SUSPENDED)


class VirtDriverConformance:
    """Subclass it, override `connect`, and `spec` where a smaller or larger guest is wanted.

    `lacks` is what the hypervisor cannot do and therefore has to refuse;
    `bridge` is one that NICs can be plugged into.
    """

    lacks: frozenset[str] = frozenset()
    bridge = "br100"

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
        return self.made(driver, self.spec(), state).id

    def made(
        self, driver: VirtDriver, spec: GuestSpec, state: PowerState = P.SHUTDOWN
    ) -> GuestSpec:
        driver.ensure(spec)
        for target in WAYS[state]:
            driver.power(spec.id, target)
        return spec

    def nic(self, number: int) -> Nic:
        return Nic(uuid4(), f"fa:16:3e:00:00:{number:02x}", Link(uuid4(), self.bridge))

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

    @pytest.mark.parametrize("target", [P.PAUSED, P.SUSPENDED])
    def test_a_guest_that_is_off_cannot_rest(self, driver: VirtDriver, target: PowerState) -> None:
        guest = self.guest(driver)
        with pytest.raises(HypervisorError):
            driver.power(guest, target)
        assert driver.guests()[guest].power_state == P.SHUTDOWN

    def test_memory_that_was_kept_is_found_by_the_next_driver(
        self, driver: VirtDriver, connect: Connect
    ) -> None:
        guest = self.guest(driver, P.SUSPENDED)
        another = connect()
        assert another.guests()[guest].power_state == P.SUSPENDED
        another.power(guest, P.RUNNING)
        assert connect().guests()[guest].power_state == P.RUNNING

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
        with pytest.raises(GuestNotFound):
            driver.diagnostics(nobody)
        with pytest.raises(GuestNotFound):
            driver.set_password(nobody, "root", "x")
        with pytest.raises(GuestNotFound):
            driver.interrupt(nobody)
        with pytest.raises(GuestNotFound), driver.snapshot(nobody):
            pytest.fail("a snapshot of nobody")
        assert nobody not in driver.guests()

    # Disks

    @pytest.mark.parametrize("state", WAYS)
    def test_a_disk_grows_under_a_guest(self, driver: VirtDriver, state: PowerState) -> None:
        spec = self.made(driver, self.spec(), state)
        larger = replace(spec, disks=(Disk("vda", 2),))
        if HOT in self.lacks and state in IN_MEMORY:
            with pytest.raises(HypervisorError):
                driver.ensure(larger)
        else:
            for wish in (larger, larger, spec):
                driver.ensure(wish)
        assert driver.guests()[spec.id].power_state == state

    def test_disks_come_and_go_with_the_description(self, driver: VirtDriver) -> None:
        spec = self.made(driver, self.spec(disks=(Disk("vda", 1), Disk("vdb", 1))), P.RUNNING)
        assert len(driver.diagnostics(spec.id).disks) == 2
        for disks in (
            (Disk("vda", 1), Disk("vdb", 1), Disk("vdr", 0, IMAGE, boot=True)),
            (Disk("vda", 1),),
        ):
            driver.power(spec.id, P.SHUTDOWN)
            self.made(driver, replace(spec, disks=disks), P.RUNNING)
            assert len(driver.diagnostics(spec.id).disks) == len(disks)

    @pytest.mark.parametrize("state", WAYS)
    def test_a_guest_whose_disks_are_thrown_away_is_off(
        self, driver: VirtDriver, state: PowerState
    ) -> None:
        spec = self.made(driver, self.spec(disk_generation=1), state)
        for not_newer in (1, 0, 1):
            driver.ensure(replace(spec, disk_generation=not_newer))
            assert driver.guests()[spec.id].power_state == state
        driver.ensure(replace(spec, disk_generation=2))
        assert driver.guests()[spec.id].power_state == P.SHUTDOWN
        driver.power(spec.id, P.RUNNING)
        driver.ensure(replace(spec, disk_generation=2))
        assert driver.guests()[spec.id].power_state == P.RUNNING

    def test_a_guest_outlives_its_image(self, driver: VirtDriver) -> None:
        spec = self.made(driver, self.spec(disks=(Disk("vda", 1, IMAGE),)))
        orphan = replace(spec, disks=(Disk("vda", 1, GONE),))
        self.made(driver, orphan, P.RUNNING)
        another = replace(orphan, id=uuid4(), name="instance-ffffffff")
        for impossible in (
            replace(orphan, disk_generation=1),
            replace(orphan, disks=(*orphan.disks, Disk("vdr", 0, GONE, boot=True))),
            another,
        ):
            with pytest.raises(HypervisorError, match=f"{IMAGE.id} is gone"):
                driver.ensure(impossible)
        assert another.id not in driver.guests()
        driver.remove(another.id)
        assert driver.guests()[spec.id].power_state == P.RUNNING
        driver.power(spec.id, P.SHUTDOWN)
        self.made(driver, orphan, P.RUNNING)

    @pytest.mark.parametrize("state", WAYS)
    def test_a_snapshot_is_complete_in_itself_and_goes_with_its_context(
        self, driver: VirtDriver, state: PowerState
    ) -> None:
        spec = self.made(driver, self.spec(disks=(Disk("vda", 1, IMAGE), Disk("vdb", 1))), state)
        if HOT in self.lacks and state in IN_MEMORY:
            with pytest.raises(HypervisorError), driver.snapshot(spec.id):
                pytest.fail("a snapshot of what cannot be copied")
            return
        for _ in "twice":
            with driver.snapshot(spec.id) as snapshot:
                content = snapshot.path.read_bytes()
                assert driver.guests()[spec.id].power_state == state
            assert content and not snapshot.path.exists()
            assert snapshot.disk_format in ("raw", "qcow2")
            if snapshot.disk_format == "qcow2":
                assert content[:4] == b"QFI\xfb" and content[8:16] == bytes(8), "no backing file"
        with pytest.raises(ZeroDivisionError), driver.snapshot(spec.id) as snapshot:
            raise ZeroDivisionError
        assert not snapshot.path.exists()
        assert driver.guests()[spec.id].power_state == state

    # NICs

    def test_a_running_guest_gets_a_nic_at_once(self, driver: VirtDriver) -> None:
        spec = self.made(driver, self.spec(), P.RUNNING)
        richer = replace(spec, nics=(self.nic(1), self.nic(2)), sequence=2)
        if HOT in self.lacks:
            with pytest.raises(HypervisorError):
                driver.plug(richer)
            return
        for _ in "twice":
            driver.plug(richer)
            assert self.macs(driver, spec.id) == ["fa:16:3e:00:00:01", "fa:16:3e:00:00:02"]
        assert driver.guests()[spec.id] == Guest(spec.id, P.RUNNING, 1, 64, sequence=2)
        driver.power(spec.id, P.SHUTDOWN)
        driver.power(spec.id, P.RUNNING)
        assert self.macs(driver, spec.id) == ["fa:16:3e:00:00:01", "fa:16:3e:00:00:02"]

    def test_a_running_guest_loses_a_nic_at_once(self, driver: VirtDriver) -> None:
        nics = (self.nic(1), self.nic(2))
        spec = self.made(driver, self.spec(nics=nics), P.RUNNING)
        poorer = replace(spec, nics=nics[1:])
        if self.lacks & {HOT, AGREEMENT}:
            with pytest.raises(HypervisorError):
                driver.plug(poorer)
        else:
            for _ in "twice":
                driver.plug(poorer)
                assert self.macs(driver, spec.id) == ["fa:16:3e:00:00:02"]
        driver.power(spec.id, P.SHUTDOWN)
        driver.power(spec.id, P.RUNNING)
        assert self.macs(driver, spec.id) == ["fa:16:3e:00:00:02"]

    @pytest.mark.parametrize("state", OFF)
    def test_a_guest_that_is_off_gets_its_nics_when_it_starts(
        self, driver: VirtDriver, state: PowerState
    ) -> None:
        spec = self.made(driver, self.spec(), state)
        driver.plug(replace(spec, nics=(self.nic(1),)))
        assert driver.guests()[spec.id].power_state == state
        driver.power(spec.id, P.SHUTDOWN)
        driver.power(spec.id, P.RUNNING)
        assert self.macs(driver, spec.id) == ["fa:16:3e:00:00:01"]

    def macs(self, driver: VirtDriver, guest: UUID) -> list[str]:
        return sorted(nic.mac for nic in driver.diagnostics(guest).nics)

    # A look inside

    @pytest.mark.parametrize("state", IN_MEMORY)
    def test_a_guest_in_memory_can_be_diagnosed(
        self, driver: VirtDriver, state: PowerState
    ) -> None:
        spec = self.made(driver, self.spec(vcpus=2, nics=(self.nic(1),)), state)
        found = driver.diagnostics(spec.id)
        assert (found.power_state, found.memory_mb) == (state, 64)
        assert 0 <= found.memory_used_mb <= 64 and found.uptime_seconds >= 0
        assert found.driver and found.hypervisor
        assert len(found.cpu_nanoseconds) == 2 and len(found.disks) == 1
        assert [nic.mac for nic in found.nics] == ["fa:16:3e:00:00:01"]

    @pytest.mark.parametrize("state", OFF)
    def test_nothing_can_be_asked_of_a_guest_that_is_off(
        self, driver: VirtDriver, state: PowerState
    ) -> None:
        guest = self.guest(driver, state)
        with pytest.raises(HypervisorError):
            driver.diagnostics(guest)
        with pytest.raises(HypervisorError):
            driver.set_password(guest, "root", "secret")
        with pytest.raises(HypervisorError):
            driver.interrupt(guest)
        assert driver.guests()[guest].power_state == state

    def test_a_password_is_set_by_an_agent_or_not_at_all(self, driver: VirtDriver) -> None:
        guest = self.guest(driver, P.RUNNING)
        if AGENT in self.lacks:
            with pytest.raises(HypervisorError, match="guest agent") as refused:
                driver.set_password(guest, "root", "secret")
            assert "secret" not in str(refused.value)
        else:
            driver.set_password(guest, "root", "secret")
        assert driver.guests()[guest].power_state == P.RUNNING

    def test_a_guest_can_be_interrupted_again_and_again(self, driver: VirtDriver) -> None:
        guest = self.guest(driver, P.RUNNING)
        for _ in "twice":
            driver.interrupt(guest)
        assert driver.guests()[guest].power_state == P.RUNNING

    # Migration

    def test_a_guest_that_cannot_go_there_goes_on_here(self, driver: VirtDriver) -> None:
        guest = self.guest(driver, P.RUNNING)
        with pytest.raises(HypervisorError):
            driver.migrate(guest, "nowhere")
        assert driver.guests()[guest].power_state == P.RUNNING

    def test_one_that_went_before_is_no_error_but_for_those_that_never_could(
        self, driver: VirtDriver
    ) -> None:
        if LIVE_MIGRATE in driver.capacity().abilities:
            driver.migrate(uuid4(), "elsewhere")
        else:
            with pytest.raises(HypervisorError):
                driver.migrate(uuid4(), "elsewhere")

    # The rest

    def test_the_console_log_can_be_read_at_any_time(self, driver: VirtDriver) -> None:
        guest = self.guest(driver)
        assert driver.console_log(guest) == b""
        driver.power(guest, P.RUNNING)
        for limit in (0, 10, 100_000):
            assert len(driver.console_log(guest, limit)) <= limit

    def test_the_screen_of_a_guest_is_somewhere_while_it_is_on(self, driver: VirtDriver) -> None:
        guest = self.guest(driver, P.RUNNING)
        if SCREEN not in self.lacks:
            assert driver.console(guest, "vnc").port > 0
        for kind in ("serial", *([] if SCREEN not in self.lacks else ["vnc"])):
            with pytest.raises(HypervisorError, match=f"no {kind} console"):
                driver.console(guest, kind)
        driver.power(guest, P.SHUTDOWN)
        with pytest.raises(HypervisorError, match="is shutdown"):
            driver.console(guest, "vnc")

    def test_capacity_is_that_of_a_machine(self, driver: VirtDriver) -> None:
        capacity = driver.capacity()
        assert capacity.vcpus >= 1
        assert capacity.memory_mb >= 64
        assert capacity.disk_gb >= 1
        assert capacity.hypervisor_type
        assert set(capacity.abilities) <= set(ABILITIES)
        assert capacity == driver.capacity()
