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
from nova_lite.domain.specs import FilterRule, Gateway, Lease, Link, NetworkPlan, Nic
from nova_lite.network.driver import NetworkDriver

NETWORK = UUID("3d2c1c40-0000-4000-8000-000000000001")
OTHER = UUID("3d2c1c40-0000-4000-8000-000000000002")

LEASE = Lease("fa:16:3e:00:00:01", "10.20.0.2", "web")
GATEWAY = Gateway("10.20.0.1/24", leases=(LEASE,), metadata="127.0.0.1:8775")
PLAN = NetworkPlan(Link(NETWORK, "nlnet-br0"), 1, GATEWAY)
GUEST = UUID("3d2c1c40-0000-4000-8000-00000000000a")
PORT, OTHER_PORT = (UUID(f"3d2c1c4{n}-0000-4000-8000-00000000000b") for n in (1, 2))
SSH = FilterRule("ingress", "IPv4", "tcp", 22, 22, remotes=("10.0.0.0/8",))
NIC = Nic(PORT, LEASE.mac, PLAN.link, (LEASE.address,), rules=(SSH,))
OTHER_NIC = Nic(OTHER_PORT, "fa:16:3e:00:00:02", PLAN.link, ("10.20.0.3",), rules=())
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

    # --- the filters of guests --------------------------------------------------------------

    def test_a_guest_is_filtered_until_it_is_forgotten(self, host: Host) -> None:
        driver = host.driver()
        driver.connect(PLAN.link)
        for rules in ((SSH,), (), (SSH, replace(SSH, remotes=None))):
            driver.protect(GUEST, [replace(NIC, rules=rules)])
            assert driver.protected() == {GUEST: [NIC.tap]}
        for _ in "twice":
            driver.unprotect(GUEST)
            assert driver.protected() == {}

    def test_a_nic_that_is_not_named_stays_filtered(self, host: Host) -> None:
        driver = host.driver()
        driver.connect(PLAN.link)
        driver.protect(GUEST, [NIC])
        driver.protect(GUEST, [OTHER_NIC])
        driver.protect(GUEST, [])
        assert driver.protected() == {GUEST: [NIC.tap, OTHER_NIC.tap]}
        driver.unprotect(GUEST, but=[OTHER_NIC])
        assert driver.protected() == {GUEST: [OTHER_NIC.tap]}

    def test_a_nic_without_rules_is_not_filtered_any_more(self, host: Host) -> None:
        driver = host.driver()
        driver.connect(PLAN.link)
        driver.protect(GUEST, [NIC, OTHER_NIC])
        driver.protect(GUEST, [replace(NIC, rules=None)])
        assert driver.protected() == {GUEST: [OTHER_NIC.tap]}
        driver.protect(GUEST, [replace(OTHER_NIC, rules=None)])
        assert driver.protected() == {}

    def test_a_worker_that_starts_finds_the_filters_of_guests(self, host: Host) -> None:
        host.driver().connect(PLAN.link)
        host.driver().protect(GUEST, [NIC])
        host.driver().watch()
        assert host.driver().protected() == {GUEST: [NIC.tap]}
        host.driver().unprotect(GUEST)
        host.driver().watch()
        assert host.driver().protected() == {}

    def test_a_guest_on_no_bridge_cannot_be_filtered(self, host: Host) -> None:
        with pytest.raises(NetworkError, match=PLAN.link.bridge):
            host.driver().protect(GUEST, [NIC])

    @pytest.mark.parametrize(
        "nic",
        [
            replace(NIC, mac="fa:16:3e"),
            replace(NIC, tap="tap0; flush ruleset"),
            replace(NIC, addresses=("10.20.0.300",)),
            replace(NIC, link=replace(NIC.link, bridge="-x")),
            *(
                replace(NIC, rules=(replace(SSH, **wrong),))
                for wrong in (
                    {"direction": "sideways"},
                    {"ethertype": "IPX"},
                    {"protocol": "carrier-pigeon"},
                    {"port_max": 65536},
                    {"port_min": 23},
                    {"remotes": ("10.0.0.0/33",)},
                    {"remotes": ("fd00::/8",)},
                )
            ),
        ],
    )
    def test_a_poisonous_nic_is_refused_and_changes_nothing(self, host: Host, nic: Nic) -> None:
        driver = host.driver()
        driver.connect(PLAN.link)
        driver.protect(GUEST, [NIC])
        with pytest.raises(NetworkError):
            driver.protect(GUEST, [OTHER_NIC, nic])
        assert driver.protected() == {GUEST: [NIC.tap]}
