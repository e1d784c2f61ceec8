"""Operations: promises to change one instance, and the journal of how they are kept."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber


class OperationStatus(StrEnum):
    RUNNING = "running"
    UNWINDING = "unwinding"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"  # a delete took the instance from it


UNFINISHED = (OperationStatus.RUNNING, OperationStatus.UNWINDING)


class Operation(Base):
    """A promise to change one instance, kept across any crash.

    The row alone says what has been done and what comes next.  A message that
    gets lost costs one re-send interval, never the operation.
    """

    __tablename__ = "operations"
    __table_args__ = (
        # Only what is unfinished has a wake_at: the history costs nothing.
        sa.Index("ix_operations_due", "wake_at"),
        sa.Index("ix_operations_target", "target_id", "number"),
        sa.Index("ix_operations_waiting", "waiting_for"),
    )

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    id: Mapped[UUID] = mapped_column(unique=True, default=uuid4)
    kind: Mapped[str] = mapped_column(sa.String(64))  # which flow
    action: Mapped[str] = mapped_column(sa.String(64))  # the word of os-instance-actions
    target_id: Mapped[UUID]
    project_id: Mapped[str] = mapped_column(sa.String(64))
    user_id: Mapped[str] = mapped_column(sa.String(64))
    request_id: Mapped[str] = mapped_column(sa.String(64))
    args: Mapped[dict[str, Any]]  # what was asked; never changes
    facts: Mapped[dict[str, Any]]  # what finished steps learnt

    status: Mapped[OperationStatus] = mapped_column(default=OperationStatus.RUNNING)
    step: Mapped[str] = mapped_column(sa.String(64))  # by name: step lists change on upgrade
    step_started_at: Mapped[dt.datetime]
    round: Mapped[int] = mapped_column(default=0)  # grows each time we start over elsewhere
    restart_at: Mapped[str | None] = mapped_column(sa.String(64))
    error: Mapped[str | None] = mapped_column(sa.Text)  # for the owner
    error_details: Mapped[str | None] = mapped_column(sa.Text)  # for administrators

    command_id: Mapped[UUID | None]  # the command whose report we are waiting for,
    command_host: Mapped[str | None] = mapped_column(sa.String(255))  # and who may send it
    sequence: Mapped[int] = mapped_column(default=0)  # that command's place in the guest's life
    report: Mapped[dict[str, Any] | None]
    waiting_for: Mapped[str | None] = mapped_column(sa.String(255))  # in words, and as a key
    waiting_generation: Mapped[int] = mapped_column(default=0)  # of the network waited for

    attempt: Mapped[int] = mapped_column(default=0)  # tries of the current step
    wake_at: Mapped[dt.datetime | None]  # None: finished
    started_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]


class OperationEvent(Base):
    """One step that ended, well or not: a line of the journal."""

    __tablename__ = "operation_events"

    number: Mapped[int] = mapped_column(SerialNumber, primary_key=True, autoincrement=True)
    operation_id: Mapped[UUID] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(sa.String(64))  # "spawn", or "undo spawn"
    host: Mapped[str | None] = mapped_column(sa.String(255))
    started_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime]
    error: Mapped[str | None] = mapped_column(sa.Text)
