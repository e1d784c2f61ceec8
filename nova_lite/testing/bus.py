"""A bus whose messages wait until somebody delivers them, and may be lost on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from uuid import UUID

from nova_lite.bus.bus import SchedulerInbox
from nova_lite.bus.messages import Command, HostStatus, Json, Report
from nova_lite.bus.worker import Worker
from nova_lite.domain.errors import RemoteFailure
from nova_lite.domain.specs import Role

Message = Command | Report | HostStatus | tuple[UUID, ...]  # the last is a wake-up
Fault = Callable[[Message], Sequence[Message]]
"""What becomes of a message on its way: nothing, itself, itself twice, another one..."""


class PatientBus:
    """`faults` decides what becomes of each message; `workers` are those that live."""

    def __init__(self) -> None:
        self.waiting: deque[Message] = deque()
        self.faults: Fault = lambda message: [message]
        self.sent: list[Message] = []
        self.workers: dict[tuple[Role, str], Worker] = {}

    def _send(self, message: Message) -> None:
        self.sent.append(message)
        self.waiting.extend(self.faults(message))

    def wake(self, operations: Sequence[UUID]) -> None:
        self._send(tuple(operations))

    def publish(self, command: Command) -> None:
        self._send(command)

    def report(self, report: Report) -> None:
        self._send(report)

    def status(self, status: HostStatus) -> None:
        self._send(status)

    def call(self, role: Role, host: str, question: str, args: Json, timeout: float) -> Json:
        worker = self.workers.get((role, host))
        if worker is None:
            raise RemoteFailure(f"{role} on {host} did not answer in {timeout:g} seconds")
        return worker.answer(question, args)

    def deliver(self, control: SchedulerInbox) -> bool:
        """Hand over what is waiting now; say whether there was anything."""
        messages = list(self.waiting)
        self.waiting.clear()
        for message in messages:
            if isinstance(message, Command):
                worker = self.workers.get((message.role, message.host))
                if worker is not None:  # a worker that is dead hears nothing
                    worker.handle(message)
            elif isinstance(message, Report):
                control.report(message)
            elif isinstance(message, HostStatus):
                control.status(message)
            else:
                control.wake(message)
        return bool(messages)
