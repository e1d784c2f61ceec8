"""kombu's broker in memory: who waits sleeps, and wakes when there is something."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from uuid import uuid4

import kombu
import pytest

from nova_lite.bus import memory
from nova_lite.testing.haste import within


@pytest.fixture
def connection() -> Iterator[kombu.Connection]:
    with kombu.Connection(f"{memory.SCHEME}://localhost/") as connection:
        yield connection


def a_queue(exchange: kombu.Exchange | None = None) -> kombu.Queue:
    name = f"q-{uuid4()}"
    return kombu.Queue(name, exchange or kombu.Exchange(name, "direct"), routing_key=name)


def say(what: str, exchange: str, key: str) -> None:
    with kombu.Connection(f"{memory.SCHEME}://localhost/") as other:
        kombu.Producer(other).publish(what, exchange=exchange, routing_key=key)


def hear(connection: kombu.Connection, *queues: kombu.Queue) -> tuple[kombu.Consumer, list[str]]:
    heard: list[str] = []

    def take(body: str, message: kombu.Message) -> None:
        heard.append(body)
        message.ack()

    consumer = kombu.Consumer(connection, list(queues), callbacks=[take])
    consumer.consume()
    return consumer, heard


def test_a_message_that_was_there_before_is_delivered(connection: kombu.Connection) -> None:
    queue = a_queue()
    queue(connection).declare()
    say("early", queue.exchange.name, queue.routing_key)
    _, heard = hear(connection, queue)
    connection.drain_events(timeout=5)
    assert heard == ["early"]


def test_who_sleeps_is_woken_at_once(connection: kombu.Connection) -> None:
    queue = a_queue()
    _, heard = hear(connection, queue)
    threading.Timer(0.3, say, ("hello", queue.exchange.name, queue.routing_key)).start()
    with within(5, time.monotonic):
        connection.drain_events(timeout=10)
    assert heard == ["hello"]


def test_a_message_between_two_waits_is_not_missed(connection: kombu.Connection) -> None:
    queue = a_queue()
    _, heard = hear(connection, queue)
    for n in range(50):
        say(str(n), queue.exchange.name, queue.routing_key)
    for _ in range(50):
        connection.drain_events(timeout=1)
    assert heard == [str(n) for n in range(50)]


def test_waiting_ends_when_it_shall_and_costs_nothing(connection: kombu.Connection) -> None:
    hear(connection, a_queue())
    began = time.monotonic()
    with within(0.1), pytest.raises(TimeoutError):
        connection.drain_events(timeout=0.5)
    assert 0.4 < time.monotonic() - began < 5
    with pytest.raises(TimeoutError):
        connection.drain_events(timeout=0)


def test_what_is_said_to_all_is_heard_by_all(connection: kombu.Connection) -> None:
    everybody = kombu.Exchange(f"all-{uuid4()}", "fanout")
    with kombu.Connection(f"{memory.SCHEME}://localhost/") as second:
        (_, first_heard), (_, second_heard) = (
            hear(at, kombu.Queue(f"q-{uuid4()}", everybody)) for at in (connection, second)
        )
        threading.Timer(0.1, say, ("news", everybody.name, "")).start()
        connection.drain_events(timeout=5)
        second.drain_events(timeout=5)
    assert first_heard == second_heard == ["news"]


def test_who_has_gone_is_not_told_and_what_is_left_waits(connection: kombu.Connection) -> None:
    queue = a_queue()
    with kombu.Connection(f"{memory.SCHEME}://localhost/") as gone:
        hear(gone, queue)
        arrived = gone.transport.arrived
    assert all(arrived not in waiting for waiting in memory._consumers.values())
    say("anybody?", queue.exchange.name, queue.routing_key)
    _, heard = hear(connection, queue)
    connection.drain_events(timeout=5)
    assert heard == ["anybody?"]


def test_two_who_wait_at_one_queue_share_what_comes(connection: kombu.Connection) -> None:
    queue = a_queue()
    with kombu.Connection(f"{memory.SCHEME}://localhost/") as second:
        (_, mine), (_, others) = hear(connection, queue), hear(second, queue)
        stop = threading.Event()

        def drain(at: kombu.Connection) -> None:
            while not stop.is_set():
                try:
                    at.drain_events(timeout=0.1)
                except TimeoutError:
                    continue

        threads = [threading.Thread(target=drain, args=(at,)) for at in (connection, second)]
        for thread in threads:
            thread.start()
        for n in range(100):
            say(str(n), queue.exchange.name, queue.routing_key)
        deadline = time.monotonic() + 10
        while len(mine) + len(others) < 100 and time.monotonic() < deadline:
            time.sleep(0.01)
        stop.set()
        for thread in threads:
            thread.join()
    assert sorted(map(int, mine + others)) == list(range(100))
