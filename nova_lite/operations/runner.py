"""Moves operations forward, from any number of threads and processes.

A transaction takes the row locks of some operations that are due (that lock is
the lease: it ends with the process), runs each as far as it goes without
waiting, and commits once.  Every step is a savepoint of its own; what it wrote
and how far the operation is are committed together or not at all.  Commands
leave after the commit.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.bus.messages import Command, Report
from nova_lite.db.engine import Database, is_passing
from nova_lite.db.models import (
    UNFINISHED,
    Instance,
    Operation,
    OperationEvent,
    OperationStatus,
)
from nova_lite.domain.errors import NetworkError, NoValidHost, NovaLiteError, RemoteFailure
from nova_lite.operations.flow import Flow, Step, StepContext, Waiting
from nova_lite.operations.world import World

LOG = logging.getLogger(__name__)
TRIES = 8  # of a step that raises what nobody expected
STEPS_PER_TURN = 64  # a guard: no flow has so many
LONGEST_DELAY = 60.0  # seconds between two tries of what must succeed in the end
LONGEST_ERROR = 4000  # characters that are kept of one


@dataclass
class _Turn:
    """What one transaction brings forth, to be done once it is committed."""

    commands: list[Command] = field(default_factory=list)
    networks: set[UUID] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)


class Runner:
    """`publish` sends a command; `network_changed` hears of networks whose generation grew."""

    def __init__(
        self,
        database: Database,
        flows: Mapping[str, Flow],
        world: World,
        publish: Callable[[Command], None],
        network_changed: Callable[[UUID], None],
        rng: random.Random,
    ) -> None:
        self.database = database
        self.flows = flows
        self.world = world
        self.publish = publish
        self.network_changed = network_changed
        self.rng = rng

    def run(self, ids: Iterable[UUID] = (), reports: Sequence[Report] = ()) -> None:
        """Advance these operations, and those that these reports are for.

        A transaction that failed (a deadlock, a lost connection, an operation
        that cannot be run) is repeated with each operation by itself, so that
        none holds up the others; what still fails is tried again later.
        """
        heard: dict[UUID, list[Report]] = {}
        for report in reports:
            heard.setdefault(report.operation_id, []).append(report)
        wanted = set(ids) | set(heard)
        try:
            self._turn(wanted, heard)
        except Exception as error:
            LOG.info("runner: once more, one by one: %s", error)
            for id in wanted:
                self._alone(id, heard)

    def due(self, limit: int = 64) -> list[UUID]:
        """Operations whose time has come, the longest waiting first."""
        with self.database.read() as session:
            found = (
                sa.select(Operation.id)
                .where(Operation.wake_at <= self.world.now())
                .order_by(Operation.wake_at)
                .limit(limit)
            )
            return list(session.scalars(found))

    def _alone(self, id: UUID, reports: Mapping[UUID, Sequence[Report]]) -> None:
        passing: sa.exc.DBAPIError | None = None
        for _ in range(5):
            try:
                return self._turn({id}, reports)
            except Exception as error:
                if not (isinstance(error, sa.exc.DBAPIError) and is_passing(error)):
                    LOG.exception("runner: operation %s cannot be run", id)
                    return self._put_off(id)
                passing = error
        # It is still due: the next look at what is due finds it.
        LOG.warning("runner: operation %s is put off: %s", id, passing)
        return None

    def _put_off(self, id: UUID) -> None:
        """Out of the way of the others for a while: a newer scheduler may know what to do."""
        with self.database.write() as session:
            session.execute(
                sa.update(Operation)
                .where(Operation.id == id, Operation.status.in_(UNFINISHED))
                .values(
                    wake_at=self.world.now() + dt.timedelta(seconds=LONGEST_DELAY),
                    waiting_for="a scheduler that can run it; see the logs",
                )
            )

    def _turn(self, ids: set[UUID], reports: Mapping[UUID, Sequence[Report]]) -> None:
        turn = _Turn()
        with self.database.write() as session, session.no_autoflush:
            operations = self._lock(session, ids, wait=bool(reports))
            targets = {op.target_id for op in operations}
            instances = {
                instance.id: instance
                for instance in session.scalars(
                    sa.select(Instance).where(Instance.id.in_(targets)).order_by(Instance.number)
                )
            }
            for op in operations:
                if self._hear(op, reports.get(op.id, ())):
                    context = StepContext(session, op, instances[op.target_id], self.world)
                    self._advance(context, turn)
                    turn.networks |= context.networks_changed
            if turn.events:
                session.execute(sa.insert(OperationEvent), turn.events)
        # Only after the commit: a command sent twice is harmless, one sent for
        # a transaction that never happened is not.
        for command in turn.commands:
            self.publish(command)
        for network in turn.networks:
            self.network_changed(network)

    def _lock(self, session: Session, ids: set[UUID], *, wait: bool) -> Sequence[Operation]:
        """Lock these operations, in one order everywhere; without `wait`, those that are free.

        A report waits for the lock, because it comes once; a wake-up need not,
        because whoever holds the lock is doing what it asks for.
        """
        return session.scalars(
            sa.select(Operation)
            .where(Operation.id.in_(ids), Operation.status.in_(UNFINISHED))
            .order_by(Operation.number)
            .with_for_update(skip_locked=not wait)
        ).all()

    def _hear(self, op: Operation, reports: Iterable[Report]) -> bool:
        """Note the report that answers what that very host was last asked; say if `op` may run."""
        now = self.world.now()
        for report in reports:
            answers = op.command_id == report.command_id and op.command_host == report.host
            if answers and op.report is None:
                op.report = {"result": report.result, "error": report.error}
                op.wake_at = now
        return op.wake_at is not None and op.wake_at <= now

    # --- one operation -------------------------------------------------------------------

    def _advance(self, context: StepContext, turn: _Turn) -> None:
        """Run steps until one has to wait or the operation is at its end."""
        op, flow = context.operation, self.flows[context.operation.kind]
        for _ in range(STEPS_PER_TURN):
            if op.status not in UNFINISHED or op.wake_at is None or op.wake_at > self.world.now():
                break
            self._run_step(context, flow, flow.steps[flow.position(op.step)], turn)
        op.updated_at = context.instance.updated_at = self.world.now()

    def _run_step(self, context: StepContext, flow: Flow, step: Step, turn: _Turn) -> None:
        op, instance = context.operation, context.instance
        if step.task_state and not context.unwinding:
            instance.task_state = step.task_state
        try:
            with _all_or_nothing(context):
                (step.undo if context.unwinding else step.do)(context)
        except Waiting as waiting:
            self._park(context, step, waiting, flow, turn)
        except Exception as error:
            if isinstance(error, sa.exc.DBAPIError) and is_passing(error):
                raise  # the whole transaction is lost, and is run again
            if not isinstance(error, NovaLiteError):
                LOG.exception("operation %s (%s): step %s raised", op.id, op.request_id, step.name)
            self._stumble(context, flow, step, error, turn)
        else:
            if context.repeat:
                context.repeat = False
                return self._begin_step(context, step.name)
            self._note(context, step, None, turn)
            self._go(context, flow, flow.position(step.name))
        return None

    def _park(
        self, context: StepContext, step: Step, waiting: Waiting, flow: Flow, turn: _Turn
    ) -> None:
        op, instance, now = context.operation, context.instance, self.world.now()
        patient = context.unwinding or flow.insists or step.insists
        if not patient and now - op.step_started_at > step.give_up_after:
            why = f": {waiting.why}" if waiting.why else ""
            # Another host would wait for the same network.
            kind = NetworkError if waiting.network else RemoteFailure
            failure = kind(f"Gave up waiting for {waiting.on}{why}.")
            return self._stumble(context, flow, step, failure, turn)
        op.attempt, op.wake_at, op.waiting_for = 0, now + step.resend_after, waiting.on
        if waiting.network:
            # It may have caught up since we looked: looked at again after the commit.
            turn.networks.add(waiting.network)
        op.waiting_generation = waiting.generation
        if command := waiting.command:
            if op.command_id != command.id:
                instance.sequence += 1
                op.command_id, op.command_host, op.report = command.id, command.host, None
                op.sequence = instance.sequence
            turn.commands.append(replace(command, sequence=op.sequence))
        return None

    def _stumble(
        self, context: StepContext, flow: Flow, step: Step, error: Exception, turn: _Turn
    ) -> None:
        """A step failed: try it later, or undo it and those before it."""
        op = context.operation
        op.attempt += 1
        expected = isinstance(error, NovaLiteError)
        # The owner reads what we meant to say, and of the rest only that it happened.
        words = _legible(error) if expected else f"Unexpected error in step {step.name}."
        self._note(context, step, words, turn)
        if not context.unwinding:  # what went wrong first is what the owner wants to know
            op.error = words
            op.error_details = (
                error.details
                if isinstance(error, NoValidHost)
                else f"{type(error).__name__}: {_legible(error)}"
            )
        insists = flow.insists or step.insists
        if context.unwinding or insists or not (expected or op.attempt >= TRIES):
            delay = min(2.0**op.attempt, LONGEST_DELAY) * self.rng.uniform(0.5, 1)
            op.command_id, op.report = None, None  # what failed is asked anew
            op.wake_at = self.world.now() + dt.timedelta(seconds=delay)
            op.waiting_for = f"a further try of {step.name}"
            return
        LOG.warning("operation %s (%s): %s: %s", op.id, op.request_id, step.name, words)
        again = (
            isinstance(error, RemoteFailure)
            and flow.start_over_from is not None
            and op.round + 1 < self.world.settings.max_attempts
        )
        if again:
            failures = [*context.facts.get("failures", []), f"{context.instance.host}: {words}"]
            context.learn(failures=failures)
        op.restart_at = flow.start_over_from if again else None
        op.status = OperationStatus.UNWINDING
        self._begin_step(context, step.name)

    def _go(self, context: StepContext, flow: Flow, at: int) -> None:
        op = context.operation
        if context.unwinding and op.step == op.restart_at:
            op.status, op.restart_at, op.round = OperationStatus.RUNNING, None, op.round + 1
            self._begin_step(context, op.step)
        elif context.unwinding and at > 0:
            self._begin_step(context, flow.steps[at - 1].name)
        elif context.unwinding:
            flow.failed(context)
            self._finish(context, OperationStatus.FAILED)
        elif at + 1 < len(flow.steps):
            self._begin_step(context, flow.steps[at + 1].name)
        else:
            flow.succeeded(context)
            self._finish(context, OperationStatus.SUCCEEDED)

    def _begin_step(self, context: StepContext, step: str) -> None:
        op, now = context.operation, self.world.now()
        op.step, op.step_started_at, op.wake_at, op.attempt = step, now, now, 0
        op.command_id, op.command_host, op.report, op.waiting_for = None, None, None, None

    def _finish(self, context: StepContext, status: OperationStatus) -> None:
        """The end; `succeeded` and `failed` have let the instance go in the same transaction."""
        op, instance = context.operation, context.instance
        op.status, op.wake_at, op.finished_at = status, None, self.world.now()
        op.command_id, op.report, op.waiting_for = None, None, None
        if status is OperationStatus.SUCCEEDED:
            op.error = op.error_details = None
        instance.task_state, instance.operation_id = None, None
        LOG.info(
            "operation %s (%s): %s of instance %s %s",
            op.id,
            op.request_id,
            op.action,
            op.target_id,
            status,
        )

    def _note(self, context: StepContext, step: Step, error: str | None, turn: _Turn) -> None:
        op = context.operation
        turn.events.append(
            {
                "operation_id": op.id,
                "name": f"undo {step.name}" if context.unwinding else step.name,
                "host": op.command_host or context.instance.host,
                "started_at": op.step_started_at,
                "finished_at": self.world.now(),
                "error": error,
            }
        )


def _legible(error: Exception) -> str:
    """What an error says, as every database keeps it: a worker may report any text."""
    text = str(error).encode(errors="replace").decode().replace("\0", "")
    return text if len(text) <= LONGEST_ERROR else text[:LONGEST_ERROR] + "..."


@contextmanager
def _all_or_nothing(context: StepContext) -> Iterator[None]:
    """A savepoint: when the block raises, nothing of what it wrote is left.

    Statements are taken back by the database; what was set on the operation
    and its instance, which is only written at the end of the turn, is set back
    here.  The session's own savepoints would write it at every step.
    """
    rows = (context.operation, context.instance)
    before = [{key: getattr(row, key) for key in _attributes(row)} for row in rows]
    changed = set(context.networks_changed)
    savepoint = context.session.connection().begin_nested()
    try:
        yield
    except BaseException as error:
        if isinstance(error, sa.exc.DBAPIError) and is_passing(error):
            # The database has given up the whole transaction, savepoints and
            # all; going on would commit the rest of the turn without its beginning.
            raise
        savepoint.rollback()
        for row, values in zip(rows, before, strict=True):
            for key, value in values.items():
                if getattr(row, key) is not value:
                    setattr(row, key, value)
        context.networks_changed, context.repeat = changed, False
        raise
    savepoint.commit()


def _attributes(row: Operation | Instance) -> Iterable[str]:
    return type(row).__mapper__.column_attrs.keys()
