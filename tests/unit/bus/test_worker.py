"""A worker does what it is told, once at a time, in order, and says what became of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest

from nova_lite.bus.messages import Command, Json, Report
from nova_lite.bus.worker import Worker
from nova_lite.domain.errors import HypervisorError, NotFound
from nova_lite.domain.specs import Role


def command(
    guest: str = "g1", verb: str = "guest.run", sequence: int = 1, id: UUID | None = None
) -> Command:
    return Command(
        id or uuid4(),
        uuid4(),
        Role.COMPUTE,
        "host1",
        verb,
        {"id": guest},
        sequence,
        request_id="req-1",
    )


class Slow:
    """A verb that one can watch, and that goes on when it may."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.may_end = threading.Event()
        self.someone_began = threading.Semaphore(0)

    def __call__(self, args: Json, sequence: int) -> Json:
        self.began.append(args["id"])
        self.someone_began.release()
        assert self.may_end.wait(10)
        return {"sequence": sequence}


def a_worker(
    verb: Callable[[Json, int], Json], done: dict[str, int] | None = None
) -> tuple[Worker, list[Report]]:
    sent: list[Report] = []
    questions = {"name": lambda args: {"name": args["id"].upper()}}
    return Worker("host1", {"guest.run": verb}, questions, sent.append, done), sent


def test_what_was_done_is_reported_to_who_asked() -> None:
    worker, sent = a_worker(lambda args, sequence: {"power_state": "running"})
    asked = command()
    worker.handle(asked)
    assert sent == [
        Report(
            command_id=asked.id,
            operation_id=asked.operation_id,
            role=Role.COMPUTE,
            host="host1",
            verb="guest.run",
            result={"power_state": "running"},
            request_id="req-1",
        )
    ]


def test_a_re_send_of_what_is_being_done_is_passed_over() -> None:
    slow = Slow()
    worker, sent = a_worker(slow)
    asked = command()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(worker.handle, asked)
        assert slow.someone_began.acquire(timeout=10)
        worker.handle(asked)  # returns at once
        assert slow.began == ["g1"] and not sent
        slow.may_end.set()
        first.result(10)
    assert len(sent) == 1


def test_what_is_done_is_done_again_when_it_is_asked_again() -> None:
    worker, sent = a_worker(lambda args, sequence: {})
    asked = command()
    worker.handle(asked)
    worker.handle(asked)
    assert len(sent) == 2 and sent[0] == sent[1] and sent[0].error is None


def test_what_is_older_than_what_was_done_is_refused() -> None:
    done: list[int] = []

    def verb(args: Json, sequence: int) -> Json:
        done.append(sequence)
        return {}

    worker, sent = a_worker(verb)
    for sequence in (1, 3, 2, 3, 4):
        worker.handle(command(sequence=sequence))
    assert done == [1, 3, 3, 4]
    assert [report.error for report in sent] == [
        None,
        None,
        "superseded by a later command",
        None,
        None,
    ]


def test_what_a_guest_had_got_to_before_the_worker_came_counts() -> None:
    worker, sent = a_worker(lambda args, sequence: {}, done={"g1": 7})
    worker.handle(command("g1", sequence=6))
    worker.handle(command("g2", sequence=6))
    assert [report.error for report in sent] == ["superseded by a later command", None]


def test_two_guests_are_served_side_by_side() -> None:
    slow = Slow()
    worker, sent = a_worker(slow)
    with ThreadPoolExecutor() as pool:
        for guest in ("g1", "g2"):
            pool.submit(worker.handle, command(guest))
        assert slow.someone_began.acquire(timeout=10) and slow.someone_began.acquire(timeout=10)
        assert sorted(slow.began) == ["g1", "g2"]
        slow.may_end.set()
    assert len(sent) == 2


def test_one_guest_is_served_one_thing_at_a_time() -> None:
    slow = Slow()
    worker, sent = a_worker(slow)
    with ThreadPoolExecutor() as pool:
        pool.submit(worker.handle, command(sequence=1))
        assert slow.someone_began.acquire(timeout=10)
        pool.submit(worker.handle, command(sequence=2))
        assert not slow.someone_began.acquire(timeout=0.2)
        slow.may_end.set()
    assert [report.result["sequence"] for report in sent] == [1, 2]


def test_a_failure_is_told_in_the_drivers_words() -> None:
    def verb(args: Json, sequence: int) -> Json:
        raise HypervisorError("no KVM here")

    worker, sent = a_worker(verb)
    worker.handle(command())
    assert (sent[0].error, sent[0].result) == ("no KVM here", {})


def test_of_a_bug_the_owner_learns_no_more_than_that_there_was_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def verb(args: Json, sequence: int) -> Json:
        raise RuntimeError("password=hunter2 in /etc/nova")

    worker, sent = a_worker(verb)
    worker.handle(command())
    assert sent[0].error == "Unexpected RuntimeError on host host1."
    assert "req-1" in caplog.text and "hunter2" in caplog.text  # the operator's log has it all


def test_after_a_bug_the_guest_is_served_as_before() -> None:
    failing = iter([True, False])

    def verb(args: Json, sequence: int) -> Json:
        return {"ratio": 1 / 0} if next(failing) else {"fine": True}

    worker, sent = a_worker(verb)
    asked = command()
    worker.handle(asked)
    worker.handle(asked)
    assert sent[0].error and sent[1].result == {"fine": True}


def test_a_verb_nobody_knows_is_reported_as_such() -> None:
    worker, sent = a_worker(lambda args, sequence: {})
    worker.handle(command(verb="guest.fly"))
    assert sent[0].error == "guest.fly is not a verb of this worker"


def test_a_command_about_nothing_in_particular_is_done_too() -> None:
    worker, sent = a_worker(lambda args, sequence: args)
    worker.handle(Command(uuid4(), uuid4(), Role.COMPUTE, "host1", "guest.run", {"x": 1}))
    assert sent[0].result == {"x": 1}


def test_a_report_that_cannot_be_sent_does_not_make_the_worker_deaf() -> None:
    def send(report: Report) -> None:
        raise OSError("the broker is away")

    worker = Worker("host1", {"guest.run": lambda args, sequence: {}}, {}, send)
    asked = command()
    for _ in range(2):  # the second is not taken for a re-send of what is under way
        with pytest.raises(OSError):
            worker.handle(asked)


def test_questions_are_answered_at_once_even_while_the_guest_is_busy() -> None:
    slow = Slow()
    worker, _ = a_worker(slow)
    with ThreadPoolExecutor() as pool:
        pool.submit(worker.handle, command())
        assert slow.someone_began.acquire(timeout=10)
        assert worker.answer("name", {"id": "g1"}) == {"name": "G1"}
        slow.may_end.set()
    with pytest.raises(NotFound, match="age is not something"):
        worker.answer("age", {})


def test_what_is_done_is_in_the_log_with_its_request(caplog: pytest.LogCaptureFixture) -> None:
    worker, _ = a_worker(lambda args, sequence: {})
    with caplog.at_level(logging.INFO):
        worker.handle(command())
    assert "guest.run g1 (req-1)" in caplog.text
