"""Host aggregates: what administrators say of some hosts, and the zones that come of it.

A host has the zone of its aggregates, or the one its worker was configured
with.  Zones do not move under servers: what would change the zone of a host
that has some is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Aggregate, AggregateHost, Allocation, Host, Instance, Service
from nova_lite.db.models.aggregate import ZONE
from nova_lite.domain.errors import Conflict, Invalid, NotFound, NovaLiteError
from nova_lite.domain.specs import ImageSource, Role

Metadata = Mapping[str, str | None]
_KEEP = "\0"  # no name of a zone: it stays as it is


@dataclass(frozen=True)
class AggregateView:
    """An aggregate with its hosts, by name."""

    number: int
    id: UUID
    name: str
    metadata: Mapping[str, str]
    hosts: Sequence[str]
    created_at: dt.datetime
    updated_at: dt.datetime | None

    @property
    def zone(self) -> str | None:
        return self.metadata.get(ZONE)


class Aggregates:
    """`source` is where a worker may fetch an image from; it raises NotFound.

    `prepare` asks the worker of a host to have it at hand, and does not wait.
    """

    def __init__(
        self,
        database: Database,
        source: Callable[[UUID, Session], ImageSource],
        prepare: Callable[[str, ImageSource], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.source = source
        self.prepare = prepare
        self.now = now

    @one_transaction
    def create(self, context: RequestContext, name: str, zone: str | None = None) -> AggregateView:
        """Raises Conflict when the name is taken."""
        with self.database.write() as session:
            made = insert_if_absent(
                session,
                Aggregate,
                id=(id := uuid4()),
                name=name,
                properties={ZONE: zone} if zone else {},
                created_at=self.now(),
            )
            if not made:
                raise _taken(name)
            found = session.scalars(sa.select(Aggregate).where(Aggregate.id == id)).one()
            return _view(found, [])

    def list(self, context: RequestContext) -> Sequence[AggregateView]:
        with self.database.read() as session:
            found = session.scalars(sa.select(Aggregate).order_by(Aggregate.number)).all()
            hosts: dict[int, list[str]] = {aggregate.number: [] for aggregate in found}
            members = sa.select(AggregateHost).order_by(AggregateHost.host)
            for member in session.scalars(members):
                if member.aggregate in hosts:
                    hosts[member.aggregate].append(member.host)
            return [_view(aggregate, hosts[aggregate.number]) for aggregate in found]

    def get(self, context: RequestContext, number: int) -> AggregateView:
        with self.database.read() as session:
            return _shown(session, _get(session, number))

    @one_transaction
    def update(
        self,
        context: RequestContext,
        number: int,
        *,
        name: str | None = None,
        zone: str | None = _KEEP,
    ) -> AggregateView:
        """Rename it, or give its hosts another zone, with None their own.

        Raises Conflict when the name is taken, Invalid when hosts are in another
        zone already, or have servers.
        """
        with self.database.write() as session:
            aggregate = _get(session, number, lock=True)
            if name is not None and name != aggregate.name:
                taken = sa.select(Aggregate.number).where(Aggregate.name == name)
                if session.scalar(taken) is not None:
                    raise _taken(name)
                aggregate.name = name
            if zone != _KEEP:
                self._change(session, aggregate, {ZONE: zone})
            aggregate.updated_at = self.now()
            session.flush()
            return _shown(session, aggregate)

    @one_transaction
    def set_metadata(self, context: RequestContext, number: int, items: Metadata) -> AggregateView:
        """Add these items; None takes one away.  Raises Invalid as `update` does."""
        with self.database.write() as session:
            aggregate = _get(session, number, lock=True)
            self._change(session, aggregate, items)
            aggregate.updated_at = self.now()
            return _shown(session, aggregate)

    @one_transaction
    def delete(self, context: RequestContext, number: int) -> None:
        """Raises Invalid while it has hosts."""
        with self.database.write() as session:
            aggregate = _get(session, number, lock=True)
            if _hosts(session, number):
                raise Invalid(
                    f"Cannot perform action 'delete' on aggregate {aggregate.number}. "
                    "Reason: Host aggregate is not empty."
                )
            session.delete(aggregate)

    @one_transaction
    def add_host(self, context: RequestContext, number: int, host: str) -> AggregateView:
        """Raises NotFound for no compute host, Conflict for a member or one of another zone."""
        with self.database.write() as session:
            aggregate = _get(session, number, lock=True)
            _lock(session, [host])
            if not insert_if_absent(session, AggregateHost, aggregate=number, host=host):
                raise Conflict(f"Aggregate {number} already has host {host}.")
            if ZONE in aggregate.properties:
                _move(session, number, [host], aggregate.properties[ZONE], Conflict)
            return _shown(session, aggregate)

    @one_transaction
    def remove_host(self, context: RequestContext, number: int, host: str) -> AggregateView:
        """Raises NotFound for a host that is not in it, Conflict when its servers would move."""
        with self.database.write() as session:
            aggregate = _get(session, number, lock=True)
            gone = sa.delete(AggregateHost).where(
                AggregateHost.aggregate == number, AggregateHost.host == host
            )
            if not rows_changed(session, gone):
                raise NotFound(f"Cannot remove host {host} in aggregate {number}")
            if ZONE in aggregate.properties:
                _lock(session, [host])
                left = _zones_of(session, [host])
                _move(session, number, [host], left.get(host), Conflict)
            return _shown(session, aggregate)

    def cache_images(self, context: RequestContext, number: int, images: Collection[UUID]) -> None:
        """Ask its hosts to fetch these images before anybody needs them.

        It is a hint: who is away fetches an image when it is needed, as ever.
        """
        with self.database.read() as session:
            hosts = _hosts(session, _get(session, number).number)
            sources = [self.source(image, session) for image in images]
        for host in hosts:
            for source in sources:
                self.prepare(host, source)

    def _change(self, session: Session, aggregate: Aggregate, items: Metadata) -> None:
        if items.get(ZONE) == "":
            raise Invalid(
                f"Cannot perform action 'update metadata' on aggregate {aggregate.number}. "
                f"Reason: Aggregate {aggregate.name} does not support "
                "empty named availability zone."
            )
        if ZONE in items and items[ZONE] != aggregate.properties.get(ZONE):
            hosts = _hosts(session, aggregate.number)
            _lock(session, hosts)
            _move(session, aggregate.number, hosts, items[ZONE], Invalid)
        changed = {**aggregate.properties, **items}
        aggregate.properties = {key: value for key, value in changed.items() if value is not None}


def _view(aggregate: Aggregate, hosts: Sequence[str]) -> AggregateView:
    return AggregateView(
        number=aggregate.number,
        id=aggregate.id,
        name=aggregate.name,
        metadata=aggregate.properties,
        hosts=hosts,
        created_at=aggregate.created_at,
        updated_at=aggregate.updated_at,
    )


def _shown(session: Session, aggregate: Aggregate) -> AggregateView:
    return _view(aggregate, _hosts(session, aggregate.number))


def _get(session: Session, number: int, *, lock: bool = False) -> Aggregate:
    query = sa.select(Aggregate).where(Aggregate.number == number)
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound(f"Aggregate {number} could not be found.")
    return found


def _taken(name: str) -> Conflict:
    return Conflict(f"Aggregate {name} already exists.")


def _hosts(session: Session, number: int) -> list[str]:
    members = sa.select(AggregateHost.host).where(AggregateHost.aggregate == number)
    return list(session.scalars(members.order_by(AggregateHost.host)))


def _lock(session: Session, hosts: Sequence[str]) -> None:
    """Nothing is placed on them until the commit.  Raises NotFound for one that is not there."""
    mine = sa.select(Host.name).where(Host.name.in_(hosts)).order_by(Host.name).with_for_update()
    for host in set(hosts) - set(session.scalars(mine)):
        raise NotFound(f"Compute host {host} could not be found.")


def _zones_of(session: Session, hosts: Sequence[str], but: int | None = None) -> dict[str, str]:
    """Host -> the zone that an aggregate gives it, other than the aggregate `but`."""
    query = (
        sa.select(AggregateHost.host, Aggregate.properties)
        .join(Aggregate, Aggregate.number == AggregateHost.aggregate)
        .where(AggregateHost.host.in_(hosts), Aggregate.number != but)
    )
    return {host: said[ZONE] for host, said in session.execute(query) if ZONE in said}


def _move(
    session: Session,
    number: int,
    hosts: Sequence[str],
    zone: str | None,
    refused: type[NovaLiteError],
) -> None:
    """Give hosts, which are locked, the zone that aggregate `number` gives them now.

    Servers move along, but none is taken out of a zone that it was asked for in.
    """
    others = _zones_of(session, hosts, but=number)
    conflicts = sorted({other for other in others.values() if zone not in (None, other)})
    reason = f"Cannot perform action on aggregate {number}. Reason: One or more hosts"
    if conflicts:
        raise refused(f"{reason} already in availability zone(s) {', '.join(conflicts)}.")
    query = sa.select(Host, Service.zone).join(
        Service, sa.and_(Service.host == Host.name, Service.role == Role.COMPUTE), isouter=True
    )
    bound = (
        sa.select(Allocation.host, Instance.requested_zone)
        .join(Instance, Instance.id == Allocation.instance_id)
        .where(Allocation.host.in_(hosts), Instance.requested_zone.is_not(None))
        .distinct()
    )
    wanted = session.execute(bound).all()
    for host, own in session.execute(query.where(Host.name.in_(hosts))).all():
        host.aggregate_zone = zone or others.get(host.name)
        before, after = host.zone, host.aggregate_zone or own or host.zone
        if any(name == host.name and asked != after for name, asked in wanted):
            raise refused(f"{reason} contain instances in this zone.")
        if before != after:
            session.execute(
                sa.update(Instance)
                .where(Instance.host == host.name, Instance.deleted == sa.false())
                .values(zone=after)
            )
        host.zone = after
