"""The edge of our world towards hypervisors: what a driver must do.

Every driver passes `nova_lite.testing.virt`, the conformance suite.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from nova_lite.domain.specs import Capacity, Diagnostics, Guest, GuestSpec, ImageSource
from nova_lite.domain.states import PowerState


@dataclass(frozen=True)
class Snapshot:
    """A file with the contents of a disk."""

    path: Path
    disk_format: str  # raw or qcow2


@dataclass(frozen=True)
class Console:
    """An address on the hypervisor's host where a console is listened for."""

    host: str
    port: int


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

        A guest that already exists keeps its power state; its definition
        becomes that of `spec`.  It keeps its disks, too: one that is smaller
        than the spec says grows, none shrinks, and one that the spec does not
        name any more is deleted.  Only when its `disk_generation` is older than
        the spec's are all thrown away and made anew, and the guest is off: what it
        had in memory belonged to them.  An image without a URL has been deleted;
        disks made from it are kept, but none can be made.
        """

    def plug(self, spec: GuestSpec) -> None:
        """As `ensure`, and a running guest gets and loses NICs at once.

        HypervisorError when the guest does not let go of one within its time.
        """

    def power(self, guest: UUID, target: PowerState, *, grace: float = 0) -> None:
        """Bring the guest to RUNNING, PAUSED, SUSPENDED or SHUTDOWN.

        A guest that was SUSPENDED goes on where it was when it runs again.

        With `grace`, first ask the guest to shut itself down and wait so many
        seconds before pulling the plug.
        """

    def reset(self, guest: UUID) -> None:
        """Press the reset button of a running guest; start one that is not running."""

    def remove(self, guest: UUID) -> None:
        """Stop the guest and delete all that is its own."""

    def snapshot(self, guest: UUID) -> AbstractContextManager[Snapshot]:
        """A copy of the guest's root disk as it is at this moment, whatever its power state.

        Complete in itself, and deleted at the end of the context.
        """

    def migrate(self, guest: UUID, to: str) -> None:
        """Hand the running or paused guest over to the hypervisor on host `to`.

        There `ensure` has been called for it.  Returns when it goes on there;
        HypervisorError when it goes on here.  One that does not exist here
        any more has been handed over before.  Needs the ability LIVE_MIGRATE.
        """

    def diagnostics(self, guest: UUID) -> Diagnostics:
        """What a running or paused guest has used so far.  HypervisorError when it is off."""

    def set_password(self, guest: UUID, user: str, password: str) -> None:
        """Have the agent inside a running guest set a password.

        HypervisorError when none answers.
        """

    def interrupt(self, guest: UUID) -> None:
        """Send the guest a non-maskable interrupt, for it to dump its memory."""

    def console(self, guest: UUID, kind: str) -> Console:
        """Where the screen of a running or paused guest is to be seen, or its serial port.

        `kind` is vnc, spice or serial.  HypervisorError when it has none of that kind, or is off.
        """

    def console_log(self, guest: UUID, max_bytes: int = 102_400) -> bytes:
        """The last `max_bytes` of what the guest wrote to its serial port."""

    def fetch(self, image: ImageSource) -> None:
        """Have an image at hand, so that the first guest made from it need not wait."""
