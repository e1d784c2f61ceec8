"""What a host has, and how much of it may be given out."""

from __future__ import annotations

from dataclasses import dataclass


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


@dataclass(frozen=True)
class Ratios:
    """Over-commit: how much of each resource is given out per unit that is there."""

    memory: float = 1.0
    vcpus: float = 4.0
    disk: float = 1.0
