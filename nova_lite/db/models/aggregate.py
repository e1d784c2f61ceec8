"""Host aggregates: what an administrator says of some hosts together."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber

ZONE = "availability_zone"  # the key of the metadata that gives an aggregate's hosts their zone


class Aggregate(Base):
    __tablename__ = "aggregates"

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True, default=uuid4)
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    properties: Mapped[dict[str, Any]] = mapped_column("metadata", default=dict)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime | None]


class AggregateHost(Base):
    """A host may be in many aggregates; those that give it a zone all give the same one."""

    __tablename__ = "aggregate_hosts"
    __table_args__ = (sa.Index("ix_aggregate_hosts_host", "host"),)

    aggregate: Mapped[int] = mapped_column(
        sa.ForeignKey("aggregates.number", ondelete="CASCADE"), primary_key=True
    )
    host: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
