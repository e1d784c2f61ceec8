from __future__ import annotations

from pathlib import Path

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.network.fake import FakeHost, FakeNetwork
from nova_lite.testing.network import NETWORK, OTHER, OTHER_PLAN, PLAN


def test_with_a_directory_networks_outlive_the_process(tmp_path: Path) -> None:
    before = FakeNetwork(FakeHost(tmp_path / "net"))
    before.ensure(PLAN)
    before.ensure(OTHER_PLAN)
    before.remove(OTHER)
    after = FakeNetwork(FakeHost(tmp_path / "net"))
    assert after.networks() == {NETWORK: 1}
    assert after.host.plans == {NETWORK: PLAN}
    after.remove(NETWORK)
    assert list((tmp_path / "net").iterdir()) == []


@pytest.mark.parametrize("verb", ["connect", "ensure", "remove", "networks"])
def test_it_breaks_once_when_told_to(verb: str) -> None:
    driver = FakeNetwork()
    driver.host.broken[verb] = NetworkError("told to")
    calls = {
        "connect": lambda: driver.connect(PLAN.link),
        "ensure": lambda: driver.ensure(PLAN),
        "remove": lambda: driver.remove(NETWORK),
        "networks": driver.networks,
    }
    with pytest.raises(NetworkError, match="told to"):
        calls[verb]()
    calls[verb]()


def test_a_host_that_loses_power_provides_nothing() -> None:
    driver = FakeNetwork()
    driver.ensure(PLAN)
    driver.connect(OTHER_PLAN.link)
    driver.host.lose_power()
    assert driver.networks() == {} and driver.host.bridges == {}


def test_what_a_gateway_leaves_is_no_longer_a_bridge() -> None:
    driver = FakeNetwork()
    driver.ensure(PLAN)
    assert driver.host.bridges == {"nlnet-br0": PLAN.link}
    driver.remove(NETWORK)
    assert driver.host.bridges == {}
