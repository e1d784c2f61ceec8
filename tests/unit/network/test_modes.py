from __future__ import annotations

import re
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_lite.domain.specs import Gateway, Lease, Link, NetworkPlan
from nova_lite.network.modes import MODES, HostSettings, NetworkView, PortView, SubnetView
from nova_lite.network.modes.flat_dhcp import unique_label
from nova_lite.network.plans import check_plan

NETWORK = NetworkView(
    id=UUID(int=1),
    bridge="br100",
    generation=5,
    parent="eth1",
    mtu=1450,
    subnets=(SubnetView("10.0.0.0/24", "10.0.0.1"),),
)
SETTINGS = HostSettings(
    domain="example.org",
    lease_seconds=600,
    dns_servers=("192.0.2.53",),
    metadata="127.0.0.1:8775",
)
WEB = PortView("fa:16:3e:00:00:01", ("10.0.0.10",), "web")


def leases(*ports: PortView) -> list[Lease]:
    plan = MODES["flatdhcp"].on_gateway(NETWORK, ports, SETTINGS)
    assert plan.gateway and plan.gateway.leases is not None
    return list(plan.gateway.leases)


def names(*hostnames: str) -> list[str]:
    """The names that guests with these hostnames get, the oldest first."""
    ports = [
        PortView(f"fa:16:3e:00:00:{number:02x}", (f"10.0.0.{number}",), hostname)
        for number, hostname in enumerate(hostnames, start=10)
    ]
    return [lease.hostname for lease in leases(*ports)]


def test_flat_leaves_router_dhcp_and_uplink_to_the_operator() -> None:
    mode = MODES["flat"]
    link = Link(NETWORK.id, "br100", parent=None, mtu=1450)
    assert mode.on_compute(NETWORK) == link
    assert mode.on_gateway(NETWORK, [WEB], SETTINGS) == NetworkPlan(link, 5, gateway=None)


def test_flat_dhcp_serves_all_that_the_settings_and_the_network_say() -> None:
    mode = MODES["flatdhcp"]
    link = Link(NETWORK.id, "br100", parent="eth1", mtu=1450)
    assert mode.on_compute(NETWORK) == link
    assert mode.on_gateway(NETWORK, [WEB], SETTINGS) == NetworkPlan(
        link,
        5,
        Gateway(
            address="10.0.0.1/24",
            leases=(Lease("fa:16:3e:00:00:01", "10.0.0.10", "web"),),
            dns_servers=("192.0.2.53",),
            domain="example.org",
            lease_seconds=600,
            snat=True,
            metadata="127.0.0.1:8775",
        ),
    )


def test_a_subnets_own_forwarders_go_before_the_hosts() -> None:
    subnet = SubnetView("10.0.0.0/24", "10.0.0.1", dns_servers=("198.51.100.1",))
    network = NetworkView(UUID(int=1), "br100", 1, subnets=(subnet,))
    plan = MODES["flatdhcp"].on_gateway(network, [], SETTINGS)
    assert plan.gateway and plan.gateway.dns_servers == ("198.51.100.1",)


def test_a_subnet_without_dhcp_has_a_router_all_the_same() -> None:
    subnet = SubnetView("10.0.0.0/24", "10.0.0.1", dhcp=False)
    network = NetworkView(UUID(int=1), "br100", 1, subnets=(subnet,))
    plan = MODES["flatdhcp"].on_gateway(network, [WEB], SETTINGS)
    assert plan.gateway and plan.gateway.leases is None


@pytest.mark.parametrize(
    "subnets",
    [(), (SubnetView("2001:db8::/64", "2001:db8::1"),), (SubnetView("10.0.0.0/24", None),)],
)
def test_without_an_ipv4_router_address_nothing_is_served(
    subnets: tuple[SubnetView, ...],
) -> None:
    network = NetworkView(UUID(int=1), "br100", 1, subnets=subnets)
    assert MODES["flatdhcp"].on_gateway(network, [WEB], SETTINGS).gateway is None


def test_of_several_addresses_the_one_in_the_subnet_is_leased() -> None:
    both = PortView("fa:16:3e:00:00:01", ("2001:db8::5", "10.9.9.9", "10.0.0.7"), "web")
    elsewhere = PortView("fa:16:3e:00:00:02", ("10.9.9.8",), "far")
    assert leases(both, elsewhere) == [Lease("fa:16:3e:00:00:01", "10.0.0.7", "web")]


def test_leases_come_in_the_order_of_addresses_whoever_was_first() -> None:
    late = PortView("fa:16:3e:00:00:02", ("10.0.0.9",), "db")
    assert leases(WEB, late) == leases(late, WEB)
    assert [lease.address for lease in leases(WEB, late)] == ["10.0.0.9", "10.0.0.10"]


@pytest.mark.parametrize(
    ("hostname", "name"),
    [
        ("Web", "web"),
        ("my_server 1", "my-server-1"),
        ("web.example.com", "web-example-com"),
        ("--x--", "x"),
        ("x" * 80, "x" * 63),
        ("", "host-10-0-0-10"),
        ("Прод", "host-10-0-0-10"),
        ("web\n--dhcp-script=/bin/sh", "web-dhcp-script-bin-sh"),
        ("localhost", "localhost-10-0-0-10"),
        ("WPAD", "wpad-10-0-0-10"),
    ],
)
def test_a_hostname_becomes_a_dns_label(hostname: str, name: str) -> None:
    assert names(hostname) == [name]


def test_the_first_keeps_a_name_that_two_want() -> None:
    assert names("web", "web") == ["web", "web-10-0-0-11"]


def test_nobody_can_sit_on_the_name_that_another_will_get() -> None:
    assert names("web", "web-10-0-0-12", "web") == [
        "web",
        "web-10-0-0-12-10-0-0-11",
        "web-10-0-0-12",
    ]


@given(st.lists(st.one_of(st.text(max_size=70), st.sampled_from(["web", "web-10-0-0-11"]))))
def test_whatever_guests_are_called_the_plan_is_sound_and_names_are_unique(
    hostnames: list[str],
) -> None:
    ports = [
        PortView(f"fa:16:3e:00:00:{number:02x}", (f"10.0.0.{number}",), hostname)
        for number, hostname in enumerate(hostnames[:200], start=10)
    ]
    plan = MODES["flatdhcp"].on_gateway(NETWORK, ports, SETTINGS)
    check_plan(plan)
    assert plan.gateway and plan.gateway.leases is not None
    found = [lease.hostname for lease in plan.gateway.leases]
    assert len(set(found)) == len(found) == len(ports)


def test_a_long_name_makes_room_for_the_address() -> None:
    name = unique_label("x" * 63, "10.100.100.100", {"x" * 63})
    assert re.fullmatch(r"x+-10-100-100-100", name) and len(name) == 63
