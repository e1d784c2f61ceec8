"""Networks, their addresses, and how far the hosts have got in providing them."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base


class Network(Base):
    __tablename__ = "networks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str] = mapped_column(sa.String(255), default="")
    mode: Mapped[str] = mapped_column(sa.String(16))  # flat, flatdhcp
    bridge: Mapped[str] = mapped_column(sa.String(15), unique=True)
    parent: Mapped[str | None] = mapped_column(sa.String(15))
    vlan: Mapped[int | None]
    mtu: Mapped[int] = mapped_column(default=1500)
    shared: Mapped[bool] = mapped_column(default=False)
    admin_state_up: Mapped[bool] = mapped_column(default=True)
    port_security_enabled: Mapped[bool] = mapped_column(default=True, server_default=sa.true())
    """Of the ports that are made on it, unless they say otherwise."""
    generation: Mapped[int] = mapped_column(default=1)
    """Grows with everything a gateway must know; hosts report how far they are."""
    gateway_host: Mapped[str | None] = mapped_column(sa.String(255))
    deleted: Mapped[bool] = mapped_column(default=False)  # until the hosts have let go of it
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class Subnet(Base):
    __tablename__ = "subnets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    network_id: Mapped[UUID] = mapped_column(sa.ForeignKey("networks.id"), index=True)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255), default="")
    description: Mapped[str] = mapped_column(sa.String(255), default="")
    cidr: Mapped[str] = mapped_column(sa.String(64))
    gateway_ip: Mapped[str | None] = mapped_column(sa.String(64))
    enable_dhcp: Mapped[bool] = mapped_column(default=True)
    dns_nameservers: Mapped[list[Any]] = mapped_column(default=list)
    pools: Mapped[list[Any]]  # [{"start": address, "end": address}, ...]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


COMPUTE = "compute:"
"""How `device_owner` of a port begins that is an instance's; its zone comes next."""


class Port(Base):
    """A place on a network: a MAC address and what it may call itself."""

    __tablename__ = "ports"
    __table_args__ = (
        sa.UniqueConstraint("network_id", "mac"),
        sa.Index("ix_ports_device", "device_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    network_id: Mapped[UUID] = mapped_column(sa.ForeignKey("networks.id"))
    project_id: Mapped[str] = mapped_column(sa.String(64), index=True)
    mac: Mapped[str] = mapped_column(sa.String(17))
    name: Mapped[str] = mapped_column(sa.String(255), default="")
    description: Mapped[str] = mapped_column(sa.String(255), default="")
    hostname: Mapped[str] = mapped_column(sa.String(255), default="")
    device_id: Mapped[str] = mapped_column(sa.String(64), default="")
    device_owner: Mapped[str] = mapped_column(sa.String(64), default="")
    order: Mapped[int] = mapped_column("position", default=0)  # among the NICs of its instance
    keep: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Made by a client, not with an instance: it outlives the one it is plugged into."""
    tag: Mapped[str | None] = mapped_column(sa.String(60))  # what its guest is to know it by
    port_security_enabled: Mapped[bool] = mapped_column(default=True, server_default=sa.false())
    """Whether its security groups decide what it may send and get.  Not for ports that are
    older than these: guests that run are not cut off."""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class FixedAddress(Base):
    """An address that is taken.  The primary key is what settles races for it."""

    __tablename__ = "fixed_addresses"
    __table_args__ = (sa.Index("ix_fixed_addresses_port", "port_id"),)

    subnet_id: Mapped[UUID] = mapped_column(sa.ForeignKey("subnets.id"), primary_key=True)
    offset: Mapped[int] = mapped_column(  # from the subnet's first address
        "position", sa.BigInteger, primary_key=True, autoincrement=False
    )
    address: Mapped[str] = mapped_column(sa.String(64), index=True)
    port_id: Mapped[UUID] = mapped_column(sa.ForeignKey("ports.id"))


class NetworkHost(Base):
    """How far one host has got in providing one network."""

    __tablename__ = "network_hosts"
    __table_args__ = (sa.Index("ix_network_hosts_host", "host"),)

    network_id: Mapped[UUID] = mapped_column(sa.ForeignKey("networks.id"), primary_key=True)
    host: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    applied: Mapped[int] = mapped_column(default=0)  # generation
    sent: Mapped[int] = mapped_column(default=0)  # generation that is on its way
    sent_at: Mapped[dt.datetime | None]
    error: Mapped[str | None] = mapped_column(sa.Text)
