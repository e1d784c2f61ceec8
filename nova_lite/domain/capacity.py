"""What a host has, and how much of it may be given out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple


@dataclass(frozen=True)
class HostRow:
    """One host as the database knows it; amounts are physical, `used` is what is claimed."""

    name: str
    zone: str
    enabled: bool
    up: bool
    memory_mb: int
    memory_mb_used: int
    vcpus: int
    vcpus_used: int
    disk_gb: int
    disk_gb_used: int
    instances: int
    hypervisor_type: str = ""  # as the hypervisor calls itself: QEMU, fake
    hypervisor_version: int = 0  # 7002004 is 7.2.4
    architecture: str = ""  # x86_64; empty: not known
    address: str = ""


@dataclass(frozen=True)
class AggregateRow:
    """Some hosts, and what an administrator says of all of them."""

    id: int
    metadata: Mapping[str, str]
    hosts: frozenset[str]


@dataclass(frozen=True)
class Ratios:
    """Over-commit: how much of each resource is given out per unit that is there."""

    memory: float = 1.0
    vcpus: float = 4.0
    disk: float = 1.0

    def after(self, metadata: Collection[Mapping[str, str]]) -> Ratios:
        """These, where none of a host's aggregates says another; of several the smallest counts."""
        said = {
            part: [n for each in metadata if (n := number(each.get(key, ""))) is not None]
            for part, key in RATIO_KEYS.items()
        }
        return replace(self, **{part: min(amounts) for part, amounts in said.items() if amounts})


#: What an aggregate calls them in its metadata.
RATIO_KEYS = {
    "memory": "ram_allocation_ratio",
    "vcpus": "cpu_allocation_ratio",
    "disk": "disk_allocation_ratio",
}


def number(text: str) -> float | None:
    """What an administrator wrote as an amount; None for what is none."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if 0 <= found < float("inf") else None


class Room(NamedTuple):
    """What a guest takes of a host."""

    memory_mb: int
    vcpus: int
    disk_gb: int
