"""Server groups: servers that are to be together, or apart."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Instance, ServerGroup
from nova_lite.domain.errors import Forbidden, Invalid, NotFound
from nova_lite.services.compute.quotas import Allowance, Quotas


@dataclass(frozen=True)
class NewServerGroup:
    name: str
    policy: str
    max_server_per_host: int | None = None  # of anti-affinity


class ServerGroups:
    def __init__(self, database: Database, quotas: Quotas, now: Callable[[], dt.datetime]) -> None:
        self.database = database
        self.quotas = quotas
        self.now = now

    @one_transaction
    def create(self, context: RequestContext, new: NewServerGroup) -> ServerGroup:
        """Raises QuotaExceeded."""
        if context.project_id is None:
            raise Forbidden("A server group belongs to a project: use a token of one.")
        with self.database.write() as session:
            allowance = self.quotas.of(session, context.project_id, context.user_id)
            allowance.reserve(server_groups=1)
            most = new.max_server_per_host
            group = ServerGroup(
                project_id=context.project_id,
                user_id=context.user_id,
                name=new.name,
                policy=new.policy,
                rules={} if most is None else {"max_server_per_host": most},
                created_at=self.now(),
            )
            session.add(group)
            session.flush()
            return group

    def list(
        self,
        context: RequestContext,
        *,
        all_projects: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> Sequence[ServerGroup]:
        """In the order they were made; of all projects for administrators only."""
        query = sa.select(ServerGroup).order_by(ServerGroup.number)
        if not (all_projects and context.is_admin):
            query = query.where(ServerGroup.project_id == context.project_id)
        with self.database.read() as session:
            return session.scalars(query.limit(limit).offset(offset)).all()

    def get(self, context: RequestContext, id: UUID) -> ServerGroup:
        with self.database.read() as session:
            return _get(session, context, id)

    @one_transaction
    def delete(self, context: RequestContext, id: UUID) -> None:
        """Its servers stay, and are no group any more."""
        with self.database.write() as session:
            session.delete(_get(session, context, id))

    def members(self, groups: Sequence[ServerGroup]) -> dict[UUID, Sequence[UUID]]:
        """Group -> its live servers, the oldest first; of the group's project, in one query."""
        found: dict[UUID | None, list[UUID]] = {group.id: [] for group in groups}
        query = (
            sa.select(Instance.server_group_id, Instance.id)
            .where(Instance.server_group_id.in_(found), Instance.deleted == sa.false())
            .order_by(Instance.number)
        )
        with self.database.read() as session:
            for group, instance in session.execute(query):
                found[group].append(instance)
        return {group.id: found[group.id] for group in groups}


def join(
    session: Session, context: RequestContext, allowance: Allowance, hint: Any, count: int
) -> UUID:
    """The group that the hint `group` of `count` new servers names; they still have to say so.

    Raises Invalid for one that is not there, QuotaExceeded when it would be too large.
    """
    try:
        id = UUID(str(hint))
    except ValueError:
        raise Invalid("Server group scheduler hint must be a UUID.") from None
    # Others who join it wait here, so that together they do not exceed the quota.
    found = sa.select(ServerGroup).where(ServerGroup.id == id).with_for_update()
    group = session.scalar(found)
    if group is None or not context.owns(group.project_id):
        raise Invalid(f"Instance group {id} could not be found.")
    members = (
        sa.select(sa.func.count())
        .select_from(Instance)
        .where(Instance.server_group_id == id, Instance.deleted == sa.false())
    )
    allowance.check_group(session.scalars(members).one() + count)
    return id


def _get(session: Session, context: RequestContext, id: UUID) -> ServerGroup:
    group = session.scalar(sa.select(ServerGroup).where(ServerGroup.id == id))
    if group is None or not context.owns(group.project_id):
        raise NotFound(f"Instance group {id} could not be found.")
    return group
