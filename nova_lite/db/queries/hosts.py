"""Hosts as the scheduler wants them, and the claims on them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.models import Aggregate, AggregateHost, Allocation, Host, Service
from nova_lite.domain.capacity import AggregateRow, HostRow, Ratios, Room
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
            Host.hypervisor_type,
            Host.hypervisor_version,
            Host.architecture,
            Host.address,
            Service.disabled,
            sa.and_(Service.last_seen_at > alive_since, sa.not_(Service.forced_down)),
        ).join(Service, sa.and_(Service.host == Host.name, Service.role == Role.COMPUTE))
    )
    for name, zone, *amounts, kind, version, architecture, address, disabled, up in found:
        memory, memory_used, vcpus, vcpus_used, disk, disk_used, instances = amounts
        yield HostRow(
            name=name,
            zone=zone,
            enabled=not disabled,
            up=bool(up),
            memory_mb=memory,
            memory_mb_used=memory_used,
            vcpus=vcpus,
            vcpus_used=vcpus_used,
            disk_gb=disk,
            disk_gb_used=disk_used,
            instances=instances,
            hypervisor_type=kind,
            hypervisor_version=version,
            architecture=architecture or "",
            address=address,
        )


def aggregates(session: Session) -> list[AggregateRow]:
    """Every aggregate there is, with what is said of its hosts."""
    found = session.execute(sa.select(Aggregate.number, Aggregate.properties)).all()
    hosts: dict[int, list[str]] = {number: [] for number, _ in found}
    if hosts:
        for number, host in session.execute(sa.select(AggregateHost.aggregate, AggregateHost.host)):
            hosts.get(number, []).append(host)
    return [AggregateRow(number, metadata, frozenset(hosts[number])) for number, metadata in found]


def claim(
    session: Session,
    instance: UUID,
    host: str,
    *,
    memory_mb: int,
    vcpus: int,
    disk_gb: int,
    ratios: Ratios,
    zone: str | None = None,
) -> bool:
    """Take room on `host`, in one statement, so that two schedulers cannot both win.

    False, too, when the host was disabled, declared down or moved out of `zone`
    since somebody looked.
    """
    out_of_service = sa.exists().where(
        Service.host == host,
        Service.role == Role.COMPUTE,
        sa.or_(Service.disabled, Service.forced_down),
    )
    take = (
        sa.update(Host)
        .where(
            Host.name == host,
            sa.not_(out_of_service),
            sa.true() if zone is None else Host.zone == zone,
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


def reallocate(
    session: Session, instance: UUID, host: str, room: Room, ratios: Ratios | None = None
) -> bool:
    """Make what `instance` is promised on `host` so much; without `ratios`, there or not.

    Returns False, with nothing changed, when there is no room for more, or no promise.
    """
    held = promised(session, instance, host)
    mine = (Allocation.instance_id == instance, Allocation.host == host)
    # The row decides who gives and takes: it still says what we have read.
    as_read = [getattr(Allocation, name) == value for name, value in held._asdict().items()]
    promise = sa.update(Allocation).where(*mine)
    if not rows_changed(session, promise.where(*as_read).values(**room._asdict())):
        return False
    fits = []
    if ratios is not None:
        for more, used, total, ratio in (
            (room.memory_mb - held.memory_mb, Host.memory_mb_used, Host.memory_mb, ratios.memory),
            (room.vcpus - held.vcpus, Host.vcpus_used, Host.vcpus, ratios.vcpus),
            (room.disk_gb - held.disk_gb, Host.disk_gb_used, Host.disk_gb, ratios.disk),
        ):
            fits += [used + more <= total * ratio] if more > 0 else []
    take = (
        sa.update(Host)
        .where(Host.name == host, *fits)
        .values(
            memory_mb_used=Host.memory_mb_used + room.memory_mb - held.memory_mb,
            vcpus_used=Host.vcpus_used + room.vcpus - held.vcpus,
            disk_gb_used=Host.disk_gb_used + room.disk_gb - held.disk_gb,
        )
    )
    if rows_changed(session, take):
        return True
    session.execute(promise.values(**held._asdict()))
    return False


def promised(session: Session, instance: UUID, host: str) -> Room:
    """How much room `instance` has been promised on `host`."""
    found = sa.select(Allocation.memory_mb, Allocation.vcpus, Allocation.disk_gb).where(
        Allocation.instance_id == instance, Allocation.host == host
    )
    row = session.execute(found).one_or_none()
    return Room(*row) if row else Room(0, 0, 0)


def zone_of(session: Session, host: str) -> str:
    """The availability zone of a host."""
    return session.scalars(sa.select(Host.zone).where(Host.name == host)).one()


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


def see(
    session: Session,
    role: Role,
    host: str,
    zone: str,
    now: dt.datetime,
    uptime: str | None = None,
) -> Service:
    """Note that a worker has spoken; it is registered when it is new."""
    mine = sa.select(Service).where(Service.role == role, Service.host == host)
    service = session.scalar(mine)
    if service is None:
        insert_if_absent(
            session,
            Service,
            id=uuid4(),
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
    service.uptime = uptime or service.uptime
    service.id = service.id or uuid4()
    return service
