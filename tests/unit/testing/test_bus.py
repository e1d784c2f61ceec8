"""The bus of tests: patient, and as bad as it is told to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from nova_lite.bus.messages import HostStatus, Report
from nova_lite.domain.errors import RemoteFailure
from nova_lite.domain.specs import Role
from nova_lite.testing.bus import PatientBus


class Inbox:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def wake(self, operations: Sequence[UUID]) -> None:
        self.heard.append(tuple(operations))

    def report(self, report: Report) -> None:
        self.heard.append(report)

    def status(self, status: HostStatus) -> None:
        self.heard.append(status)


STATUS = HostStatus(Role.NETWORK, "net1")


def test_nothing_is_heard_before_it_is_delivered_and_all_of_it_once() -> None:
    bus, inbox = PatientBus(), Inbox()
    bus.wake([UUID(int=1)])
    bus.status(STATUS)
    assert inbox.heard == []
    assert bus.deliver(inbox) is True
    assert inbox.heard == [(UUID(int=1),), STATUS]
    assert bus.deliver(inbox) is False


def test_messages_are_lost_and_doubled_as_told_but_what_was_sent_is_known() -> None:
    bus, inbox = PatientBus(), Inbox()
    bus.faults = lambda message: []
    bus.status(STATUS)
    bus.faults = lambda message: [message, message]
    bus.wake([UUID(int=2)])
    bus.deliver(inbox)
    assert inbox.heard == [(UUID(int=2),)] * 2
    assert bus.sent == [STATUS, (UUID(int=2),)]


def test_the_dead_do_not_answer() -> None:
    with pytest.raises(RemoteFailure, match="nova-compute on gone did not answer in 3 seconds"):
        PatientBus().call(Role.COMPUTE, "gone", "console", {}, 3)
