"""Server groups, and who may join one."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import Forbidden, Invalid, NotFound, QuotaExceeded
from nova_lite.services.compute.server_groups import NewServerGroup, ServerGroups, join
from tests.unit.services.site import ADMIN, ALICE, BOB, NOBODY, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path, server_group_members=2)
    site.add_flavor()
    return site


def groups(site: Site) -> ServerGroups:
    return ServerGroups(site.database, site.quotas, site.now)


def create(site: Site, policy: str = "affinity") -> UUID:
    return groups(site).create(ALICE, NewServerGroup("group", policy)).id


def test_a_group_belongs_to_a_project(site: Site) -> None:
    id = create(site)
    assert groups(site).get(ALICE, id).project_id == "red"
    assert groups(site).get(ADMIN, id).user_id == "alice"
    with pytest.raises(NotFound):
        groups(site).get(BOB, id)
    with pytest.raises(Forbidden):
        groups(site).create(NOBODY, NewServerGroup("group", "affinity"))


@pytest.mark.parametrize("hint", ["group", 5, uuid4()])
def test_nobody_joins_what_is_not_there(site: Site, hint: object) -> None:
    with site.database.write() as session, pytest.raises(Invalid):
        join(session, ALICE, site.quotas.of(session, "red"), hint, 1)


def test_nobody_joins_the_group_of_others(site: Site) -> None:
    id = create(site)
    with site.database.write() as session, pytest.raises(Invalid):
        join(session, BOB, site.quotas.of(session, "blue"), str(id), 1)


def test_a_group_has_room_for_so_many(site: Site) -> None:
    id = create(site)
    first = site.create(hints={"group": str(id)})
    with pytest.raises(QuotaExceeded):
        site.create(hints={"group": str(id)}, min_count=2, max_count=2)
    second = site.create(hints={"group": str(id)})
    with pytest.raises(QuotaExceeded):
        site.create(hints={"group": str(id)})
    found = groups(site).members([groups(site).get(ALICE, id)])
    assert found == {id: [first, second]}
