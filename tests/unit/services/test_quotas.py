"""Quotas are counted, and nobody gets more than is left."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from nova_lite.context import RequestContext
from nova_lite.domain.errors import Forbidden, Invalid, NotFound, QuotaExceeded
from nova_lite.services.compute.quotas import Quotas, Usage
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
        allowance = site.quotas.of(session, "red")
        allowance.check_metadata(1)
        with pytest.raises(QuotaExceeded):
            allowance.check_metadata(2)


def test_a_user_may_have_less_than_the_project(tmp_path: Path) -> None:
    site = Site(tmp_path, instances=5, server_groups=5)
    site.add_flavor()
    limits = {"instances": 2, "server_groups": 0, "metadata_items": 1}
    assert site.quotas.set_limits(ADMIN, "red", limits, "alice")["instances"] == 2
    site.create(max_count=5)
    carol = RequestContext("req-d", "carol", project_id="red", roles=ALICE.roles)
    site.create(carol, max_count=5)
    assert site.quotas.usage(ALICE, "red", "alice")["instances"] == Usage(2, 2)
    assert site.quotas.usage(ALICE, "red")["instances"] == Usage(5, 5)
    with site.database.write() as session:
        site.quotas.of(session, "red", "carol").reserve(server_groups=1)
        allowance = site.quotas.of(session, "red", "alice")
        with pytest.raises(QuotaExceeded, match="server_groups"):
            allowance.reserve(server_groups=1)
        with pytest.raises(QuotaExceeded):
            allowance.check_metadata(2)
    site.quotas.forget_limits(ADMIN, "red", ["instances"], "alice")
    usage = site.quotas.usage(ADMIN, "red", "alice")
    assert (usage["instances"].limit, usage["server_groups"].limit) == (5, 0)


def test_with_another_keystone_a_project_may_have_limits_before_anybody_used_it(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path)
    with pytest.raises(Invalid, match="ghost is not a valid project"):
        site.quotas.set_limits(ADMIN, "ghost", {"cores": 1})
    elsewhere = Quotas(site.database, site.limits, own_projects=False)
    assert elsewhere.set_limits(ADMIN, "ghost", {"cores": 1})["cores"] == 1
    assert elsewhere.usage(ADMIN, "ghost", known=True)["cores"] == Usage(0, 1)


def test_limits_are_for_who_owns_the_project(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with pytest.raises(Forbidden):
        site.quotas.set_limits(BOB, "red", {"cores": 1})
    with pytest.raises(Forbidden):
        site.quotas.forget_limits(BOB, "red", ["cores"])
    with pytest.raises(Forbidden):
        site.quotas.defaults(BOB, "red")
    assert site.quotas.defaults(BOB)["cores"] == -1


def test_personality_and_groups_are_bounded(tmp_path: Path) -> None:
    site = Site(tmp_path, injected_files=1, injected_file_path_bytes=3, server_group_members=2)
    with site.database.read() as session:
        allowance = site.quotas.of(session, "red")
    allowance.check_files([{"path": "/a", "contents": "AAAA"}])
    allowance.check_group(2)
    with pytest.raises(QuotaExceeded, match="more than 1 files"):
        allowance.check_files([{"path": "/a", "contents": ""}] * 2)
    with pytest.raises(QuotaExceeded, match="more than 3 bytes in the path"):
        allowance.check_files([{"path": "/abc", "contents": ""}])
    with pytest.raises(QuotaExceeded, match="too many servers in group"):
        allowance.check_group(3)
