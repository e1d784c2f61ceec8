"""The generic attack: everything that can go wrong with any flow, made to happen.

An attack is a way of going wrong, at the n-th opportunity; it is repeated for
every n there is.  Afterwards nothing may be stuck, left over, or double.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

import sqlalchemy as sa

from nova_lite.bus.messages import Command, Report
from nova_lite.db.models import Instance
from nova_lite.domain.errors import NotFound, RemoteFailure
from nova_lite.domain.specs import Role
from nova_lite.domain.states import VmState
from nova_lite.operations import FLOWS
from nova_lite.operations.flow import Act, Flow, Step, StepContext
from nova_lite.testing.arena import Arena, Crash, Scenario
from nova_lite.testing.bus import Message
from nova_lite.testing.cloud import Cloud

Attack = Callable[[Arena, int], bool | None]
"""Set the arena up for going wrong at the n-th opportunity.

Returns None when n is beyond all of them, else whether the flow may fail of it.
"""


def once(at: int, happen: Callable[[], None]) -> Callable[[], None]:
    """Calls of the result do nothing, but the one numbered `at` happens."""
    count = itertools.count()

    def call() -> None:
        if next(count) == at:
            happen()

    return call


def _raise(error: BaseException) -> Callable[[], None]:
    def happen() -> None:
        raise error

    return happen


def _refused(context: StepContext) -> None:
    raise RemoteFailure("no luck")


def repeat_every_step(arena: Arena, n: int) -> bool | None:
    """Everything is done twice, and undone twice."""
    if n:
        return None

    def twice(act: Act) -> Act:
        def run(context: StepContext) -> None:
            act(context)
            # One that says it is not through is run again as it is, for its next host.
            if not context.repeat:
                act(context)

        return run

    arena.wrap(twice)
    return False


def fail_each_step(arena: Arena, n: int) -> bool | None:
    """One step is refused, for good."""
    if n >= len(arena.scenario.flow.steps):
        return None
    if arena.scenario.flow.insists or arena.scenario.flow.steps[n].insists:
        return fail_each_step_once(arena, n)
    arena.wrap_step(n, do=_refused)
    return True


def fail_each_step_once(arena: Arena, n: int) -> bool | None:
    """One step is refused, and would succeed the next time."""
    return _stumble(arena, n, RemoteFailure("no luck today"), may_fail=True)


def break_each_step_once(arena: Arena, n: int) -> bool | None:
    """One step raises what nobody expected, once: it is simply tried again."""
    return _stumble(arena, n, ZeroDivisionError("a bug"), may_fail=False)


def _stumble(arena: Arena, n: int, error: Exception, *, may_fail: bool) -> bool | None:
    steps: Sequence[Step] = arena.scenario.flow.steps
    if n >= len(steps):
        return None
    trip, do = once(0, _raise(error)), steps[n].do

    def stumble(context: StepContext) -> None:
        do(context)
        trip()

    arena.wrap_step(n, do=stumble)
    return may_fail


def last_that_may_fail(flow: Flow) -> int:
    """The step from which the longest way back leads; -1 when there is none."""
    may = [i for i, step in enumerate(flow.steps) if not (flow.insists or step.insists)]
    return max(may, default=-1)


def fail_then_fail_to_undo(arena: Arena, n: int) -> bool | None:
    """The last step is refused for good, and the n-th undo takes three tries."""
    flow, last = arena.scenario.flow, last_that_may_fail(arena.scenario.flow)
    if n > last:
        return None
    tries, undo = itertools.count(), flow.steps[n].undo

    def stubborn(context: StepContext) -> None:
        undo(context)
        if next(tries) < 3:
            raise RemoteFailure("still busy")

    arena.wrap_step(n, undo=stubborn)
    arena.wrap_step(last, do=_refused)
    return True


def crash_at_each_commit(arena: Arena, n: int) -> bool | None:
    """The scheduler dies just before its n-th commit, or just after it: no message leaves."""
    if n and n >= 2 * arena.commits:
        return None
    arena.commits = 0

    def trip(committed: bool) -> None:
        if (arena.commits, committed) == (n // 2, n % 2 == 1):
            arena.commits += 1
            raise Crash
        arena.commits += committed

    arena.trip = trip
    return False


def crash_at_each_commit_of_a_failing_flow(arena: Arena, n: int) -> bool | None:
    """The same on the way back."""
    last = last_that_may_fail(arena.scenario.flow)
    if last < 0 or crash_at_each_commit(arena, n) is None:
        return None
    arena.wrap_step(last, do=_refused)
    return True


def deadlock_in_each_act(arena: Arena, n: int) -> bool | None:
    """The database gives up the whole transaction at the end of the n-th act."""
    if n >= len(arena.scenario.flow.steps):
        return None
    once_only, do = itertools.count(), arena.scenario.flow.steps[n].do

    def lose(context: StepContext) -> None:
        do(context)
        if next(once_only) == 0:
            context.session.connection().connection.cursor().execute("ROLLBACK")
            raise sa.exc.OperationalError(
                "UPDATE", {}, sqlite3.OperationalError("database is locked")
            )

    arena.wrap_step(n, do=lose)
    return False


def _messages(arena: Arena, n: int, change: Callable[[Message], Sequence[Message]]) -> bool | None:
    """The n-th message is changed by `change` on its way."""
    if n and n >= arena.messages:
        return None
    arena.messages = 0

    def fault(message: Message) -> Sequence[Message]:
        arena.messages += 1
        return change(message) if arena.messages == n + 1 else [message]

    arena.cloud.bus.faults = fault
    return False


def lose_a_message(arena: Arena, n: int) -> bool | None:
    return _messages(arena, n, lambda message: [])


def double_a_message(arena: Arena, n: int) -> bool | None:
    return _messages(arena, n, lambda message: [message, message])


def lose_half_of_all_messages(arena: Arena, n: int) -> bool | None:
    if n > 2:
        return None
    rng, arena.untidy = random.Random(n), True
    arena.cloud.bus.faults = lambda message: [message] if rng.random() < 0.5 else []
    # Half of all heartbeats are lost, too: a host may well be taken for dead.
    return True


def delay_a_message(arena: Arena, n: int) -> bool | None:
    """It arrives after everything else, long after its operation has ended."""
    late: list[Message] = []
    if n > 6:
        return None
    count, arena.untidy = itertools.count(), True

    def fault(message: Message) -> Sequence[Message]:
        number = next(count)
        if number == n:
            late.append(message)
            return []
        if number == n + 25 and late:
            return [message, late.pop()]
        return [message]

    arena.cloud.bus.faults = fault
    return False


def forge_reports(arena: Arena, n: int) -> bool | None:
    """Somebody answers in the place of the host that was asked: before it, and after it."""
    if n > 3:
        return None
    another_host, error = n % 2 == 0, "a lie" if n > 1 else None

    def fault(message: Message) -> Sequence[Message]:
        if not isinstance(message, Command):
            return [message]
        lie = Report(
            command_id=message.id if another_host else uuid4(),
            operation_id=message.operation_id,
            role=message.role,
            host="evil" if another_host else message.host,
            verb=message.verb,
            result={"power_state": "running", "generation": 1 << 40},
            # Of a network the host itself may say at any time that it is broken.
            error=error if message.role is Role.COMPUTE or another_host else None,
        )
        return [lie, message, lie]

    arena.cloud.bus.faults = fault
    return False


def kill_the_worker_before_it_acts(arena: Arena, n: int) -> bool | None:
    return _kill(arena, n, after=False)


def kill_the_worker_before_it_reports(arena: Arena, n: int) -> bool | None:
    return _kill(arena, n, after=True)


def _kill(arena: Arena, n: int, *, after: bool) -> bool | None:
    """The worker of the n-th command dies, before or after doing it, and is started again."""
    if n > 3:
        return None
    cloud, count, dead = arena.cloud, itertools.count(), []

    def fault(message: Message) -> Sequence[Message]:
        if isinstance(message, Command) and next(count) == n:
            if after:
                cloud.bus.workers[message.role, message.host].verbs[message.verb](
                    message.args, message.sequence
                )
            cloud.kill(message.role, message.host)
            dead.append(message)
            return [message]
        if dead and not isinstance(message, Command):
            dead.clear()
            cloud.start_missing()
        return [message]

    cloud.bus.faults = fault
    return False


def a_host_dies_for_good(arena: Arena, n: int) -> bool | None:
    """The host of the n-th compute command goes down, and comes back much later."""
    if n > 2:
        return None
    cloud, count, arena.untidy = arena.cloud, itertools.count(), True

    def fault(message: Message) -> Sequence[Message]:
        if isinstance(message, Command) and message.role is Role.COMPUTE and next(count) == n:
            cloud.kill(message.role, message.host)
        return [message]

    cloud.bus.faults = fault
    return True


#: What leaves its mark on an instance, whose state is another before each.
ON_STATES: tuple[Attack, ...] = (
    repeat_every_step,
    fail_each_step,
    fail_each_step_once,
    fail_then_fail_to_undo,
    crash_at_each_commit,
    crash_at_each_commit_of_a_failing_flow,
    a_host_dies_for_good,
)
#: What happens between processes: it is all the same to it which state a flow began in.
ON_THE_WAY: tuple[Attack, ...] = (
    break_each_step_once,
    deadlock_in_each_act,
    lose_a_message,
    double_a_message,
    lose_half_of_all_messages,
    delay_a_message,
    forge_reports,
    kill_the_worker_before_it_acts,
    kill_the_worker_before_it_reports,
)


def attacks(scenarios: Sequence[Scenario]) -> Iterator[tuple[Scenario, Attack]]:
    """What each is attacked by: each variant of a flow by everything, each state by most."""
    known: set[tuple[object, ...]] = set()
    for scenario in scenarios:
        variant = (scenario.flow.kind, *scenario.variant.items())
        of_all = ON_STATES if variant in known else (*ON_STATES, *ON_THE_WAY)
        known.add(variant)
        yield from ((scenario, attack) for attack in of_all)


def assail(arena: Arena, attack: Attack) -> Iterator[int]:
    """Run `attack` at every opportunity, checking after each; yield the number of each."""
    bus = arena.cloud.bus
    for n in itertools.count():
        arena.disarm()
        arena.flows = dict(FLOWS)
        may_fail = attack(arena, n)
        if may_fail is None:
            return
        # Armed only once the instance is there: how it came to be is no part of this.
        armed = bus.faults, arena.trip, arena.untidy
        id = arena.prepare()
        bus.faults, arena.trip, arena.untidy = armed
        arena.run(id)
        bus.faults = lambda message: [message]
        arena.cloud.start_missing()
        arena.check(id, may_fail=may_fail)
        if n == 0:
            arena.clear()
        yield n


def delete_at_every_moment(arena: Arena) -> Iterator[int]:
    """The owner deletes the instance after the n-th message, whatever is under way.

    When that message is a command, it arrives only after those of the delete.
    """
    for n in range(9):
        id = arena.prepare()
        cloud = arena.cloud
        cloud.bus.faults = _delete_at(arena, id, n)
        arena.run(id)
        cloud.bus.faults = lambda message: [message]
        with suppress(NotFound):
            cloud.services.instances.delete(cloud.admin, id)
        cloud.settle()
        cloud.pass_time(20, every=10)
        assert _is_deleted(cloud, id)
        arena.check_tidiness(id)
        assert not (left := cloud.leftovers()), left
        assert not cloud.guests()
        yield n


def _delete_at(arena: Arena, id: UUID, n: int) -> Callable[[Message], Sequence[Message]]:
    count, late = itertools.count(), list[Message]()

    def fault(message: Message) -> Sequence[Message]:
        if next(count) == n:
            with suppress(NotFound):  # it may be gone already
                arena.cloud.services.instances.delete(arena.cloud.admin, id)
            if isinstance(message, Command) and message.role is Role.COMPUTE:
                late.append(message)
                return []
        if late and isinstance(message, Command) and message.role is Role.COMPUTE:
            return [message, late.pop()]
        return [message]

    return fault


def _is_deleted(cloud: Cloud, id: UUID) -> bool:
    with cloud.database.read() as session:
        state = session.scalar(sa.select(Instance.vm_state).where(Instance.id == id))
    return state is VmState.DELETED
