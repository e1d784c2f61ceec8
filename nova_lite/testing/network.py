"""What every NetworkDriver promises: the suite to hold a driver against.

A driver's author subclasses `NetworkConformance` in a test module and gives it
a fixture `host`: an object whose `driver()` makes one more driver, as a worker
does that starts, over the same machine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol
from uuid import UUID

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Gateway, Lease, Link, NetworkPlan
from nova_lite.network.driver import NetworkDriver

NETWORK = UUID("3d2c1c40-0000-4000-8000-000000000001")
OTHER = UUID("3d2c1c40-0000-4000-8000-000000000002")

LEASE = Lease("fa:16:3e:00:00:01", "10.20.0.2", "web")
GATEWAY = Gateway("10.20.0.1/24", leases=(LEASE,), metadata="127.0.0.1:8775")
PLAN = NetworkPlan(Link(NETWORK, "nlnet-br0"), 1, GATEWAY)
OTHER_PLAN = NetworkPlan(Link(OTHER, "nlnet-br1"), 7, Gateway("10.30.0.1/24", leases=()))


class Host(Protocol):
    def driver(self) -> NetworkDriver:
        """A new driver over the same machine."""


class NetworkConformance:
    def test_a_fresh_host_provides_nothing(self, host: Host) -> None:
        assert host.driver().networks() == {}

    def test_what_was_ensured_is_provided_with_its_generation(self, host: Host) -> None:
        driver = host.driver()
        driver.ensure(PLAN)
        driver.ensure(OTHER_PLAN)
        assert driver.networks() == {NETWORK: 1, OTHER: 7}

    def test_saying_it_twice_is_saying_it_once(self, host: Host) -> None:
        driver = host.driver()
        driver.ensure(PLAN)
        driver.ensure(PLAN)
        assert driver.networks() == {NETWORK: 1}

    def test_a_newer_plan_takes_the_place_of_the_older(self, host: Host) -> None:
        driver = host.driver()
        driver.ensure(PLAN)
        second = Lease("fa:16:3e:00:00:02", "10.20.0.3", "db")
        driver.ensure(replace(PLAN, generation=2, gateway=replace(GATEWAY, leases=(LEASE, second))))
        assert driver.networks() == {NETWORK: 2}
        driver.ensure(replace(PLAN, generation=3, gateway=replace(GATEWAY, leases=())))
        assert driver.networks() == {NETWORK: 3}

    def test_a_network_can_lose_its_gateway_and_get_it_back(self, host: Host) -> None:
        driver = host.driver()
        for generation, gateway in enumerate((GATEWAY, None, GATEWAY)):
            driver.ensure(replace(PLAN, generation=generation, gateway=gateway))
            assert driver.networks() == {NETWORK: generation}

    def test_a_network_can_move_to_another_bridge_and_leaves_the_first(self, host: Host) -> None:
        driver = host.driver()
        driver.ensure(PLAN)
        driver.ensure(replace(PLAN, generation=2, link=replace(PLAN.link, bridge="nlnet-br9")))
        driver.ensure(replace(OTHER_PLAN, link=replace(OTHER_PLAN.link, bridge="nlnet-br0")))
        assert driver.networks() == {NETWORK: 2, OTHER: 7}

    def test_a_worker_that_starts_finds_what_the_one_before_it_left(self, host: Host) -> None:
        host.driver().ensure(PLAN)
        assert host.driver().networks() == {NETWORK: 1}
        host.driver().remove(NETWORK)
        assert host.driver().networks() == {}

    def test_removing_one_network_leaves_the_other(self, host: Host) -> None:
        driver = host.driver()
        driver.ensure(PLAN)
        driver.ensure(OTHER_PLAN)
        driver.remove(NETWORK)
        assert driver.networks() == {OTHER: 7}

    def test_removing_what_is_not_there_is_content(self, host: Host) -> None:
        driver = host.driver()
        driver.remove(NETWORK)
        driver.ensure(PLAN)
        driver.remove(NETWORK)
        driver.remove(NETWORK)
        assert driver.networks() == {}

    def test_a_link_is_not_a_network_provided(self, host: Host) -> None:
        driver = host.driver()
        driver.connect(PLAN.link)
        driver.connect(PLAN.link)
        assert driver.networks() == {}

    def test_a_bridge_that_a_link_made_can_become_a_gateway(self, host: Host) -> None:
        driver = host.driver()
        driver.connect(PLAN.link)
        driver.ensure(PLAN)
        driver.connect(PLAN.link)
        assert driver.networks() == {NETWORK: 1}

    def test_two_networks_cannot_have_one_bridge(self, host: Host) -> None:
        driver = host.driver()
        driver.ensure(PLAN)
        with pytest.raises(NetworkError, match=str(NETWORK)):
            driver.ensure(replace(OTHER_PLAN, link=replace(OTHER_PLAN.link, bridge="nlnet-br0")))
        assert driver.networks() == {NETWORK: 1}

    @pytest.mark.parametrize("bridge", ["", "a name", "../../etc", "-x", "sixteencharacter"])
    def test_a_link_to_what_is_no_interface_is_refused(self, host: Host, bridge: str) -> None:
        with pytest.raises(NetworkError):
            host.driver().connect(Link(NETWORK, bridge))

    @pytest.mark.parametrize(
        "gateway",
        [
            replace(GATEWAY, address="10.20.0.0.1/24"),
            replace(GATEWAY, domain="novalocal,evil"),
            replace(GATEWAY, domain="novalocal/8.8.8.8"),
            replace(GATEWAY, dns_servers=("8.8.8.8\n--port=1",)),
            replace(GATEWAY, lease_seconds=1),
            replace(GATEWAY, metadata="metadata:http"),
            replace(GATEWAY, metadata="0.0.0.0:8775"),
            replace(GATEWAY, leases=(replace(LEASE, hostname="web\n--dhcp-script=/bin/sh"),)),
            replace(GATEWAY, leases=(replace(LEASE, hostname="web,set:x"),)),
            replace(GATEWAY, leases=(replace(LEASE, mac="*:*:*:*:*:*"),)),
            replace(GATEWAY, leases=(replace(LEASE, address="10.99.0.2"),)),
            replace(GATEWAY, leases=(replace(LEASE, address="10.20.0.1"),)),
            replace(GATEWAY, leases=(LEASE, replace(LEASE, mac="fa:16:3e:00:00:02"))),
            replace(GATEWAY, leases=(LEASE, replace(LEASE, address="10.20.0.3"))),
        ],
    )
    def test_a_poisonous_plan_is_refused_and_changes_nothing(
        self, host: Host, gateway: Gateway
    ) -> None:
        driver = host.driver()
        driver.ensure(PLAN)
        with pytest.raises(NetworkError):
            driver.ensure(replace(PLAN, generation=2, gateway=gateway))
        assert driver.networks() == {NETWORK: 1}
