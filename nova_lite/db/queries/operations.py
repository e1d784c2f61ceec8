"""Operations and their journal, for those who look on."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import UNFINISHED, Operation, OperationEvent


def unfinished(session: Session, limit: int | None = None) -> Sequence[Operation]:
    """What is being done, the oldest first."""
    # Asked by wake_at, which only the unfinished have: its index is as short as they are few.
    return session.scalars(
        sa.select(Operation)
        .where(Operation.wake_at.is_not(None), Operation.status.in_(UNFINISHED))
        .order_by(Operation.number)
        .limit(limit)
    ).all()


def latest(session: Session, limit: int, target: UUID | None = None) -> Sequence[Operation]:
    """The newest, finished or not, of one instance or of all; the newest first."""
    query = sa.select(Operation).order_by(Operation.number.desc()).limit(limit)
    if target is not None:
        query = query.where(Operation.target_id == target)
    return session.scalars(query).all()


def find(session: Session, id: UUID) -> Operation | None:
    return session.scalar(sa.select(Operation).where(Operation.id == id))


def journal(session: Session, id: UUID) -> Sequence[OperationEvent]:
    """The steps that have ended, in that order."""
    return session.scalars(
        sa.select(OperationEvent)
        .where(OperationEvent.operation_id == id)
        .order_by(OperationEvent.number)
    ).all()
