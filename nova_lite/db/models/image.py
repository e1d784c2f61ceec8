"""Images: what is said of them.  The bytes are in the image store."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base


class ImageStatus(StrEnum):
    QUEUED = "queued"
    SAVING = "saving"
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    KILLED = "killed"
    DELETED = "deleted"


class Image(Base):
    __tablename__ = "images"
    __table_args__ = (sa.Index("ix_images_list", "deleted", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner: Mapped[str] = mapped_column(sa.String(64))  # project id
    name: Mapped[str | None] = mapped_column(sa.String(255))
    status: Mapped[ImageStatus] = mapped_column(default=ImageStatus.QUEUED)
    visibility: Mapped[str] = mapped_column(sa.String(16), default="shared")
    protected: Mapped[bool] = mapped_column(default=False)
    os_hidden: Mapped[bool] = mapped_column(default=False)  # from lists, unless asked for
    disk_format: Mapped[str | None] = mapped_column(sa.String(16))
    container_format: Mapped[str | None] = mapped_column(sa.String(16))
    min_disk: Mapped[int] = mapped_column(default=0)  # GB
    min_ram: Mapped[int] = mapped_column(default=0)  # MB
    size: Mapped[int | None] = mapped_column(sa.BigInteger)  # bytes
    virtual_size: Mapped[int | None] = mapped_column(sa.BigInteger)  # bytes
    checksum: Mapped[str | None] = mapped_column(sa.String(32))  # MD5, as Glance has it
    os_hash_value: Mapped[str | None] = mapped_column(sa.String(128))  # SHA-512
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tags: Mapped[list[Any]] = mapped_column(default=list)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    deleted: Mapped[bool] = mapped_column(default=False)
