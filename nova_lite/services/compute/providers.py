"""Hosts as Placement shows them: what each has of which resource, and who was promised what.

It is a view on what the scheduler decides by, for clients and dashboards that
ask Placement.  Nothing is written through it: promises are made by operations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database
from nova_lite.db.models import Aggregate, AggregateHost, Allocation, Host, Instance
from nova_lite.domain.capacity import Ratios
from nova_lite.domain.errors import Forbidden
from nova_lite.services.compute.hosts import Hosts

#: Resource class -> the column of Host and Allocation, and the field of Ratios.
CLASSES = {
    "VCPU": ("vcpus", "vcpus"),
    "MEMORY_MB": ("memory_mb", "memory"),
    "DISK_GB": ("disk_gb", "disk"),
}
Amounts = Mapping[str, int]
"""Resource class -> how much of it."""
DISABLED = "COMPUTE_STATUS_DISABLED"


@dataclass(frozen=True)
class Inventory:
    """Of one resource: what is there, how often it is given out, and how much of that is."""

    total: int
    ratio: float
    used: int

    @property
    def capacity(self) -> int:
        return int(self.total * self.ratio)


@dataclass(frozen=True)
class Provider:
    """A compute host."""

    id: UUID
    name: str
    inventories: Mapping[str, Inventory]
    traits: frozenset[str]
    aggregates: frozenset[UUID]

    def has_room_for(self, amounts: Amounts) -> bool:
        return all(
            name in self.inventories
            and amount + self.inventories[name].used <= self.inventories[name].capacity
            for name, amount in amounts.items()
        )


@dataclass(frozen=True)
class Wanted:
    """What a provider has to be; of aggregates it has to be in one of each set."""

    name: str | None = None
    id: UUID | None = None
    room_for: Mapping[str, int] | None = None
    required: frozenset[str] = frozenset()
    forbidden: frozenset[str] = frozenset()
    member_of: Sequence[frozenset[UUID]] = ()

    def fits(self, provider: Provider) -> bool:
        return (
            (self.name is None or provider.name == self.name)
            and (self.id is None or provider.id == self.id)
            and self.required <= provider.traits
            and not self.forbidden & provider.traits
            and all(each & provider.aggregates for each in self.member_of)
            and provider.has_room_for(self.room_for or {})
        )


@dataclass(frozen=True)
class Consumer:
    """An instance, and what it was promised by provider."""

    project_id: str
    user_id: str
    allocations: Mapping[UUID, Amounts]


class Providers:
    def __init__(self, database: Database, hosts: Hosts, ratios: Ratios) -> None:
        self.database = database
        self.hosts = hosts
        self.ratios = ratios

    def providers(self, context: RequestContext, wanted: Wanted = Wanted()) -> list[Provider]:  # noqa: B008
        """All compute hosts that are as `wanted`, the oldest first."""
        rows = self.hosts.hypervisors(context, name=wanted.name)
        aggregates = self._aggregates()
        found = (self._provider(row, aggregates.get(row.name, ())) for row in rows)
        return [provider for provider in found if wanted.fits(provider)]

    def provider(self, context: RequestContext, id: UUID) -> Provider:
        """Raises NotFound."""
        row = self.hosts.hypervisor(context, id)
        return self._provider(row, self._aggregates(row.name).get(row.name, ()))

    def _provider(self, row: Any, aggregates: Iterable[Any]) -> Provider:
        ratios = self.ratios.after([each.properties for each in aggregates])
        return Provider(
            row.id,
            row.name,
            {
                name: Inventory(
                    total=getattr(row, column),
                    ratio=getattr(ratios, ratio),
                    used=getattr(row, f"{column}_used"),
                )
                for name, (column, ratio) in CLASSES.items()
            },
            traits_of(row.architecture, disabled=row.disabled),
            frozenset(each.id for each in aggregates),
        )

    def _aggregates(self, host: str | None = None) -> dict[str, list[Any]]:
        """Host name -> rows of the aggregates it is in; of all hosts, or of one."""
        query = sa.select(AggregateHost.host, Aggregate.id, Aggregate.properties).join(
            Aggregate, Aggregate.number == AggregateHost.aggregate
        )
        if host is not None:
            query = query.where(AggregateHost.host == host)
        found: dict[str, list[Any]] = {}
        with self.database.read() as session:
            for row in session.execute(query):
                found.setdefault(row.host, []).append(row)
        return found

    # --- who was promised what ---------------------------------------------------------------

    def promised(self, context: RequestContext, id: UUID) -> Mapping[UUID, Amounts]:
        """Instance -> what one provider has promised it.  Raises NotFound."""
        name = self.hosts.hypervisor(context, id).name
        with self.database.read() as session:
            rows = session.execute(_allocations().where(Allocation.host == name))
            return {row.instance_id: amounts_of(row) for row in rows}

    def consumer(self, context: RequestContext, id: UUID) -> Consumer | None:
        """None where nothing is promised to an instance, or there is none."""
        with self.database.read() as session:
            rows = session.execute(_allocations().where(Allocation.instance_id == id)).all()
        if not rows:
            return None
        return Consumer(
            rows[0].project_id,
            rows[0].user_id,
            {row.provider: amounts_of(row) for row in rows},
        )

    def used(self, context: RequestContext, project_id: str, user_id: str | None = None) -> Amounts:
        """What was promised to all instances of a project, or to those of one user in it.

        Raises Forbidden where that is another project's, for all but administrators.
        """
        if not context.is_admin and project_id != context.project_id:
            raise Forbidden("Only administrators may see what other projects use.")
        sums = (sa.func.coalesce(sa.func.sum(_column(name)), 0).label(name) for name in CLASSES)
        query = (
            sa.select(*sums)
            .select_from(Allocation)
            .join(Instance, Instance.id == Allocation.instance_id)
            .where(Instance.project_id == project_id)
        )
        if user_id is not None:
            query = query.where(Instance.user_id == user_id)
        with self.database.read() as session:
            row = session.execute(query).one()
        return {name: int(getattr(row, name)) for name in CLASSES}


def _allocations() -> sa.Select[Any]:
    return (
        sa.select(
            *Allocation.__table__.c,
            Host.id.label("provider"),
            Instance.project_id,
            Instance.user_id,
        )
        .join(Instance, Instance.id == Allocation.instance_id)
        .join(Host, Host.name == Allocation.host)
        .order_by(Instance.number, Host.number)
    )


def _column(name: str) -> Any:
    return Allocation.__table__.c[CLASSES[name][0]]


def amounts_of(row: Any) -> Amounts:
    """What a row promises; of what is nothing, nothing is said."""
    amounts = {name: getattr(row, column) for name, (column, _) in CLASSES.items()}
    return {name: amount for name, amount in amounts.items() if amount}


def traits_of(architecture: str | None, *, disabled: bool) -> frozenset[str]:
    """By the names of os-traits."""
    traits = {DISABLED} if disabled else set()
    if architecture:
        traits.add("HW_ARCH_" + re.sub(r"[^A-Z0-9]", "_", architecture.upper()))
    return frozenset(traits)
