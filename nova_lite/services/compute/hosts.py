"""Hosts and the workers on them, as operators see them: services, hypervisors, zones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import AggregateHost, Allocation, Host, Instance, Service
from nova_lite.domain.errors import Conflict, Invalid, NotFound
from nova_lite.domain.specs import Role

#: What a hypervisor has and gives, summed over the fleet.
TOTALS = (
    "vcpus",
    "vcpus_used",
    "memory_mb",
    "memory_mb_used",
    "disk_gb",
    "disk_gb_used",
    "instances",
)


class Hosts:
    """A worker that said nothing for `service_down_time` is down."""

    def __init__(
        self,
        database: Database,
        service_down_time: dt.timedelta,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.service_down_time = service_down_time
        self.now = now

    # --- services ----------------------------------------------------------------------------

    def services(
        self, context: RequestContext, *, host: str | None = None, binary: str | None = None
    ) -> Sequence[Any]:
        """Rows of workers, with `up`; `binary` is a Role, and an unknown one has none."""
        query = self._services().order_by(Service.number)
        if host is not None:
            query = query.where(Service.host == host)
        if binary is not None:
            if binary not in set(Role):
                return []
            query = query.where(Service.role == Role(binary))
        return self._identified(query)

    def _services(self) -> sa.Select[Any]:
        """Workers; of a compute worker the zone is that of its host."""
        columns = [column for column in Service.__table__.c if column.name != "zone"]
        zone = sa.case((Service.role == Role.COMPUTE, Host.zone), else_=None)
        return sa.select(
            *columns, sa.func.coalesce(zone, Service.zone).label("zone"), self._up().label("up")
        ).join(Host, Host.name == Service.host, isouter=True)

    def _identified(self, query: sa.Select[Any]) -> Sequence[Any]:
        """The rows of a query; each has an id, also those that are older than ids."""
        with self.database.read() as session:
            rows = session.execute(query).all()
        if all(row.id is not None for row in rows):
            return rows
        self._identify()
        with self.database.read() as session:
            return session.execute(query).all()

    @one_transaction
    def _identify(self) -> None:
        with self.database.write() as session:
            for model in (Host, Service):
                for number in session.scalars(sa.select(model.number).where(model.id.is_(None))):
                    mine = sa.update(model).where(model.number == number, model.id.is_(None))
                    session.execute(mine.values(id=uuid4()))

    @one_transaction
    def change(self, context: RequestContext, id: UUID, **values: Any) -> Any:
        """`configure` by id, of compute workers only.  Raises NotFound, Invalid for another."""
        with self.database.write() as session:
            role = session.scalar(sa.select(Service.role).where(Service.id == id))
            if role is None:
                raise NotFound(f"Service {id} could not be found.")
            if role is not Role.COMPUTE:
                raise Invalid(
                    f"Updating a {role} service is not supported. "
                    "Only nova-compute services can be updated."
                )
            if values:
                session.execute(sa.update(Service).where(Service.id == id).values(**values))
            return session.execute(self._services().where(Service.id == id)).one()

    @one_transaction
    def remove(self, context: RequestContext, id: UUID | int) -> None:
        """Forget a worker, by number or id; one that lives is back with its next sign of life.

        Raises NotFound, Conflict for a compute worker whose host has servers.
        """
        with self.database.write() as session:
            mine = Service.number == id if isinstance(id, int) else Service.id == id
            service = session.scalar(sa.select(Service).where(mine))
            if service is None:
                raise NotFound(f"Service {id} not found.")
            if service.role is Role.COMPUTE:
                _remove_host(session, service.host)
            session.delete(service)

    @one_transaction
    def configure(self, context: RequestContext, host: str, binary: str, **values: Any) -> Service:
        """Set disabled, disabled_reason or forced_down of a worker.  Raises NotFound."""
        missing = NotFound(f"Could not find binary {binary} on host {host}.")
        if binary not in set(Role):
            raise missing
        mine = (Service.host == host, Service.role == Role(binary))
        with self.database.write() as session:
            if not rows_changed(session, sa.update(Service).where(*mine).values(**values)):
                raise missing
            return session.scalars(sa.select(Service).where(*mine)).one()

    def _up(self) -> sa.ColumnElement[bool]:
        alive_since = self.now() - self.service_down_time
        return sa.and_(Service.last_seen_at > alive_since, sa.not_(Service.forced_down))

    # --- hypervisors -------------------------------------------------------------------------

    def hypervisors(
        self,
        context: RequestContext,
        *,
        name: str | None = None,
        limit: int | None = None,
        marker: int | UUID | None = None,
    ) -> Sequence[Any]:
        """Rows of compute hosts by number, with their service and `workload`, the busy guests.

        `name` is a part of the host's.  Raises Invalid when the marker is not there.
        """
        query = self._hypervisors().limit(limit)
        if name is not None:
            query = query.where(Host.name.contains(name, autoescape=True))
        if marker is not None:
            with self.database.read() as session:
                after = session.scalar(sa.select(Host.number).where(_named(marker)))
            if after is None:
                raise Invalid(f"marker [{marker}] not found")
            query = query.where(Host.number > after)
        return self._identified(query)

    def hypervisor(self, context: RequestContext, id: int | UUID) -> Any:
        """By number or id."""
        found = self._identified(self._hypervisors().where(_named(id)))
        if not found:
            raise NotFound(f"Compute host {id} could not be found.")
        return found[0]

    def _hypervisors(self) -> sa.Select[Any]:
        busy = (
            sa.select(sa.func.count())
            .select_from(Instance)
            .where(
                Instance.host == Host.name,
                Instance.deleted == sa.false(),
                Instance.task_state.is_not(None),
            )
            .scalar_subquery()
        )
        return (
            sa.select(
                Host.__table__,
                Service.number.label("service_number"),
                Service.id.label("service_id"),
                Service.uptime,
                Service.disabled,
                Service.disabled_reason,
                self._up().label("up"),
                busy.label("workload"),
            )
            .join(Service, sa.and_(Service.host == Host.name, Service.role == Role.COMPUTE))
            .order_by(Host.number)
        )

    def totals(self, context: RequestContext) -> dict[str, int]:
        """The sums of TOTALS over all hosts that are not disabled, their `count` and `workload`."""
        hosts = self._hypervisors().order_by(None).where(Service.disabled == sa.false()).subquery()
        names = (*TOTALS, "workload")
        query = sa.select(sa.func.count(), *(sa.func.sum(hosts.c[name]) for name in names))
        with self.database.read() as session:
            row = session.execute(query.select_from(hosts)).one()
        return {name: int(value or 0) for name, value in zip(("count", *names), row, strict=True)}

    def usage(self, context: RequestContext, host: str) -> tuple[Any, Sequence[Any]]:
        """The row of a compute host by name, and (project_id, vcpus, memory_mb, disk_gb) of
        what each project has on it.  Raises NotFound.
        """
        size = sa.func.sum(Instance.root_gb + Instance.ephemeral_gb)
        used = (
            sa.select(
                Instance.project_id,
                sa.func.sum(Instance.vcpus).label("vcpus"),
                sa.func.sum(Instance.memory_mb).label("memory_mb"),
                size.label("disk_gb"),
            )
            .where(Instance.host == host, Instance.deleted == sa.false())
            .group_by(Instance.project_id)
            .order_by(Instance.project_id)
        )
        with self.database.read() as session:
            row = session.execute(self._hypervisors().where(Host.name == host)).one_or_none()
            if row is None:
                raise NotFound(f"Compute host {host} could not be found.")
            return row, session.execute(used).all()

    def guests(self, context: RequestContext, hosts: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Host name -> (id, display_name) of the instances on it, in one query."""
        found: dict[str, list[Any]] = {host: [] for host in hosts}
        query = (
            sa.select(Instance.host, Instance.id, Instance.display_name)
            .where(Instance.host.in_(hosts), Instance.deleted == sa.false())
            .order_by(Instance.number)
        )
        with self.database.read() as session:
            for row in session.execute(query):
                found[row.host].append(row)
        return found


def _named(id: int | UUID) -> sa.ColumnElement[bool]:
    return Host.number == id if isinstance(id, int) else Host.id == id


def _remove_host(session: Session, host: str) -> None:
    """A host goes with its worker.  Raises Conflict while anything is promised on it."""
    # Whoever claims room on it waits here, and then finds no host.
    session.execute(sa.select(Host.number).where(Host.name == host).with_for_update())
    if session.scalar(sa.select(sa.func.count()).where(Allocation.host == host)):
        raise Conflict(
            "Unable to delete compute service that is hosting instances. "
            "Migrate or delete the instances first."
        )
    session.execute(sa.delete(AggregateHost).where(AggregateHost.host == host))
    session.execute(sa.delete(Host).where(Host.name == host))
