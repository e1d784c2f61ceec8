"""Which extra specs make sense."""

from __future__ import annotations

import pytest

from nova_lite.domain.errors import Invalid
from nova_lite.domain.extra_specs import check


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hw:cpu_policy", "dedicated"),
        ("hw:cpu_max_sockets", "2"),
        ("hw:numa_nodes", "1"),
        ("hw:numa_cpus.0", "0-3,^1"),
        ("hw:numa_mem.1", "512"),
        ("hw:mem_page_size", "2MB"),
        ("hw:boot_menu", "True"),
        ("hw:cpu_realtime_mask", "^0-1"),
        ("hw:tpm_version", "1.2"),
        ("hw_rng:rate_bytes", "4096"),
        ("os:secure_boot", "required"),
        ("quota:cpu_quota", "-1"),
        ("quota:disk_read_iops_sec", "100"),
        ("quota:vif_inbound_average", "1024"),
        ("quota:memory_shares_level", "high"),
        ("resources:VCPU", "2"),
        ("resources1:CUSTOM_GOLD", "1"),
        ("trait:HW_CPU_X86_AVX2", "required"),
        ("trait_gpu:CUSTOM_A", "forbidden"),
        ("group_policy", "isolate"),
        ("pci_passthrough:alias", "gpu:1,nic:2"),
        ("aggregate_instance_extra_specs:ssd", "true"),
        ("capabilities:hypervisor_type", "qemu"),
        # Anybody's own.
        ("foo:bar", "baz"),
        ("color", "red"),
        ("hwx:cpu_policy", "??"),
    ],
)
def test_what_makes_sense_is_let_through(name: str, value: str) -> None:
    check(name, value)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("hw:cpu_polciy", "dedicated", "not appear to be a valid"),
        ("hw:cpu_policy", "sharrred", "'sharrred' is not a value"),
        ("hw:numa_nodes", "0", "not a value"),
        ("hw:numa_nodes", "many", "not a value"),
        ("hw:tpm_version", "1x2", "not a value"),
        ("hw:boot_menu", "perhaps", "not a value"),
        ("quota:cpu_cuota", "1", "not appear to be a valid"),
        ("trait:HW_CPU_X86_AVX2", "preferred", "not a value"),
        ("trait:lower", "required", "not appear to be a valid"),
        ("resources2:VCPU", "two", "not a value"),
        ("group_policy", "whatever", "not a value"),
        ("pci_passthrough:alias", "gpu", "not a value"),
        ("os:secureboot", "required", "not appear to be a valid"),
    ],
)
def test_what_makes_none_is_refused(name: str, value: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        check(name, value)
