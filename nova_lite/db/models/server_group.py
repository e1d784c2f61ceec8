"""Server groups: servers that are to be together, or apart."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber


class ServerGroup(Base):
    """Its members are the live instances that name it; they stay when it goes."""

    __tablename__ = "server_groups"
    __table_args__ = (sa.Index("ix_server_groups_project", "project_id", "number"),)

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True, default=uuid4)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    name: Mapped[str] = mapped_column(sa.String(255))
    policy: Mapped[str] = mapped_column(sa.String(32))
    rules: Mapped[dict[str, Any]] = mapped_column(default=dict)  # max_server_per_host
    created_at: Mapped[dt.datetime]
