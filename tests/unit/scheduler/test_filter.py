from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.filter import FilterScheduler
from nova_lite.scheduler.fleet import Fleet
from nova_lite.testing.scheduler import a_host

REQUEST = Placement(memory_mb=1, vcpus=1, disk_gb=1)
NOTHING = {
    "ram_weight_multiplier": 0.0,
    "cpu_weight_multiplier": 0.0,
    "disk_weight_multiplier": 0.0,
}


def scheduler(**settings: Any) -> FilterScheduler:
    return FilterScheduler(SchedulerSettings(**settings), random.Random(1))


@pytest.mark.parametrize(
    ("option", "used"),
    [
        ("ram_weight_multiplier", "memory_mb_used"),
        ("cpu_weight_multiplier", "vcpus_used"),
        ("disk_weight_multiplier", "disk_gb_used"),
    ],
)
def test_a_positive_multiplier_spreads_and_a_negative_one_packs(option: str, used: str) -> None:
    fleet = Fleet(a_host(name, **{used: amount}) for name, amount in [("a", 4), ("b", 0), ("c", 8)])
    assert scheduler(**{**NOTHING, option: 0.5}).rank(REQUEST, fleet).hosts == ["b", "a", "c"]
    assert scheduler(**{**NOTHING, option: -2.0}).rank(REQUEST, fleet).hosts == ["c", "a", "b"]


def test_what_is_weighed_is_brought_to_one_scale_first() -> None:
    # In plain numbers a thousand MB would drown all the cores there are.
    memory = a_host("memory", memory_mb=2_000, vcpus=1, disk_gb=5)
    cores = a_host("cores", memory_mb=1_000, vcpus=3, disk_gb=5)
    fleet = Fleet([memory, cores])
    assert scheduler(cpu_weight_multiplier=1.1).rank(REQUEST, fleet).hosts[0] == "cores"
    assert scheduler(ram_weight_multiplier=1.1).rank(REQUEST, fleet).hosts[0] == "memory"


def test_equals_come_in_random_order_so_that_schedulers_do_not_herd() -> None:
    fleet = Fleet(a_host(f"host{i}") for i in range(10))
    policy = scheduler()
    counts = Counter(policy.rank(REQUEST, fleet).hosts[0] for _ in range(1000))
    assert len(counts) == 10
    assert all(60 <= count <= 140 for count in counts.values()), counts


def test_the_dice_never_outweigh_a_difference() -> None:
    fleet = Fleet([a_host("more", memory_mb=10**6), a_host("less", memory_mb=10**6 - 1)])
    policy = scheduler()
    assert {policy.rank(REQUEST, fleet).hosts[0] for _ in range(50)} == {"more"}


def test_a_filter_that_is_not_enabled_is_not_asked() -> None:
    fleet = Fleet([a_host("down", up=False)])
    assert scheduler(enabled_filters=["RamFilter"]).rank(REQUEST, fleet).hosts == ["down"]
    assert scheduler(enabled_filters=[]).rank(REQUEST, fleet).explain() == "1 host"


def test_somebody_elses_filter_speaks_like_ours_also_for_many_at_once(
    install: Callable[[str, str, str], None],
) -> None:
    install(
        "lonely",
        "[nova_lite.filters]\nLonely = lonely:alone\n",
        "from nova_lite.scheduler.filters import HostFilter\n"
        "alone = HostFilter(lambda request: 'alone', lambda request, host: not host.instances)\n",
    )
    policy = scheduler(enabled_filters=["ComputeFilter", "Lonely"])
    fleet = Fleet([a_host("a"), a_host("b"), a_host("c", instances=1)])
    rankings = policy.rank_many(REQUEST, fleet, 3)
    assert [len(ranking.hosts) for ranking in rankings] == [2, 1, 0]
    assert rankings[1].explain() == "3 hosts; ComputeFilter (up and enabled): 3; Lonely (alone): 1"
    assert rankings[2].refused == {"a": "Lonely", "b": "Lonely", "c": "Lonely"}
