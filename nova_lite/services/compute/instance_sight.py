"""What views of servers are made of, in as few statements as can be: most of what clients ask.

The statements are made once, as to make one costs more than to run it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa

from nova_lite.db.engine import Database
from nova_lite.db.models import (
    FixedAddress,
    Instance,
    Network,
    Port,
    PortSecurityGroup,
    SecurityGroup,
    Service,
)
from nova_lite.domain.specs import Role
from nova_lite.services.compute.instance_lists import COLUMNS, INSTANCES


class Address(NamedTuple):
    """One fixed address of an instance, as lists of servers show it."""

    network: str
    address: str
    version: int
    mac: str


class Connections(NamedTuple):
    """How an instance is reached."""

    addresses: Sequence[Address]
    groups: Sequence[str]  # names of the security groups that its ports are in


class Seen(NamedTuple):
    """A row of an instance and its connections; `host_status`: UP, DOWN, MAINTENANCE or None."""

    instance: Any
    connections: Connections
    host_status: str | None


def host_status(disabled: bool, up: bool) -> str:
    return "MAINTENANCE" if disabled else "UP" if up else "DOWN"


_PORTS, _NETWORKS, _FIXED = Port.__table__.c, Network.__table__.c, FixedAddress.__table__.c
_MEMBERS, _GROUPS = PortSecurityGroup.__table__.c, SecurityGroup.__table__.c
_GROUP = (_GROUPS.id.label("group_id"), _GROUPS.name.label("group_name"))
_SERVICES = Service.__table__.c
_UP = sa.and_(_SERVICES.last_seen_at > sa.bindparam("alive_since"), sa.not_(_SERVICES.forced_down))
_ONE = (
    sa.select(
        *COLUMNS,
        *(_NETWORKS.name.label("network"), _FIXED.address.label("address"), _PORTS.mac),
        *_GROUP,
        *(_SERVICES.disabled.label("host_disabled"), _UP.label("host_up")),
    )
    .outerjoin_from(
        Instance.__table__,
        Service.__table__,
        sa.and_(_SERVICES.host == INSTANCES.host, _SERVICES.role == Role.COMPUTE),
    )
    .outerjoin(Port.__table__, _PORTS.device_id == sa.bindparam("device"))
    .outerjoin(Network.__table__, _NETWORKS.id == _PORTS.network_id)
    .outerjoin(FixedAddress.__table__, _FIXED.port_id == _PORTS.id)
    .outerjoin(PortSecurityGroup.__table__, _MEMBERS.port_id == _PORTS.id)
    .outerjoin(SecurityGroup.__table__, _GROUPS.id == _MEMBERS.group_id)
    .where(INSTANCES.id == sa.bindparam("id"))
    .order_by(_PORTS.position, _FIXED.position)
)
_CONNECTIONS = (
    sa.select(
        *(_PORTS.device_id, _NETWORKS.name.label("network"), _FIXED.address, _PORTS.mac),
        *_GROUP,
    )
    .join_from(Port.__table__, Network.__table__, _NETWORKS.id == _PORTS.network_id)
    .outerjoin(FixedAddress.__table__, _FIXED.port_id == _PORTS.id)
    .outerjoin(PortSecurityGroup.__table__, _MEMBERS.port_id == _PORTS.id)
    .outerjoin(SecurityGroup.__table__, _GROUPS.id == _MEMBERS.group_id)
    .where(_PORTS.device_id.in_(sa.bindparam("devices", expanding=True)))
    .order_by(_PORTS.position, _FIXED.position)
)
_STATUSES = sa.select(_SERVICES.host, _SERVICES.disabled, _UP).where(
    _SERVICES.role == Role.COMPUTE, _SERVICES.host.in_(sa.bindparam("hosts", expanding=True))
)


def one(database: Database, id: UUID, alive_since: dt.datetime) -> Seen | None:
    """The instance of that id, whosever it is, gone or not."""
    words = {"id": id, "device": str(id), "alive_since": alive_since}
    rows = database.look(_ONE, words)  # one for each address in each group
    if not rows:
        return None
    first = rows[0]
    known = first.host_disabled is not None
    status = host_status(first.host_disabled, first.host_up) if known else None
    return Seen(first, _read(rows), status)


def connections(database: Database, ids: Sequence[UUID]) -> dict[UUID, Connections]:
    """The fixed addresses and groups of many instances."""
    found: dict[str, list[Any]] = {str(id): [] for id in ids}
    for row in database.look(_CONNECTIONS, {"devices": [*found]}):
        found[row.device_id].append(row)
    return {id: _read(rows) for id, rows in zip(ids, found.values(), strict=True)}


def host_statuses(
    database: Database, hosts: Iterable[str], alive_since: dt.datetime
) -> dict[str, str]:
    """By host that is one."""
    words = {"hosts": list(hosts), "alive_since": alive_since}
    return {host: host_status(*of_it) for host, *of_it in database.look(_STATUSES, words)}


def _read(rows: Iterable[Any]) -> Connections:
    addresses: dict[Address, None] = {}
    groups: dict[UUID, str] = {}
    for row in rows:
        if row.address is not None:
            version = 6 if ":" in row.address else 4
            addresses[Address(row.network, row.address, version, row.mac)] = None
        if row.group_id is not None:
            groups[row.group_id] = row.group_name or str(row.group_id)
    return Connections(list(addresses), sorted(groups.values()))
