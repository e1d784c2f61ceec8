"""What the rest of the house knows of the bus: hints, orders, reports and live questions.

Nothing here promises delivery.  Whoever sends keeps a row from which the same
message can be sent again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from nova_lite.bus.messages import Command, HostStatus, Json, Report
from nova_lite.domain.specs import Role


class Bus(Protocol):
    """Sending.  None of these raises when the broker is away: the message is just lost."""

    def wake(self, operations: Sequence[UUID]) -> None:
        """Tell any one scheduler that these operations are due."""

    def publish(self, command: Command) -> None:
        """Send a command to the worker of its role on its host."""

    def report(self, report: Report) -> None:
        """Tell any one scheduler what became of a command."""

    def status(self, status: HostStatus) -> None:
        """A worker's heartbeat, to any one scheduler."""

    def call(self, role: Role, host: str, question: str, args: Json, timeout: float) -> Json:
        """Ask a worker something that only it knows, now.

        Raises RemoteFailure with the worker's words, or when none came in time.
        """


class SchedulerInbox(Protocol):
    """What a scheduler process hears."""

    def wake(self, operations: Sequence[UUID]) -> None: ...

    def report(self, report: Report) -> None: ...

    def status(self, status: HostStatus) -> None: ...


class WorkerInbox(Protocol):
    """What a worker hears."""

    def handle(self, command: Command) -> None: ...

    def answer(self, question: str, args: Json) -> Json: ...
