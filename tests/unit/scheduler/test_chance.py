from __future__ import annotations

import random
from collections import Counter

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.chance import ChanceScheduler
from nova_lite.scheduler.fleet import Fleet
from nova_lite.testing.scheduler import a_host

REQUEST = Placement(memory_mb=1, vcpus=1, disk_gb=1)


def placed(count: int, seed: int, at_once: bool) -> list[str]:
    fleet = Fleet(a_host(name, memory_mb=900, vcpus=900, disk_gb=900) for name in "abc")
    scheduler = ChanceScheduler(SchedulerSettings(), random.Random(seed))
    if at_once:
        return [ranking.hosts[0] for ranking in scheduler.rank_many(REQUEST, fleet, count)]
    hosts = []
    for _ in range(count):
        hosts.append(scheduler.rank(REQUEST, fleet).hosts[0])
        fleet.take(hosts[-1], REQUEST.memory_mb, REQUEST.vcpus, REQUEST.disk_gb)
    return hosts


def test_of_three_hosts_each_gets_a_third_of_three_hundred_boots_within_three_sigma() -> None:
    sigma = (300 * 1 / 3 * 2 / 3) ** 0.5
    for at_once in (False, True):
        counts = Counter(placed(300, seed=7, at_once=at_once))
        assert set(counts) == {"a", "b", "c"}
        assert all(abs(count - 100) <= 3 * sigma for count in counts.values()), counts


def test_it_is_chance_and_not_taking_turns() -> None:
    boots = placed(300, seed=7, at_once=False)
    twice = sum(one == next_ for one, next_ in zip(boots, boots[1:], strict=False))
    assert 60 <= twice <= 140, "the same host twice running: in a third of all cases"


def test_the_same_dice_fall_the_same_way() -> None:
    assert placed(20, seed=3, at_once=False) == placed(20, seed=3, at_once=False)
    assert placed(20, seed=3, at_once=False) != placed(20, seed=4, at_once=False)
