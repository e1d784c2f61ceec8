"""The bus over a real RabbitMQ, which is also killed, stalled and started again."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import psutil
import pytest

from nova_lite.bus.transport import AmqpBus
from nova_lite.domain.errors import RemoteFailure
from nova_lite.domain.specs import Role
from tests.engines import RabbitMQ
from tests.unit.bus.conversation import Conversation, Guests, Scheduler, a_command, until

pytestmark = [
    pytest.mark.real,
    # The AMQP library forgets sockets whose connection came to nothing.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


@pytest.fixture(autouse=True)
def forgotten_sockets_are_collected_here() -> Iterator[None]:
    yield
    gc.collect()


class TestRabbitMQ(Conversation):
    @pytest.fixture
    def url(self, rabbitmq: RabbitMQ) -> str:
        return rabbitmq.fresh_vhost()


@pytest.fixture(scope="module")
def broker() -> Iterator[RabbitMQ]:
    """One to be ill-treated: other tests have theirs to themselves."""
    with RabbitMQ.running() as engine:
        yield engine


@pytest.fixture
def bus(broker: RabbitMQ) -> Iterator[AmqpBus]:
    bus = AmqpBus(broker.fresh_vhost())
    yield bus
    bus.close()


def seconds_of(work: object) -> float:
    began = time.monotonic()
    work()  # type: ignore[operator]
    return time.monotonic() - began


def test_without_a_broker_nobody_is_held_up(broker: RabbitMQ, bus: AmqpBus) -> None:
    scheduler = Scheduler()
    bus.serve_scheduler("s1", scheduler)
    bus.wake([uuid4()])
    until(lambda: scheduler.woken)
    broker.kill()
    try:
        assert max(seconds_of(lambda: bus.wake([uuid4()])) for _ in range(20)) < 0.1
        assert seconds_of(lambda: bus.publish(a_command("h"))) < 0.1

        def ask() -> None:
            with pytest.raises(RemoteFailure, match="did not answer|cannot be asked"):
                bus.call(Role.COMPUTE, "h", "echo", {}, timeout=1)

        assert seconds_of(ask) < 3
        assert seconds_of(ask) < 3
    finally:
        broker.start()


def test_a_broker_that_stalls_holds_up_nobody(broker: RabbitMQ, bus: AmqpBus) -> None:
    """Its machine is too busy, or its disk is full: it takes connections and says nothing."""
    bus.wake([uuid4()])
    time.sleep(0.5)
    assert broker._process
    tree = [psutil.Process(broker._process.pid)]
    tree += tree[0].children(recursive=True)
    for process in tree:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        assert max(seconds_of(lambda: bus.wake([uuid4()])) for _ in range(200)) < 0.1

        def ask() -> None:
            with pytest.raises(RemoteFailure):
                bus.call(Role.COMPUTE, "h", "echo", {}, timeout=1)

        assert seconds_of(ask) < 3
    finally:
        for process in tree:
            os.kill(process.pid, signal.SIGCONT)


def test_after_a_restart_everybody_hears_again(broker: RabbitMQ, bus: AmqpBus) -> None:
    scheduler, guests = Scheduler(), Guests()
    bus.serve_scheduler("s1", scheduler)
    bus.serve_worker(Role.COMPUTE, "h1", guests)
    assert bus.call(Role.COMPUTE, "h1", "echo", {}, timeout=10) == {"echo": {}}
    broker.restart()
    began = time.monotonic()

    def heard() -> bool:
        bus.wake([uuid4()])
        bus.publish(a_command("h1"))
        time.sleep(0.1)
        return bool(scheduler.woken and guests.heard)

    until(heard, seconds=30)
    assert time.monotonic() - began < 15

    def answers() -> bool:
        try:
            return bus.call(Role.COMPUTE, "h1", "echo", {}, timeout=2) == {"echo": {}}
        except RemoteFailure:
            return False

    until(answers, seconds=30)


def test_what_is_sent_while_the_broker_restarts_arrives_or_is_lost_but_never_twice(
    broker: RabbitMQ, bus: AmqpBus
) -> None:
    scheduler = Scheduler()
    bus.serve_scheduler("s1", scheduler)
    sent, stop = [], threading.Event()

    def send() -> None:
        while not stop.wait(0.02):
            sent.append(id := uuid4())
            bus.wake([id])

    sender = threading.Thread(target=send)
    sender.start()
    until(lambda: len(scheduler.woken) > 20)
    broker.restart()
    after = len(sent)
    until(lambda: set(sent[after + 50 :]) & set(scheduler.woken), seconds=40)
    stop.set()
    sender.join()
    assert set(scheduler.woken) <= set(sent)
    assert len(scheduler.woken) == len(set(scheduler.woken))


def test_a_bus_is_closed_even_though_its_broker_is_gone(broker: RabbitMQ) -> None:
    bus = AmqpBus(broker.fresh_vhost())
    bus.serve_scheduler("s1", Scheduler())
    bus.wake([uuid4()])
    time.sleep(0.5)
    broker.kill()
    try:
        bus.wake([uuid4()])
        assert seconds_of(bus.close) < 15
    finally:
        broker.start()
