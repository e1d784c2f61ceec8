"""Instances, and what they are made from."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber
from nova_lite.domain.states import PowerState, VmState

#: User data may have 64 KiB before base64, which is more than MariaDB's TEXT.
LongText = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


#: The columns of Instance that are a copy of its flavor.
FLAVOR = (
    "flavor_id",
    "flavor_name",
    "memory_mb",
    "vcpus",
    "root_gb",
    "ephemeral_gb",
    "swap_mb",
    "extra_specs",
)


class Instance(Base):
    """A server, from the moment it was asked for; kept, marked deleted, after its end.

    The flavor is copied in: what was bought does not change when the price
    list does.
    """

    __tablename__ = "instances"
    __table_args__ = (
        # Every list begins with `deleted`, so that none grows with what is gone.
        sa.Index("ix_instances_project", "project_id", "deleted", "number"),
        sa.Index("ix_instances_all", "deleted", "number"),
        sa.Index("ix_instances_host", "host", "deleted"),
        sa.Index("ix_instances_state", "vm_state", "deleted"),
        sa.Index("ix_instances_filters", "filters_due_at"),
        # But what was used in a period is also what went in it.
        sa.Index("ix_instances_project_terminated", "project_id", "terminated_at"),
        sa.Index("ix_instances_terminated", "terminated_at"),
    )

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True, default=uuid4)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    display_name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.String(255))
    hostname: Mapped[str] = mapped_column(sa.String(255))
    reservation_id: Mapped[str] = mapped_column(sa.String(32))
    launch_index: Mapped[int] = mapped_column(default=0)

    flavor_id: Mapped[str] = mapped_column(sa.String(255))  # as clients know it
    flavor_name: Mapped[str] = mapped_column(sa.String(255))
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    root_gb: Mapped[int]
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    swap_mb: Mapped[int] = mapped_column(default=0)
    extra_specs: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    image_id: Mapped[UUID | None]
    image_properties: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """What its image said of how to run it, when it was made: images may go before servers."""
    disk_image_id: Mapped[UUID | None]  # what its root disk was made from, if not of image_id
    disk_generation: Mapped[int] = mapped_column(default=0, server_default="0")
    """Grows with each rebuild: disks of an earlier one are thrown away."""
    rescue_image_id: Mapped[UUID | None]
    shelved_image_id: Mapped[UUID | None]
    key_name: Mapped[str | None] = mapped_column(sa.String(255))
    key_data: Mapped[str | None] = mapped_column(sa.Text)
    user_data: Mapped[str | None] = mapped_column(LongText)  # base64
    properties: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    tags: Mapped[list[Any]] = mapped_column(default=list)
    requested_zone: Mapped[str | None] = mapped_column(sa.String(255))
    server_group_id: Mapped[UUID | None] = mapped_column(index=True)
    config_drive: Mapped[bool] = mapped_column(default=False)
    files: Mapped[list[Any]] = mapped_column(default=list, server_default="[]")
    """Personality: what is to be in the guest at first boot, as {"path", "contents"}."""
    locked_by: Mapped[str | None] = mapped_column(sa.String(16))  # owner, admin; None: not locked
    locked_reason: Mapped[str | None] = mapped_column(sa.String(255))
    password: Mapped[str | None] = mapped_column(sa.Text)  # as the guest encrypted it
    access_ip_v4: Mapped[str | None] = mapped_column(sa.String(64))  # as its owner told us
    access_ip_v6: Mapped[str | None] = mapped_column(sa.String(64))
    auto_disk_config: Mapped[bool] = mapped_column(default=False)

    host: Mapped[str | None] = mapped_column(sa.String(255))
    zone: Mapped[str | None] = mapped_column(sa.String(255))  # of that host
    vm_state: Mapped[VmState] = mapped_column(default=VmState.BUILDING)
    task_state: Mapped[str | None] = mapped_column(sa.String(64))
    power_state: Mapped[PowerState] = mapped_column(default=PowerState.NOSTATE)
    operation_id: Mapped[UUID | None]
    """The operation that holds this instance.  Taken by compare-and-set, so it
    is both the lock and the answer to "what is happening to it?"."""
    sequence: Mapped[int] = mapped_column(default=0)  # of the last command about it
    filters_wanted: Mapped[int] = mapped_column(default=0, server_default="0")
    """Grows with each change of what its ports let through; its host reports how far it is."""
    filters_applied: Mapped[int] = mapped_column(default=0, server_default="0")
    filters_due_at: Mapped[dt.datetime | None]  # when its host is to be told; None: it knows
    fault: Mapped[dict[str, Any] | None]  # code, message, details, created

    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    launched_at: Mapped[dt.datetime | None]
    terminated_at: Mapped[dt.datetime | None]
    deleted: Mapped[bool] = mapped_column(default=False)


class Migration(Base):
    """A move of an instance to another host or flavor: the record of os-migrations.

    While a resize waits for its owner's word, it is also what a way back is made of.
    """

    __tablename__ = "migrations"
    __table_args__ = (sa.Index("ix_migrations_instance", "instance_id", "number"),)

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True, default=uuid4)  # that of its operation
    instance_id: Mapped[UUID]
    project_id: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    type: Mapped[str] = mapped_column(sa.String(16))  # resize migration live-migration evacuation
    status: Mapped[str] = mapped_column(sa.String(32))
    source: Mapped[str | None] = mapped_column(sa.String(255))  # host
    dest: Mapped[str | None] = mapped_column(sa.String(255))
    old_flavor: Mapped[dict[str, Any]] = mapped_column(default=dict)  # columns of Instance
    new_flavor: Mapped[dict[str, Any]] = mapped_column(default=dict)
    old_vm_state: Mapped[str | None] = mapped_column(sa.String(32))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class Flavor(Base):
    __tablename__ = "flavors"

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    flavorid: Mapped[str] = mapped_column(sa.String(255), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    memory_mb: Mapped[int]
    vcpus: Mapped[int]
    root_gb: Mapped[int]
    ephemeral_gb: Mapped[int] = mapped_column(default=0)
    swap_mb: Mapped[int] = mapped_column(default=0)
    rxtx_factor: Mapped[float] = mapped_column(default=1.0)
    is_public: Mapped[bool] = mapped_column(default=True)
    disabled: Mapped[bool] = mapped_column(default=False)
    description: Mapped[str | None] = mapped_column(sa.Text)
    extra_specs: Mapped[dict[str, Any]] = mapped_column(default=dict)


class FlavorAccess(Base):
    """A project that may use a flavor that is not public."""

    __tablename__ = "flavor_access"

    flavorid: Mapped[str] = mapped_column(
        sa.ForeignKey("flavors.flavorid", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)


class KeyPair(Base):
    __tablename__ = "key_pairs"
    __table_args__ = (sa.UniqueConstraint("user_id", "name"),)

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255))
    type: Mapped[str] = mapped_column(sa.String(16), default="ssh")
    fingerprint: Mapped[str] = mapped_column(sa.String(255))
    public_key: Mapped[str] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime]
