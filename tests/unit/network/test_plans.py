from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from nova_lite.domain.errors import NetworkError
from nova_lite.network.plans import check_link, check_plan, metadata_target
from nova_lite.testing.network import GATEWAY, PLAN


@pytest.mark.parametrize(
    "change",
    [{"parent": "eth0; reboot"}, {"parent": ""}, {"vlan": 7}, {"mtu": 68}, {"mtu": 1 << 17}],
)
def test_a_link_that_cannot_be_made_is_refused(change: dict[str, object]) -> None:
    check_link(PLAN.link)
    with pytest.raises(NetworkError):
        check_link(replace(PLAN.link, **change))  # type: ignore[arg-type]


def test_a_refusal_names_network_and_fault() -> None:
    plan = replace(PLAN, gateway=replace(GATEWAY, domain="-evil-"))
    with pytest.raises(NetworkError, match=f"{PLAN.link.network_id}: '-evil-' is no domain"):
        check_plan(plan)


def test_a_plan_without_gateway_has_no_gateway_to_check() -> None:
    check_plan(replace(PLAN, gateway=None))


def test_the_metadata_service_is_an_address_and_a_port() -> None:
    assert metadata_target(GATEWAY) == (IPv4Address("127.0.0.1"), 8775)
    assert metadata_target(replace(GATEWAY, metadata=None)) is None
    for wrong in ("127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "[::1]:80", "host:80"):
        with pytest.raises(ValueError):
            metadata_target(replace(GATEWAY, metadata=wrong))
