"""What must hold in a healthy cloud, asked of the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import Allocation, Host, Network, NetworkHost, Service


def services(session: Session) -> Sequence[Service]:
    return session.scalars(sa.select(Service).order_by(Service.role, Service.host)).all()


def miscounted(session: Session) -> list[str]:
    """Hosts whose counters are not the sum of their allocations, in words; none in health."""
    counters = {
        "MB": (Host.memory_mb_used, sa.func.sum(Allocation.memory_mb)),
        "VCPUs": (Host.vcpus_used, sa.func.sum(Allocation.vcpus)),
        "GB": (Host.disk_gb_used, sa.func.sum(Allocation.disk_gb)),
        "instances": (Host.instances, sa.func.count(Allocation.instance_id)),
    }
    rows = session.execute(
        sa.select(
            Host.name,
            *(used for used, _ in counters.values()),
            *(sa.func.coalesce(total, 0) for _, total in counters.values()),
        )
        .outerjoin(Allocation, Allocation.host == Host.name)
        .group_by(Host.number, Host.name, *(used for used, _ in counters.values()))
        .order_by(Host.name)
    )
    found = []
    for name, *values in rows:
        pairs = zip(counters, values[: len(counters)], values[len(counters) :], strict=True)
        wrong = [
            f"{used} {what} for {total} allocated" for what, used, total in pairs if used != total
        ]
        if wrong:
            found.append(f"{name}: {', '.join(wrong)}")
    return found


def homeless(session: Session) -> Sequence[str]:
    """Hosts that hold allocations and do not exist."""
    known = sa.select(Host.name)
    held = sa.select(Allocation.host).where(Allocation.host.not_in(known)).distinct()
    return session.scalars(held.order_by(Allocation.host)).all()


def networks(session: Session) -> dict[UUID, Any]:
    """What hosts make of each network: bridge, its uplink, and who is the gateway."""
    query = sa.select(Network.id, Network.bridge, Network.parent, Network.gateway_host)
    return {row.id: row for row in session.execute(query)}


def behind(session: Session) -> Sequence[Any]:
    """Hosts that do not provide the newest generation of a network, with what they say of it."""
    return session.execute(
        sa.select(
            Network.id,
            Network.name,
            Network.generation,
            Network.deleted,
            NetworkHost.host,
            NetworkHost.applied,
            NetworkHost.error,
        )
        .join(NetworkHost, NetworkHost.network_id == Network.id)
        .where(sa.or_(NetworkHost.applied < Network.generation, Network.deleted))
        .order_by(Network.name, Network.id, NetworkHost.host)
    ).all()
