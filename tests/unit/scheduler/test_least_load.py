from __future__ import annotations

import random

import pytest

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.fleet import Fleet, Ratios
from nova_lite.scheduler.least_load import LeastLoadScheduler
from nova_lite.testing.scheduler import a_host

REQUEST = Placement(memory_mb=1, vcpus=1, disk_gb=0)


def scheduler(seed: int = 1) -> LeastLoadScheduler:
    return LeastLoadScheduler(SchedulerSettings(), random.Random(seed))


def test_it_is_the_share_that_counts_and_not_the_amount() -> None:
    small = a_host("small", vcpus=4, vcpus_used=2)
    large = a_host("large", vcpus=64, vcpus_used=8)
    assert scheduler().rank(REQUEST, Fleet([small, large])).hosts == ["large", "small"]


@pytest.mark.parametrize("fullest", ["memory_mb_used", "vcpus_used", "disk_gb_used"])
def test_a_host_is_as_loaded_as_its_fullest_resource(fullest: str) -> None:
    uneven = a_host("uneven", **{fullest: 12})
    even = a_host("even", memory_mb_used=8, vcpus_used=8, disk_gb_used=8)
    fleet = Fleet([uneven, even], Ratios(vcpus=1.0))
    assert scheduler().rank(REQUEST, fleet).hosts == ["even", "uneven"]


def test_a_host_without_a_disk_of_its_own_is_not_taken_for_full() -> None:
    diskless = a_host("diskless", disk_gb=0)
    busy = a_host("busy", memory_mb_used=1)
    assert scheduler().rank(REQUEST, Fleet([busy, diskless])).hosts == ["diskless", "busy"]


def test_the_next_boot_goes_to_whoever_is_least_loaded_by_then() -> None:
    fleet = Fleet([a_host("a", memory_mb_used=3), a_host("b")])
    firsts = [r.hosts[0] for r in scheduler().rank_many(Placement(2, 0, 0), fleet, 4)]
    assert firsts == ["b", "b", "a", "b"]


def test_equals_come_in_random_order() -> None:
    fleet = Fleet(a_host(name) for name in "abcdef")
    policy = scheduler()
    assert {policy.rank(REQUEST, fleet).hosts[0] for _ in range(100)} == set("abcdef")
