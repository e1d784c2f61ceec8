"""Hosts as the scheduler wants them, and the claims on them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.models import Allocation, Host, Service
from nova_lite.domain.capacity import HostRow, Ratios
from nova_lite.domain.specs import Role


def rows(session: Session, alive_since: dt.datetime) -> Iterator[HostRow]:
    """Every compute host; `up` when its worker was heard of after `alive_since`."""
    found = session.execute(
        sa.select(
            Host.name,
            Host.zone,
            Host.memory_mb,
            Host.memory_mb_used,
            Host.vcpus,
            Host.vcpus_used,
            Host.disk_gb,
            Host.disk_gb_used,
            Host.instances,
            Service.disabled,
            sa.and_(Service.last_seen_at > alive_since, sa.not_(Service.forced_down)),
        ).join(Service, sa.and_(Service.host == Host.name, Service.role == Role.COMPUTE))
    )
    for name, zone, memory, memory_used, vcpus, vcpus_used, disk, disk_used, n, off, up in found:
        yield HostRow(
            name=name,
            zone=zone,
            enabled=not off,
            up=bool(up),
            memory_mb=memory,
            memory_mb_used=memory_used,
            vcpus=vcpus,
            vcpus_used=vcpus_used,
            disk_gb=disk,
            disk_gb_used=disk_used,
            instances=n,
        )


def claim(
    session: Session,
    instance: UUID,
    host: str,
    *,
    memory_mb: int,
    vcpus: int,
    disk_gb: int,
    ratios: Ratios,
) -> bool:
    """Take room on `host`, in one statement, so that two schedulers cannot both win."""
    take = (
        sa.update(Host)
        .where(
            Host.name == host,
            Host.memory_mb_used + memory_mb <= Host.memory_mb * ratios.memory,
            Host.vcpus_used + vcpus <= Host.vcpus * ratios.vcpus,
            Host.disk_gb_used + disk_gb <= Host.disk_gb * ratios.disk,
        )
        .values(
            memory_mb_used=Host.memory_mb_used + memory_mb,
            vcpus_used=Host.vcpus_used + vcpus,
            disk_gb_used=Host.disk_gb_used + disk_gb,
            instances=Host.instances + 1,
        )
    )
    if not rows_changed(session, take):
        return False
    session.execute(
        sa.insert(Allocation).values(
            instance_id=instance, host=host, memory_mb=memory_mb, vcpus=vcpus, disk_gb=disk_gb
        )
    )
    return True


def in_turn(session: Session, ranked: Iterable[str]) -> Iterator[str]:
    """These hosts, but those last on which another transaction is claiming right now.

    Waiting for another scheduler's claim costs time, and two that wait for each
    other's cost one of them its transaction; an equally good host costs nothing.
    """
    busy = []
    for name in ranked:
        mine = sa.select(Host.number).where(Host.name == name).with_for_update(skip_locked=True)
        if session.scalar(mine) is None:
            busy.append(name)
        else:
            yield name
    yield from busy


def release(session: Session, instance: UUID, host: str) -> bool:
    """Give back what `instance` was promised on `host`; say whether there was anything."""
    mine = (Allocation.instance_id == instance, Allocation.host == host)
    held = session.execute(
        sa.select(Allocation.memory_mb, Allocation.vcpus, Allocation.disk_gb).where(*mine)
    ).one_or_none()
    # The row that goes decides who gives back: twice is once.
    if held is None or not rows_changed(session, sa.delete(Allocation).where(*mine)):
        return False
    session.execute(
        sa.update(Host)
        .where(Host.name == host)
        .values(
            memory_mb_used=Host.memory_mb_used - held.memory_mb,
            vcpus_used=Host.vcpus_used - held.vcpus,
            disk_gb_used=Host.disk_gb_used - held.disk_gb,
            instances=Host.instances - 1,
        )
    )
    return True


def allocated(session: Session, instance: UUID) -> list[str]:
    """The hosts on which `instance` holds room, and may therefore have left something."""
    found = sa.select(Allocation.host).where(Allocation.instance_id == instance)
    return list(session.scalars(found.order_by(Allocation.host)))


def see(session: Session, role: Role, host: str, zone: str, now: dt.datetime) -> Service:
    """Note that a worker has spoken; it is registered when it is new."""
    mine = sa.select(Service).where(Service.role == role, Service.host == host)
    service = session.scalar(mine)
    if service is None:
        insert_if_absent(
            session,
            Service,
            role=role,
            host=host,
            zone=zone,
            disabled=False,
            forced_down=False,
            last_seen_at=now,
            created_at=now,
        )
        service = session.scalars(mine).one()
    service.last_seen_at, service.zone = now, zone
    return service
