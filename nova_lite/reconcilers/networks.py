"""Brings the hosts of a network up to its newest generation.

No input but the database: woken when a network changes, and now and then
anyway.  At most one plan per host and network is on its way, so a burst of
changes becomes a few complete plans.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.bus.messages import Command, Report
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database
from nova_lite.db.models import (
    UNFINISHED,
    Network,
    NetworkHost,
    Operation,
    Service,
    Subnet,
)
from nova_lite.db.queries import networks
from nova_lite.domain.specs import Role, to_json
from nova_lite.network.modes import MODES
from nova_lite.operations.flow import waiting_for_network
from nova_lite.operations.views import network_view, port_views
from nova_lite.operations.world import World

LOG = logging.getLogger(__name__)
RESEND_AFTER = dt.timedelta(seconds=10)


class Networks:
    """`wake` is told of operations that waited for a network and may go on."""

    def __init__(
        self,
        database: Database,
        world: World,
        publish: Callable[[Command], None],
        wake: Callable[[Sequence[UUID]], None],
    ) -> None:
        self.database = database
        self.world = world
        self.publish = publish
        self.wake = wake

    def reconcile(self, network_id: UUID) -> None:
        """Send what is missing to the hosts of one network, and wake who need not wait."""
        with self.database.write() as session:
            network = session.get(Network, network_id)
            if network is None:
                return
            if not network.deleted and MODES[network.mode].has_gateway:
                self._choose_gateway(session, network)
            commands = self._behind(session, network)
            waiters = self._caught_up(session, network)
            if network.deleted:
                self._forget(session, network)
        for command in commands:
            self.publish(command)
        if waiters:
            self.wake(waiters)

    def reconcile_all(self) -> None:
        """Every network that some host has not caught up with."""
        with self.database.read() as session:
            behind = session.scalars(
                sa.select(Network.id)
                .join(NetworkHost, NetworkHost.network_id == Network.id)
                .where(sa.or_(NetworkHost.applied < Network.generation, Network.deleted))
                .union(sa.select(Network.id).where(Network.deleted))
            ).all()
        for network in behind:
            self.reconcile(network)

    def accept(self, report: Report) -> None:
        """A host says that it provides a plan, or why it could not."""
        network = report.operation_id
        mine = (NetworkHost.network_id == network, NetworkHost.host == report.host)
        generation = int(report.result.get("generation", 0))
        with self.database.write() as session:
            if report.error:
                LOG.error("network %s on %s: %s", network, report.host, report.error)
                # It stays on its way until it is due again: no storm of failures.
                session.execute(sa.update(NetworkHost).where(*mine).values(error=report.error))
                return
            if report.verb == "network.remove":
                gone = sa.select(Network.id).where(Network.id == network, Network.deleted)
                session.execute(
                    sa.delete(NetworkHost).where(*mine, NetworkHost.network_id.in_(gone))
                )
            else:
                # A report that comes late says less than we know.
                news = (NetworkHost.applied <= generation, NetworkHost.sent >= generation)
                session.execute(
                    sa.update(NetworkHost)
                    .where(*mine, *news)
                    .values(applied=generation, error=None)
                )
        self.reconcile(network)

    # --- parts ----------------------------------------------------------------------------

    def _choose_gateway(self, session: Session, network: Network) -> None:
        """Give the network to a network host that is up; the first to say so decides."""
        if network.gateway_host is not None:
            return
        since = self.world.now() - self.world.settings.service_down_time
        candidates = session.scalars(
            sa.select(Service.host)
            .where(
                Service.role == Role.NETWORK,
                Service.last_seen_at > since,
                Service.disabled == sa.false(),
                Service.forced_down == sa.false(),
            )
            .order_by(Service.host)
        ).all()
        if not candidates:
            LOG.warning("network %s: no network host is up", network.id)
            return
        take = sa.update(Network).where(Network.id == network.id, Network.gateway_host.is_(None))
        host = candidates[network.id.int % len(candidates)]
        if rows_changed(session, take.values(gateway_host=host)):
            networks.provide_on(session, network.id, host)
        session.refresh(network)

    def _behind(self, session: Session, network: Network) -> list[Command]:
        """A command for each host that lacks something and has nothing on its way."""
        now = self.world.now()
        hosts = session.scalars(
            sa.select(NetworkHost)
            .where(NetworkHost.network_id == network.id)
            .execution_options(populate_existing=True)
        ).all()
        commands = []
        for at in hosts:
            if at.applied >= network.generation and not network.deleted:
                continue
            idle = at.sent <= at.applied or at.sent_at is None or at.sent_at < now - RESEND_AFTER
            mine = (NetworkHost.network_id == network.id, NetworkHost.host == at.host)
            # Of several schedulers that see this, one sends.
            if idle and rows_changed(
                session,
                sa.update(NetworkHost)
                .where(*mine, NetworkHost.sent == at.sent, NetworkHost.applied == at.applied)
                .where(
                    NetworkHost.sent_at.is_(None)
                    if at.sent_at is None
                    else NetworkHost.sent_at == at.sent_at
                )
                .values(sent=network.generation, sent_at=now),
            ):
                commands.append(self._command(session, network, at.host))
        return commands

    def _command(self, session: Session, network: Network, host: str) -> Command:
        args: dict[str, object]
        if network.deleted:
            verb, args = "network.remove", {"id": str(network.id)}
        else:
            subnets = session.scalars(
                sa.select(Subnet).where(Subnet.network_id == network.id).order_by(Subnet.created_at)
            ).all()
            plan = MODES[network.mode].on_gateway(
                network_view(network, subnets),
                port_views(session, network),
                self.world.settings.network,
            )
            verb, args = "network.ensure", {"id": str(network.id), "plan": to_json(plan)}
        return Command(
            id=uuid5(network.id, f"{verb}:{host}:{network.generation}"),
            operation_id=network.id,
            role=Role.NETWORK,
            host=host,
            verb=verb,
            args=args,
        )

    def _caught_up(self, session: Session, network: Network) -> list[UUID]:
        """Take the operations that waited for this network out of their wait, if they may."""
        waiting = [
            Operation.waiting_for == waiting_for_network(network.id),
            Operation.status.in_(UNFINISHED),
        ]
        if not network.deleted:
            applied, _ = networks.provided(session, network)
            waiting.append(Operation.waiting_generation <= applied)
        ids = list(session.scalars(sa.select(Operation.id).where(*waiting)))
        if ids:
            session.execute(
                sa.update(Operation)
                .where(Operation.id.in_(ids), *waiting)
                .values(wake_at=self.world.now(), waiting_for=None)
            )
        return ids

    def _forget(self, session: Session, network: Network) -> None:
        """The last trace goes when no host provides it any more."""
        provided = sa.select(NetworkHost.host).where(NetworkHost.network_id == network.id)
        if session.scalars(provided.limit(1)).first() is None:
            session.execute(sa.delete(Subnet).where(Subnet.network_id == network.id))
            session.execute(sa.delete(Network).where(Network.id == network.id))
