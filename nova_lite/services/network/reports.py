"""What follows from the networks there are: whom they are shared with, how full they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database
from nova_lite.db.models import FixedAddress, Network, Subnet
from nova_lite.domain.errors import NotFound

SHARES = UUID("b39d52a3-29bf-4b3e-9a5f-7a4c6a1a2f10")  # namespace of their ids


@dataclass(frozen=True)
class Share:
    """That a network may be used by everybody."""

    id: UUID
    network_id: UUID
    project_id: str  # whose it is


@dataclass(frozen=True)
class SubnetUse:
    id: UUID
    name: str
    cidr: str
    ip_version: int
    total: int  # addresses that guests may have
    used: int


@dataclass(frozen=True)
class NetworkUse:
    id: UUID
    name: str
    project_id: str
    subnets: Sequence[SubnetUse]

    @property
    def total(self) -> int:
        return sum(subnet.total for subnet in self.subnets)

    @property
    def used(self) -> int:
        return sum(subnet.used for subnet in self.subnets)


class NetworkReports:
    def __init__(self, database: Database) -> None:
        self.database = database

    def shares(self, context: RequestContext) -> list[Share]:
        """Those of the project's networks; all of them for administrators."""
        query = sa.select(Network.id, Network.project_id).where(
            Network.deleted == sa.false(), Network.shared
        )
        if not context.is_admin:
            query = query.where(Network.project_id == context.project_id)
        with self.database.read() as session:
            return [
                Share(uuid5(SHARES, str(id)), id, project_id)
                for id, project_id in session.execute(query.order_by(Network.id))
            ]

    def share(self, context: RequestContext, id: UUID) -> Share:
        for share in self.shares(context):
            if share.id == id:
                return share
        raise NotFound(f"RBAC policy of type network with ID {id} not found")

    def uses(self, context: RequestContext) -> list[NetworkUse]:
        """How many addresses each network has, and how many are taken."""
        with self.database.read() as session:
            return _uses(session, context)

    def use(self, context: RequestContext, network: UUID) -> NetworkUse:
        with self.database.read() as session:
            found = _uses(session, context, network)
        if not found:
            raise NotFound(f"Network {network} could not be found.")
        return found[0]


def _uses(
    session: Session, context: RequestContext, network: UUID | None = None
) -> list[NetworkUse]:
    taken = (
        sa.select(sa.func.count())
        .where(FixedAddress.subnet_id == Subnet.id)
        .correlate(Subnet)
        .scalar_subquery()
    )
    subnet = (Subnet.id, Subnet.name, Subnet.cidr, Subnet.pools)
    query = (
        sa.select(Network.id, Network.name, Network.project_id, *subnet, taken)
        .outerjoin(Subnet, Subnet.network_id == Network.id)
        .where(Network.deleted == sa.false())
        .order_by(Network.id, Subnet.created_at, Subnet.id)
    )
    if not context.is_admin:
        query = query.where(sa.or_(Network.project_id == context.project_id, Network.shared))
    if network is not None:
        query = query.where(Network.id == network)
    found: dict[tuple[UUID, str, str], list[SubnetUse]] = defaultdict(list)
    for id, name, project_id, subnet_id, subnet_name, cidr, pools, used in session.execute(query):
        subnets = found[id, name, project_id]
        if subnet_id is not None:
            version = 6 if ":" in cidr else 4
            subnets.append(SubnetUse(subnet_id, subnet_name, cidr, version, _size(pools), used))
    return [NetworkUse(*network, subnets) for network, subnets in found.items()]


def _size(pools: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(ip_address(p["end"])) - int(ip_address(p["start"])) + 1 for p in pools)
