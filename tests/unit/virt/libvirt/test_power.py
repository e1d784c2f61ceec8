"""Bringing a guest with a will of its own to where it should be."""

from __future__ import annotations

from collections.abc import Callable

import libvirt
import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.states import PowerState
from nova_lite.virt.libvirt.power import (
    STEPS,
    ask_to_shut_down,
    bring,
    or_suspended,
    power_state,
    state_of,
)

P = PowerState
RUNNING = (libvirt.VIR_DOMAIN_RUNNING, 0)
PAUSED = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_USER)
STARTING = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP)
OFF = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_DESTROYED)
SAVED = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_SAVED)
CRASHED = (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED)

#: Where each call is allowed, and where it leads.
RULES = {
    "create": ({OFF, CRASHED, SAVED}, RUNNING),
    "resume": ({PAUSED}, RUNNING),
    "suspend": ({RUNNING}, PAUSED),
    "destroy": ({RUNNING, PAUSED, STARTING}, OFF),
    "shutdown": ({RUNNING}, RUNNING),
    "managedSave": ({RUNNING, PAUSED}, SAVED),
    "managedSaveRemove": ({SAVED}, OFF),
}


class Domain:
    """A libvirt domain that obeys libvirt's rules; `on_look` is what it does by itself."""

    def __init__(
        self, state: tuple[int, int], on_look: Callable[[Domain], None] | None = None
    ) -> None:
        self.now = state
        self.on_look = on_look
        self.looks = 0
        self.calls: list[str] = []
        self.error = libvirt.VIR_ERR_OPERATION_INVALID
        self.refuses_all = False

    def name(self) -> str:
        return "instance-1"

    def state(self) -> tuple[int, int]:
        self.looks += 1
        seen = self.now
        if self.on_look:
            self.on_look(self)
        return seen

    def _call(self, name: str) -> None:
        self.calls.append(name)
        allowed, leads_to = RULES[name]
        if self.now not in allowed or self.refuses_all:
            error = libvirt.libvirtError(f"{name} refused")
            error.err = (self.error, 0, f"{name} refused", 2, "", "", "", 0, 0)
            raise error
        self.now = leads_to

    def create(self) -> None:
        self._call("create")

    def resume(self) -> None:
        self._call("resume")

    def suspend(self) -> None:
        self._call("suspend")

    def destroy(self) -> None:
        self._call("destroy")

    def shutdown(self) -> None:
        self._call("shutdown")

    def managedSave(self, flags: int) -> None:
        assert flags == libvirt.VIR_DOMAIN_SAVE_RUNNING
        self._call("managedSave")

    def managedSaveRemove(self) -> None:
        self._call("managedSaveRemove")

    def hasManagedSaveImage(self) -> int:
        return int(self.now == SAVED)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("start", "target", "calls"),
    [
        (OFF, P.RUNNING, ["create"]),
        (CRASHED, P.RUNNING, ["create"]),
        (PAUSED, P.RUNNING, ["resume"]),
        (RUNNING, P.RUNNING, []),
        (RUNNING, P.PAUSED, ["suspend"]),
        (RUNNING, P.SHUTDOWN, ["destroy"]),
        (PAUSED, P.SHUTDOWN, ["destroy"]),
        (STARTING, P.SHUTDOWN, ["destroy"]),
        (OFF, P.SHUTDOWN, []),
        (CRASHED, P.SHUTDOWN, []),
        (RUNNING, P.SUSPENDED, ["managedSave"]),
        (PAUSED, P.SUSPENDED, ["managedSave"]),
        (SAVED, P.SUSPENDED, []),
        (SAVED, P.RUNNING, ["create"]),
        (SAVED, P.SHUTDOWN, ["managedSaveRemove"]),
    ],
)
def test_one_step_is_enough(
    clock: Clock, start: tuple[int, int], target: PowerState, calls: list[str]
) -> None:
    domain = Domain(start)
    bring(domain, target, clock)
    assert domain.calls == calls
    assert clock.now == 0


def test_every_pair_of_states_is_either_a_step_or_refused(clock: Clock) -> None:
    for start, state, target in (
        (OFF, P.SHUTDOWN, P.PAUSED),
        (CRASHED, P.CRASHED, P.PAUSED),
        (SAVED, P.SUSPENDED, P.PAUSED),
        (OFF, P.SHUTDOWN, P.SUSPENDED),
        (CRASHED, P.CRASHED, P.SUSPENDED),
    ):
        assert (state, target) not in STEPS
        with pytest.raises(HypervisorError, match=f"instance-1 is {state}: it cannot"):
            bring(Domain(start), target, clock)


def test_a_guest_that_goes_off_while_we_pull_its_plug_is_off(clock: Clock) -> None:
    def go_off(domain: Domain) -> None:
        domain.now = OFF

    domain = Domain(RUNNING, go_off)
    bring(domain, P.SHUTDOWN, clock)
    assert domain.calls == ["destroy"] and domain.looks == 2


def test_a_start_under_way_is_waited_for(clock: Clock) -> None:
    def come_up(domain: Domain) -> None:
        if domain.looks == 3:
            domain.now = RUNNING

    domain = Domain(STARTING, come_up)
    bring(domain, P.RUNNING, clock)
    assert domain.calls == [] and clock.now > 0


def test_waiting_ends_and_says_what_libvirt_said(clock: Clock) -> None:
    domain = Domain(OFF)
    domain.refuses_all = True
    with pytest.raises(HypervisorError, match="does not become running: create refused"):
        bring(domain, P.RUNNING, clock)
    with pytest.raises(HypervisorError, match="does not become running"):
        bring(Domain(STARTING), P.RUNNING, clock)


def test_what_is_no_race_is_told_at_once(clock: Clock) -> None:
    domain = Domain(OFF)
    domain.refuses_all, domain.error = True, libvirt.VIR_ERR_INTERNAL_ERROR
    with pytest.raises(libvirt.libvirtError):
        bring(domain, P.RUNNING, clock)
    assert domain.calls == ["create"]


def test_a_guest_that_obeys_is_not_waited_for_longer(clock: Clock) -> None:
    def obey(domain: Domain) -> None:
        if domain.looks == 3:
            domain.now = OFF

    domain = Domain(RUNNING, obey)
    ask_to_shut_down(domain, 60, clock)
    assert domain.calls == ["shutdown"]
    assert clock.now < 1


def test_a_guest_that_does_not_listen_is_asked_again_but_not_for_ever(clock: Clock) -> None:
    domain = Domain(RUNNING)
    ask_to_shut_down(domain, 25, clock)
    assert domain.calls == ["shutdown"] * 3
    assert clock.now == pytest.approx(25)


def test_a_guest_that_goes_off_before_it_is_asked_is_fine(clock: Clock) -> None:
    def go_off(domain: Domain) -> None:
        domain.now = OFF

    ask_to_shut_down(Domain(RUNNING, go_off), 60, clock)
    assert clock.now < 1


def test_a_request_that_fails_for_other_reasons_is_an_error(clock: Clock) -> None:
    domain = Domain(RUNNING)
    domain.refuses_all, domain.error = True, libvirt.VIR_ERR_INTERNAL_ERROR
    with pytest.raises(libvirt.libvirtError):
        ask_to_shut_down(domain, 60, clock)


def test_nobody_is_asked_who_cannot_hear(clock: Clock) -> None:
    for deaf in (PAUSED, OFF, SAVED):
        domain = Domain(deaf)
        ask_to_shut_down(domain, 60, clock)
        assert domain.calls == []


def test_memory_that_was_removed_is_not_kept_whatever_the_reason_says() -> None:
    """Also libvirtd's: it stays "saved" until the next start, and is unknown after a restart."""
    domain = Domain(SAVED)
    assert state_of(domain) == P.SUSPENDED
    domain.managedSaveRemove()
    assert state_of(domain) == or_suspended(P.SHUTDOWN, domain) == P.SHUTDOWN
    assert or_suspended(P.CRASHED, Domain(SAVED)) == P.SUSPENDED
    assert or_suspended(P.RUNNING, Domain(SAVED)) == P.RUNNING


def test_a_state_from_the_future_is_no_state() -> None:
    assert power_state(99, 0) == P.NOSTATE
    assert power_state(*STARTING) == P.NOSTATE
    assert power_state(*CRASHED) == P.CRASHED
