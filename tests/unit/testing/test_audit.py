"""The invariants: each kind of damage is seen, and what is sound is not called damaged."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Allocation, FixedAddress, Host, Instance, Port
from nova_lite.testing.audit import leftovers
from nova_lite.testing.cloud import Cloud, Facade


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    root = Facade(cloud, "")
    network = root.post("/network/v2.0/networks", {"network": {"name": "n"}})["network"]["id"]
    subnet = {"network_id": network, "cidr": "10.0.0.0/24", "ip_version": 4}
    root.post("/network/v2.0/subnets", {"subnet": subnet})
    named = {"name": "i", "disk_format": "raw", "container_format": "bare"}
    image = root.post("/image/v2/images", named)["id"]
    root.call("PUT", f"/image/v2/images/{image}/file", data=bytes(512), status=204)
    flavor = {"name": "f", "id": "f", "ram": 64, "vcpus": 1, "disk": 1}
    root.post("/compute/v2.1/flavors", {"flavor": flavor})
    server = {"name": "s", "imageRef": image, "flavorRef": "f", "networks": [{"uuid": network}]}
    root.call("POST", "/compute/v2.1/servers", {"server": server}, status=202)
    cloud.settle()
    yield cloud
    cloud.close()


def the_one(cloud: Cloud) -> Instance:
    (instance,) = cloud.instances()
    return instance


def test_a_sound_cloud_has_no_leftovers(cloud: Cloud) -> None:
    assert the_one(cloud).host == "host1"
    assert cloud.leftovers() == [] and cloud.unfinished() == []


def test_each_kind_of_damage_is_seen(cloud: Cloud) -> None:
    damages = {
        "a claim of .* on host1": sa.update(Instance).values(host="elsewhere"),
        "is on host1 without a claim": sa.delete(Allocation),
        "port .* of ": sa.update(Port).values(device_id=str(uuid4())),
        "address 10.0.0": sa.update(FixedAddress).values(port_id=uuid4()),
        "memory_mb_used is 7, its allocations are 64": sa.update(Host).values(memory_mb_used=7),
        "vcpus_used is 7": sa.update(Host).values(vcpus_used=7),
        "disk_gb_used is 7": sa.update(Host).values(disk_gb_used=7),
        "instances is 7": sa.update(Host).values(instances=7),
        "guest .* on host1": sa.update(Instance).values(host=None),
    }
    for words, damage in damages.items():
        with cloud.database.read() as session:  # nothing of it is committed
            session.execute(sa.text("PRAGMA defer_foreign_keys=ON"))
            session.execute(damage.execution_options(synchronize_session=False))
            found = list(leftovers(session, cloud.guests()))
            session.rollback()
        assert any(re.search(words, each) for each in found), (words, found)
    assert cloud.leftovers() == []


def test_a_guest_of_nobody_is_seen(cloud: Cloud) -> None:
    stray = UUID(int=7)
    with cloud.database.read() as session:
        assert list(leftovers(session, [("host1", stray)])) == [f"guest {stray} on host1"]
