from __future__ import annotations

import random
import threading
import time
from typing import Any

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.fleet import Fleet
from nova_lite.scheduler.round_robin import RoundRobinScheduler
from nova_lite.testing.scheduler import a_host

REQUEST = Placement(memory_mb=1, vcpus=1, disk_gb=1)


def scheduler() -> RoundRobinScheduler:
    return RoundRobinScheduler(SchedulerSettings(), random.Random(1))


def fleet_of(names: str) -> Fleet:
    return Fleet(a_host(name) for name in names)


def test_six_boots_on_three_hosts_go_round_twice() -> None:
    policy, fleet = scheduler(), fleet_of("CAB")
    boots = [policy.rank(REQUEST, fleet).hosts for _ in range(6)]
    assert [hosts[0] for hosts in boots] == list("ABCABC")
    assert boots[1] == ["B", "C", "A"], "should B have filled up, C is next"


def test_many_at_once_take_their_turns_too() -> None:
    policy, fleet = scheduler(), fleet_of("ABC")
    policy.rank(REQUEST, fleet)
    assert [r.hosts[0] for r in policy.rank_many(REQUEST, fleet, 4)] == list("BCAB")
    assert policy.rank(REQUEST, fleet).hosts[0] == "C"


def test_it_goes_on_where_it_was_when_hosts_come_and_go() -> None:
    policy = scheduler()
    assert policy.rank(REQUEST, fleet_of("ACE")).hosts[0] == "A"
    assert policy.rank(REQUEST, fleet_of("BCE")).hosts[0] == "B"
    assert policy.rank(REQUEST, fleet_of("ACDE")).hosts[0] == "C"
    assert policy.rank(REQUEST, fleet_of("AB")).hosts[0] == "A"


def test_who_will_not_do_is_passed_over() -> None:
    policy = scheduler()
    fleet = Fleet([a_host("A"), a_host("B", up=False), a_host("C", memory_mb=0), a_host("D")])
    assert [policy.rank(REQUEST, fleet).hosts[0] for _ in range(4)] == list("ADAD")


class Dawdling(list[str]):
    """Names over whose reading every other thread gets its chance."""

    def __getitem__(self, which: Any) -> Any:
        time.sleep(0.01)
        return super().__getitem__(which)


def test_no_turn_is_given_twice_to_threads_that_ask_at_once() -> None:
    policy, fleet = scheduler(), fleet_of("ABC")
    fleet.names = Dawdling(fleet.names)
    boots: list[str] = []
    start = threading.Barrier(3)

    def ask() -> None:
        start.wait()
        boots.append(policy.rank(REQUEST, fleet).hosts[0])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(boots) == ["A", "B", "C"]
