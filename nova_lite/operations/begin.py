"""Writing an operation down, and holding its instance for it, in one transaction."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import rows_changed
from nova_lite.db.models import UNFINISHED, Instance, Operation, OperationStatus
from nova_lite.domain.errors import InvalidState, NotFound
from nova_lite.domain.states import require
from nova_lite.operations import FLOWS

TRIES = 10  # of what preempts, against others that are quicker


def row(
    kind: str,
    target: UUID,
    *,
    project_id: str,
    user_id: str,
    request_id: str,
    now: dt.datetime,
    args: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The values of a new operation, ready to be inserted."""
    flow = FLOWS[kind]
    return {
        "id": uuid4(),
        "kind": kind,
        "action": str(flow.action),
        "target_id": target,
        "project_id": project_id,
        "user_id": user_id,
        "request_id": request_id,
        "args": args or {},
        "facts": {},
        "status": OperationStatus.RUNNING,
        "step": flow.steps[0].name,
        "step_started_at": now,
        "wake_at": now,
        "started_at": now,
        "updated_at": now,
    }


def begin(
    session: Session, instance: Instance, values: dict[str, Any], task_state: str | None = None
) -> UUID | None:
    """Write the operation down and hold `instance` for it.

    Returns its id; None when the instance is being deleted and this asks for
    that once more.  Raises InvalidState when its state does not admit the
    action, or another request was quicker; NotFound when that one deleted it.
    """
    flow, now = FLOWS[values["kind"]], values["started_at"]
    for _ in range(TRIES):
        rule = require(flow.action, instance.vm_state, instance.task_state, instance.id)
        if rule.preempts and instance.task_state == rule.task_state:
            return None
        if rule.preempts and instance.operation_id is not None:
            cancel(session, instance.operation_id, f"the instance is to {flow.action}", now)
        if _hold(session, instance, values, task_state or rule.task_state):
            session.execute(sa.insert(Operation).values(**values))
            id: UUID = values["id"]
            return id
        if not rule.preempts:
            break
        # What we meant to cancel has ended meanwhile, or something else has begun.
        session.refresh(instance)
        if instance.deleted:
            raise NotFound(f"Instance {instance.id} could not be found.")
    raise InvalidState(f"Instance {instance.id} is being changed by another request.")


def _hold(
    session: Session, instance: Instance, values: dict[str, Any], task_state: str | None
) -> bool:
    """Take the instance, if it still is as we have seen it."""
    hold = sa.update(Instance).where(
        Instance.id == instance.id,
        Instance.operation_id.is_(None)
        if instance.operation_id is None
        else Instance.operation_id == instance.operation_id,
        Instance.vm_state == instance.vm_state,
    )
    take = hold.values(
        operation_id=values["id"], task_state=task_state, updated_at=values["started_at"]
    )
    return rows_changed(session, take) == 1


def cancel(session: Session, operation: UUID, why: str, now: dt.datetime) -> None:
    """Take an operation's instance from it: no report and no re-send will find it any more.

    Comes before any write to the instance, as with whoever runs it: he holds
    the operation's row, and we wait for his step to be committed.
    """
    session.execute(
        sa.update(Operation)
        .where(Operation.id == operation, Operation.status.in_(UNFINISHED))
        .values(
            status=OperationStatus.CANCELLED,
            error=f"Cancelled: {why}.",
            wake_at=None,
            waiting_for=None,
            finished_at=now,
        )
    )
