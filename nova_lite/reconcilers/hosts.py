"""What hosts say of themselves, made true in the database; and the orphans on them.

A status message is what was so a moment ago.  Nothing is concluded from it
about an instance that an operation holds, or held until just now.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4, uuid5

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.bus.messages import Command, HostStatus
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database
from nova_lite.db.models import (
    UNFINISHED,
    Allocation,
    Host,
    Instance,
    Network,
    NetworkHost,
    Operation,
)
from nova_lite.db.queries import hosts
from nova_lite.domain.specs import Capacity, Role, from_json
from nova_lite.domain.states import DRIFT, PowerState, VmState
from nova_lite.operations.world import World

LOG = logging.getLogger(__name__)
#: How long an instance must have been left alone before a status message is
#: believed against what its last operation said.
SETTLED = dt.timedelta(seconds=15)
TO_BE_OFF = (VmState.SHELVED, VmState.SOFT_DELETED)
OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})


@dataclass
class _Outcome:
    commands: list[Command] = field(default_factory=list)
    wake: list[UUID] = field(default_factory=list)
    networks: list[UUID] = field(default_factory=list)


class Hosts:
    """`wake` is told of operations to run, `network_changed` of networks to look at."""

    def __init__(
        self,
        database: Database,
        world: World,
        publish: Callable[[Command], None],
        wake: Callable[[Sequence[UUID]], None],
        network_changed: Callable[[UUID], None],
    ) -> None:
        self.database = database
        self.world = world
        self.publish = publish
        self.wake = wake
        self.network_changed = network_changed

    def accept(self, status: HostStatus) -> None:
        """Note one status message, and do what follows from it."""
        outcome = _Outcome()
        with self.database.write() as session:
            now = self.world.now()
            hosts.see(session, status.role, status.host, status.zone, now, status.uptime)
            if status.role is Role.COMPUTE and status.capacity:
                self._capacity(session, status)
            if status.guests is not None:
                guests = {UUID(id): PowerState(state) for id, state in status.guests.items()}
                self._drift(session, status.host, guests)
                outcome.commands = [
                    *self._orphans(session, status.host, guests),
                    *self._running_on(session, status.host, guests),
                ]
            if status.networks is not None:
                outcome.networks = self._networks(session, status.host, status.networks)
            if status.started:
                outcome.wake = self._asked_of(session, status.host)
        for command in outcome.commands:
            self.publish(command)
        for network in outcome.networks:
            self.network_changed(network)
        if outcome.wake:
            self.wake(outcome.wake)

    def _capacity(self, session: Session, status: HostStatus) -> None:
        capacity = from_json(Capacity, status.capacity)
        values = {
            "zone": status.zone,
            "address": status.address,
            "memory_mb": capacity.memory_mb,
            "vcpus": capacity.vcpus,
            "disk_gb": capacity.disk_gb,
            "hypervisor_type": capacity.hypervisor_type,
            "hypervisor_version": capacity.hypervisor_version,
            "cpu_info": dict(capacity.cpu_info),
            "abilities": list(capacity.abilities),
            "architecture": capacity.architecture,
        }
        known = session.scalar(sa.select(Host).where(Host.name == status.host))
        if known is None:
            insert_if_absent(
                session,
                Host,
                id=uuid4(),
                name=status.host,
                memory_mb_used=0,
                vcpus_used=0,
                disk_gb_used=0,
                instances=0,
                **values,
            )
            return
        values["zone"] = known.aggregate_zone or status.zone
        values["id"] = known.id or uuid4()
        for name, value in values.items():
            if getattr(known, name) != value:
                setattr(known, name, value)

    def _asked_of(self, session: Session, host: str) -> list[UUID]:
        """A worker that starts has forgotten what it was asked: ask again, at once."""
        asked = (Operation.command_host == host, Operation.status.in_(UNFINISHED))
        waiting = list(
            session.scalars(sa.select(Operation.id).where(*asked, Operation.report.is_(None)))
        )
        if waiting:
            session.execute(
                sa.update(Operation)
                .where(Operation.id.in_(waiting), *asked)
                .values(wake_at=self.world.now())
            )
        return waiting

    def _drift(self, session: Session, host: str, guests: Mapping[UUID, PowerState]) -> None:
        """What the hypervisor did that nobody asked for becomes true here."""
        now = self.world.now()
        idle = (Instance.operation_id.is_(None), Instance.updated_at < now - SETTLED)
        found = session.execute(
            sa.select(Instance.id, Instance.vm_state, Instance.power_state).where(
                Instance.host == host, Instance.deleted == sa.false(), *idle
            )
        )
        for id, vm_state, known in found.all():
            # A guest that is gone without a word is at least not running.
            seen = guests.get(id, PowerState.SHUTDOWN)
            became = DRIFT.get((vm_state, seen), vm_state)
            if (vm_state, known) == (became, seen):
                continue
            if rows_changed(
                session,
                sa.update(Instance)
                .where(Instance.id == id, Instance.vm_state == vm_state, *idle)
                .values(vm_state=became, power_state=seen, updated_at=now),
            ):
                LOG.warning("instance %s on %s is %s: now %s", id, host, seen, became)

    def _orphans(
        self, session: Session, host: str, guests: Mapping[UUID, PowerState]
    ) -> list[Command]:
        """Guests that were ours and have no promise on this host any more are removed.

        An allocation is written before a guest can exist and goes only after
        it was removed, or its host was down; so without one the guest is a
        left-over.  Guests we never had a row for are somebody else's affair,
        and an instance that is held is its operation's: it may be about to
        make its guest here, and only it counts up the sequence.
        """
        if not guests:
            return []
        held = sa.exists().where(Allocation.instance_id == Instance.id, Allocation.host == host)
        abandoned = (Instance.operation_id.is_(None), sa.not_(held))
        orphans = session.scalars(
            sa.select(Instance.id).where(Instance.id.in_(list(guests)), *abandoned)
        ).all()
        return [
            command
            for id in orphans
            for command in self._demand(session, host, id, "guest.remove", abandoned)
        ]

    def _running_on(
        self, session: Session, host: str, guests: Mapping[UUID, PowerState]
    ) -> list[Command]:
        """Guests that are to be off until somebody wants their instances back."""
        running = [id for id, state in guests.items() if state not in OFF]
        if not running:
            return []
        to_be_off = (Instance.operation_id.is_(None), Instance.vm_state.in_(TO_BE_OFF))
        found = session.scalars(
            sa.select(Instance.id).where(Instance.id.in_(running), *to_be_off)
        ).all()
        return [
            command
            for id in found
            for command in self._demand(session, host, id, "guest.stop", to_be_off, grace=0)
        ]

    def _demand(
        self,
        session: Session,
        host: str,
        id: UUID,
        verb: str,
        while_: Sequence[sa.ColumnElement[bool]],
        **args: Any,
    ) -> Iterator[Command]:
        """A command that is nobody's operation, if the instance is still as we have seen it."""
        # Later than anything that was asked before, and earlier than what comes.
        count_up = sa.update(Instance).where(Instance.id == id, *while_)
        if not rows_changed(session, count_up.values(sequence=Instance.sequence + 1)):
            return
        sequence = session.scalars(sa.select(Instance.sequence).where(Instance.id == id)).one()
        LOG.warning("instance %s should not be like that on %s: %s", id, host, verb)
        yield Command(
            id=uuid5(id, f"{verb}:{host}:{sequence}"),
            operation_id=id,
            role=Role.COMPUTE,
            host=host,
            verb=verb,
            args={"id": str(id), **args},
            sequence=sequence,
        )

    def _networks(self, session: Session, host: str, provided: Mapping[str, int]) -> list[UUID]:
        """A gateway that lost a network (a reboot, a killed dnsmasq) has to be told again."""
        now = self.world.now()
        behind = []
        for at in session.scalars(sa.select(NetworkHost).where(NetworkHost.host == host)):
            has = provided.get(str(at.network_id), 0)
            # While a plan is on its way the message may be older than the plan.
            on_its_way = at.sent_at is not None and at.sent_at > now - SETTLED
            if has < at.applied and not on_its_way:
                at.applied = at.sent = has
                behind.append(at.network_id)
        known = set(session.scalars(sa.select(Network.id)))
        for id in map(UUID, provided):
            if id not in known:
                LOG.warning("host %s provides network %s, which is not ours", host, id)
        return behind
