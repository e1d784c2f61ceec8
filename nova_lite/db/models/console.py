"""Who may look at which guest's screen, for a while."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber


class ConsoleToken(Base):
    """A token that a console proxy takes, and where that leads.

    Only its hash is kept: who reads the database gets into no guest.
    """

    __tablename__ = "console_tokens"

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)  # SHA-256, in hexadecimal
    instance_id: Mapped[UUID] = mapped_column(index=True)
    console_type: Mapped[str] = mapped_column(sa.String(16))
    host: Mapped[str] = mapped_column(sa.String(255))  # an address that the proxy reaches
    port: Mapped[int]
    path: Mapped[str | None] = mapped_column(sa.String(255))  # what the hypervisor asks for first
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
