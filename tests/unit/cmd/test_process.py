"""The life of a daemon."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from nova_lite.cmd.process import Process
from tests.processes import wait_until


@pytest.fixture(autouse=True)
def handlers_stay_as_they_were() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_parts_the_last_one_first(
    number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    process, stopped = Process("nova-test"), list[str]()
    process.on_stop(lambda: stopped.append("database"))
    process.on_stop(lambda: stopped.append("server"))
    kill = threading.Timer(0.1, os.kill, (os.getpid(), number))
    kill.start()
    process.run()
    kill.join()
    assert stopped == ["server", "database"]
    assert process.stopping.is_set()
    assert [record.getMessage() for record in caplog.records] == [
        "nova-test is up",
        f"nova-test: {number.name}, stopping",
        "nova-test is down",
    ]


def test_a_second_signal_does_not_wait_for_the_parts() -> None:
    process = Process("nova-test")
    handlers = []
    process.on_stop(lambda: handlers.append(signal.getsignal(signal.SIGTERM)))
    kill = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM))
    kill.start()
    process.run()
    kill.join()
    assert handlers == [signal.SIG_DFL]


def test_a_part_that_does_not_stop_keeps_no_other_from_stopping(
    caplog: pytest.LogCaptureFixture,
) -> None:
    process, stopped = Process("nova-test"), list[str]()
    process.on_stop(lambda: stopped.append("first"))
    process.on_stop(lambda: [][0])
    process.on_stop(lambda: stopped.append("last"))
    process.stop()
    assert stopped == ["last", "first"]
    assert "a part did not stop" in caplog.text and "IndexError" in caplog.text


def test_what_is_done_every_so_often_goes_on_after_a_failure_and_ends_with_the_process(
    caplog: pytest.LogCaptureFixture,
) -> None:
    process, rounds = Process("nova-test"), list[int]()

    def work() -> None:
        rounds.append(1)
        if len(rounds) == 2:
            raise OSError("the broker is away")

    process.every(0.01, work, "heartbeat")
    wait_until(lambda: len(rounds) > 4, seconds=5, what="it goes on")
    assert caplog.text.count("heartbeat failed; it will be tried again") == 1
    process.stop()
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(5)
            assert not thread.is_alive()
