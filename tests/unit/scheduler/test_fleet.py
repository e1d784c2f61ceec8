from __future__ import annotations

import threading

from nova_lite.scheduler.fleet import Fleet, HostView, Ratios
from nova_lite.testing.scheduler import a_host


def test_what_is_free_is_what_may_be_given_out_less_what_is_claimed() -> None:
    host = a_host("a", memory_mb_used=6, vcpus=10, vcpus_used=3, disk_gb=15, disk_gb_used=20)
    fleet = Fleet([host], Ratios(memory=1.5, vcpus=4.0, disk=0.5))
    assert fleet.free_memory_mb.tolist() == [24 - 6]
    assert fleet.free_vcpus.tolist() == [40 - 3]
    # Half a GB is not given out; and a ratio lowered under running guests leaves a debt.
    assert fleet.free_disk_gb.tolist() == [7 - 20]


def test_without_ratios_cores_are_given_out_fourfold_and_nothing_else_is() -> None:
    fleet = Fleet([a_host("a")])
    assert (fleet.memory_mb[0], fleet.vcpus[0], fleet.disk_gb[0]) == (16, 64, 16)


def test_hosts_stand_in_the_order_of_their_names() -> None:
    fleet = Fleet([a_host("b", zone="z"), a_host("a", zone="y", up=False), a_host("c", zone="z")])
    assert fleet.names == ["a", "b", "c"]
    assert fleet.index == {"a": 0, "b": 1, "c": 2}
    assert fleet.zones == ["y", "z", "z"]
    assert fleet.up.tolist() == [False, True, True]
    assert len(fleet) == 3


def test_a_zone_nobody_is_in_has_no_hosts() -> None:
    fleet = Fleet([a_host("a", zone="y"), a_host("b", zone="z")])
    assert fleet.in_zone("z").tolist() == [False, True]
    assert fleet.in_zone("x").tolist() == [False, False]


def test_a_claim_is_seen_at_once_and_gone_when_undone() -> None:
    fleet = Fleet([a_host("a"), a_host("b", instances=2)], Ratios(vcpus=1.0))
    before = fleet.host(1)
    fleet.take("b", memory_mb=3, vcpus=2, disk_gb=1)
    assert fleet.host(1) == HostView(
        name="b",
        zone="nova",
        enabled=True,
        up=True,
        memory_mb=16,
        free_memory_mb=13,
        vcpus=16,
        free_vcpus=14,
        disk_gb=16,
        free_disk_gb=15,
        instances=3,
    )
    assert fleet.host(0).free_memory_mb == 16
    fleet.give("b", memory_mb=3, vcpus=2, disk_gb=1)
    assert fleet.host(1) == before


def test_a_claim_on_a_host_that_has_left_the_picture_is_passed_over() -> None:
    fleet = Fleet([a_host("a")])
    fleet.take("gone", 1, 1, 1)
    fleet.give("gone", 1, 1, 1)
    assert fleet.host(0) == Fleet([a_host("a")]).host(0)


def test_a_claim_is_noted_whole_or_not_yet() -> None:
    # What copies a picture holds the lock: it must not find the memory taken and the disk not.
    fleet = Fleet([a_host("a")])
    claim = threading.Thread(target=fleet.take, args=("a", 1, 1, 1))
    with fleet.lock:
        claim.start()
        claim.join(0.05)
        assert claim.is_alive() and fleet.host(0).free_memory_mb == 16
    claim.join()
    assert fleet.host(0).free_memory_mb == 15


def test_a_picture_is_not_copied_in_the_middle_of_a_claim() -> None:
    fleet = Fleet([a_host("a")])
    copies: list[Fleet] = []
    copying = threading.Thread(target=lambda: copies.append(fleet.copy()))
    with fleet.lock:
        copying.start()
        copying.join(0.05)
        assert not copies
    copying.join()
    assert copies[0].host(0) == fleet.host(0)


def test_a_copy_leads_a_life_of_its_own() -> None:
    fleet = Fleet([a_host("a")])
    twin = fleet.copy()
    twin.take("a", 1, 1, 1)
    fleet.take("a", 5, 5, 5)
    assert twin.host(0).free_memory_mb == 15
    assert fleet.host(0).free_memory_mb == 11


def test_a_window_on_one_host_shows_what_becomes_of_it() -> None:
    fleet = Fleet([a_host("a"), a_host("b", zone="z", enabled=False)])
    window = fleet.only(1)
    fleet.take("b", 1, 1, 1)
    assert window.names == ["b"] and window.index == {"b": 0} and len(window) == 1
    assert window.host(0) == fleet.host(1)
    assert window.in_zone("z").tolist() == [True]
