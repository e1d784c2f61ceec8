"""Hosts and the workers on them, as operators see them: services, hypervisors, zones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Host, Instance, Service
from nova_lite.domain.errors import Invalid, NotFound
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
        query = sa.select(Service.__table__, self._up().label("up")).order_by(Service.number)
        if host is not None:
            query = query.where(Service.host == host)
        if binary is not None:
            if binary not in set(Role):
                return []
            query = query.where(Service.role == Role(binary))
        with self.database.read() as session:
            return session.execute(query).all()

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

    def statuses(self) -> dict[str, str]:
        """The `host_status` of servers on each compute host: UP, DOWN or MAINTENANCE."""
        query = sa.select(Service.host, Service.disabled, self._up()).where(
            Service.role == Role.COMPUTE
        )
        with self.database.read() as session:
            return {
                host: "MAINTENANCE" if disabled else "UP" if up else "DOWN"
                for host, disabled, up in session.execute(query)
            }

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
        marker: int | None = None,
    ) -> Sequence[Any]:
        """Rows of compute hosts by number, with their service and `workload`, the busy guests.

        `name` is a part of the host's.  Raises Invalid when the marker is not there.
        """
        query = self._hypervisors().limit(limit)
        if name is not None:
            query = query.where(Host.name.contains(name, autoescape=True))
        with self.database.read() as session:
            if marker is not None:
                if session.get(Host, marker) is None:
                    raise Invalid(f"marker [{marker}] not found")
                query = query.where(Host.number > marker)
            return session.execute(query).all()

    def hypervisor(self, context: RequestContext, number: int) -> Any:
        with self.database.read() as session:
            row = session.execute(self._hypervisors().where(Host.number == number)).one_or_none()
        if row is None:
            raise NotFound(f"Compute host {number} could not be found.")
        return row

    def _hypervisors(self) -> sa.Select[Any]:
        busy = (
            sa.select(sa.func.count())
            .select_from(Instance)
            .where(
                Instance.host == Host.name,
                Instance.deleted.is_(False),
                Instance.task_state.is_not(None),
            )
            .scalar_subquery()
        )
        return (
            sa.select(
                Host.__table__,
                Service.number.label("service_number"),
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
        hosts = self._hypervisors().order_by(None).where(Service.disabled.is_(False)).subquery()
        names = (*TOTALS, "workload")
        query = sa.select(sa.func.count(), *(sa.func.sum(hosts.c[name]) for name in names))
        with self.database.read() as session:
            row = session.execute(query.select_from(hosts)).one()
        return {name: int(value or 0) for name, value in zip(("count", *names), row, strict=True)}

    def guests(self, context: RequestContext, hosts: Sequence[str]) -> Mapping[str, Sequence[Any]]:
        """Host name -> (id, display_name) of the instances on it, in one query."""
        found: dict[str, list[Any]] = {host: [] for host in hosts}
        query = (
            sa.select(Instance.host, Instance.id, Instance.display_name)
            .where(Instance.host.in_(hosts), Instance.deleted.is_(False))
            .order_by(Instance.number)
        )
        with self.database.read() as session:
            for row in session.execute(query):
                found[row.host].append(row)
        return found
