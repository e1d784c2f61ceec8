"""Every flow withstands everything that can go wrong; see nova_lite.testing.attack."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.services.network.networks import NewNetwork, NewSubnet
from nova_lite.testing.attack import (
    ATTACKS,
    Arena,
    Attack,
    Scenario,
    assail,
    delete_at_every_moment,
    scenarios,
)
from nova_lite.testing.cloud import Cloud

SCENARIOS = scenarios()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = a_cloud(tmp_path)
    yield cloud
    cloud.close()


def a_cloud(directory: Path) -> Cloud:
    cloud = Cloud(directory, hosts=3, options_={"compute.shelved_offload_time": -1})
    services, admin = cloud.services, cloud.admin
    services.flavors.create(admin, NewFlavor("small", 512, 1, 1, flavorid="s"))
    network = services.networks.create_networks(admin, [NewNetwork(name="n")])[0].id
    services.networks.create_subnets(admin, [NewSubnet(network, "10.0.0.0/24")])
    return cloud


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_a_flow_withstands(cloud: Cloud, scenario: Scenario, attack: Attack) -> None:
    for n in assail(Arena(cloud, scenario, flavor="s"), attack):
        print(f"{scenario}: {attack.__name__} {n} withstood")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_deleting_works_at_any_time(cloud: Cloud, scenario: Scenario) -> None:
    for n in delete_at_every_moment(Arena(cloud, scenario, flavor="s")):
        print(f"{scenario}: deleted after message {n}")
