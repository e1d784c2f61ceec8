"""The invariants: what must hold whenever nothing is under way, and mostly while it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import (
    Allocation,
    FixedAddress,
    Host,
    Instance,
    Migration,
    Operation,
    Port,
)
from nova_lite.domain.states import VmState


def leftovers(session: Session, guests: Iterable[tuple[str, UUID]]) -> Iterator[str]:
    """Every claim, address, counter or guest (host, id) that no living instance accounts for."""
    living = session.scalars(sa.select(Instance).where(Instance.deleted == sa.false())).all()
    live = {instance.id: instance.host for instance in living}
    places = {(instance.id, instance.host) for instance in living}
    # Until a resize is confirmed the way back is kept open.
    resized = [i.id for i in living if i.vm_state is VmState.RESIZED]
    for move in session.scalars(sa.select(Migration).where(Migration.instance_id.in_(resized))):
        places |= {(move.instance_id, move.source), (move.instance_id, move.dest)}
    without_host = {i.id for i in living if i.vm_state is VmState.SHELVED_OFFLOADED}
    allocations = session.scalars(sa.select(Allocation)).all()
    held = {(a.instance_id, a.host) for a in allocations}
    for id, host in held:
        if (id, host) not in places:
            yield f"a claim of {id} on {host}"
    for id, placed in live.items():
        if placed and (id, placed) not in held:
            yield f"instance {id} is on {placed} without a claim"
    ports = session.execute(sa.select(Port.id, Port.device_id)).all()
    for port, device in ports:
        if device and live.get(UUID(device)) is None and UUID(device) not in without_host:
            yield f"port {port} of {device}"
    known = {port for port, _ in ports}
    for address, owner in session.execute(sa.select(FixedAddress.address, FixedAddress.port_id)):
        if owner not in known:
            yield f"address {address} of port {owner}, which is gone"
    for host, id in guests:
        if (id, host) not in places:
            yield f"guest {id} on {host}"
    for row in session.scalars(sa.select(Host)):
        mine = [a for a in allocations if a.host == row.name]
        for what, counted, sums in (
            ("memory_mb_used", row.memory_mb_used, sum(a.memory_mb for a in mine)),
            ("vcpus_used", row.vcpus_used, sum(a.vcpus for a in mine)),
            ("disk_gb_used", row.disk_gb_used, sum(a.disk_gb for a in mine)),
            ("instances", row.instances, len(mine)),
        ):
            if counted != sums:
                yield f"{row.name}: {what} is {counted}, its allocations are {sums}"


def unfinished(session: Session) -> Iterator[str]:
    """Every operation that is still under way, and what it waits for."""
    for op in session.scalars(sa.select(Operation).where(Operation.wake_at.is_not(None))):
        yield f"{op.kind} of {op.target_id} at {op.step}: {op.waiting_for} {op.error or ''}"
