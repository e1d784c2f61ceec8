"""What is to be sent never holds up who sends it, and is not kept for ever."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from nova_lite.bus.outbox import Outbox
from nova_lite.testing.haste import within


class Broker:
    """Takes what it is given, unless it stalls."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.serves = threading.Event()
        self.serves.set()
        self.waiting = threading.Semaphore(0)

    def take(self, letter: int) -> None:
        self.waiting.release()
        assert self.serves.wait(10)
        self.got.append(letter)


def test_everything_is_sent_in_order() -> None:
    broker, outbox = Broker(), Outbox()
    for letter in range(100):
        outbox.put(partial(broker.take, letter))
    assert outbox.close(10)
    assert broker.got == list(range(100))


def test_nobody_waits_for_a_broker_that_stalls() -> None:
    broker, outbox = Broker(), Outbox()
    broker.serves.clear()
    with within(5, time.monotonic):
        for letter in range(1000):
            outbox.put(partial(broker.take, letter))
    assert not broker.got
    broker.serves.set()
    assert outbox.close(10) and len(broker.got) == 1000


def test_the_oldest_goes_when_there_are_too_many(caplog: pytest.LogCaptureFixture) -> None:
    broker, outbox = Broker(), Outbox(most=3)
    broker.serves.clear()
    outbox.put(partial(broker.take, 0))
    assert broker.waiting.acquire(timeout=10)  # it is being sent, and not waiting any more
    for letter in range(1, 7):
        outbox.put(partial(broker.take, letter))
    broker.serves.set()
    assert outbox.close(10)
    assert broker.got == [0, 4, 5, 6]
    assert "3 messages had waited too long and were dropped" in caplog.text


def test_what_has_waited_too_long_is_forgotten() -> None:
    broker, outbox = Broker(), Outbox(seconds=0.1)
    broker.serves.clear()
    for letter in range(3):
        outbox.put(partial(broker.take, letter))
    time.sleep(0.2)
    broker.serves.set()
    outbox.put(partial(broker.take, 3))
    assert outbox.close(10)
    assert broker.got == [0, 3]


def test_a_message_that_cannot_be_sent_does_not_stop_the_next(
    caplog: pytest.LogCaptureFixture,
) -> None:
    broker, outbox = Broker(), Outbox()
    outbox.put(lambda: print(1 / 0))
    outbox.put(partial(broker.take, 1))
    assert outbox.close(10)
    assert broker.got == [1] and "ZeroDivisionError" in caplog.text


def test_closing_waits_no_longer_than_it_is_told() -> None:
    broker, outbox = Broker(), Outbox()
    broker.serves.clear()
    for letter in range(2):
        outbox.put(partial(broker.take, letter))
    assert broker.waiting.acquire(timeout=10)
    with within(5, time.monotonic):
        assert not outbox.close(0.1)
    broker.serves.set()
    assert Outbox().close(0)  # nothing was ever put into this one
