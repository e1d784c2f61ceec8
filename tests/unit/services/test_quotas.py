"""Quotas are counted, and nobody gets more than is left."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nova_lite.context import RequestContext
from nova_lite.domain.errors import Forbidden, NotFound, QuotaExceeded
from nova_lite.services.quotas import Usage
from tests.unit.services.site import ADMIN, ALICE, BOB, Site


def test_usage_is_what_is_there(tmp_path: Path) -> None:
    site = Site(tmp_path, instances=5, ram=1000)
    site.add_flavor("small", vcpus=2)
    site.add_network()
    site.create(max_count=2)
    usage = site.quotas.usage(ALICE, "red")
    assert usage["instances"] == Usage(2, 5) and usage["cores"] == Usage(4, -1)
    assert usage["ram"] == Usage(128, 1000) and usage["networks"].used == 1
    assert usage["metadata_items"] == Usage(0, -1)
    assert site.quotas.usage(ADMIN, "red") == usage
    with pytest.raises(Forbidden):
        site.quotas.usage(BOB, "red")


def test_as_many_as_there_is_room_for_and_at_least_as_many_as_asked(tmp_path: Path) -> None:
    site = Site(tmp_path, cores=5, instances=-1)
    site.add_flavor("small", vcpus=2)
    site.create(min_count=1, max_count=10)
    assert site.quotas.usage(ALICE, "red")["instances"].used == 2
    with pytest.raises(QuotaExceeded, match="cores: Requested 2 cores, but already used 4 of 5"):
        site.create()
    site.create(BOB)


def test_of_many_requests_for_the_last_places_exactly_as_many_get_one(tmp_path: Path) -> None:
    site = Site(tmp_path, instances=3)
    site.add_flavor()
    outcomes: list[bool] = []

    def create() -> None:
        try:
            site.create()
            outcomes.append(True)
        except QuotaExceeded:
            outcomes.append(False)

    threads = [threading.Thread(target=create) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(True) == 3 and outcomes.count(False) == 7


def test_a_project_that_is_gone_gets_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.add_flavor()
    with pytest.raises(NotFound, match="Project ghost"):
        site.create(RequestContext("req-g", "ghost", project_id="ghost"))


def test_networks_ports_and_metadata_are_bounded_too(tmp_path: Path) -> None:
    site = Site(tmp_path, networks=1, metadata_items=1)
    with site.database.write() as session:
        site.quotas.reserve(session, "red", networks=1)
        site.quotas.reserve(session, "red", ports=1000)
    site.add_network()
    with site.database.write() as session:
        with pytest.raises(QuotaExceeded, match="networks"):
            site.quotas.reserve(session, "red", networks=1)
    site.quotas.check_metadata(1)
    with pytest.raises(QuotaExceeded):
        site.quotas.check_metadata(2)
