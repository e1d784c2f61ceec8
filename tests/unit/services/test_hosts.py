"""Hosts and workers as operators see them."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from nova_lite.domain.errors import NotFound
from tests.unit.services.site import ADMIN, DOWN_AFTER, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_worker_is_up_as_long_as_it_keeps_saying_so(site: Site) -> None:
    site.add_host("a")
    assert [bool(s.up) for s in site.hosts.services(ADMIN)] == [True]
    assert site.instances.host_statuses({"a", "b"}) == {"a": "UP"}
    site.time += DOWN_AFTER + dt.timedelta(seconds=1)
    assert [bool(s.up) for s in site.hosts.services(ADMIN)] == [False]
    assert site.instances.host_statuses({"a", "b"}) == {"a": "DOWN"}


def test_who_was_declared_down_is_down_whatever_it_says(site: Site) -> None:
    site.add_host("a")
    site.hosts.configure(ADMIN, "a", "nova-compute", forced_down=True)
    assert site.instances.host_statuses({"a", "b"}) == {"a": "DOWN"}
    site.hosts.configure(ADMIN, "a", "nova-compute", disabled=True)
    assert site.instances.host_statuses({"a", "b"}) == {"a": "MAINTENANCE"}
    for host, binary in (("b", "nova-compute"), ("a", "nova-network"), ("a", "nova-x")):
        with pytest.raises(NotFound):
            site.hosts.configure(ADMIN, host, binary, disabled=True)


def test_totals_of_no_hosts_are_zero(site: Site) -> None:
    assert set(site.hosts.totals(ADMIN).values()) == {0}


def test_a_part_of_a_name_is_taken_as_it_stands(site: Site) -> None:
    site.add_host("a_1")
    site.add_host("ab1")
    assert [h.name for h in site.hosts.hypervisors(ADMIN, name="a_")] == ["a_1"]
    assert site.hosts.hypervisors(ADMIN, name="%") == []
