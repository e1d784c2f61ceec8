"""Which guests' filters are behind what the security groups of their ports say.

Whoever changes a group only notes that, in a row of its own: a server that
joins a group of a thousand neither waits for their rows nor makes others wait.
What the notes mean for instances is worked out a moment later, once for many
(reconcilers.filters).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from typing import NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import rows_changed
from nova_lite.db.models import (
    COMPUTE,
    Instance,
    Port,
    PortSecurityGroup,
    SecurityGroupChange,
    SecurityGroupRule,
    Service,
)
from nova_lite.domain.specs import Role

AT_ONCE = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NOTES = 1000  # handled in one transaction
IDS = 500  # named in one statement


class Due(NamedTuple):
    """An instance whose host is to hear of its filters, and how: with which command."""

    id: UUID
    host: str
    sequence: int
    generation: int


def changed(session: Session, groups: Collection[UUID]) -> None:
    """Note that rules or members of these groups change.

    It matters to those who are in them, and to those who are in a group that
    has a rule about one of them; that rule may be about to go.
    """
    about = sa.select(SecurityGroupRule.group_id).where(
        SecurityGroupRule.remote_group_id.in_(list(groups))
    )
    notes = sorted({*groups, *session.scalars(about)})
    if notes:
        session.execute(sa.insert(SecurityGroupChange), [{"group_id": id} for id in notes])


def ports_changed(session: Session, ports: Collection[UUID]) -> None:
    """Say that what these ports let through changes."""
    mine = (Port.id.in_(list(ports)), Port.device_owner.startswith(COMPUTE))
    want(
        session,
        [UUID(device) for device in session.scalars(sa.select(Port.device_id).where(*mine))],
    )


def want(session: Session, instances: Iterable[UUID]) -> None:
    """Have the hosts of these instances hear of their filters.

    Who has no host will be described anew when it gets one.
    """
    ids = sorted(instances)  # in one order, so that two who want the same do not block each other
    for start in range(0, len(ids), IDS):
        session.execute(
            sa.update(Instance)
            .where(
                Instance.id.in_(ids[start : start + IDS]),
                Instance.deleted == sa.false(),
                Instance.host.is_not(None),
            )
            .values(filters_wanted=Instance.filters_wanted + 1, filters_due_at=AT_ONCE)
            .execution_options(synchronize_session=False)
        )


def applied(session: Session, instance: UUID, host: str, generation: int) -> None:
    """Note that `host` has the filters of this generation; an older one is no news."""
    behind = Instance.filters_wanted > generation
    session.execute(
        sa.update(Instance)
        .where(
            Instance.id == instance, Instance.host == host, Instance.filters_applied < generation
        )
        .values(
            filters_applied=generation,
            filters_due_at=sa.case((behind, Instance.filters_due_at), else_=sa.null()),
        )
        .execution_options(synchronize_session=False)
    )


def spread(session: Session) -> None:
    """Work out what the notes mean for instances."""
    notes = session.execute(
        sa.select(SecurityGroupChange.number, SecurityGroupChange.group_id)
        .order_by(SecurityGroupChange.number)
        .limit(NOTES)
    ).all()
    if not notes:
        return
    members = (
        sa.select(Port.device_id)
        .join(PortSecurityGroup, PortSecurityGroup.port_id == Port.id)
        .where(
            Port.device_owner.startswith(COMPUTE),
            PortSecurityGroup.group_id.in_({note.group_id for note in notes}),
        )
    )
    want(session, {UUID(device) for device in session.scalars(members)})
    session.execute(
        sa.delete(SecurityGroupChange)
        .where(SecurityGroupChange.number.in_([note.number for note in notes]))
        .execution_options(synchronize_session=False)
    )


def any_due(session: Session, now: dt.datetime) -> bool:
    """Whether there is anything to look at."""
    notes = sa.select(sa.literal(1)).select_from(SecurityGroupChange).limit(1)
    due = sa.select(sa.literal(1)).where(Instance.filters_due_at <= now).limit(1)
    return any(session.scalar(query) for query in (notes, due))


def take_due(
    session: Session, now: dt.datetime, again: dt.datetime, alive_since: dt.datetime, most: int
) -> list[Due]:
    """Instances whose hosts, which are up, are to be told now; nobody else is given them.

    Of those that an operation holds its host hears by that.  They are due again
    at `again`, unless their host has said meanwhile that it knows.
    """
    mine = (
        Instance.filters_due_at <= now,
        Instance.operation_id.is_(None),
        Instance.deleted == sa.false(),
    )
    up = (Service.last_seen_at > alive_since, Service.forced_down == sa.false())
    ids = session.scalars(
        sa.select(Instance.id)
        .join(Service, sa.and_(Service.host == Instance.host, Service.role == Role.COMPUTE))
        .where(*mine, *up)
        .order_by(Instance.filters_due_at)
        .limit(most)
    ).all()
    taken = [  # as it was seen, so on a host
        id
        for id in sorted(ids)
        if rows_changed(
            session,
            sa.update(Instance)
            .where(Instance.id == id, *mine)
            .values(filters_due_at=again, sequence=Instance.sequence + 1),
        )
    ]
    found = sa.select(Instance.id, Instance.host, Instance.sequence, Instance.filters_wanted)
    return [
        Due(id, host or "", sequence, generation)
        for id, host, sequence, generation in session.execute(found.where(Instance.id.in_(taken)))
    ]


def drop_done(session: Session, now: dt.datetime) -> None:
    """Instances that have ended, or left their host, are not due for anything."""
    gone = sa.or_(Instance.deleted, Instance.host.is_(None))
    due = (Instance.filters_due_at <= now, gone)
    if session.scalar(sa.select(sa.literal(1)).where(*due).limit(1)):
        session.execute(
            sa.update(Instance)
            .where(*due)
            .values(filters_due_at=None)
            .execution_options(synchronize_session=False)
        )
