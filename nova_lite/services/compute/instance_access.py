"""An instance that is asked to do something: found, free to do it, and held for its operation."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import Instance
from nova_lite.domain.errors import Conflict, InvalidState, NotFound
from nova_lite.domain.states import Action, require
from nova_lite.operations import begin

#: What can be done to an instance that is nowhere.
WITHOUT_HOST = frozenset({Action.DELETE, Action.SOFT_DELETE, Action.UNSHELVE})


def found(
    session: Session,
    context: RequestContext,
    id: UUID,
    *,
    deleted: bool = False,
    lock: bool = False,
) -> Instance:
    """Raises NotFound, also for another project's, and for one that is gone unless `deleted`."""
    query = sa.select(Instance).where(Instance.id == id)
    instance = session.scalar(query.with_for_update() if lock else query)
    absent = instance is None or (instance.deleted and not deleted)
    if instance is None or absent or not context.owns(instance.project_id):
        raise gone(id)
    return instance


def gone(id: UUID) -> NotFound:
    return NotFound(f"Instance {id} could not be found.")


def not_locked(context: RequestContext, instance: Instance) -> None:
    if instance.locked_by is not None and not context.is_admin:
        raise Conflict(f"Instance {instance.id} is locked")


def ready(session: Session, context: RequestContext, id: UUID, action: Action) -> Instance:
    """The instance, if this may begin now.  Raises NotFound, Conflict when it is locked,
    InvalidState: before anything is said of what else the request names.
    """
    instance = found(session, context, id)
    not_locked(context, instance)
    require(action, instance.vm_state, instance.task_state, id)
    if instance.host is None and action not in WITHOUT_HOST:
        raise InvalidState(
            f"Instance {id} in vm_state {instance.vm_state} has no host: "
            "it was never built, and can only be deleted."
        )
    return instance


def begun(
    session: Session,
    context: RequestContext,
    instance: Instance,
    kind: str,
    now: dt.datetime,
    task_state: str | None = None,
    **args: Any,
) -> list[UUID]:
    """Hold the instance for a new operation; its id, to be woken after the commit.

    None is begun when the instance is being deleted and this asks for that once more.
    """
    values = begin.row(
        kind,
        instance.id,
        project_id=instance.project_id,
        user_id=context.user_id,
        request_id=context.request_id,
        now=now,
        args=args,
    )
    operation = begin.begin(session, instance, values, task_state)
    return [] if operation is None else [operation]
