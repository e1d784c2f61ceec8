"""What has been left alone for long enough is carried on, by nobody's request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Instance
from nova_lite.domain.specs import Role
from nova_lite.domain.states import PowerState, VmState
from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.services.compute.instances import NewInstance
from nova_lite.testing.cloud import Cloud


class Site:
    def __init__(self, directory: Path, **options: Any) -> None:
        self.cloud = Cloud(
            directory, hosts=2, options_={f"compute.{name}": v for name, v in options.items()}
        )
        for name, memory in (("small", 512), ("large", 1024)):
            new = NewFlavor(name, memory, 1, 1, flavorid=name)
            self.cloud.services.flavors.create(self.cloud.admin, new)

    def server(self) -> UUID:
        new = NewInstance("s", "small", None, networks="none")
        id = self.cloud.services.instances.create(self.cloud.admin, new)[0].id
        self.cloud.settle()
        return id

    def state(self, id: UUID) -> VmState:
        with self.cloud.database.read() as session:
            return session.scalars(sa.select(Instance.vm_state).where(Instance.id == id)).one()

    def power(self, id: UUID) -> list[str]:
        return [power for (_, guest), power in self.cloud.guests().items() if guest == id]


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(tmp_path, **request.param)
    yield site
    site.cloud.close()


@pytest.mark.parametrize("site", [{"shelved_offload_time": 600}], indirect=True, ids=["600s"])
def test_a_shelved_server_keeps_its_place_for_so_long(site: Site) -> None:
    id, cloud = site.server(), site.cloud
    cloud.services.snapshots.shelve(cloud.admin, id)
    cloud.settle()
    assert site.state(id) is VmState.SHELVED and site.power(id) == ["shutdown"]
    cloud.pass_time(300)
    assert site.state(id) is VmState.SHELVED
    cloud.pass_time(320)
    cloud.settle()
    assert site.state(id) is VmState.SHELVED_OFFLOADED and site.power(id) == []


@pytest.mark.parametrize("site", [{"reclaim_instance_interval": 600}], indirect=True, ids=["600s"])
def test_a_deleted_server_can_be_had_back_for_so_long(site: Site) -> None:
    kept, gone, cloud = site.server(), site.server(), site.cloud
    for id in (kept, gone):
        cloud.services.instances.delete(cloud.admin, id)
    cloud.settle()
    assert site.state(gone) is VmState.SOFT_DELETED and site.power(gone) == ["shutdown"]
    cloud.services.instances.restore(cloud.admin, kept)
    cloud.pass_time(620)
    cloud.settle()
    assert site.state(gone) is VmState.DELETED and site.power(gone) == []
    assert site.state(kept) is VmState.ACTIVE and site.power(kept) == ["running"]


@pytest.mark.parametrize("site", [{"resize_confirm_window": 60}], indirect=True, ids=["60s"])
def test_a_resize_is_confirmed_by_itself(site: Site) -> None:
    id, cloud = site.server(), site.cloud
    cloud.services.deeds.resize(cloud.admin, id, "large")
    cloud.settle()
    assert site.state(id) is VmState.RESIZED
    cloud.pass_time(70)
    cloud.settle()
    assert site.state(id) is VmState.ACTIVE and site.power(id) == ["running"]


@pytest.mark.parametrize("site", [{}], indirect=True, ids=["defaults"])
def test_by_default_nobody_confirms_and_deleted_is_deleted(site: Site) -> None:
    id, other, cloud = site.server(), site.server(), site.cloud
    cloud.services.deeds.resize(cloud.admin, id, "large")
    cloud.services.instances.delete(cloud.admin, other)
    cloud.settle()
    cloud.pass_time(3600, every=10)
    cloud.settle()
    assert site.state(id) is VmState.RESIZED and site.state(other) is VmState.DELETED


@pytest.mark.parametrize("site", [{"reclaim_instance_interval": 9999}], indirect=True, ids=["long"])
def test_a_guest_that_missed_being_switched_off_is_so_when_its_host_is_back(site: Site) -> None:
    id, cloud = site.server(), site.cloud
    with cloud.database.read() as session:
        host = session.scalars(sa.select(Instance.host).where(Instance.id == id)).one()
    assert host
    cloud.kill(Role.COMPUTE, host)
    cloud.pass_time(60)
    cloud.services.instances.delete(cloud.admin, id)
    cloud.settle()
    assert site.state(id) is VmState.SOFT_DELETED and site.power(id) == [PowerState.RUNNING]
    cloud.start_missing()
    cloud.pass_time(30)
    assert site.power(id) == [PowerState.SHUTDOWN]
