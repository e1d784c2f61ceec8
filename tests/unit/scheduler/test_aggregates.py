"""Rules that administrators write on aggregates."""

from __future__ import annotations

from typing import Any

import pytest

from nova_lite.domain.capacity import AggregateRow, Ratios, number
from nova_lite.scheduler import filters
from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.fleet import Fleet
from nova_lite.testing.scheduler import a_host


def fleet(*aggregates: tuple[str, dict[str, str]], ratios: Ratios = Ratios()) -> Fleet:  # noqa: B008
    return Fleet(
        [a_host(name, instances=i) for i, name in enumerate("abcd")],
        ratios,
        [AggregateRow(i, said, frozenset(hosts)) for i, (hosts, said) in enumerate(aggregates)],
    )


def kept(name: str, among: Fleet, settings: dict[str, Any] | None = None, **more: Any) -> str:
    rule = filters.enabled([name], SchedulerSettings(**settings or {}))[name]
    request = Placement(1, 1, 1, **more)
    assert rule.describe(request)
    mask = rule.mask(request, among, among.up)
    return "".join(n for i, n in enumerate(among.names) if mask is None or mask[i])


@pytest.mark.parametrize(
    ("specs", "left"),
    [
        ({"ssd": "true"}, "ab"),
        ({"aggregate_instance_extra_specs:ssd": "true"}, "ab"),
        ({"ssd": "true", "rack": "<or> 7 <or> 8"}, "b"),
        ({"rack": "8"}, "bc"),
        ({"rack": ">= 8"}, "bc"),
        ({"rack": "9"}, ""),
        ({"gpu": "1"}, "abcd"),
        ({"aggregate_instance_extra_specs:gpu": "1"}, ""),
    ],
)
def test_a_flavor_lands_on_hosts_of_which_its_specs_are_said(
    specs: dict[str, str], left: str
) -> None:
    among = fleet(("abx", {"ssd": "true"}), ("bc", {"rack": "7, 8"}), ("d", {"ssd": "false"}))
    assert kept("AggregateInstanceExtraSpecsFilter", among, extra_specs=specs) == left


def test_specs_of_other_scopes_are_no_business_of_aggregates() -> None:
    rule = filters.BASE["AggregateInstanceExtraSpecsFilter"]
    specs = {"hw:mem_page_size": "1", "free_ram_mb": "1", "capabilities:x": "1"}
    assert not rule.concerns(Placement(1, 1, 1, extra_specs=specs))  # type: ignore[attr-defined]


def test_some_hosts_are_for_some_projects() -> None:
    among = fleet(
        ("ab", {"filter_tenant_id": "red,blue"}), ("b", {"filter_tenant_id2": "green"}), ("c", {})
    )
    name = "AggregateMultiTenancyIsolation"
    assert kept(name, among, project_id="red") == "abcd"
    assert kept(name, among, project_id="green") == "bcd"
    assert kept(name, among, project_id="black") == "cd"
    assert kept(name, fleet(), project_id="black") == "abcd"


def test_some_hosts_are_for_some_flavors() -> None:
    among = fleet(("ab", {"instance_type": "small, large"}))
    name = "AggregateTypeAffinityFilter"
    assert kept(name, among, flavor_name="large") == "abcd"
    assert kept(name, among, flavor_name="tiny") == "cd"
    assert kept(name, fleet(), flavor_name="tiny") == "abcd"


def test_some_hosts_are_for_some_images() -> None:
    among = fleet(("ab", {"os_distro": "debian,ubuntu", "x.os": "a"}))
    name = "AggregateImagePropertiesIsolation"
    assert kept(name, among, image_properties={"os_distro": "debian"}) == "abcd"
    assert kept(name, among, image_properties={"os_distro": "windows"}) == "cd"
    only: dict[str, Any] = {"aggregate_image_properties_isolation_namespace": "x"}
    rule = filters.enabled([name], SchedulerSettings(**only))[name]
    windows = Placement(1, 1, 1, image_properties={"os_distro": "windows"})
    assert not rule.concerns(windows)  # type: ignore[attr-defined]
    assert kept(name, among, only, image_properties={"os_distro": "w", "x.os": "b"}) == "cd"


def test_no_more_instances_than_an_aggregate_allows() -> None:
    limits = ("bcd", {"max_instances_per_host": "3"}), ("c", {"max_instances_per_host": "2"})
    for name in ("NumInstancesFilter", "AggregateNumInstancesFilter"):
        assert kept(name, fleet(*limits), {"max_instances_per_host": 1}) == "ab"
        assert kept(name, fleet(), {"max_instances_per_host": 2}) == "ab"
    broken = ("abcd", {"max_instances_per_host": "few"})
    assert kept("NumInstancesFilter", fleet(broken), {"max_instances_per_host": 3}) == "abc"


def test_ratios_of_aggregates_go_before_those_of_the_configuration() -> None:
    among = fleet(
        ("ab", {"cpu_allocation_ratio": "2.0", "ram_allocation_ratio": "0.5"}),
        ("b", {"cpu_allocation_ratio": "1.0", "disk_allocation_ratio": "lots"}),
        ratios=Ratios(memory=1.0, vcpus=4.0, disk=1.0),
    )
    assert among.vcpus.tolist() == [32, 16, 64, 64]
    assert among.free_memory_mb.tolist() == [8, 8, 16, 16]
    assert among.ratios("b") == Ratios(memory=0.5, vcpus=1.0, disk=1.0)
    assert among.ratios("c") == Ratios(memory=1.0, vcpus=4.0, disk=1.0)
    big = filters.enabled(["AggregateRamFilter"])["AggregateRamFilter"]
    mask = big.mask(Placement(9, 1, 1), among, among.up)
    assert mask is not None and mask.tolist() == [False, False, True, True]


def test_a_window_on_one_host_knows_its_aggregates_too() -> None:
    among = fleet(("b", {"ssd": "true"}))
    assert kept("AggregateInstanceExtraSpecsFilter", among, extra_specs={"ssd": "true"}) == "b"
    for row, left in ((0, ""), (1, "b")):
        part = among.only(row)
        assert kept("AggregateInstanceExtraSpecsFilter", part, extra_specs={"ssd": "true"}) == left
        assert part.host(0) == among.host(row)


@pytest.mark.parametrize("text", ["", "x", "-1", "inf", "nan"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert number(text) is None
