"""What a host has, and how much of it may be given out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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


class Room(NamedTuple):
    """What a guest takes of a host."""

    memory_mb: int
    vcpus: int
    disk_gb: int
