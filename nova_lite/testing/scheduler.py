"""What every placement policy must keep to, whatever it prefers.

`CHECKS` is a table of functions that take a way to make the policy, and fail
with an AssertionError. For a policy of your own:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_policy(check: Check) -> None:
        check(lambda: MyScheduler(SchedulerSettings(), random.Random(1)))

The hosts are small and the requests of their size, so that chance finds the
borders; what will do is said here once more, one host at a time, and compared.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from nova_lite.scheduler.base import (
    AFFINITY,
    ANTI_AFFINITY,
    SOFT_AFFINITY,
    SOFT_ANTI_AFFINITY,
    Group,
    Placement,
    Ranking,
    Scheduler,
    SchedulerSettings,
)
from nova_lite.scheduler.fleet import Fleet, HostRow, Ratios

Make = Callable[[], Scheduler]
Check = Callable[[Make], None]

RATIOS = Ratios(memory=1.5, vcpus=2.0, disk=1.0)

_names = [f"host{i}" for i in range(6)]
_zones = some.sampled_from(["nova", "cellar"])

hosts = some.lists(
    some.builds(
        HostRow,
        name=some.sampled_from(_names),
        zone=_zones,
        enabled=some.sampled_from([True, True, True, False]),
        up=some.sampled_from([True, True, True, False]),
        memory_mb=some.integers(0, 8),
        memory_mb_used=some.integers(0, 4),
        vcpus=some.integers(0, 6),
        vcpus_used=some.integers(0, 4),
        disk_gb=some.integers(0, 10),
        disk_gb_used=some.integers(0, 4),
        instances=some.just(0),
    ),
    unique_by=lambda host: host.name,
    max_size=len(_names),
)
_some_hosts = some.frozensets(some.sampled_from([*_names, "stranger"]), max_size=2)
_groups = some.builds(
    Group,
    policy=some.sampled_from([AFFINITY, ANTI_AFFINITY, SOFT_AFFINITY, SOFT_ANTI_AFFINITY]),
    members=some.dictionaries(some.sampled_from(_names), some.integers(1, 3), max_size=3),
    max_per_host=some.integers(1, 3),
)
requests = some.builds(
    Placement,
    memory_mb=some.integers(0, 4),
    vcpus=some.integers(0, 3),
    disk_gb=some.integers(0, 3),
    zone=some.none() | _zones | some.just("nowhere"),
    host=some.none() | some.none() | some.sampled_from([*_names, "stranger"]),
    avoid=_some_hosts,
    same_hosts=some.none() | some.none() | _some_hosts,
    other_hosts=some.just(frozenset()) | _some_hosts,
    group=some.none() | some.none() | _groups,
)

# The same examples every time: a suite that fails one day in ten teaches to look away.
_examples = settings(max_examples=80, deadline=None, derandomize=True, database=None)


def a_host(name: str, **differences: Any) -> HostRow:
    """A host that is up, enabled, in zone nova, and empty: 16 of everything."""
    return HostRow(
        **{
            "name": name,
            "zone": "nova",
            "enabled": True,
            "up": True,
            "memory_mb": 16,
            "memory_mb_used": 0,
            "vcpus": 16,
            "vcpus_used": 0,
            "disk_gb": 16,
            "disk_gb_used": 0,
            "instances": 0,
            **differences,
        }
    )


def will_do(host: HostRow, request: Placement) -> bool:
    return (
        host.up
        and host.enabled
        and request.zone in (None, host.zone)
        and request.host in (None, host.name)
        and host.name not in request.avoid
        and (request.same_hosts is None or host.name in request.same_hosts)
        and host.name not in request.other_hosts
        and (request.group is None or _group_allows(host, request.group))
        and host.memory_mb_used + request.memory_mb <= int(host.memory_mb * RATIOS.memory)
        and host.vcpus_used + request.vcpus <= int(host.vcpus * RATIOS.vcpus)
        and host.disk_gb_used + request.disk_gb <= int(host.disk_gb * RATIOS.disk)
    )


def _group_allows(host: HostRow, group: Group) -> bool:
    if group.policy == AFFINITY:
        return not group.members or host.name in group.members
    return group.policy != ANTI_AFFINITY or group.members.get(host.name, 0) < group.max_per_host


def with_one_more(host: HostRow, request: Placement) -> HostRow:
    return replace(
        host,
        memory_mb_used=host.memory_mb_used + request.memory_mb,
        vcpus_used=host.vcpus_used + request.vcpus,
        disk_gb_used=host.disk_gb_used + request.disk_gb,
    )


def it_ranks_hosts_that_will_do_and_no_others(make: Make) -> None:
    @_examples
    @given(hosts, requests)
    def check(rows: list[HostRow], request: Placement) -> None:
        ranked = make().rank(request, Fleet(rows, RATIOS)).hosts
        good = {row.name for row in rows if will_do(row, request)}
        assert set(ranked) <= good, f"{ranked} is not within {good}"
        assert len(set(ranked)) == len(ranked), f"{ranked} names a host twice"
        # A handful is enough, none is not, if there is one.
        handful = min(len(good), SchedulerSettings().alternates)
        assert len(ranked) >= min(1, handful), f"{good} would do, but nothing is ranked"

    check()


def its_explanation_adds_up(make: Make) -> None:
    @_examples
    @given(hosts, requests, some.booleans())
    def check(rows: list[HostRow], request: Placement, explain: bool) -> None:
        ranking = make().rank(request, Fleet(rows, RATIOS), explain=explain)
        good = {row.name for row in rows if will_do(row, request)}
        _adds_up(ranking, rows, good)
        bad = {row.name for row in rows} - good
        assert set(ranking.refused) == (bad if explain or not good else set())

    check()


def it_changes_no_picture(make: Make) -> None:
    @_examples
    @given(hosts, requests)
    def check(rows: list[HostRow], request: Placement) -> None:
        scheduler, fleet = make(), Fleet(rows, RATIOS)
        before = _contents(fleet)
        scheduler.rank(request, fleet)
        scheduler.rank_many(request, fleet, 4)
        assert _contents(fleet) == before, "ranking is not claiming"

    check()


def many_at_once_fill_the_hosts_to_the_brim_and_no_further(make: Make) -> None:
    @_examples
    @given(hosts, requests, some.integers(0, 12))
    def check(rows: list[HostRow], request: Placement, count: int) -> None:
        now = {row.name: row for row in rows}
        rankings = make().rank_many(request, Fleet(rows, RATIOS), count)
        assert len(rankings) == count
        for ranking in rankings:
            good = {name for name, row in now.items() if will_do(row, request)}
            _adds_up(ranking, rows, good)
            if good:
                assert set(ranking.hosts) <= good, f"{ranking.hosts} is not within {good}"
                first = ranking.hosts[0]
                now[first] = with_one_more(now[first], request)
                if request.group is not None:
                    request = replace(request, group=request.group.joined(first))
            else:
                assert set(ranking.refused) == set(now), "every host has its reason"

    check()


def what_is_taken_by_others_is_seen(make: Make) -> None:
    scheduler, request = make(), Placement(memory_mb=4, vcpus=1, disk_gb=1)
    fleet = Fleet([a_host("host0"), a_host("host1")])
    placed = []
    while best := scheduler.rank(request, fleet).hosts:
        fleet.take(best[0], request.memory_mb, request.vcpus, request.disk_gb)
        placed.append(best[0])
    assert Counter(placed) == {"host0": 4, "host1": 4}
    fleet.give("host1", request.memory_mb, request.vcpus, request.disk_gb)
    assert scheduler.rank(request, fleet).hosts == ["host1"]


def many_threads_may_ask_at_once(make: Make) -> None:
    scheduler, request = make(), Placement(memory_mb=1, vcpus=1, disk_gb=1)
    fleet = Fleet([a_host(name) for name in _names])
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(20):
                single = scheduler.rank(request, fleet)
                pair = scheduler.rank_many(request, fleet, 2)
                assert all(set(ranking.hosts) <= set(_names) for ranking in (single, *pair))
                fleet.take(single.hosts[0], 1, 1, 1)
                fleet.give(single.hosts[0], 1, 1, 1)
        except BaseException as failure:  # of a thread nobody would hear of it otherwise
            failures.append(failure)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert _contents(fleet) == _contents(Fleet([a_host(name) for name in _names]))


def no_hosts_at_all_is_an_answer_too(make: Make) -> None:
    scheduler, request, nobody = make(), Placement(memory_mb=1, vcpus=1, disk_gb=1), Fleet([])
    for ranking in (scheduler.rank(request, nobody), *scheduler.rank_many(request, nobody, 2)):
        assert not ranking.hosts and not ranking.refused
        assert ranking.explain().startswith("0 hosts"), ranking.explain()


CHECKS: Sequence[Check] = (
    it_ranks_hosts_that_will_do_and_no_others,
    its_explanation_adds_up,
    it_changes_no_picture,
    many_at_once_fill_the_hosts_to_the_brim_and_no_further,
    what_is_taken_by_others_is_seen,
    many_threads_may_ask_at_once,
    no_hosts_at_all_is_an_answer_too,
)


def _adds_up(ranking: Ranking, rows: Sequence[HostRow], good: set[str]) -> None:
    counts = [len(rows), *(verdict.remaining for verdict in ranking.verdicts)]
    assert ranking.considered == len(rows)
    assert counts[-1] == len(good), f"{len(good)} hosts will do, but: {ranking.explain()}"
    assert bool(ranking.hosts) == bool(good), f"{ranking.hosts}, but: {ranking.explain()}"
    assert all(verdict.asked for verdict in ranking.verdicts), "a filter does not say its question"
    left = {v.filter: b - a for v, b, a in zip(ranking.verdicts, counts, counts[1:], strict=False)}
    assert all(put_out >= 0 for put_out in left.values()), ranking.explain()
    if ranking.refused:
        by = Counter(ranking.refused.values())
        assert by == Counter(left), f"{ranking.explain_hosts()}, but: {ranking.explain()}"


def _contents(fleet: Fleet) -> list[object]:
    return [fleet.host(row) for row in range(len(fleet))]
