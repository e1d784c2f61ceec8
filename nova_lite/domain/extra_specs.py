"""Extra specs of flavors as far as their names are known: which values make sense.

What is outside the namespaces that are known is anybody's own, and anything.
Inside them a name nobody knows is a spelling mistake, which would otherwise be
a server that silently runs as nobody wanted it.
"""

from __future__ import annotations

import re

from nova_lite.domain.errors import Invalid

TEXT = r".*"
NUMBER = r"-?[0-9]{1,18}"
COUNT = r"[0-9]{1,18}"
POSITIVE = r"0*[1-9][0-9]{0,17}"
TRUTH = r"(?i:true|false|t|f|yes|no|y|n|on|off|1|0)"
CPUS = r"\^?[0-9]+(-[0-9]+)?(,\^?[0-9]+(-[0-9]+)?)*"


def _one_of(*words: str) -> str:
    return "|".join(re.escape(word) for word in words)


#: Namespace -> the names in it (regular expressions) -> their values.
KNOWN: dict[str, dict[str, str]] = {
    "accel": {"device_profile": TEXT},
    "aggregate_instance_extra_specs": {r".+": TEXT},
    "capabilities": {r".+": TEXT},
    "hw": {
        "boot_menu": TRUTH,
        "cpu_(?:max_)?(?:sockets|cores|threads)": POSITIVE,
        "cpu_dedicated_mask": CPUS,
        "cpu_policy": _one_of("dedicated", "shared", "mixed"),
        "cpu_realtime": TRUTH,
        "cpu_realtime_mask": CPUS,
        "cpu_thread_policy": _one_of("prefer", "isolate", "require"),
        "emulator_threads_policy": _one_of("isolate", "share"),
        "ephemeral_encryption": TRUTH,
        "ephemeral_encryption_format": _one_of("luks"),
        "hide_hypervisor_id": TRUTH,
        "locked_memory": TRUTH,
        "maxphysaddr_bits": COUNT,
        "maxphysaddr_mode": _one_of("passthrough", "emulate"),
        "mem_encryption": TRUTH,
        "mem_page_size": r"large|small|any|[0-9]+([kKMGT]i?)?(b|bit|B)?",
        r"numa_cpus\.[0-9]+": r"[0-9]+((-[0-9]+)?(,\^?[0-9]+(-[0-9]+)?)?)*",
        r"numa_mem\.[0-9]+": POSITIVE,
        "numa_nodes": POSITIVE,
        "pci_numa_affinity_policy": _one_of("required", "preferred", "legacy", "socket"),
        "pmem": TEXT,
        "pmu": TRUTH,
        "serial_port_count": COUNT,
        "tpm_model": _one_of("tpm-tis", "tpm-crb"),
        "tpm_version": _one_of("1.2", "2.0"),
        "vif_multiqueue_enabled": TRUTH,
        "viommu_model": _one_of("intel", "smmuv3", "virtio", "auto"),
        "virtio_packed_ring": TRUTH,
        "watchdog_action": _one_of("none", "pause", "poweroff", "reset", "disabled"),
    },
    "hw_rng": {"allowed": TRUTH, "rate_bytes": COUNT, "rate_period": COUNT},
    "hw_video": {"ram_max_mb": COUNT},
    "os": {"secure_boot": _one_of("optional", "required", "disabled")},
    "pci_passthrough": {"alias": r"[^:,]+:[0-9]+(,[^:,]+:[0-9]+)*"},
    "quota": {
        "cpu_(?:shares|period|quota|limit|reservation|shares_share)": NUMBER,
        "disk_(?:read|write|total)_(?:bytes|iops)_sec(?:_max)?": COUNT,
        "(?:memory|disk_io|vif)_(?:limit|reservation|shares_share)": NUMBER,
        "(?:cpu|memory|disk_io|vif)_shares_level": _one_of("custom", "high", "normal", "low"),
        "vif_(?:inbound|outbound)_(?:average|burst|peak)": COUNT,
    },
    "resources": {r"[A-Z0-9_]+": COUNT},
    "trait": {r"[A-Z0-9_]+": _one_of("required", "forbidden")},
    "vmware": {r".+": TEXT},
}
#: Names without a namespace.
BARE = {"group_policy": _one_of("none", "isolate"), "hide_hypervisor_id": TRUTH}
#: Of these there may be several, told apart: resources1:VCPU, trait_gpu:HW_X.
_GROUPED = re.compile(r"(resources|trait)[a-zA-Z0-9_-]{1,64}")


def check(name: str, value: str) -> None:
    """Raises Invalid for a value that a known name cannot have, and for a misspelt name."""
    namespace, colon, rest = name.partition(":")
    if not colon:
        if name in BARE:
            _check_value(name, value, BARE[name])
        return
    grouped = _GROUPED.fullmatch(namespace)
    known = KNOWN.get(grouped[1] if grouped else namespace)
    if known is None:
        return
    for names, values in known.items():
        if re.fullmatch(names, rest):
            _check_value(name, value, values)
            return
    raise Invalid(
        f"Validation failed; extra spec '{name}' does not appear to be a valid extra spec."
    )


def _check_value(name: str, value: str, values: str) -> None:
    if not re.fullmatch(values, value):
        raise Invalid(f"Validation failed; '{value}' is not a value that '{name}' can have.")
