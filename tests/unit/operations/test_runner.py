"""An operation goes forward, back, or on, whatever becomes of its steps and messages."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sqlite3
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import Command, Report
from nova_lite.db.models import Host, Instance, Network, OperationStatus
from nova_lite.domain.errors import Invalid, NoValidHost, RemoteFailure
from nova_lite.domain.specs import Role
from nova_lite.operations.flow import Step, StepContext
from nova_lite.operations.runner import LONGEST_DELAY, LONGEST_ERROR, STEPS_PER_TURN, TRIES
from nova_lite.testing.bus import Message
from tests.unit.operations.stage import Stage, nothing

SUCCEEDED, FAILED = OperationStatus.SUCCEEDED, OperationStatus.FAILED
UNWINDING, RUNNING = OperationStatus.UNWINDING, OperationStatus.RUNNING


def ask(context: StepContext) -> None:
    """Something any worker can do: to remove a guest that never was."""
    answer = context.ask("host1", "guest.remove", lambda: {"id": str(context.operation.id)})
    context.learn(answer=answer)


def a_deadlock() -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))


def raising(error: Exception) -> Step:
    """A step that never succeeds."""

    def do(context: StepContext) -> None:
        raise error

    return Step("never", do)


# --- forward ------------------------------------------------------------------------------------


def test_steps_run_in_their_order_and_the_instance_is_let_go(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(server, stage.step("one"), stage.step("two"), stage.step("three"))
    assert stage.instance(server).task_state == "rebooting_hard"
    stage.cloud.deliver()
    assert stage.ran == ["one", "two", "three"]
    operation, instance = stage.operation(id), stage.instance(server)
    assert (operation.status, operation.wake_at, operation.error) == (SUCCEEDED, None, None)
    assert operation.finished_at and operation.finished_at > operation.started_at
    assert (instance.operation_id, instance.task_state) == (None, None)


def test_the_journal_has_every_step_with_its_times_and_host(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(server, stage.step("one"), Step("two", ask), stage.step("three"))
    stage.cloud.settle()
    journal = stage.journal(id)
    assert [(event.name, event.error) for event in journal] == [
        ("one", None),
        ("two", None),
        ("three", None),
    ]
    assert journal[1].host == "host1" and journal[0].host == stage.instance(server).host
    times = [time for event in journal for time in (event.started_at, event.finished_at)]
    assert times == sorted(times)


def test_what_a_step_says_is_going_on_is_seen_while_it_waits(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.bus.faults = lambda message: []
    stage.play(server, Step("one", ask, task_state="pondering"))
    stage.cloud.control.look()
    stage.cloud.deliver()
    assert stage.instance(server).task_state == "pondering"


def test_a_step_that_is_not_through_runs_once_more_and_keeps_what_it_wrote(stage: Stage) -> None:
    server = stage.server()

    def count(context: StepContext) -> None:
        count = context.facts.get("count", 0) + 1
        context.learn(count=count)
        context.repeat = count < 3

    id = stage.play(server, stage.step("count", count), stage.step("then"))
    stage.cloud.deliver()
    assert stage.ran == ["count", "count", "count", "then"]
    assert stage.operation(id).facts == {"count": 3}
    assert [event.name for event in stage.journal(id)] == ["count", "then"]


def test_a_flow_that_goes_round_in_circles_lets_others_have_their_turn(stage: Stage) -> None:
    def again(context: StepContext) -> None:
        context.repeat = True

    id = stage.play(stage.server(), stage.step("circle", again))
    stage.cloud.control.runner.run([id])
    assert len(stage.ran) == STEPS_PER_TURN
    assert stage.operation(id).status is RUNNING and id in stage.cloud.control.runner.due()


# --- asking -------------------------------------------------------------------------------------


def test_a_step_that_asks_is_parked_with_nothing_written_and_then_runs_again(stage: Stage) -> None:
    server = stage.server()

    def write_and_ask(context: StepContext) -> None:
        context.learn(rounds=context.facts.get("rounds", 0) + 1)
        context.session.execute(sa.update(Host).values(zone=Host.zone + "!"))
        context.instance.description = "asking"
        context.networks_changed.add(uuid4())
        context.ask("host1", "guest.remove", lambda: {"id": str(uuid4())})

    id = stage.play(server, stage.step("ask", write_and_ask))
    runner = stage.cloud.control.runner
    runner.run([id])
    operation = stage.operation(id)
    assert operation.facts == {} and stage.instance(server).description is None
    assert operation.waiting_for == "nova-compute on host1: guest.remove"
    assert operation.command_host == "host1" and operation.report is None
    stage.cloud.deliver()
    assert stage.ran == ["ask", "ask"]
    assert stage.operation(id).facts == {"rounds": 1}
    with stage.cloud.database.read() as session:
        assert set(session.scalars(sa.select(Host.zone))) == {"nova!"}


def test_a_command_without_a_report_is_sent_again_the_same(stage: Stage) -> None:
    server = stage.server()
    lost = iter([True, True])
    stage.cloud.bus.faults = lambda m: [] if isinstance(m, Command) and next(lost, False) else [m]
    stage.play(server, Step("ask", ask, resend_after=dt.timedelta(seconds=7)))
    began = stage.cloud.clock.time
    stage.cloud.settle()
    sent = stage.sent("guest.remove")
    assert len(sent) == 3 and len({command.id for command in sent}) == 1
    assert len({command.sequence for command in sent}) == 1
    assert 14 <= (stage.cloud.clock.time - began).total_seconds() < 30


def test_each_new_command_about_a_guest_has_a_higher_sequence(stage: Stage) -> None:
    server = stage.server()
    before = stage.instance(server).sequence
    stage.play(server, Step("one", ask), Step("two", ask))
    stage.cloud.settle()
    assert [c.sequence for c in stage.sent("guest.remove")] == [before + 1, before + 2]
    assert stage.instance(server).sequence == before + 2


def test_waking_twice_runs_once(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(server, stage.step("ask", ask), stage.step("two"))
    for _ in range(3):
        stage.cloud.control.wake([id, id])
        stage.cloud.control.drain()
    assert stage.ran == ["ask"] and len(stage.sent("guest.remove")) == 1
    stage.cloud.settle()
    assert stage.ran == ["ask", "ask", "two"]
    stage.cloud.control.runner.run([id, uuid4()])  # it is over, and the other never was
    assert stage.ran == ["ask", "ask", "two"]


def test_a_doubled_and_a_late_report_change_nothing(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(server, stage.step("one", ask), stage.step("two", ask))
    stage.cloud.bus.faults = lambda m: [m, m] if isinstance(m, Report) else [m]
    stage.cloud.settle()
    assert stage.ran == ["one", "one", "two", "two"]
    for late in stage.reports("guest.remove"):
        stage.cloud.control.report(late)
    stage.cloud.deliver()
    assert stage.operation(id).status is SUCCEEDED and len(stage.ran) == 4


@pytest.mark.parametrize("genuine_first", [True, False])
@pytest.mark.parametrize("forged", ["another host", "another command"])
def test_a_forged_report_neither_counts_nor_hides_the_genuine_one(
    stage: Stage, forged: str, genuine_first: bool
) -> None:
    server = stage.server()
    id = stage.play(server, Step("one", ask))
    runner = stage.cloud.control.runner
    runner.run([id])
    asked = stage.sent("guest.remove")[0]

    def report(host: str, command: UUID, word: str) -> Report:
        return Report(command, id, Role.COMPUTE, host, asked.verb, {"from": word})

    lie = (
        report("evil", asked.id, "evil")
        if forged == "another host"
        else report("host1", uuid4(), "evil")
    )
    runner.run(reports=[lie])
    assert stage.operation(id).report is None
    both = [report("host1", asked.id, "host1"), lie]
    runner.run(reports=both if genuine_first else both[::-1])
    assert stage.operation(id).facts == {"answer": {"from": "host1"}}


def test_of_two_genuine_reports_the_first_counts(stage: Stage) -> None:
    id = stage.play(stage.server(), Step("one", ask))
    runner = stage.cloud.control.runner
    runner.run([id])
    asked = stage.sent("guest.remove")[0]
    both = [Report(asked.id, id, Role.COMPUTE, "host1", asked.verb, {"n": n}) for n in (1, 2)]
    runner.run(reports=both)
    assert stage.operation(id).facts == {"answer": {"n": 1}}


def test_a_report_for_a_cancelled_operation_is_passed_over(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(server, Step("one", ask))
    held: list[Message] = []

    def keep(message: Message) -> list[Message]:
        if isinstance(message, Report) and message.operation_id == id:
            held.append(message)
            return []
        return [message]

    stage.cloud.bus.faults = keep
    stage.cloud.deliver()
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    assert held and isinstance(held[0], Report)
    stage.cloud.control.report(held[0])
    stage.cloud.settle()
    operation = stage.operation(id)
    assert operation.status is OperationStatus.CANCELLED
    assert operation.error == "Cancelled: the instance is to delete."
    assert stage.instance(server).deleted and not stage.cloud.leftovers()


def test_a_host_that_is_down_is_not_asked(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.kill(Role.COMPUTE, "host1")
    stage.cloud.pass_time(60)
    id = stage.play(server, Step("ask", ask))
    stage.cloud.settle()
    assert stage.operation(id).error == "Host host1 is down."
    assert not stage.sent("guest.remove")


def test_a_host_that_never_was_is_down(stage: Stage) -> None:
    def ask_nobody(context: StepContext) -> None:
        context.ask("atlantis", "guest.remove", dict)

    id = stage.play(stage.server(), Step("ask", ask_nobody))
    stage.cloud.settle()
    assert stage.operation(id).error == "Host atlantis is down."


def test_what_a_lost_host_had_to_undo_counts_as_done(stage: Stage) -> None:
    server = stage.server()

    def lost_is_done(context: StepContext) -> None:
        answer = context.ask("host1", "guest.stop", dict, lost_is_done=True)
        context.learn(answer=answer)

    steps = Step("one", nothing, undo=ask), Step("two", lost_is_done), raising(Invalid("no"))
    stage.cloud.kill(Role.COMPUTE, "host1")
    stage.cloud.pass_time(60)
    id = stage.play(server, *steps)
    stage.cloud.deliver()
    assert stage.operation(id).status is FAILED and stage.operation(id).facts["answer"] == {}
    assert not stage.sent("guest.stop") and not stage.sent("guest.remove")


def test_waiting_is_given_up_with_the_reason_after_a_while(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.bus.faults = lambda m: [] if isinstance(m, Report) else [m]
    id = stage.play(
        server, stage.step("one"), Step("ask", ask, give_up_after=dt.timedelta(minutes=3))
    )
    began = stage.cloud.clock.time
    stage.cloud.settle()
    operation = stage.operation(id)
    assert operation.status is FAILED
    assert operation.error == "Gave up waiting for nova-compute on host1: guest.remove."
    assert 180 <= (stage.cloud.clock.time - began).total_seconds() < 200
    assert stage.ran == ["one", "undo one"]
    assert stage.instance(server).vm_state == "active"


def test_who_waits_for_a_network_is_told_why_when_it_gives_up(stage: Stage) -> None:
    def wait(context: StepContext) -> None:
        context.wait_for_network(UUID(int=7), 5, 4, "dnsmasq would not start")

    id = stage.play(stage.server(), Step("wire", wait))
    stage.cloud.settle()
    assert stage.operation(id).error == (
        f"Gave up waiting for network {UUID(int=7)}: dnsmasq would not start."
    )


# --- back ---------------------------------------------------------------------------------------


def test_what_was_done_is_undone_in_reverse_and_stands_in_the_journal(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(
        server,
        stage.step("one"),
        stage.step("two"),
        stage.step("three", RemoteFailure("no luck")),
        stage.step("four"),
    )
    stage.cloud.deliver()
    assert stage.ran == ["one", "two", "three", "undo three", "undo two", "undo one"]
    operation = stage.operation(id)
    assert (operation.status, operation.error) == (FAILED, "no luck")
    assert [(event.name, event.error) for event in stage.journal(id)] == [
        ("one", None),
        ("two", None),
        ("three", "no luck"),
        ("undo three", None),
        ("undo two", None),
        ("undo one", None),
    ]
    instance = stage.instance(server)
    assert instance.fault and instance.fault["message"] == "no luck"
    assert (instance.operation_id, instance.vm_state) == (None, "active")


def test_an_undo_that_fails_is_tried_until_it_succeeds_and_hides_nothing(stage: Stage) -> None:
    failures = iter([RemoteFailure("busy"), ZeroDivisionError("bug")] * 6)

    def undo(context: StepContext) -> None:
        for failure in failures:
            raise failure

    id = stage.play(stage.server(), Step("one", nothing, undo=undo), raising(Invalid("why")))
    stage.cloud.settle()
    operation = stage.operation(id)
    assert (operation.status, operation.error) == (FAILED, "why")
    errors = [event.error for event in stage.journal(id) if event.name == "undo one"]
    assert errors == ["busy", "Unexpected error in step one."] * 6 + [None]


def test_an_undo_waits_as_long_as_it_takes(stage: Stage) -> None:
    id = stage.play(stage.server(), Step("one", nothing, undo=ask), raising(Invalid("why")))
    silent_until = stage.cloud.clock.time + dt.timedelta(minutes=30)
    stage.cloud.bus.faults = lambda m: (
        [] if isinstance(m, Report) and stage.cloud.clock.time < silent_until else [m]
    )
    stage.cloud.settle()
    assert stage.operation(id).status is FAILED
    assert stage.cloud.clock.time >= silent_until


def test_what_insists_never_gives_up_and_asks_later_and_later(stage: Stage) -> None:
    server = stage.server()
    times: list[float] = []

    def stubborn(context: StepContext) -> None:
        times.append(context.world.now().timestamp())
        if len(times) <= 15:
            raise RemoteFailure("still not")

    id = stage.play(server, Step("one", stubborn), insists=True)
    stage.cloud.settle()
    operation = stage.operation(id)
    assert (operation.status, operation.error) == (SUCCEEDED, None)
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert gaps[0] < 3 and gaps[3] > gaps[0]
    assert all(gap <= LONGEST_DELAY + 11 for gap in gaps) and gaps[-1] > 25


def test_what_insists_waits_for_its_answer_for_ever(stage: Stage) -> None:
    server = stage.server()
    silent_until = stage.cloud.clock.time + dt.timedelta(minutes=30)
    stage.cloud.bus.faults = lambda m: (
        [] if isinstance(m, Report) and stage.cloud.clock.time < silent_until else [m]
    )
    id = stage.play(server, Step("one", ask), insists=True)
    stage.cloud.settle()
    assert stage.operation(id).status is SUCCEEDED


def test_what_failed_is_asked_anew(stage: Stage) -> None:
    """With a sequence of its own: the answer to the first asking must not count."""
    server = stage.server()
    answers = iter(["try again", None])

    def fault(message: Message) -> list[Message]:
        if isinstance(message, Report) and message.verb == "guest.remove":
            error = next(answers)
            return [
                Report(
                    message.command_id,
                    message.operation_id,
                    message.role,
                    message.host,
                    message.verb,
                    error=error,
                )
            ]
        return [message]

    stage.cloud.bus.faults = fault
    id = stage.play(server, Step("one", ask), insists=True)
    stage.cloud.settle()
    assert stage.operation(id).status is SUCCEEDED
    first, second = stage.sent("guest.remove")
    assert second.sequence == first.sequence + 1


# --- starting over ------------------------------------------------------------------------------


def test_a_server_is_tried_on_so_many_hosts_and_the_fault_has_the_reasons(stage: Stage) -> None:
    for i in range(3, 6):
        stage.cloud.hosts[f"host{i}"] = type(stage.cloud.hosts["host1"])(f"host{i}")
        stage.cloud.start_compute(f"host{i}")
    for name, host in stage.cloud.hosts.items():
        host.machine.broken["ensure"] = RemoteFailure(f"{name} is out of smoke")
    stage.cloud.deliver()
    id = stage.boot()
    stage.cloud.settle()
    tried = [command.host for command in stage.sent("guest.run")]
    instance = stage.instance(id)
    assert len(tried) == len(set(tried)) == 3 == stage.cloud.config.scheduler.max_attempts
    assert instance.vm_state == "error" and instance.host is None
    operation = stage.last_operation(id)
    assert operation.round == 2 and operation.facts["tried"] == tried
    assert operation.facts["failures"] == [f"{host}: {host} is out of smoke" for host in tried[:2]]
    assert instance.fault and instance.fault["message"] == f"{tried[2]} is out of smoke"
    assert not stage.cloud.leftovers()
    names = [event.name for event in stage.journal(operation.id)]
    one_round = ["place", "addresses", "wire", "spawn"]
    assert names == (one_round + [f"undo {name}" for name in one_round[::-1]]) * 3


def test_when_no_other_host_is_left_the_fault_says_what_was_tried(stage: Stage) -> None:
    for name, host in stage.cloud.hosts.items():
        host.machine.broken["ensure"] = RemoteFailure(f"{name} is out of smoke")
    id = stage.boot()
    stage.cloud.settle()
    fault = stage.instance(id).fault
    assert fault and fault["message"].startswith("No valid host was found:")
    assert "host1: host1 is out of smoke" in fault["message"]
    assert "host2: host2 is out of smoke" in fault["message"]


def test_a_server_that_failed_once_runs_elsewhere(stage: Stage) -> None:
    for host in ("host1", "host2"):
        machine = stage.cloud.hosts[host].machine
        machine.broken["ensure"] = RemoteFailure("only now")
    next(iter(stage.cloud.hosts.values())).machine.broken.clear()
    id = stage.server()
    instance = stage.instance(id)
    assert instance.host == "host1" and instance.fault is None
    assert stage.last_operation(id).error is None


def test_only_what_a_worker_said_makes_it_start_over(stage: Stage) -> None:
    id = stage.play(
        stage.server(),
        stage.step("one"),
        stage.step("two", NoValidHost("none", details="host1: full")),
        start_over_from="one",
    )
    stage.cloud.deliver()
    assert stage.ran == ["one", "two", "undo two", "undo one"]
    assert stage.operation(id).error_details == "host1: full"


def test_it_starts_over_from_where_it_should_and_not_from_the_start(stage: Stage) -> None:
    id = stage.play(
        stage.server(),
        stage.step("one"),
        stage.step("two"),
        stage.step("three", RemoteFailure("no"), nothing),
        start_over_from="two",
    )
    stage.cloud.deliver()
    assert stage.ran == ["one", "two", "three", "undo three", "undo two", "two", "three"]
    assert stage.operation(id).status is SUCCEEDED


# --- what nobody expected -----------------------------------------------------------------------


def test_a_bug_is_tried_several_times_and_then_unwound_without_a_word_of_it(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    bug = KeyError("password=hunter2")
    id = stage.play(server, stage.step("one"), stage.step("two", bug))
    stage.cloud.settle()
    assert stage.ran == ["one"] + ["two"] * TRIES + ["undo two", "undo one"]
    operation, fault = stage.operation(id), stage.instance(server).fault
    assert operation.error == "Unexpected error in step two."
    assert fault and fault["message"] == operation.error
    assert "hunter2" in (operation.error_details or "")  # an administrator's affair
    assert {event.error for event in stage.journal(id) if event.name == "two"} == {operation.error}
    assert "hunter2" in caplog.text and operation.request_id in caplog.text


def test_a_bug_that_goes_away_is_forgotten(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(server, stage.step("one", ZeroDivisionError("?"), nothing), stage.step("two"))
    stage.cloud.settle()
    assert stage.ran == ["one", "one", "two"]
    operation = stage.operation(id)
    assert (operation.status, operation.error, operation.error_details) == (SUCCEEDED, None, None)
    assert stage.instance(server).fault is None


def test_a_worker_may_say_anything_and_it_is_kept_legibly(stage: Stage) -> None:
    server = stage.server()
    id = stage.play(server, Step("one", ask))
    runner = stage.cloud.control.runner
    runner.run([id])
    asked = stage.sent("guest.remove")[0]
    words = "nul\0 " + "x" * 100_000
    runner.run(reports=[Report(asked.id, id, Role.COMPUTE, "host1", asked.verb, error=words)])
    error = stage.operation(id).error
    assert error and error.startswith("nul x") and len(error) <= LONGEST_ERROR + 3
    assert stage.journal(id)[0].error == error


# --- many at once -------------------------------------------------------------------------------


def test_one_that_fails_does_not_touch_the_others_of_its_batch(stage: Stage) -> None:
    servers = [stage.server() for _ in range(3)]

    def depends(context: StepContext) -> None:
        context.session.execute(sa.update(Host).values(instances=Host.instances + 100))
        context.instance.description = "touched"
        if context.instance.id == servers[1]:
            raise Invalid("this one not")

    step = Step("one", depends)
    ids = [stage.play(server, step) for server in servers]
    stage.cloud.control.runner.run(ids)
    assert [stage.operation(id).status for id in ids] == [SUCCEEDED, FAILED, SUCCEEDED]
    described = [stage.instance(server).description for server in servers]
    assert described == ["touched", None, "touched"]
    with stage.cloud.database.read() as session:
        counts = session.scalars(sa.select(Host.instances)).all()
    assert sum(counts) == 3 + 2 * 100 * len(counts)


def poison(stage: Stage, server: UUID, how: str) -> UUID:
    id = stage.play(server, stage.step("one"))
    if how == "a kind from the future":
        stage.set(id, kind="instance.teleport")
    elif how == "a step from the future":
        stage.set(id, step="two and a half")
    else:

        def bug(context: StepContext) -> None:
            raise ZeroDivisionError

        flows = stage.cloud.control.runner.flows
        flow = dataclasses.replace(flows["instance.reboot"], succeeded=bug)
        stage.cloud.control.runner.flows = {**flows, "instance.reboot": flow}
    return id


@pytest.mark.parametrize(
    "how", ["a kind from the future", "a step from the future", "a bug at the very end"]
)
def test_an_operation_that_cannot_be_run_holds_up_nobody(
    stage: Stage, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = stage.server(), stage.server()
    poisoned = poison(stage, bad, how)
    stage.cloud.services.instances.stop(stage.cloud.admin, good)
    stage.cloud.deliver()
    assert stage.instance(good).vm_state == "stopped"
    assert f"operation {poisoned} cannot be run" in caplog.text
    operation = stage.operation(poisoned)
    assert operation.status is RUNNING and operation.wake_at and operation.waiting_for
    assert operation.wake_at > stage.cloud.clock.time + dt.timedelta(seconds=30)
    assert stage.cloud.control.runner.due() == []
    stage.cloud.services.instances.delete(stage.cloud.admin, bad)  # there is a way out
    stage.cloud.settle()
    assert stage.instance(bad).deleted and not stage.cloud.leftovers()


def test_a_deadlock_takes_the_whole_turn_with_it_and_it_is_run_again(stage: Stage) -> None:
    """Once the rest of the turn was committed, with what came before the deadlock lost."""
    servers = [stage.server(), stage.server()]

    def write(context: StepContext) -> None:
        context.session.execute(sa.update(Host).values(instances=Host.instances + 100))

    ids = [
        stage.play(
            server,
            stage.step(f"one of {i}", write),
            stage.step(f"two of {i}", *([a_deadlock()] if i == 1 else []), write),
        )
        for i, server in enumerate(servers)
    ]
    stage.cloud.control.runner.run(ids[1:])
    assert stage.ran == ["one of 1", "two of 1", "one of 1", "two of 1"]
    with stage.cloud.database.read() as session:
        counts = session.scalars(sa.select(Host.instances)).all()
    assert sum(counts) == 2 + 2 * 100 * len(counts)
    assert [event.name for event in stage.journal(ids[1])] == ["one of 1", "two of 1"]
    assert stage.operation(ids[1]).error is None


def test_the_others_of_a_deadlocked_turn_are_run_again_too(stage: Stage) -> None:
    servers = [stage.server() for _ in range(3)]
    lost = iter([a_deadlock()])

    def count(context: StepContext) -> None:
        context.session.execute(sa.update(Host).values(instances=Host.instances + 100))
        if context.instance.id == servers[1]:
            for error in lost:
                raise error

    step = Step("one", count)
    ids = [stage.play(server, step) for server in servers]
    stage.cloud.control.runner.run(ids)
    assert {stage.operation(id).status for id in ids} == {SUCCEEDED}
    with stage.cloud.database.read() as session:
        counts = session.scalars(sa.select(Host.instances)).all()
    assert sum(counts) == 3 + 3 * 100 * len(counts)


def test_commands_of_a_turn_that_was_lost_are_not_sent(stage: Stage) -> None:
    servers = [stage.server(), stage.server()]

    def ask_then_lose(context: StepContext) -> None:
        if context.instance.id == servers[0]:
            ask(context)
        raise a_deadlock()

    ids = [stage.play(server, Step("one", ask_then_lose)) for server in servers]
    sent = len(stage.sent("guest.remove"))
    stage.cloud.control.runner._turn(set(ids[:1]), {})
    assert len(stage.sent("guest.remove")) == sent + 1
    with pytest.raises(sa.exc.OperationalError):
        stage.cloud.control.runner._turn(set(ids[1:]), {})
    assert len(stage.sent("guest.remove")) == sent + 1


def test_an_operation_that_deadlocks_again_and_again_stays_due(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    id = stage.play(stage.server(), stage.step("one", a_deadlock()))
    stage.cloud.control.runner.run([id])
    assert len(stage.ran) == 6
    assert f"operation {id} is put off" in caplog.text
    operation = stage.operation(id)
    assert operation.attempt == 0 and operation.error is None  # it is nobody's fault
    assert stage.cloud.control.runner.due() == [id]


def test_what_is_due_is_found_the_longest_waiting_first(stage: Stage) -> None:
    servers = [stage.server() for _ in range(3)]
    ids = [stage.play(server, stage.step("one")) for server in servers]
    now = stage.cloud.clock.time
    for id, seconds in zip(ids, (-1, -5, 60), strict=True):
        stage.set(id, wake_at=now + dt.timedelta(seconds=seconds))
    runner = stage.cloud.control.runner
    assert runner.due() == [ids[1], ids[0]]
    assert runner.due(limit=1) == [ids[1]]
    runner.run(ids)
    assert stage.ran == ["one", "one"]  # the third's time has not come


def test_nobody_is_told_of_a_network_that_did_not_change_after_all(stage: Stage) -> None:
    server, told = stage.server(), list[UUID]()
    stage.cloud.control.runner.network_changed = told.append
    changed, unchanged = uuid4(), uuid4()

    def change(context: StepContext) -> None:
        context.networks_changed.add(changed)

    def change_and_fail(context: StepContext) -> None:
        context.networks_changed.add(unchanged)
        raise Invalid("no")

    id = stage.play(server, Step("one", change), Step("two", change_and_fail))
    stage.cloud.control.runner.run([id])
    assert told == [changed]


# --- networks -----------------------------------------------------------------------------------


def test_a_network_that_catches_up_between_look_and_park_still_wakes(stage: Stage) -> None:
    server = stage.server()
    with stage.cloud.database.read() as session:
        network = session.scalars(sa.select(Network)).one()
    looks: list[int] = []

    def wait(context: StepContext) -> None:
        # What this step sees the first time was true a moment ago: the gateway
        # has caught up since, and nobody will report it again.
        looks.append(0 if not looks else network.generation)
        context.wait_for_network(network.id, 1, looks[-1], "")

    id = stage.play(server, Step("wait", wait))
    before = stage.cloud.clock.time
    stage.cloud.deliver()
    assert stage.operation(id).status is SUCCEEDED
    assert (stage.cloud.clock.time - before).total_seconds() < 1  # and not at the next re-send


def test_all_who_wait_for_a_network_are_woken_by_its_report(stage: Stage) -> None:
    stage.cloud.bus.faults = lambda m: (
        [] if isinstance(m, Report) and m.role is Role.NETWORK else [m]
    )
    ids = [stage.boot() for _ in range(3)]
    stage.cloud.deliver()
    assert {stage.last_operation(id).step for id in ids} == {"wire"}
    assert {stage.last_operation(id).waiting_for.split()[0] for id in ids} == {"network"}  # type: ignore[union-attr]
    stage.cloud.bus.faults = lambda message: [message]
    stage.cloud.settle()
    assert {stage.instance(id).vm_state for id in ids} == {"active"}


def test_what_an_owner_says_of_a_server_meanwhile_is_not_overwritten(stage: Stage) -> None:
    server = stage.server()

    def rename_behind_its_back(context: StepContext) -> None:
        rename = sa.update(Instance).where(Instance.id == server).values(display_name="renamed")
        context.session.execute(rename.execution_options(synchronize_session=False))
        context.instance.task_state = "renaming"

    id = stage.play(server, Step("one", rename_behind_its_back), Step("two", ask))
    stage.cloud.control.runner.run([id])
    instance = stage.instance(server)
    assert (instance.display_name, instance.task_state) == ("renamed", "renaming")
