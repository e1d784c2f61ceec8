"""The record of how instances moved, and the moves under way."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Flavor, Migration
from nova_lite.domain.errors import Invalid, NotFound
from nova_lite.domain.states import Action
from nova_lite.operations.instance_move import CANCELLING, TYPES
from nova_lite.services.compute.instance_access import found

LIVE = TYPES[Action.LIVE_MIGRATE]
#: A live migration that can still be called off.
UNDER_WAY = ("running",)


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; None is "whatever"."""

    all_projects: bool = False
    host: str | None = None  # it began or ended there
    changed_since: dt.datetime | None = None
    changed_before: dt.datetime | None = None
    equal: Mapping[str, Any] = field(default_factory=dict)  # columns of Migration


class Migrations:
    def __init__(self, database: Database) -> None:
        self.database = database

    def list(
        self,
        context: RequestContext,
        filters: Filters,
        *,
        limit: int,
        marker: UUID | None = None,
    ) -> Sequence[Any]:
        """A page of them, the newest first.  Raises Invalid for a marker that is not there."""
        query = sa.select(*Migration.__table__.c).where(*_conditions(context, filters))
        with self.database.read() as session:
            if marker is not None:
                at = session.scalar(sa.select(Migration.number).where(Migration.id == marker))
                if at is None:
                    raise Invalid(f"marker [{marker}] not found")
                query = query.where(Migration.number < at)
            return session.execute(query.order_by(Migration.number.desc()).limit(limit)).all()

    def flavor_numbers(self, migrations: Sequence[Any]) -> dict[str, int]:
        """Flavor -> its number in our tables, which old clients are shown; gone ones have none."""
        ids = {f.get("flavor_id") for m in migrations for f in (m.old_flavor, m.new_flavor)}
        known = sa.select(Flavor.flavorid, Flavor.number).where(Flavor.flavorid.in_(ids - {None}))
        with self.database.read() as session:
            return {id: number for id, number in session.execute(known)}

    def under_way(self, context: RequestContext, instance: UUID) -> Sequence[Any]:
        """The live migration an instance is in, if it is in one."""
        query = sa.select(*Migration.__table__.c).where(
            Migration.instance_id == instance,
            Migration.type == LIVE,
            Migration.status.in_(UNDER_WAY),
        )
        with self.database.read() as session:
            found(session, context, instance)
            return session.execute(query).all()

    def get_under_way(self, context: RequestContext, instance: UUID, id: str) -> Any:
        """By its number or its id; one that is over is not there any more."""
        for migration in self.under_way(context, instance):
            if id in (str(migration.number), str(migration.id)):
                return migration
        raise NotFound(f"In-progress live migration {id} is not found for server {instance}.")

    def hurry(self, context: RequestContext, instance: UUID, id: str) -> None:
        """Have it end soon.  Raises Invalid for one that has.

        There is nothing to be done about one under way: no driver of ours lets a
        guest change its memory faster than that is copied.
        """
        with self.database.read() as session:
            migration = self._live(session, context, instance, id)
        if migration.status not in UNDER_WAY:
            raise _too_late(migration)

    @one_transaction
    def abort(self, context: RequestContext, instance: UUID, id: str) -> None:
        """Let the guest go on where it is, if it is not on its way yet.

        Raises Invalid for a migration that is over.
        """
        with self.database.write() as session:
            migration = self._live(session, context, instance, id)
            call_off = sa.update(Migration).where(
                Migration.id == migration.id, Migration.status.in_(UNDER_WAY)
            )
            if not rows_changed(session, call_off.values(status=CANCELLING)):
                raise _too_late(migration)

    def _live(self, session: Session, context: RequestContext, instance: UUID, id: str) -> Any:
        found(session, context, instance)
        mine = sa.select(Migration).where(Migration.instance_id == instance, Migration.type == LIVE)
        for migration in session.scalars(mine):
            if id in (str(migration.number), str(migration.id)):
                return migration
        raise NotFound(f"Migration {id} not found for instance {instance}.")


def _too_late(migration: Migration) -> Invalid:
    return Invalid(
        f"Migration {migration.number} of instance {migration.instance_id} is "
        f"{migration.status}: it is not under way."
    )


def _conditions(context: RequestContext, filters: Filters) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = [
        getattr(Migration, name) == value for name, value in filters.equal.items()
    ]
    if not filters.all_projects:
        conditions.append(Migration.project_id == context.project_id)
    if filters.host is not None:
        conditions.append(sa.or_(Migration.source == filters.host, Migration.dest == filters.host))
    if filters.changed_since is not None:
        conditions.append(Migration.updated_at >= filters.changed_since)
    if filters.changed_before is not None:
        conditions.append(Migration.updated_at <= filters.changed_before)
    return conditions
