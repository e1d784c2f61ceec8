"""Every flow withstands everything that can go wrong; see nova_lite.testing.attack."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.services.network.networks import NewNetwork, NewSubnet
from nova_lite.testing.arena import Arena, Scenario, scenarios
from nova_lite.testing.attack import Attack, assail, attacks, delete_at_every_moment
from nova_lite.testing.cloud import Cloud

SCENARIOS = scenarios()


#: The paths are many and walked again and again: measuring them doubles the time, and the tests
#: of each part measure the same lines.
pytestmark = pytest.mark.no_cover


class Ground:
    """One cloud for all attacks on a scenario, as each leaves it as it was."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.arena: Arena | None = None
        self.number = 0

    @contextmanager
    def arena_for(self, scenario: Scenario) -> Iterator[Arena]:
        """The arena, which is not used again after something has failed in it."""
        if self.arena is None or self.arena.scenario is not scenario:
            self.clear()
            self.number += 1
            directory = self.directory / str(self.number)
            directory.mkdir()
            self.arena = Arena(a_cloud(directory), scenario, flavor="s")
        try:
            yield self.arena
        except BaseException:
            self.clear()
            raise

    def clear(self) -> None:
        if self.arena is not None:
            self.arena.cloud.close()
            self.arena = None


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    ground = Ground(tmp_path_factory.mktemp("ground"))
    yield ground
    ground.clear()


def a_cloud(directory: Path) -> Cloud:
    cloud = Cloud(directory, hosts=3, options_={"compute.shelved_offload_time": -1})
    services, admin = cloud.services, cloud.admin
    services.flavors.create(admin, NewFlavor("small", 512, 1, 1, flavorid="s"))
    network = services.networks.create_networks(admin, [NewNetwork(name="n")])[0].id
    services.networks.create_subnets(admin, [NewSubnet(network, "10.0.0.0/24")])
    return cloud


@pytest.mark.parametrize(
    ("scenario", "attack"),
    list(attacks(SCENARIOS)),
    ids=lambda part: str(part) if isinstance(part, Scenario) else part.__name__,
)
def test_a_flow_withstands(ground: Ground, scenario: Scenario, attack: Attack) -> None:
    with ground.arena_for(scenario) as arena:
        for n in assail(arena, attack):
            print(f"{scenario}: {attack.__name__} {n} withstood")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
def test_deleting_works_at_any_time(ground: Ground, scenario: Scenario) -> None:
    with ground.arena_for(scenario) as arena:
        for n in delete_at_every_moment(arena):
            print(f"{scenario}: deleted after message {n}")
