"""A worker's heartbeat goes on while its host is too busy to be looked at."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nova_lite.bus.messages import HostStatus
from nova_lite.cmd.heart import Heart
from nova_lite.domain.specs import Role
from tests.processes import wait_until

ALIVE = HostStatus(Role.COMPUTE, "host1")
SEEN = HostStatus(Role.COMPUTE, "host1", capacity={"vcpus": 1}, guests={})


class Host:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.looks = 0

    def look(self) -> HostStatus:
        self.looks += 1
        assert self.free.wait(10)
        return SEEN


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def sent() -> list[HostStatus]:
    return []


@pytest.fixture
def heart(host: Host, sent: list[HostStatus]) -> Iterator[Heart]:
    heart = Heart(sent.append, host.look, ALIVE, patience=0.05)
    yield heart
    host.free.set()
    heart.stop()


def test_what_is_seen_is_said(heart: Heart, sent: list[HostStatus]) -> None:
    heart.beat()
    heart.beat()
    assert sent == [SEEN, SEEN]


def test_a_host_that_keeps_us_waiting_is_alive_and_not_asked_again(
    heart: Heart, host: Host, sent: list[HostStatus]
) -> None:
    host.free.clear()
    for _ in range(3):
        heart.beat()
    assert sent == [ALIVE] * 3 and host.looks == 1


def test_what_was_seen_too_late_is_not_said_but_looked_at_anew(
    heart: Heart, host: Host, sent: list[HostStatus]
) -> None:
    host.free.clear()
    heart.beat()
    host.free.set()
    wait_until(lambda: heart._late is not None and heart._late.done(), seconds=5, what="seen")
    heart.beat()
    assert sent == [ALIVE, SEEN] and host.looks == 2


def test_a_host_that_cannot_be_looked_at_gives_no_sign_of_life(sent: list[HostStatus]) -> None:
    def broken() -> HostStatus:
        raise OSError("libvirt is gone")

    heart = Heart(sent.append, broken, ALIVE, patience=1)
    with pytest.raises(OSError, match="libvirt is gone"):
        heart.beat()
    heart.stop()
    assert sent == []
