"""Security groups: who may talk to the ports that are in them, and to whom those may."""

from __future__ import annotations

import datetime as dt
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber


class SecurityGroup(Base):
    """Names may repeat within a project, but of its default group there is one."""

    __tablename__ = "security_groups"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    default_of: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    """The project, if this is its default group: what settles who makes that."""
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str] = mapped_column(sa.String(255), default="")
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class SecurityGroupRule(Base):
    """What one group lets through.  `meaning` is the rule in one way of saying it."""

    __tablename__ = "security_group_rules"
    __table_args__ = (sa.UniqueConstraint("group_id", "meaning"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    group_id: Mapped[UUID] = mapped_column(sa.ForeignKey("security_groups.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)  # that of the group
    direction: Mapped[str] = mapped_column(sa.String(8))  # ingress: to the guest; egress
    ethertype: Mapped[str] = mapped_column(sa.String(4))  # IPv4, IPv6
    protocol: Mapped[str | None] = mapped_column(sa.String(16))  # as its owner said it
    port_range_min: Mapped[int | None]  # for ICMP the type
    port_range_max: Mapped[int | None]  # for ICMP the code
    remote_ip_prefix: Mapped[str | None] = mapped_column(sa.String(64))
    remote_group_id: Mapped[UUID | None] = mapped_column(
        sa.ForeignKey("security_groups.id", ondelete="CASCADE"), index=True
    )
    description: Mapped[str] = mapped_column(sa.String(255), default="")
    meaning: Mapped[str] = mapped_column(sa.String(255))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class PortSecurityGroup(Base):
    """A port that is in a group.  It holds the group: that cannot go before it."""

    __tablename__ = "port_security_groups"
    __table_args__ = (sa.Index("ix_port_security_groups_group", "group_id"),)

    port_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("ports.id", ondelete="CASCADE"), primary_key=True
    )
    group_id: Mapped[UUID] = mapped_column(sa.ForeignKey("security_groups.id"), primary_key=True)


class SecurityGroupChange(Base):
    """A note that what guests in a group let through has changed; gone when that is seen to."""

    __tablename__ = "security_group_changes"

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    group_id: Mapped[UUID]
