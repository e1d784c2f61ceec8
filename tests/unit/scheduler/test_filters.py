from __future__ import annotations

from collections.abc import Callable

import pytest

from nova_lite.scheduler import filters, plugins
from nova_lite.scheduler.base import Placement, SchedulerSettings
from nova_lite.scheduler.filters import ColumnFilter, HostFilter
from nova_lite.scheduler.fleet import Fleet, HostView, Ratios
from nova_lite.testing.scheduler import a_host

FLEET = Fleet(
    [
        a_host("a", up=False),
        a_host("b", enabled=False),
        a_host("c", zone="cellar", memory_mb_used=8),
        a_host("d", vcpus_used=8, disk_gb_used=8),
    ],
    Ratios(vcpus=1.0),
)
ALL = {**filters.FORCED_HOST, **filters.BASE}


def wants(memory_mb: int = 8, vcpus: int = 8, disk_gb: int = 8, **more: object) -> Placement:
    return Placement(memory_mb, vcpus, disk_gb, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "request_", "asked", "kept"),
    [
        ("ComputeFilter", wants(), "up and enabled", "cd"),
        ("AvailabilityZoneFilter", wants(), "any zone", "abcd"),
        ("AvailabilityZoneFilter", wants(zone="cellar"), "zone cellar", "c"),
        ("AvailabilityZoneFilter", wants(zone="attic"), "zone attic", ""),
        ("RetryFilter", wants(), "not tried before", "abcd"),
        ("RetryFilter", wants(avoid=frozenset("dxa")), "not a, d, x", "bc"),
        ("RamFilter", wants(memory_mb=8), "8 MB", "abcd"),
        ("RamFilter", wants(memory_mb=9), "9 MB", "abd"),
        ("CoreFilter", wants(vcpus=1), "1 VCPU", "abcd"),
        ("CoreFilter", wants(vcpus=8), "8 VCPUs", "abcd"),
        ("CoreFilter", wants(vcpus=9), "9 VCPUs", "abc"),
        ("DiskFilter", wants(disk_gb=8), "8 GB", "abcd"),
        ("DiskFilter", wants(disk_gb=9), "9 GB", "abc"),
        ("ForcedHostFilter", wants(host="b"), "host b", "b"),
        ("ForcedHostFilter", wants(host="x"), "host x", ""),
        ("ForcedHostFilter", wants(), "host None", "abcd"),
    ],
)
def test_a_filter_says_what_it_was_asked_and_whom_it_keeps(
    name: str, request_: Placement, asked: str, kept: str
) -> None:
    everybody = FLEET.up | True
    mask = ALL[name].mask(request_, FLEET, everybody)
    assert ALL[name].describe(request_) == asked
    assert "".join(n for i, n in enumerate(FLEET.names) if mask is None or mask[i]) == kept


def test_a_rule_about_one_host_is_shown_only_those_still_left() -> None:
    seen: list[HostView] = []

    def odd(request: Placement, host: HostView) -> bool:
        seen.append(host)
        return host.name == "c"

    rule = HostFilter(lambda request: "to be c", odd)
    assert rule.describe(wants()) == "to be c"
    assert rule.mask(wants(), FLEET, FLEET.up).tolist() == [False, False, True, False]
    assert [host.name for host in seen] == ["b", "c", "d"]
    assert seen[1].free_memory_mb == 8


def test_filters_are_asked_in_the_order_of_the_configuration() -> None:
    chosen = filters.enabled(["RamFilter", "ComputeFilter"])
    assert list(chosen) == ["RamFilter", "ComputeFilter"]
    assert chosen["RamFilter"] is filters.BASE["RamFilter"]


def test_the_filters_enabled_by_default_are_those_every_policy_keeps_to() -> None:
    assert list(SchedulerSettings().enabled_filters) == list(filters.BASE)


def test_a_filter_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(plugins.Unknown, match="no 'RamFliter' .*ComputeFilter.*RamFilter"):
        filters.enabled(["RamFliter"])


def test_somebody_elses_filter_is_found_by_its_entry_point(
    install: Callable[[str, str, str], None],
) -> None:
    install(
        "crowds",
        "[nova_lite.filters]\nNotTooMany = crowds:not_too_many\nRamFilter = crowds:not_too_many\n",
        "from nova_lite.scheduler.filters import ColumnFilter\n"
        "not_too_many = ColumnFilter(\n"
        "    lambda request: 'fewer than 2', lambda request, fleet: fleet.instances < 2)\n",
    )
    chosen = filters.enabled(["NotTooMany", "RamFilter"])
    rule = chosen["NotTooMany"]
    assert isinstance(rule, ColumnFilter)
    fleet = Fleet([a_host("a", instances=1), a_host("b", instances=2)])
    mask = rule.mask(wants(), fleet, fleet.up)
    assert mask is not None and mask.tolist() == [True, False]
    assert chosen["RamFilter"] is filters.BASE["RamFilter"], "ours cannot be replaced by accident"
