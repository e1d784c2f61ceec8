"""Images: what is said of them, whom they are shared with, and what is being done to them.

The bytes are in the image stores.
"""

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
    SAVING = "saving"  # its bytes are coming, straight into a store
    UPLOADING = "uploading"  # they are in the staging area, or on their way there
    IMPORTING = "importing"  # an import task has it
    ACTIVE = "active"
    DEACTIVATED = "deactivated"
    KILLED = "killed"
    DELETED = "deleted"
    PENDING_DELETE = "pending_delete"  # deleted, and its bytes are still to be removed


class Image(Base):
    __tablename__ = "images"
    __table_args__ = (sa.Index("ix_images_list", "deleted", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner: Mapped[str] = mapped_column(sa.String(64), index=True)  # project id
    name: Mapped[str | None] = mapped_column(sa.String(255))
    status: Mapped[ImageStatus] = mapped_column(default=ImageStatus.QUEUED)
    visibility: Mapped[str] = mapped_column(sa.String(16), default="shared")
    protected: Mapped[bool] = mapped_column(default=False)
    os_hidden: Mapped[bool] = mapped_column(default=False)  # from lists, unless asked for
    disk_format: Mapped[str | None] = mapped_column(sa.String(16))
    container_format: Mapped[str | None] = mapped_column(sa.String(16))
    min_disk: Mapped[int] = mapped_column(default=0)  # GB
    min_ram: Mapped[int] = mapped_column(default=0)  # MB
    size: Mapped[int | None] = mapped_column(sa.BigInteger)  # bytes; while staged, of those
    virtual_size: Mapped[int | None] = mapped_column(sa.BigInteger)  # bytes
    checksum: Mapped[str | None] = mapped_column(sa.String(32))  # MD5, as Glance has it
    os_hash_value: Mapped[str | None] = mapped_column(sa.String(128))  # SHA-512
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tags: Mapped[list[Any]] = mapped_column(default=list)
    #: The stores that have its bytes, by name.  NULL is how images were kept
    #: before stores had names: in the one there was.
    stores: Mapped[list[Any] | None] = mapped_column(default=list)
    #: Of the latest import: the stores still to come, and those that did not get it.
    importing_to_stores: Mapped[list[Any] | None]
    failed_import: Mapped[list[Any] | None]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    deleted: Mapped[bool] = mapped_column(default=False)

    @property
    def content_format(self) -> str | None:
        """What its bytes are: an archive with disks in it, or one of the disk formats."""
        return "ova" if self.container_format == "ova" else self.disk_format


class ImageMember(Base):
    """A project that an image is shared with."""

    __tablename__ = "image_members"

    image_id: Mapped[UUID] = mapped_column(
        sa.ForeignKey("images.id", ondelete="CASCADE"), primary_key=True
    )
    member: Mapped[str] = mapped_column(sa.String(64), primary_key=True, index=True)  # project id
    status: Mapped[str] = mapped_column(sa.String(16), default="pending")
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class TaskStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"


class ImageTask(Base):
    """Bytes that are to be fetched for an image: asked for, and what came of it.

    One that is processing is worked on by whoever holds the lock of its image;
    if nobody does, its process died, and anybody may begin anew.
    """

    __tablename__ = "image_tasks"
    __table_args__ = (sa.Index("ix_image_tasks_todo", "status", "created_at"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    type: Mapped[str] = mapped_column(sa.String(32))
    status: Mapped[TaskStatus] = mapped_column(default=TaskStatus.PENDING)
    image_id: Mapped[UUID] = mapped_column(sa.ForeignKey("images.id"), index=True)
    owner: Mapped[str] = mapped_column(sa.String(64))  # the project that asked
    user_id: Mapped[str] = mapped_column(sa.String(64))
    roles: Mapped[list[Any]] = mapped_column(default=list)  # of who asked
    request_id: Mapped[str] = mapped_column(sa.String(64))
    input: Mapped[dict[str, Any]] = mapped_column(default=dict)  # as it was asked for
    method: Mapped[dict[str, Any]] = mapped_column(default=dict)  # its name and parameters
    stores: Mapped[list[Any]] = mapped_column(default=list)  # that the bytes are for
    must_succeed: Mapped[bool] = mapped_column(default=True)  # in all of them, or not at all
    result: Mapped[dict[str, Any] | None]
    message: Mapped[str] = mapped_column(sa.Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime | None]
