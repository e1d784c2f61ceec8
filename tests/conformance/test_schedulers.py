"""Every policy we ship, and one such as a third party would write, keeps the promises of all."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence

import pytest

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.chance import ChanceScheduler
from nova_lite.scheduler.filter import FilterScheduler
from nova_lite.scheduler.fleet import Fleet, Ints
from nova_lite.scheduler.least_load import LeastLoadScheduler
from nova_lite.scheduler.policy import Policy
from nova_lite.scheduler.round_robin import RoundRobinScheduler
from nova_lite.testing.scheduler import CHECKS, Check, many_threads_may_ask_at_once


class FirstInTheAlphabet(Policy):
    def order(self, request: Placement, fleet: Fleet, rows: Ints) -> Sequence[int]:
        return [int(row) for row in rows[: self.alternates]]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "policy",
    [ChanceScheduler, FilterScheduler, LeastLoadScheduler, RoundRobinScheduler, FirstInTheAlphabet],
)
def test_a_policy_keeps_the_promises_of_all(policy: type[Policy], check: Check) -> None:
    check(lambda: policy(SchedulerSettings(), random.Random(1)))


class Blind(Policy):
    """Forgets to ask whether hosts are up, and whether there is room on the disk."""

    def __init__(self, settings: SchedulerSettings, rng: random.Random) -> None:
        super().__init__(settings, rng)
        seen = ("AvailabilityZoneFilter", "RetryFilter", "RamFilter", "CoreFilter")
        self.filters = {name: self.filters[name] for name in seen}

    order = FirstInTheAlphabet.order


@pytest.mark.parametrize("check", CHECKS[:2], ids=lambda check: check.__name__)
def test_the_suite_finds_a_policy_that_does_not_look(check: Check) -> None:
    with pytest.raises(AssertionError):
        check(lambda: Blind(SchedulerSettings(), random.Random(1)))


class Hasty(FirstInTheAlphabet):
    """Fails whenever it is asked outside of the main thread."""

    def order(self, request: Placement, fleet: Fleet, rows: Ints) -> Sequence[int]:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("not now")
        return super().order(request, fleet, rows)


def test_the_suite_hears_of_what_goes_wrong_in_a_thread() -> None:
    with pytest.raises(AssertionError, match="not now"):
        many_threads_may_ask_at_once(lambda: Hasty(SchedulerSettings(), random.Random(1)))
