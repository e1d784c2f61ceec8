"""A scheduler process: messages in, work done in a few threads, none lost to another's fault."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import HostStatus, Report
from nova_lite.cmd import control as module
from nova_lite.cmd.control import Control
from nova_lite.domain.specs import Role
from tests.unit.operations.stage import Stage, a_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = a_stage(tmp_path)
    yield stage
    stage.cloud.close()


@pytest.fixture
def control(stage: Stage) -> Control:
    return stage.cloud.control


def a_status(host: str = "net1") -> HostStatus:
    return HostStatus(Role.NETWORK, host)


def a_deadlock() -> sa.exc.DBAPIError:
    return sa.exc.OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))


def failing(times: int, error: Exception, then: Callable[..., None]) -> Callable[..., None]:
    left = iter(range(times))

    def work(*what: object) -> None:
        for _ in left:
            raise error
        then(*what)

    return work


def test_what_has_gathered_is_handled_in_one_go(control: Control) -> None:
    runs: list[tuple[list[UUID], list[Report]]] = []
    control.runner.run = lambda ids, reports: runs.append((ids, reports))  # type: ignore[assignment,misc]
    ids = [uuid4() for _ in range(5)]
    report = Report(uuid4(), ids[0], Role.COMPUTE, "host1", "guest.run")
    control.wake(ids[:3])
    control.report(report)
    control.wake(ids[3:])
    assert control.drain() and not control.drain()
    assert runs == [(ids, [report])]


def test_one_go_is_not_endless(control: Control) -> None:
    runs: list[int] = []
    control.runner.run = lambda ids, reports: runs.append(len(ids))  # type: ignore[assignment,misc]
    control.wake([uuid4() for _ in range(module.BATCH * 2 + 1)])
    while control.drain():
        pass
    assert runs == [module.BATCH, module.BATCH, 1]


def test_a_network_that_changed_often_is_looked_at_once(control: Control) -> None:
    looked: list[UUID] = []
    control.networks.reconcile = looked.append  # type: ignore[method-assign,assignment]
    network = uuid4()
    for _ in range(5):
        control.network_changed(network)
    control.drain()
    assert looked == [network]


def test_what_fails_is_logged_and_the_rest_is_done(
    control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    control.hosts.accept = failing(  # type: ignore[method-assign]
        1, ZeroDivisionError("a bug"), lambda status: done.append(status.host)
    )
    for host in ("one", "two", "three"):
        control.status(a_status(host))
    control.drain()
    assert done == ["two", "three"]
    assert "status failed; it will be tried again" in caplog.text


def test_what_deadlocked_is_done_again_at_once(
    control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    done: list[str] = []
    control.hosts.accept = failing(  # type: ignore[method-assign]
        2, a_deadlock(), lambda status: done.append(status.host)
    )
    control.status(a_status())
    control.drain()
    assert done == ["net1"] and "failed" not in caplog.text
    control.hosts.accept = failing(3, a_deadlock(), lambda status: None)  # type: ignore[method-assign]
    control.status(a_status())
    control.drain()
    assert "status failed; it will be tried again" in caplog.text


def test_what_is_due_is_run_without_a_wake_up(stage: Stage, control: Control) -> None:
    stage.cloud.bus.faults = lambda message: []  # every hint is lost
    id = stage.boot()
    stage.cloud.deliver()
    assert stage.instance(id).task_state == "scheduling"
    stage.cloud.bus.faults = lambda message: [message]
    control.look()
    stage.cloud.deliver()
    assert stage.instance(id).vm_state == "active"
    control.look()
    assert not control.drain()


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_threads_do_the_work_until_they_are_stopped(
    stage: Stage, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DUE_EVERY", 0.05)
    monkeypatch.setattr(module, "RECONCILE_EVERY", 0.05)
    before = set(threading.enumerate())
    control.start(threads=3)
    ids = [stage.boot() for _ in range(5)]

    def deliver() -> bool:
        stage.cloud.bus.deliver(control)
        return all(stage.instance(id).vm_state == "active" for id in ids)

    wait_for(deliver)
    assert not stage.cloud.leftovers()
    control.stop()
    wait_for(lambda: not set(threading.enumerate()) - before)


def test_a_periodic_look_that_fails_is_looked_again(
    control: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RECONCILE_EVERY", 0.01)
    looked = threading.Event()
    control.networks.reconcile_all = failing(  # type: ignore[method-assign]
        1, ZeroDivisionError("a bug"), lambda: looked.set()
    )
    control.start(threads=1)
    assert looked.wait(10)
    control.stop()
    assert "periodic look failed" in caplog.text
