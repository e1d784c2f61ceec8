"""How a long operation is written: a named sequence of steps, each with its undo."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy.orm import Session

from nova_lite.bus.messages import Command, Json
from nova_lite.db.models import Instance, Operation, OperationStatus
from nova_lite.domain.errors import RemoteFailure
from nova_lite.domain.specs import Role
from nova_lite.domain.states import Action
from nova_lite.operations.world import World


class Waiting(BaseException):
    """The step cannot go on yet: a report, or the world, is not there.

    Not an Exception, so that no step can swallow it by accident.
    """

    def __init__(
        self,
        on: str,
        command: Command | None = None,
        network: UUID | None = None,
        generation: int = 0,
        why: str = "",
    ) -> None:
        self.on = on  # in words, and the key by which the step can be woken
        self.command = command
        self.network, self.generation = network, generation
        self.why = why  # what is known of the reason


@dataclass
class StepContext:
    """What a step may touch: its operation, its instance, and one transaction."""

    session: Session
    operation: Operation
    instance: Instance
    world: World
    networks_changed: set[UUID] = field(default_factory=set)
    """Networks whose generation grew: their hosts are told after the commit."""
    repeat: bool = False
    """Set by a step that is not through: what it wrote is kept, and it runs once more."""

    @property
    def facts(self) -> dict[str, Any]:
        return self.operation.facts

    @property
    def unwinding(self) -> bool:
        return self.operation.status == OperationStatus.UNWINDING

    def learn(self, **facts: Any) -> None:
        self.operation.facts = {**self.operation.facts, **facts}

    def ask(
        self, host: str, verb: str, args: Callable[[], Json], *, lost_is_done: bool = False
    ) -> Json:
        """Have the compute worker on `host` do `verb`, and return its result.

        The first call parks the step and takes back what it wrote.  When the
        report arrives the step runs again from its top, and this call returns
        (or raises RemoteFailure).  If no report comes, the same command is sent
        again.

        A host that is down raises RemoteFailure; in an undo, or with
        `lost_is_done`, it counts as done, because whatever is left there is
        removed when the host speaks again (reconcilers.hosts).
        """
        op = self.operation
        direction = "undo" if self.unwinding else "do"
        command_id = uuid5(op.id, f"{direction}:{op.step}:{op.round}:{host}")
        if op.command_id == command_id and op.report is not None:
            if op.report["error"]:
                raise RemoteFailure(op.report["error"])
            result: Json = op.report["result"]
            return result
        if not self.world.is_up(self.session, Role.COMPUTE, host):
            if self.unwinding or lost_is_done:
                return {}
            raise RemoteFailure(f"Host {host} is down.")
        raise Waiting(
            f"{Role.COMPUTE} on {host}: {verb}",
            Command(
                id=command_id,
                operation_id=op.id,
                role=Role.COMPUTE,
                host=host,
                verb=verb,
                args=args(),
                request_id=op.request_id,
            ),
        )

    def wait_for_network(self, network: UUID, generation: int, applied: int, why: str) -> None:
        """Park the step until the gateway of `network` provides `generation`, or a while passed."""
        if applied < generation:
            on = waiting_for_network(network)
            raise Waiting(on, network=network, generation=generation, why=why)


def waiting_for_network(network: UUID) -> str:
    """What `waiting_for` says of an operation that waits for this network."""
    return f"network {network}"


Act = Callable[[StepContext], None]


def nothing(_: StepContext) -> None:
    """The undo of a step that leaves nothing behind."""


@dataclass(frozen=True)
class Step:
    """One deed, with its writes all or none, and at most one command to a worker at a time.

    `do` may run more than once and `undo` may run although `do` never did, so
    both are written as "make sure that ...".
    """

    name: str
    do: Act
    undo: Act = nothing
    task_state: str | None = None
    resend_after: dt.timedelta = dt.timedelta(seconds=10)
    give_up_after: dt.timedelta = dt.timedelta(minutes=10)
    insists: bool = False
    """Never gives up, because what came before it cannot be taken back any more."""


@dataclass(frozen=True)
class Flow:
    """The recipe of one kind of operation."""

    kind: str
    action: Action  # says in which states it may begin (domain.states.ACTIONS)
    steps: tuple[Step, ...]
    succeeded: Act
    failed: Act
    start_over_from: str | None = None  # where to begin again after a RemoteFailure
    insists: bool = False  # as if each step did: what fails is tried again, later and later
    variants: tuple[Mapping[str, Any], ...] = ({},)
    """Arguments worth attacking separately: the generic attack runs with each."""

    def position(self, name: str) -> int:
        return next(i for i, step in enumerate(self.steps) if step.name == name)
