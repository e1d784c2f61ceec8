"""The edge of our world towards hypervisors: what a driver must do.

Every driver passes `nova_lite.testing.virt`, the conformance suite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

from nova_lite.domain.specs import Capacity, Guest, GuestSpec
from nova_lite.domain.states import PowerState


class VirtDriver(Protocol):
    """One hypervisor host.

    Every verb says how things should be, so saying it twice is saying it once.
    A driver keeps nothing in memory that it could not read back from the
    hypervisor: the worker may be killed and started between any two calls.
    Calls about different guests may come at once from several threads; the
    caller sees to it that those about one guest come one at a time.
    Failures are HypervisorError; a guest that does not exist is GuestNotFound,
    except for `remove`, which is then content.
    """

    def capacity(self) -> Capacity: ...

    def guests(self) -> Mapping[UUID, Guest]:
        """All our guests, in one call to the hypervisor; guests of others are not ours."""

    def ensure(self, spec: GuestSpec) -> None:
        """Make the guest exist as described, disks and all, without starting it.

        A guest that already exists keeps its disks and its power state; its
        definition becomes that of `spec`.
        """

    def power(self, guest: UUID, target: PowerState, *, grace: float = 0) -> None:
        """Bring the guest to RUNNING, PAUSED or SHUTDOWN.

        With `grace`, first ask the guest to shut itself down and wait so many
        seconds before pulling the plug.
        """

    def reset(self, guest: UUID) -> None:
        """Press the reset button of a running guest; start one that is not running."""

    def remove(self, guest: UUID) -> None:
        """Stop the guest and delete all that is its own."""

    def console_log(self, guest: UUID, max_bytes: int = 102_400) -> bytes:
        """The last `max_bytes` of what the guest wrote to its serial port."""
