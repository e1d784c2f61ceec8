"""Members of one server group that are placed at the same time, on every database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest

from nova_lite.domain.errors import QuotaExceeded
from nova_lite.services.compute.server_groups import NewServerGroup
from tests.real.test_races import Site, at_once, kinds
from tests.real.test_races import build as build  # noqa: F401 (the fixture)


def group(site: Site, policy: str, most: int | None = None) -> UUID:
    new = NewServerGroup("group", policy, most)
    return site.services.server_groups.create(site.admin, new).id


def boot(site: Site, of: UUID, count: int) -> list[object]:
    return at_once([lambda: site.boot(networks="none", hints={"group": str(of)})] * count)


@pytest.fixture
def site(build: Callable[..., Site]) -> Site:  # noqa: F811
    site = build(hosts=4)
    site.services.quotas.limits = {**site.services.quotas.limits, "server_group_members": -1}
    return site


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_members_on_a_host_than_there_may_be(site: Site, most: int) -> None:
    results = boot(site, group(site, "anti-affinity", most), 16)
    assert kinds(results) == {"UUID": 16}, results
    site.settle()
    found = site.instances()
    assert Counter(i.vm_state for i in found) == {"active": 4 * most, "error": 16 - 4 * most}
    hosts = Counter(i.host for i in found if i.vm_state == "active")
    assert set(hosts.values()) == {most} and len(hosts) == 4
    for instance in found:
        if instance.vm_state == "error":
            assert instance.fault
            assert "ServerGroupAntiAffinityFilter" in instance.fault["message"]
    site.assert_nothing_is_left_over()


def test_all_members_follow_the_first(site: Site) -> None:
    results = boot(site, group(site, "affinity"), 16)
    assert kinds(results) == {"UUID": 16}, results
    site.settle()
    found = site.instances()
    assert Counter(i.vm_state for i in found) == {"active": 16}
    assert len({instance.host for instance in found}) == 1


def test_a_group_is_filled_exactly(build: Callable[..., Site]) -> None:  # noqa: F811
    site = build(start=False)
    site.services.quotas.limits = {**site.services.quotas.limits, "server_group_members": 5}
    results = boot(site, group(site, "soft-affinity"), 16)
    assert kinds(results) == {"UUID": 5, "QuotaExceeded": 11}
    refused = [error for error in results if isinstance(error, QuotaExceeded)]
    assert {str(error) for error in refused} == {"Quota exceeded, too many servers in group"}


def test_one_of_two_zones_gets_a_host(build: Callable[..., Site]) -> None:  # noqa: F811
    """Two aggregates of different zones want the same host at the same moment."""
    site = build(start=False, hosts=1)
    aggregates = site.services.aggregates
    for round in range(5):
        zones = {
            zone: aggregates.create(site.admin, f"{zone}{round}", zone).number
            for zone in ("east", "west")
        }
        results = at_once(
            [partial(aggregates.add_host, site.admin, n, "host1") for n in zones.values()]
        )
        assert kinds(results) == {"AggregateView": 1, "Conflict": 1}, results
        (winner,) = [a for a in aggregates.list(site.admin) if a.hosts]
        (host,) = site.services.hosts.hypervisors(site.admin)
        assert host.zone == winner.zone
        aggregates.remove_host(site.admin, winner.number, "host1")
