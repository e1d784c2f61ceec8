"""From the power state a guest has to the one it should have.

A guest has a will of its own: it may shut itself down between our look and our
step.  So a refused step is no failure by itself, but a reason to look again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import libvirt

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.states import PowerState

P = PowerState

STATES: dict[int, PowerState] = {
    libvirt.VIR_DOMAIN_RUNNING: P.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: P.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: P.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: P.RUNNING,  # on its way down: it still has its memory and disks
    libvirt.VIR_DOMAIN_SHUTOFF: P.SHUTDOWN,
    libvirt.VIR_DOMAIN_CRASHED: P.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: P.PAUSED,
}
#: Where the reason says more than the state.
REASONS: dict[tuple[int, int], PowerState] = {
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED): P.CRASHED,
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_CRASHED): P.CRASHED,
    # Another thread's start has not got to the guest's first instruction yet.
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP): P.NOSTATE,
}

OFF = frozenset({P.SHUTDOWN, P.CRASHED})
SAVE = libvirt.VIR_DOMAIN_SAVE_RUNNING  # a guest that was paused before runs when it is back

Step = Callable[[Any], object]

#: From what a guest is to what it should be.
STEPS: dict[tuple[PowerState, PowerState], Step] = {
    (P.SHUTDOWN, P.RUNNING): lambda domain: domain.create(),
    (P.CRASHED, P.RUNNING): lambda domain: domain.create(),
    (P.PAUSED, P.RUNNING): lambda domain: domain.resume(),
    (P.RUNNING, P.PAUSED): lambda domain: domain.suspend(),
    (P.RUNNING, P.SHUTDOWN): lambda domain: domain.destroy(),
    (P.PAUSED, P.SHUTDOWN): lambda domain: domain.destroy(),
    (P.NOSTATE, P.SHUTDOWN): lambda domain: domain.destroy(),
    # libvirt starts a guest from its saved memory by itself when there is some.
    (P.SUSPENDED, P.RUNNING): lambda domain: domain.create(),
    (P.SUSPENDED, P.SHUTDOWN): lambda domain: domain.managedSaveRemove(),
    (P.RUNNING, P.SUSPENDED): lambda domain: domain.managedSave(SAVE),
    (P.PAUSED, P.SUSPENDED): lambda domain: domain.managedSave(SAVE),
}
SATISFIED_BY: dict[PowerState, frozenset[PowerState]] = {
    P.RUNNING: frozenset({P.RUNNING}),
    P.PAUSED: frozenset({P.PAUSED}),
    P.SUSPENDED: frozenset({P.SUSPENDED}),
    P.SHUTDOWN: OFF,  # a crashed guest is off
}

SETTLE = 15  # seconds for a guest to become what it was told, when something else moves it too
POLL = 0.2  # seconds
ASK_AGAIN = 10  # seconds; a guest that was still booting missed the first press of the button


class Clock(Protocol):
    """What is needed of the module `time`."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def ask_to_shut_down(domain: Any, grace: float, clock: Clock) -> None:
    """Press the power button and wait until the guest is off, but not longer than `grace`."""
    ask_at = clock.monotonic()
    end = ask_at + grace
    while (now := clock.monotonic()) < end and state_of(domain) == P.RUNNING:
        if now >= ask_at:
            ask_at = now + ASK_AGAIN
            with it_may_have_moved():
                domain.shutdown()
        clock.sleep(min(POLL, end - now))


def bring(domain: Any, target: PowerState, clock: Clock) -> None:
    """Take the steps to `target`, looking again whenever the guest moved by itself."""
    end, refused = clock.monotonic() + SETTLE, ""
    while (now := state_of(domain)) not in SATISFIED_BY[target]:
        if clock.monotonic() >= end:
            raise HypervisorError(f"{domain.name()} does not become {target}{refused}")
        step = STEPS.get((now, target))
        if step is None and now != P.NOSTATE:
            raise HypervisorError(f"{domain.name()} is {now}: it cannot become {target}")
        try:
            if step:
                step(domain)
            else:
                clock.sleep(POLL)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
                raise
            refused = f": {error}"
            clock.sleep(POLL)


def state_of(domain: Any) -> PowerState:
    return or_suspended(power_state(*domain.state()), domain)


def or_suspended(state: PowerState, domain: Any) -> PowerState:
    """What libvirt's two numbers do not tell: whether a guest that is off kept its memory.

    The reason "saved" is forgotten when libvirtd restarts, and stays when the memory is removed.
    """
    return P.SUSPENDED if state in OFF and domain.hasManagedSaveImage() else state


def power_state(state: int, reason: int) -> PowerState:
    """Our word for libvirt's two numbers."""
    return REASONS.get((state, reason)) or STATES.get(state, P.NOSTATE)


@contextmanager
def it_may_have_moved() -> Iterator[None]:
    """Pass over the refusal of a step that the guest took by itself a moment ago."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID:
            raise
