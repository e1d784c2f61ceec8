"""What projects have used: how long which servers were there, the deleted ones with them.

Nothing is kept for it: a server's row outlives the server.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database
from nova_lite.db.models import Instance
from nova_lite.domain.errors import Forbidden, Invalid

_COLUMNS = [
    Instance.__table__.c[name]
    for name in (
        *("number", "id", "project_id", "display_name", "flavor_name", "vm_state"),
        *("vcpus", "memory_mb", "root_gb", "ephemeral_gb"),
        *("launched_at", "terminated_at"),
    )
]


@dataclass(frozen=True)
class Period:
    """From `start` until before `stop`."""

    start: dt.datetime
    stop: dt.datetime


@dataclass(frozen=True)
class ServerUsage:
    """One server in a period; `hours` are those of the period, `uptime` its whole life."""

    id: UUID
    name: str
    project_id: str
    flavor: str
    state: str
    vcpus: int
    memory_mb: int
    local_gb: int
    started_at: dt.datetime
    ended_at: dt.datetime | None
    uptime: dt.timedelta
    hours: float


class Usages:
    def __init__(self, database: Database, now: Callable[[], dt.datetime]) -> None:
        self.database = database
        self.now = now

    def servers(
        self,
        context: RequestContext,
        period: Period,
        *,
        project_id: str | None = None,
        limit: int | None = None,
        marker: UUID | None = None,
    ) -> Sequence[ServerUsage]:
        """Who was up at some time of the period, in the order they were asked for.

        Of one project, or for administrators of all; behind the server `marker`.
        Raises Invalid when the marker is not there.
        """
        if not context.is_admin and project_id != context.project_id:
            raise Forbidden("Only administrators may see what other projects have used.")
        with self.database.read() as session:
            behind = None if marker is None else _place(session, marker, project_id)
            rows = _up_in(session, period, project_id, behind, limit)
        now = self.now()
        return [_usage(row, period, now) for row in rows]


def _up_in(
    session: Session,
    period: Period,
    project_id: str | None,
    behind: int | None,
    limit: int | None,
) -> Sequence[Any]:
    """What is there and what went in the period, asked apart: each has an index of its own.

    So it does not matter how many went before the period.
    """
    there = sa.and_(Instance.deleted == sa.false(), Instance.terminated_at.is_(None))
    gone = Instance.terminated_at > period.start
    # An expression has no index: none that would be read from its beginning for the
    # sake of the order alone, as databases like to when there is a limit.
    place: sa.ColumnElement[int] = Instance.number + 0
    found: list[Any] = []
    for condition, number in ((there, Instance.__table__.c.number), (gone, place)):
        query = (
            sa.select(*_COLUMNS)
            .where(condition, Instance.launched_at < period.stop)
            .order_by(number)
            .limit(limit)
        )
        if project_id is not None:
            query = query.where(Instance.project_id == project_id)
        if behind is not None:
            query = query.where(number > behind)
        found += session.execute(query)
    return sorted(found, key=lambda row: row.number)[:limit]


def _place(session: Session, marker: UUID, project_id: str | None) -> int:
    query = sa.select(Instance.number).where(Instance.id == marker)
    if project_id is not None:
        query = query.where(Instance.project_id == project_id)
    number = session.scalar(query)
    if number is None:
        raise Invalid(f"marker [{marker}] not found")
    return number


def _usage(row: Any, period: Period, now: dt.datetime) -> ServerUsage:
    # A period may end in the future; what nobody has used yet does not count.
    end = min(period.stop, row.terminated_at or now)
    time = end - max(period.start, row.launched_at)
    return ServerUsage(
        id=row.id,
        name=row.display_name,
        project_id=row.project_id,
        flavor=row.flavor_name,
        state="terminated" if row.terminated_at else str(row.vm_state),
        vcpus=row.vcpus,
        memory_mb=row.memory_mb,
        local_gb=row.root_gb + row.ephemeral_gb,
        started_at=row.launched_at,
        ended_at=row.terminated_at,
        uptime=(row.terminated_at or now) - row.launched_at,
        hours=max(time.total_seconds(), 0.0) / 3600,
    )
