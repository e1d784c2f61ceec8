"""The ports of an instance: plugged in, pulled out, and given more or fewer addresses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import COMPUTE, FixedAddress, Instance, Port
from nova_lite.db.queries import networks, security_groups
from nova_lite.domain.errors import Conflict, Invalid, NoMoreAddresses, NotFound
from nova_lite.domain.states import Action
from nova_lite.services.compute.instance_access import begun, found, not_locked, ready
from nova_lite.services.compute.instance_references import (
    NetworkRequest,
    named_groups,
    networks_for,
)
from nova_lite.services.compute.quotas import Quotas
from nova_lite.services.network.networks import PORTS


@dataclass(frozen=True)
class Interface:
    """A port, as its instance sees it."""

    port_id: UUID
    network_id: UUID
    mac: str
    status: str
    tag: str | None
    addresses: Sequence[tuple[UUID, str]]  # subnet, address


class Interfaces:
    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        wake: Callable[[Sequence[UUID]], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.quotas = quotas
        self.wake = wake
        self.now = now

    def list(self, context: RequestContext, id: UUID) -> Sequence[Interface]:
        with self.database.read() as session:
            found(session, context, id)
            return _interfaces(session, id)

    def get(self, context: RequestContext, id: UUID, port: UUID) -> Interface:
        with self.database.read() as session:
            found(session, context, id)
            return _interface(session, id, port)

    @one_transaction
    def attach(
        self, context: RequestContext, id: UUID, wanted: NetworkRequest | None, tag: str | None
    ) -> Interface:
        """Plug in a port that is there, or a new one; None: on the one network there is.

        Raises NotFound for a port or network that is not there, Conflict for a port or
        address that is taken, Invalid when it must be said which network.
        """
        with self.database.write() as session:
            instance = ready(session, context, id, Action.ATTACH_INTERFACE)
            request = _resolved(session, context, wanted)
            order = len(_interfaces(session, id))
            port = self._plugged(session, instance, request, order)
            session.execute(sa.update(Port).where(Port.id == port).values(tag=tag))
            operations = begun(
                session,
                context,
                instance,
                "instance.attach_interface",
                self.now(),
                port_id=str(port),
            )
            plugged = _interface(session, id, port)
        self.wake(operations)
        return plugged

    def _plugged(
        self, session: Session, instance: Instance, wanted: NetworkRequest, order: int
    ) -> UUID:
        assert wanted.network is not None
        owner = f"{COMPUTE}{instance.zone}"
        if wanted.port is not None:
            networks.touch(session, wanted.network)
            if not networks.bind_port(session, wanted.port, instance.id, owner, order):
                raise Conflict(f"Port {wanted.port} is still in use.")
            return wanted.port
        self.quotas.reserve(session, instance.project_id, ports=1)
        try:
            return networks.add_port(
                session,
                wanted.network,
                id=uuid4(),
                project_id=instance.project_id,
                addresses=((None, wanted.address),),
                hostname=instance.hostname,
                device_id=str(instance.id),
                device_owner=owner,
                order=order,
                now=self.now(),
            )
        except NoMoreAddresses as error:
            raise Invalid(str(error)) from None

    @one_transaction
    def detach(self, context: RequestContext, id: UUID, port: UUID) -> None:
        with self.database.write() as session:
            # What is not there cannot be in the wrong state.
            found(session, context, id)
            _interface(session, id, port)
            instance = ready(session, context, id, Action.DETACH_INTERFACE)
            operations = begun(
                session,
                context,
                instance,
                "instance.detach_interface",
                self.now(),
                port_id=str(port),
            )
        self.wake(operations)

    # --- addresses ----------------------------------------------------------------------------

    @one_transaction
    def add_address(self, context: RequestContext, id: UUID, network: UUID) -> None:
        """One more on the port it has there.  Raises Invalid when it has none, or none is left."""
        with self.database.write() as session:
            not_locked(context, found(session, context, id, lock=True))
            mine = [i for i in _interfaces(session, id) if i.network_id == network]
            if not mine:
                raise Invalid(f"Instance {id} is not on network {network}.")
            networks.touch(session, network)
            try:
                networks.add_addresses(session, network, mine[0].port_id, [(None, None)])
                security_groups.moved(session, [mine[0].port_id])
            except NoMoreAddresses as error:
                raise Invalid(str(error)) from None

    @one_transaction
    def remove_address(self, context: RequestContext, id: UUID, address: str) -> None:
        """Raises Invalid when it does not have that address."""
        with self.database.write() as session:
            not_locked(context, found(session, context, id, lock=True))
            for interface in _interfaces(session, id):
                networks.touch(session, interface.network_id)
                gone = sa.delete(FixedAddress).where(
                    FixedAddress.port_id == interface.port_id, FixedAddress.address == address
                )
                if rows_changed(session, gone):
                    security_groups.moved(session, [interface.port_id])
                    return
            raise Invalid(f"Fixed IP {address} has no matching interface on instance {id}.")

    @one_transaction
    def refresh(self, context: RequestContext, id: UUID) -> None:
        """Have the gateways of its networks told of its addresses once more."""
        with self.database.write() as session:
            not_locked(context, found(session, context, id))
            for network in sorted({i.network_id for i in _interfaces(session, id)}):
                networks.touch(session, network)

    # --- security groups ----------------------------------------------------------------------

    @one_transaction
    def set_group(self, context: RequestContext, id: UUID, name: str, *, member: bool) -> None:
        """Put its ports into a group, or take them out.

        Raises NotFound for a group that is not there, or that none of its ports is in or could
        be in, Conflict for a name that several groups have.
        """
        with self.database.write() as session:
            instance = found(session, context, id, lock=True)
            not_locked(context, instance)
            try:
                (group,) = named_groups(session, instance.project_id, [name], self.now())
            except Invalid as error:
                raise NotFound(str(error)) from None
            ports = session.scalars(
                sa.select(Port.id)
                .where(Port.device_id == str(id), Port.port_security_enabled)
                .order_by(Port.id)
            ).all()
            groups = security_groups.groups_of(session, ports)
            inside = [port for port in ports if group in groups[port]]
            if not (ports if member else inside):
                raise NotFound(f"Security group {name} not found on any port of instance {id}.")
            if member:
                for port in ports:
                    if port not in inside:
                        security_groups.join(session, port, [group])
            else:
                security_groups.leave(session, inside, [group])


def _resolved(
    session: Session, context: RequestContext, wanted: NetworkRequest | None
) -> NetworkRequest:
    """With the network, whatever was said.  In a path of ports, what is not there is NotFound."""
    if wanted is None:
        try:
            chosen = networks_for(session, context, "auto")
        except Conflict as error:
            raise Invalid(str(error)) from None
        return chosen[0]
    try:
        (request,) = networks_for(session, context, [wanted])
        return request
    except Invalid as error:
        if wanted.address is not None:
            raise
        raise NotFound(str(error)) from None


def _interface(session: Session, instance: UUID, port: UUID) -> Interface:
    for interface in _interfaces(session, instance):
        if interface.port_id == port:
            return interface
    raise NotFound(f"No interface with port {port} on instance {instance}.")


def _interfaces(session: Session, instance: UUID) -> list[Interface]:
    mine = Port.device_id == str(instance)
    rows = session.execute(
        PORTS.select().add_columns(Port.tag).where(mine).order_by(Port.order, Port.id)
    ).all()
    addresses: dict[UUID, list[tuple[UUID, str]]] = {row.id: [] for row in rows}
    held = (
        sa.select(FixedAddress.port_id, FixedAddress.subnet_id, FixedAddress.address)
        .join(Port, Port.id == FixedAddress.port_id)
        .where(mine)
        .order_by(FixedAddress.subnet_id, FixedAddress.offset)
    )
    for port, subnet, address in session.execute(held):
        addresses[port].append((subnet, address))
    return [
        Interface(row.id, row.network_id, row.mac, row.status, row.tag, addresses[row.id])
        for row in rows
    ]
