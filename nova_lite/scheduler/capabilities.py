"""What a flavor or an image requires of a host, and whether a host has it.

Requirements of flavors are extra specs, in the small language operators know
from Nova: `>= 5`, `s== x86_64`, `<in> mx`, `<or> kvm <or> qemu`, or a plain value.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from nova_lite.scheduler.base import Placement
from nova_lite.scheduler.fleet import Fleet, Mask, Words
from nova_lite.scheduler.rule import ColumnFilter

#: What flavors may ask of hosts, by Nova's names; amounts are after over-commit.
CAPABILITIES: Mapping[str, Callable[[Fleet], Any]] = {
    "architecture": lambda fleet: fleet.architecture,
    "cpu_info:arch": lambda fleet: fleet.architecture,
    "free_disk_mb": lambda fleet: fleet.free_disk_gb * 1024,
    "free_ram_mb": lambda fleet: fleet.free_memory_mb,
    "host": lambda fleet: Words(fleet.names),
    "host_ip": lambda fleet: Words(fleet.addresses),
    "hypervisor_hostname": lambda fleet: Words(fleet.names),
    "hypervisor_type": lambda fleet: fleet.hypervisor_type,
    "hypervisor_version": lambda fleet: fleet.hypervisor_version,
    "num_instances": lambda fleet: fleet.instances,
    "total_usable_disk_gb": lambda fleet: fleet.disk_gb,
    "total_usable_ram_mb": lambda fleet: fleet.memory_mb,
    "vcpus_total": lambda fleet: fleet.vcpus,
    "vcpus_used": lambda fleet: fleet.vcpus - fleet.free_vcpus,
}

_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.ge,  # as ever: at least
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
}
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "s==": operator.eq,
    "s!=": operator.ne,
    "s<": operator.lt,
    "s<=": operator.le,
    "s>": operator.gt,
    "s>=": operator.ge,
    "<in>": operator.contains,
}


def satisfies(value: str, wanted: str) -> bool:
    """Whether a host that has `value` has what a flavor wants, in the language above."""
    verb, *words = wanted.split() or [""]
    if verb == "<or>":
        return value in words[::2]
    if verb == "<all-in>":
        return all(word in value for word in words)
    if verb in _TEXTS:
        return bool(words) and _TEXTS[verb](value, words[0])
    if verb in _NUMBERS:
        try:
            return _NUMBERS[verb](float(value), float(words[0]))
        except (ValueError, IndexError):
            return False
    return value == wanted


def capabilities_wanted(request: Placement) -> dict[str, str]:
    """Of the extra specs those about the host itself: `capabilities:x`, or a known x alone."""
    return {
        key.removeprefix("capabilities:"): wanted
        for key, wanted in request.extra_specs.items()
        if key.startswith("capabilities:") or key in CAPABILITIES
    }


def _capable(request: Placement, fleet: Fleet) -> Mask:
    mask = np.ones(len(fleet), dtype=np.bool_)
    for name, wanted in capabilities_wanted(request).items():
        column = CAPABILITIES[name](fleet) if name in CAPABILITIES else Words([""] * len(fleet))
        if not isinstance(column, Words):
            column = Words([str(value) for value in column.tolist()])
        mask &= column.where(lambda value, wanted=wanted: satisfies(value, wanted))  # type: ignore[misc]
    return mask


def said(wanted: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(wanted.items()))


#: Image property, and the one it was called before -> column, and what it admits.
_FAMILIES = {"amd64": "x86_64", "x64": "x86_64", "arm64": "aarch64"} | dict.fromkeys(
    ("i386", "i486", "i586", "x86_32"), "i686"
)
#: What else a host of this kind runs.
_ALSO = {"x86_64": {"i686"}, "qemu": {"kvm"}}


def _runs(kind: str, wanted: str) -> bool:
    kind, wanted = kind.lower(), wanted.lower()
    kind, wanted = _FAMILIES.get(kind, kind), _FAMILIES.get(wanted, wanted)
    return wanted == kind or wanted in _ALSO.get(kind, ())


_STEP = re.compile(r"(<=|>=|==|!=|<|>|)\s*([0-9]+(?:\.[0-9]+){0,2})")
_COMPARE = {
    "<": operator.lt,
    "<=": operator.le,
    "": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def version_fits(version: int, wanted: str) -> bool:
    """Whether 7002004 is within '>=6.2, <8'.  What cannot be read, nothing fits."""
    has = (version // 1_000_000, version // 1000 % 1000, version % 1000)
    for step in wanted.split(","):
        match = _STEP.fullmatch(step.strip())
        if match is None:
            return False
        parts = [int(part) for part in match[2].split(".")]
        if not _COMPARE[match[1]](has, tuple(parts + [0] * (3 - len(parts)))):
            return False
    return True


_IMAGE: Mapping[tuple[str, str], Callable[[Fleet, str], Mask]] = {
    ("hw_architecture", "architecture"): lambda fleet, wanted: fleet.architecture.where(
        lambda kind: _runs(kind, wanted)
    ),
    ("img_hv_type", "hypervisor_type"): lambda fleet, wanted: fleet.hypervisor_type.where(
        lambda kind: _runs(kind, wanted)
    ),
    ("img_hv_requested_version", "hypervisor_version_requires"): lambda fleet, wanted: Words(
        [str(version) for version in fleet.hypervisor_version.tolist()]
    ).where(lambda version: version_fits(int(version), wanted)),
    # Whatever runs our guests gives them a whole machine.
    ("hw_vm_mode", "vm_mode"): lambda fleet, wanted: np.full(
        len(fleet), wanted.lower() in ("hvm", "hv")
    ),
}


def image_wants(request: Placement) -> dict[str, str]:
    """What the image says of the hosts it can run on, by the properties' present names."""
    properties = request.image_properties
    return {
        name: str(properties.get(name) or properties[former])
        for name, former in _IMAGE
        if properties.get(name) or properties.get(former)
    }


def _runs_image(request: Placement, fleet: Fleet) -> Mask:
    mask = np.ones(len(fleet), dtype=np.bool_)
    wanted = image_wants(request)
    for (name, _), column in _IMAGE.items():
        if name in wanted:
            mask &= column(fleet, wanted[name])
    return mask


FILTERS = {
    "ComputeCapabilitiesFilter": ColumnFilter(
        lambda request: said(capabilities_wanted(request)),
        _capable,
        lambda request: bool(request.extra_specs and capabilities_wanted(request)),
    ),
    "ImagePropertiesFilter": ColumnFilter(
        lambda request: said(image_wants(request)),
        _runs_image,
        lambda request: bool(request.image_properties and image_wants(request)),
    ),
}
