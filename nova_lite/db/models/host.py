"""Hosts, the workers on them, and what of them is promised to whom."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber
from nova_lite.domain.specs import Role


class Host(Base):
    """A compute host: what it has, and how much of it is claimed.

    The `used` columns are the sum of this host's allocations, changed in the
    transaction that changes those; a claim is one conditional UPDATE of them.
    """

    __tablename__ = "hosts"

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    id: Mapped[UUID | None] = mapped_column(unique=True, default=uuid4)  # None: from before it was
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    zone: Mapped[str] = mapped_column(sa.String(255))
    aggregate_zone: Mapped[str | None] = mapped_column(sa.String(255))
    """The zone its aggregates give it, and then also `zone`; else that is what its worker says."""
    address: Mapped[str] = mapped_column(sa.String(64))
    memory_mb: Mapped[int]
    memory_mb_used: Mapped[int] = mapped_column(default=0)
    vcpus: Mapped[int]
    vcpus_used: Mapped[int] = mapped_column(default=0)
    disk_gb: Mapped[int]
    disk_gb_used: Mapped[int] = mapped_column(default=0)
    instances: Mapped[int] = mapped_column(default=0)
    hypervisor_type: Mapped[str] = mapped_column(sa.String(64))
    hypervisor_version: Mapped[int]
    cpu_info: Mapped[dict[str, Any]]
    abilities: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """What its hypervisor can do beyond the usual: words of domain.specs.ABILITIES."""
    architecture: Mapped[str | None] = mapped_column(sa.String(64))


class Allocation(Base):
    """What one instance has been promised of one host: the truth behind `Host.*_used`."""

    __tablename__ = "allocations"
    __table_args__ = (sa.Index("ix_allocations_host", "host"),)

    instance_id: Mapped[UUID] = mapped_column(primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    disk_gb: Mapped[int]


class Service(Base):
    """A worker process by kind and host.  It is up while it keeps saying so."""

    __tablename__ = "services"
    __table_args__ = (sa.UniqueConstraint("role", "host"),)

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    id: Mapped[UUID | None] = mapped_column(unique=True, default=uuid4)  # None: from before it was
    role: Mapped[Role]
    host: Mapped[str] = mapped_column(sa.String(255))
    zone: Mapped[str] = mapped_column(sa.String(255))
    disabled: Mapped[bool] = mapped_column(default=False)
    disabled_reason: Mapped[str | None] = mapped_column(sa.String(255))
    forced_down: Mapped[bool] = mapped_column(default=False)
    last_seen_at: Mapped[dt.datetime]
    uptime: Mapped[str | None] = mapped_column(sa.String(255))  # of its host, as uptime(1) says it
    created_at: Mapped[dt.datetime]
