from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from nova_lite.scheduler import plugins
from nova_lite.scheduler.base import Placement, Scheduler, SchedulerSettings
from nova_lite.scheduler.chance import ChanceScheduler
from nova_lite.scheduler.filter import FilterScheduler
from nova_lite.scheduler.fleet import Fleet
from nova_lite.scheduler.least_load import LeastLoadScheduler
from nova_lite.scheduler.load import load
from nova_lite.scheduler.round_robin import RoundRobinScheduler
from nova_lite.testing.scheduler import a_host

Install = Callable[[str, str, str], None]


def loaded(name: str, settings: SchedulerSettings | None = None) -> Scheduler:
    return load(name, settings or SchedulerSettings(), random.Random(1))


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        ("chance", ChanceScheduler),
        ("filter", FilterScheduler),
        ("least_load", LeastLoadScheduler),
        ("round_robin", RoundRobinScheduler),
    ],
)
def test_our_policies_are_found_by_name(name: str, policy: type[object]) -> None:
    assert type(loaded(name)) is policy


def test_a_policy_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(plugins.Unknown, match="'chanse'.*chance, filter, least_load, round_robin"):
        loaded("chanse")


def test_a_group_nobody_offers_anything_in_says_so() -> None:
    with pytest.raises(plugins.Unknown, match="there are: none at all"):
        plugins.find("nova_lite.no_such_group", "x")


def test_a_filter_that_is_not_there_stops_the_filter_scheduler_at_once() -> None:
    with pytest.raises(plugins.Unknown, match="NoSuchFilter"):
        loaded("filter", SchedulerSettings(enabled_filters=["NoSuchFilter"]))


def test_somebody_elses_policy_is_built_with_settings_and_dice(install: Install) -> None:
    install(
        "alphabet",
        "[nova_lite.schedulers]\nalphabet = alphabet:Alphabet\n",
        "from nova_lite.scheduler.policy import Policy\n"
        "class Alphabet(Policy):\n"
        "    def order(self, request, fleet, rows):\n"
        "        return rows[:self.alternates].tolist()\n",
    )
    fleet = Fleet(a_host(name) for name in "dcba")
    ranking = loaded("alphabet", SchedulerSettings(alternates=2)).rank(Placement(1, 1, 1), fleet)
    assert ranking.hosts == ["a", "b"]


def test_two_packages_that_offer_the_same_name_are_not_guessed_between(install: Install) -> None:
    for package in ("one", "other"):
        install(package, f"[nova_lite.schedulers]\nmine = {package}:Mine\n", "")
    with pytest.raises(plugins.Unknown, match="ambiguous: one:Mine, other:Mine"):
        loaded("mine")


def test_what_is_no_policy_is_refused(install: Install) -> None:
    install(
        "hollow",
        "[nova_lite.schedulers]\nhollow = hollow:Hollow\n",
        "class Hollow:\n    def __init__(self, settings, rng): pass\n",
    )
    with pytest.raises(TypeError, match="'hollow' .* no Scheduler"):
        loaded("hollow")
