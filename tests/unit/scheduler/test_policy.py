"""What all policies do alike, seen on one of them."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.filter import FilterScheduler
from nova_lite.scheduler.fleet import Fleet, Ratios
from nova_lite.scheduler.least_load import LeastLoadScheduler
from nova_lite.scheduler.policy import Policy
from nova_lite.testing.scheduler import a_host

REQUEST = Placement(memory_mb=4, vcpus=2, disk_gb=1, zone="nova")
FLEET = Fleet(
    [
        a_host("dead", up=False),
        a_host("elsewhere", zone="cellar"),
        a_host("full", memory_mb_used=13),
        a_host("good"),
    ]
)


@pytest.fixture(params=[FilterScheduler, LeastLoadScheduler])
def policy(request: pytest.FixtureRequest) -> Policy:
    made = request.param(SchedulerSettings(), random.Random(1))
    assert isinstance(made, Policy)
    return made


def test_every_filter_says_what_it_was_asked_and_how_many_it_left(policy: Policy) -> None:
    ranking = policy.rank(REQUEST, FLEET)
    assert ranking.hosts == ["good"]
    assert ranking.explain() == (
        "4 hosts; ComputeFilter (up and enabled): 3; AvailabilityZoneFilter (zone nova): 2; "
        "RetryFilter (not tried before): 2; RamFilter (4 MB): 1; CoreFilter (2 VCPUs): 1; "
        "DiskFilter (1 GB): 1"
    )
    assert ranking.refused == {}, "nobody asked why"


def test_asked_to_explain_it_says_why_not_each_of_the_others(policy: Policy) -> None:
    ranking = policy.rank(REQUEST, FLEET, explain=True)
    assert ranking.hosts == ["good"]
    assert ranking.refused == {
        "dead": "ComputeFilter",
        "elsewhere": "AvailabilityZoneFilter",
        "full": "RamFilter",
    }


def test_when_none_is_left_every_host_has_its_reason(policy: Policy) -> None:
    ranking = policy.rank(replace(REQUEST, disk_gb=17), FLEET)
    assert ranking.hosts == []
    assert ranking.verdicts[-1].remaining == 0
    assert ranking.explain_hosts() == (
        "dead: ComputeFilter; elsewhere: AvailabilityZoneFilter; full: RamFilter; good: DiskFilter"
    )


def test_a_forced_host_is_asked_for_first_and_must_do_all_the_same(policy: Policy) -> None:
    there = policy.rank(replace(REQUEST, host="good"), FLEET)
    assert there.hosts == ["good"]
    assert there.explain().startswith("4 hosts; ForcedHostFilter (host good): 1; ComputeFilter")
    dead = policy.rank(replace(REQUEST, host="dead"), FLEET)
    assert dead.hosts == []
    assert dead.refused["dead"] == "ComputeFilter"
    assert dead.refused["good"] == "ForcedHostFilter"


def test_many_at_once_are_counted_as_they_fill_the_hosts(policy: Policy) -> None:
    rankings = policy.rank_many(REQUEST, FLEET, 6)
    assert [ranking.hosts for ranking in rankings] == [["good"]] * 4 + [[], []]
    assert "RamFilter (4 MB): 1" in rankings[3].explain()
    assert "RamFilter (4 MB): 0" in rankings[4].explain()
    assert rankings[5].refused["good"] == "RamFilter"


def test_sixteen_cores_given_out_fourfold_hold_sixty_four_and_not_one_more(policy: Policy) -> None:
    fleet = Fleet([a_host("a", vcpus=16)], Ratios(vcpus=4.0))
    rankings = policy.rank_many(Placement(memory_mb=0, vcpus=1, disk_gb=0), fleet, 65)
    assert [bool(ranking.hosts) for ranking in rankings] == [True] * 64 + [False]
    assert rankings[64].refused == {"a": "CoreFilter"}


def test_many_at_once_are_spread_as_one_by_one(policy: Policy) -> None:
    fleet = Fleet(a_host(name) for name in "abc")
    firsts = [ranking.hosts[0] for ranking in policy.rank_many(REQUEST, fleet, 6)]
    assert sorted(firsts[:3]) == sorted(firsts[3:]) == ["a", "b", "c"]


def test_no_more_than_a_handful_is_ranked() -> None:
    fleet = Fleet(a_host(f"host{i}", memory_mb_used=i) for i in range(9))
    scheduler = FilterScheduler(SchedulerSettings(alternates=3), random.Random(1))
    assert scheduler.rank(REQUEST, fleet).hosts == ["host0", "host1", "host2"]
