"""What flavors and images require of a host."""

from __future__ import annotations

from typing import Any

import pytest

from nova_lite.scheduler import filters
from nova_lite.scheduler.base import Placement
from nova_lite.scheduler.capabilities import satisfies, version_fits
from nova_lite.scheduler.fleet import Fleet
from nova_lite.testing.scheduler import a_host

KVM = {"hypervisor_type": "QEMU", "hypervisor_version": 7002004, "architecture": "x86_64"}
FLEET = Fleet(
    [
        a_host("a", **KVM, address="10.0.0.1", memory_mb_used=8),
        a_host("b", **{**KVM, "hypervisor_version": 8000000}),
        a_host("c", hypervisor_type="fake", architecture="aarch64", instances=3),
        a_host("d"),
    ]
)


def kept(name: str, **more: Any) -> str:
    mask = filters.BASE[name].mask(Placement(1, 1, 1, **more), FLEET, FLEET.up)
    assert mask is not None
    return "".join(n for i, n in enumerate(FLEET.names) if mask[i])


@pytest.mark.parametrize(
    ("value", "wanted", "good"),
    [
        ("5", "5", True),
        ("5", "6", False),
        ("a b", "a b", True),
        ("5", "= 4", True),
        ("5", "= 6", False),
        ("5", ">= 5", True),
        ("5", "<= 4.5", False),
        ("5", "== 5.0", True),
        ("5", "!= 5", False),
        ("x", ">= 5", False),
        ("5", ">=", False),
        ("5", ">= x", False),
        ("b", "s== b", True),
        ("b", "s!= b", False),
        ("b", "s< c", True),
        ("b", "s<= a", False),
        ("b", "s> a", True),
        ("b", "s>= b", True),
        ("b", "s>=", False),
        ("kvm,qemu", "<in> qemu", True),
        ("kvm", "<in> qemu", False),
        ("aes,avx,mmx", "<all-in> aes mmx", True),
        ("aes,avx", "<all-in> aes mmx", False),
        ("b", "<or> a <or> b", True),
        ("c", "<or> a <or> b", False),
        ("", "", True),
        ("x", "", False),
    ],
)
def test_the_language_of_extra_specs(value: str, wanted: str, good: bool) -> None:
    assert satisfies(value, wanted) is good


@pytest.mark.parametrize(
    ("specs", "left"),
    [
        ({"capabilities:hypervisor_type": "QEMU"}, "ab"),
        ({"hypervisor_type": "<or> fake <or> xen"}, "c"),
        ({"capabilities:hypervisor_version": ">= 8000000"}, "b"),
        ({"capabilities:free_ram_mb": ">= 9"}, "bcd"),
        ({"capabilities:num_instances": "== 3"}, "c"),
        ({"capabilities:cpu_info:arch": "x86_64", "free_ram_mb": ">= 9"}, "b"),
        ({"capabilities:host_ip": "s== 10.0.0.1"}, "a"),
        ({"capabilities:hypervisor_hostname": "d"}, "d"),
        ({"capabilities:vcpus_used": "== 0", "capabilities:free_disk_mb": "== 16384"}, "abcd"),
        ({"capabilities:vcpus_total": ">= 64", "capabilities:total_usable_ram_mb": "16"}, "abcd"),
        ({"capabilities:total_usable_disk_gb": "16", "capabilities:host": "a"}, "a"),
        ({"capabilities:nonesuch": "1"}, ""),
    ],
)
def test_a_flavor_asks_for_capabilities(specs: dict[str, str], left: str) -> None:
    assert kept("ComputeCapabilitiesFilter", extra_specs=specs) == left


def test_a_capability_is_named_in_the_explanation() -> None:
    rule = filters.BASE["ComputeCapabilitiesFilter"]
    request = Placement(1, 1, 1, extra_specs={"capabilities:x": ">= 1", "hw:y": "2", "ssd": "1"})
    assert rule.describe(request) == "x >= 1"
    assert rule.concerns(request)  # type: ignore[attr-defined]
    other = Placement(1, 1, 1, extra_specs={"hw:y": "2", "ssd": "1"})
    assert not rule.concerns(other)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("properties", "left"),
    [
        ({"hw_architecture": "x86_64"}, "ab"),
        ({"hw_architecture": "amd64"}, "ab"),
        ({"architecture": "i386"}, "ab"),
        ({"hw_architecture": "arm64"}, "c"),
        ({"img_hv_type": "qemu"}, "ab"),
        ({"hypervisor_type": "kvm"}, "ab"),
        ({"img_hv_type": "xen"}, ""),
        ({"img_hv_type": "qemu", "img_hv_requested_version": ">=7.2.5"}, "b"),
        ({"hw_vm_mode": "hvm"}, "abcd"),
        ({"vm_mode": "xen"}, ""),
    ],
)
def test_an_image_asks_for_hosts_it_can_run_on(properties: dict[str, str], left: str) -> None:
    assert kept("ImagePropertiesFilter", image_properties=properties) == left
    request = Placement(1, 1, 1, image_properties=properties)
    said = filters.BASE["ImagePropertiesFilter"].describe(request)
    assert all(value in said for value in properties.values())


@pytest.mark.parametrize(
    ("wanted", "good"),
    [
        (">=6.2, <8", True),
        ("7.2.4", True),
        ("==7.2", False),
        ("!=7.2.4", False),
        (">7.2.3,<=7.2.4", True),
        ("<7", False),
        ("new", False),
        ("", False),
    ],
)
def test_a_version_fits_what_an_image_says(wanted: str, good: bool) -> None:
    assert version_fits(7002004, wanted) is good
