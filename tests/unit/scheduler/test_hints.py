"""What users ask of the place of a server: with whom, without whom, near whom."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from nova_lite.scheduler import filters
from nova_lite.scheduler.base import Group, Placement, Scheduler, SchedulerSettings
from nova_lite.scheduler.chance import ChanceScheduler
from nova_lite.scheduler.filter import FilterScheduler
from nova_lite.scheduler.fleet import Fleet
from nova_lite.testing.scheduler import a_host

FLEET = Fleet([a_host(name, address=f"10.0.{i}.5") for i, name in enumerate("abcd")])
EVERYBODY = FLEET.up | True


def wants(**more: Any) -> Placement:
    return Placement(1, 1, 1, **more)


def kept(name: str, request: Placement, fleet: Fleet = FLEET, **settings: Any) -> str:
    rule = filters.enabled([name], SchedulerSettings(**settings))[name]
    mask = rule.mask(request, fleet, fleet.up | True)
    return "".join(n for i, n in enumerate(fleet.names) if mask is None or mask[i])


def group(policy: str, most: int = 1, **members: int) -> Placement:
    return wants(group=Group(policy, members, most))


@pytest.mark.parametrize(
    ("name", "request_", "asked", "left"),
    [
        ("SameHostFilter", wants(same_hosts=frozenset("ax")), "one of a, x", "a"),
        ("SameHostFilter", wants(same_hosts=frozenset()), "one of no hosts", ""),
        ("DifferentHostFilter", wants(other_hosts=frozenset("ax")), "not a, x", "bcd"),
        ("ServerGroupAffinityFilter", group("affinity"), "the first of its group", "abcd"),
        ("ServerGroupAffinityFilter", group("affinity", b=2), "with its group on b", "b"),
        (
            "ServerGroupAntiAffinityFilter",
            group("anti-affinity", a=1, c=1),
            "not with its group on a, c",
            "bd",
        ),
        (
            "ServerGroupAntiAffinityFilter",
            group("anti-affinity", 2, a=1, c=2),
            "not with its group on c",
            "abd",
        ),
        (
            "ServerGroupAntiAffinityFilter",
            group("anti-affinity"),
            "not with its group on any host",
            "abcd",
        ),
        ("SimpleCIDRAffinityFilter", wants(near="10.0.1.77/24"), "address in 10.0.1.77/24", "b"),
        ("SimpleCIDRAffinityFilter", wants(near="10.0.1.77/23"), "address in 10.0.1.77/23", "ab"),
        ("SimpleCIDRAffinityFilter", wants(near="here/24"), "address in here/24", ""),
        ("AllHostsFilter", wants(), "any host", "abcd"),
    ],
)
def test_a_hint_says_what_it_asks_and_whom_it_keeps(
    name: str, request_: Placement, asked: str, left: str
) -> None:
    rule = filters.enabled([name])[name]
    assert rule.describe(request_) == asked
    assert kept(name, request_) == left


def test_only_filters_that_are_concerned_are_spoken_of() -> None:
    scheduler = FilterScheduler(
        SchedulerSettings(enabled_filters=[*filters.BASE, *filters.OTHERS, *filters.CONFIGURED]),
        random.Random(1),
    )
    plain = [verdict.filter for verdict in scheduler.rank(wants(), FLEET).verdicts]
    assert "SameHostFilter" not in plain and "JsonFilter" not in plain
    assert plain[:2] == ["ComputeFilter", "AvailabilityZoneFilter"]
    asked = scheduler.rank(wants(same_hosts=frozenset("x")), FLEET)
    assert "SameHostFilter (one of x): 0" in asked.explain()
    assert asked.refused == dict.fromkeys("abcd", "SameHostFilter")


@pytest.mark.parametrize("policy", [ChanceScheduler, FilterScheduler])
@pytest.mark.parametrize(
    ("of", "hosts"),
    [
        (group("anti-affinity"), {1: 4}),
        (group("anti-affinity", 2), {2: 4}),
        (group("affinity"), {8: 1}),
    ],
)
def test_many_of_one_group_at_once_keep_its_policy(
    policy: type[Scheduler], of: Placement, hosts: dict[int, int]
) -> None:
    scheduler = policy(SchedulerSettings(), random.Random(1))  # type: ignore[call-arg]
    placed = [r.hosts[0] for r in scheduler.rank_many(of, FLEET, 8) if r.hosts]
    assert Counter(Counter(placed).values()) == hosts


@pytest.mark.parametrize("policy", [ChanceScheduler, FilterScheduler])
def test_soft_policies_are_wishes(policy: type[Scheduler]) -> None:
    settings = SchedulerSettings(ram_weight_multiplier=0.1)
    scheduler = policy(settings, random.Random(1))  # type: ignore[call-arg]

    def choice(request: Placement, fleet: Fleet = FLEET) -> str:
        return scheduler.rank(request, fleet).hosts[0]

    assert choice(group("soft-affinity", c=2, b=1)) == "c"
    assert choice(group("soft-anti-affinity", a=1, b=2, d=1)) == "c"
    alone = Fleet([a_host("a"), a_host("c", up=False)])
    assert choice(group("soft-anti-affinity", a=9), alone) == "a"
    assert choice(group("soft-affinity", c=9), alone) == "a"


def test_isolated_images_run_on_isolated_hosts_and_nothing_else_does() -> None:
    settings: dict[str, Any] = {"isolated_hosts": ["a", "b"], "isolated_images": ["secret"]}
    name = "IsolatedHostsFilter"
    assert kept(name, wants(image_id="secret"), **settings) == "ab"
    assert kept(name, wants(image_id="other"), **settings) == "cd"
    open_ = {**settings, "restrict_isolated_hosts_to_isolated_images": False}
    assert kept(name, wants(image_id="other"), **open_) == "abcd"
    rule = filters.enabled([name], SchedulerSettings(**settings))[name]
    assert rule.describe(wants(image_id="secret")) == "isolated"
    assert rule.describe(wants()) == "not isolated"
