"""What any bus must do, whichever broker is behind it; run by tests/unit/bus and tests/real."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.bus.messages import Command, HostStatus, Json, Report
from nova_lite.bus.transport import AmqpBus
from nova_lite.domain.errors import HypervisorError, RemoteFailure
from nova_lite.domain.specs import Role
from nova_lite.testing.haste import within


class Scheduler:
    """An inbox that keeps what it hears."""

    def __init__(self) -> None:
        self.woken: list[UUID] = []
        self.reports: list[Report] = []
        self.statuses: list[HostStatus] = []
        self.breaks: Exception | None = None

    def _break(self) -> None:
        if self.breaks:
            raise self.breaks

    def wake(self, operations: Any) -> None:
        self._break()
        self.woken.extend(operations)

    def report(self, report: Report) -> None:
        self._break()
        self.reports.append(report)

    def status(self, status: HostStatus) -> None:
        self._break()
        self.statuses.append(status)


class Guests:
    """A worker's inbox."""

    def __init__(self) -> None:
        self.heard: list[Command] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def handle(self, command: Command) -> None:
        self.heard.append(command)
        assert self.may_go_on.wait(20)

    def answer(self, question: str, args: Json) -> Json:
        if question == "fail":
            raise HypervisorError("no such guest")
        if question == "bug":
            raise ZeroDivisionError("password=hunter2")
        if question == "sleep":
            time.sleep(args["seconds"])
        return {"echo": args}


def until(what: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def a_command(host: str, role: Role = Role.COMPUTE) -> Command:
    return Command(
        uuid4(), uuid4(), role, host, "guest.run", {"id": "ünïcode", "n": [1, None]}, 7, "req-1"
    )


class Conversation:
    """Inherit, and provide `url`: of a broker nobody else talks through."""

    @pytest.fixture
    def bus(self, url: str) -> Iterator[AmqpBus]:
        bus = AmqpBus(url)
        yield bus
        bus.close()

    @pytest.fixture
    def host(self) -> str:
        return f"host-{uuid4().hex[:8]}"  # the broker in memory is shared by the whole process

    @pytest.fixture
    def scheduler(self, bus: AmqpBus, host: str) -> Scheduler:
        scheduler = Scheduler()
        bus.serve_scheduler(host, scheduler)
        return scheduler

    @pytest.fixture
    def guests(self, bus: AmqpBus, host: str) -> Guests:
        guests = Guests()
        bus.serve_worker(Role.COMPUTE, host, guests)
        return guests

    def test_everything_arrives_as_it_was_sent(
        self, bus: AmqpBus, host: str, scheduler: Scheduler, guests: Guests
    ) -> None:
        ids = [uuid4(), uuid4()]
        command = a_command(host)
        report = Report(command.id, ids[0], Role.COMPUTE, host, "guest.run", {"a": "é"}, "why")
        status = HostStatus(
            Role.NETWORK, host, True, capacity={"vcpus": 1}, networks={str(ids[0]): 3}
        )
        bus.wake(ids)
        bus.publish(command)
        bus.report(report)
        bus.status(status)
        until(lambda: scheduler.woken and scheduler.reports and scheduler.statuses)
        until(lambda: guests.heard)
        assert scheduler.woken == ids and guests.heard == [command]
        assert scheduler.reports == [report] and scheduler.statuses == [status]

    def test_a_command_reaches_its_worker_and_no_other(
        self, bus: AmqpBus, host: str, guests: Guests
    ) -> None:
        other, network = Guests(), Guests()
        bus.serve_worker(Role.COMPUTE, f"{host}-2", other)
        bus.serve_worker(Role.NETWORK, host, network)
        for command in (a_command(f"{host}-2"), a_command(host, Role.NETWORK), a_command(host)):
            bus.publish(command)
        until(lambda: guests.heard and other.heard and network.heard)
        assert [len(worker.heard) for worker in (guests, other, network)] == [1, 1, 1]
        assert network.heard[0].role is Role.NETWORK and other.heard[0].host == f"{host}-2"

    def test_of_several_schedulers_each_message_meets_one(
        self, bus: AmqpBus, host: str, scheduler: Scheduler
    ) -> None:
        second = Scheduler()
        bus.serve_scheduler(f"{host}-2", second)
        ids = [uuid4() for _ in range(40)]
        for id in ids:
            bus.wake([id])
        until(lambda: len(scheduler.woken) + len(second.woken) >= 40)
        assert sorted(scheduler.woken + second.woken) == sorted(ids)
        assert scheduler.woken and second.woken

    def test_who_sleeps_is_woken_at_once_and_sleeping_costs_nothing(
        self, bus: AmqpBus, scheduler: Scheduler
    ) -> None:
        bus.wake([uuid4()])
        until(lambda: scheduler.woken)
        time.sleep(0.5)  # connections settle
        with within(0.4, time.process_time):
            time.sleep(2)
        with within(2, time.monotonic):
            bus.wake([uuid4()])
            until(lambda: len(scheduler.woken) == 2)

    def test_a_question_is_answered(self, bus: AmqpBus, host: str, guests: Guests) -> None:
        answer = bus.call(Role.COMPUTE, host, "echo", {"id": "ü"}, timeout=10)
        assert answer == {"echo": {"id": "ü"}}

    def test_many_may_ask_at_once(self, bus: AmqpBus, host: str, guests: Guests) -> None:
        answers: list[int] = []

        def ask(n: int) -> None:
            answer = bus.call(Role.COMPUTE, host, "echo", {"n": n}, timeout=20)
            answers.append(answer["echo"]["n"])

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == list(range(12))

    def test_a_failure_comes_back_in_the_workers_words(
        self, bus: AmqpBus, host: str, guests: Guests
    ) -> None:
        with pytest.raises(RemoteFailure, match="^no such guest$"):
            bus.call(Role.COMPUTE, host, "fail", {}, timeout=10)

    def test_of_a_bug_no_more_than_its_kind_comes_back(
        self, bus: AmqpBus, host: str, guests: Guests, caplog: pytest.LogCaptureFixture
    ) -> None:
        with pytest.raises(RemoteFailure, match="^ZeroDivisionError$"):
            bus.call(Role.COMPUTE, host, "bug", {}, timeout=10)
        assert "hunter2" in caplog.text

    def test_who_does_not_answer_in_time_is_not_waited_for(
        self, bus: AmqpBus, host: str, guests: Guests
    ) -> None:
        bus.call(Role.COMPUTE, host, "echo", {}, timeout=10)
        late = pytest.raises(RemoteFailure, match="did not answer in 0.5 seconds")
        with within(1.9, time.monotonic), late:
            bus.call(Role.COMPUTE, host, "sleep", {"seconds": 2}, timeout=0.5)
        assert bus.call(Role.COMPUTE, host, "echo", {}, timeout=10) == {"echo": {}}

    def test_a_worker_that_is_not_there_does_not_answer(self, bus: AmqpBus, host: str) -> None:
        nobody = pytest.raises(RemoteFailure, match=f"nova-compute on {host} ")
        with within(5, time.monotonic), nobody:
            bus.call(Role.COMPUTE, host, "echo", {}, timeout=1)

    def test_a_worker_that_is_busy_still_hears_and_answers(
        self, bus: AmqpBus, host: str, guests: Guests
    ) -> None:
        guests.may_go_on.clear()
        for _ in range(3):
            bus.publish(a_command(host))
        until(lambda: len(guests.heard) == 3)
        assert bus.call(Role.COMPUTE, host, "echo", {}, timeout=10) == {"echo": {}}
        guests.may_go_on.set()

    def test_poison_is_dropped_counted_in_the_log_and_kills_nobody(
        self,
        bus: AmqpBus,
        host: str,
        scheduler: Scheduler,
        guests: Guests,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        good = a_command(host)
        poison: list[tuple[Role, str | None, str, dict[str, Any]]] = [
            (Role.SCHEDULER, None, "wake", {"operations": ["not a uuid"]}),
            (Role.SCHEDULER, None, "wake", {"operations": 5}),
            (Role.SCHEDULER, None, "report", {"report": {"command_id": "x"}}),
            (Role.SCHEDULER, None, "report", {"report": "words"}),
            (Role.SCHEDULER, None, "status", {"status": {"role": "nova-cook", "host": "h"}}),
            (Role.SCHEDULER, None, "status", {"status": {"role": 5, "host": ["h"]}}),
            (Role.COMPUTE, host, "command", {"command": {"id": 5}}),
            (Role.COMPUTE, host, "command", {"command": None}),
        ]
        for role, at, method, arguments in poison:
            bus._cast(role, at, method, **arguments)
        for method, arguments in (("explode", {}), ("wake", {}), ("wake", {"unknown": 1})):
            bus._cast(Role.SCHEDULER, None, method, **arguments)
        with pytest.raises(RemoteFailure):
            bus.call(Role.SCHEDULER, host, "echo", {}, timeout=1)
        bus.wake([good.id])
        bus.publish(good)
        until(lambda: scheduler.woken and guests.heard)
        assert scheduler.woken == [good.id] and guests.heard == [good]
        assert not scheduler.reports and not scheduler.statuses
        until(lambda: caplog.text.count("dropped a malformed") == len(poison))

    def test_an_inbox_that_breaks_hears_the_next_message(
        self, bus: AmqpBus, scheduler: Scheduler, caplog: pytest.LogCaptureFixture
    ) -> None:
        scheduler.breaks = ZeroDivisionError("a bug")
        bus.wake([uuid4()])
        until(lambda: "a bug" in caplog.text)
        scheduler.breaks = None
        bus.wake([mine := uuid4()])
        until(lambda: scheduler.woken)
        assert scheduler.woken == [mine]

    def test_two_processes_talk(self, url: str, host: str, guests: Guests) -> None:
        """Each with a bus of its own; the one that asks serves nobody."""
        other = AmqpBus(url)
        try:
            other.publish(a_command(host))
            assert other.call(Role.COMPUTE, host, "echo", {}, timeout=10) == {"echo": {}}
            until(lambda: guests.heard)
        finally:
            other.close()

    def test_what_was_sent_just_before_closing_is_sent(
        self, url: str, scheduler: Scheduler
    ) -> None:
        other = AmqpBus(url)
        ids = [uuid4() for _ in range(50)]
        for id in ids:
            other.wake([id])
        other.close()
        until(lambda: len(scheduler.woken) >= 50)
        assert sorted(scheduler.woken) == sorted(ids)

    def test_too_many_questions_at_once_are_refused(
        self, bus: AmqpBus, host: str, guests: Guests, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.CRITICAL):
            while bus._questions.acquire(blocking=False):
                pass
            with pytest.raises(RemoteFailure, match="too many are asking"):
                bus.call(Role.COMPUTE, host, "echo", {}, timeout=5)
        bus._questions.release()
        assert bus.call(Role.COMPUTE, host, "echo", {}, timeout=10) == {"echo": {}}
