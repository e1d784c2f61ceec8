"""Addresses, ports, and what the hosts of a network must know."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session

from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.models import FixedAddress, Network, NetworkHost, Port, Subnet
from nova_lite.db.queries import security_groups
from nova_lite.domain.errors import Conflict, Invalid, NoMoreAddresses, NotFound
from nova_lite.domain.ids import mac_of

WINDOW = 64  # addresses looked at in one query
MAC_TRIES = 16


def touch(session: Session, network: UUID) -> None:
    """Say that gateways must hear of a change to `network`.

    Comes before any other write to the network's rows: the row lock it takes
    makes everyone who changes a network do so in turn, and a network that is
    being deleted gets no new ports.
    """
    grow = (
        sa.update(Network)
        .where(Network.id == network, Network.deleted == sa.false())
        .values(generation=Network.generation + 1)
    )
    if not rows_changed(session, grow):
        raise NotFound(f"Network {network} could not be found.")


def generation(session: Session, network: UUID) -> int:
    """The generation of a network that this transaction has touched."""
    return session.scalars(sa.select(Network.generation).where(Network.id == network)).one()


def add_port(
    session: Session,
    network: UUID,
    *,
    project_id: str,
    now: dt.datetime,
    id: UUID | None = None,
    addresses: Sequence[tuple[UUID | None, str | None]] = ((None, None),),
    mac: str | None = None,
    name: str = "",
    description: str = "",
    hostname: str = "",
    device_id: str = "",
    device_owner: str = "",
    order: int = 0,
    tag: str | None = None,
    keep: bool = False,
    groups: Collection[UUID] | None = None,
    secured: bool | None = None,
) -> UUID:
    """A port with its fixed addresses; the same `id` again is the same port.

    `addresses` names subnet and address, either of which may be left open; a
    network without subnets has none to give, and a port without an address is
    a port, too.  It is in these security `groups`, by default in that of its
    project, unless it, or the network, is not `secured`.
    Raises NotFound for a network, subnet or group that is not there, Invalid
    for an address that is not for guests, Conflict for an address or MAC that is
    taken, NoMoreAddresses when there is none left.
    """
    id = id or uuid4()
    mine = sa.select(Port.id).where(Port.id == id)
    if session.scalar(mine):
        return id
    touch(session, network)
    if secured is None:
        of_it = sa.select(Network.port_security_enabled).where(Network.id == network)
        secured = session.scalars(of_it).one()
    for candidate in [mac] if mac else _macs(id):
        if insert_if_absent(
            session,
            Port,
            id=id,
            network_id=network,
            project_id=project_id,
            mac=candidate,
            name=name,
            description=description,
            hostname=hostname,
            device_id=device_id,
            device_owner=device_owner,
            position=order,
            tag=tag,
            keep=keep,
            port_security_enabled=secured,
            created_at=now,
            updated_at=now,
        ):
            break
        if session.scalar(mine):
            return id  # somebody made the same port while we waited for the network
    else:
        raise Conflict(f"MAC address {mac or mac_of(id)} is in use on network {network}.")
    add_addresses(session, network, id, addresses)
    if secured:
        if groups is None:
            groups = [security_groups.default_group(session, project_id, now)]
        security_groups.join(session, id, groups)
    return id


def _macs(port: UUID) -> Iterator[str]:
    """MAC addresses for a port, the same each time.

    They have 24 bits to differ in: among thousands of ports two will ask for the same.
    """
    yield mac_of(port)
    for again in range(1, MAC_TRIES):
        yield mac_of(uuid5(port, f"mac {again}"))


def add_addresses(
    session: Session,
    network: UUID,
    port: UUID,
    addresses: Iterable[tuple[UUID | None, str | None]],
) -> None:
    """Give a port of a touched `network` addresses; as for `add_port`."""
    subnets = session.scalars(
        sa.select(Subnet)
        .where(Subnet.network_id == network)
        .order_by(Subnet.created_at, Subnet.id)
        # What was read before the network was touched may have changed since.
        .execution_options(populate_existing=True)
    ).all()
    for subnet_id, address in addresses:
        if subnets or (subnet_id, address) != (None, None):
            take_address(session, _choose(subnets, subnet_id, address), port, address)


def _choose(
    subnets: Sequence[Subnet], subnet_id: UUID | None, address: str | None
) -> Sequence[Subnet]:
    """The subnets an address may come from."""
    if subnet_id is not None:
        subnets = [subnet for subnet in subnets if subnet.id == subnet_id]
        if not subnets:
            raise NotFound(f"Subnet {subnet_id} could not be found.")
    if address is not None:
        wanted = _parsed(address)
        subnets = [s for s in subnets if wanted in ipaddress.ip_network(s.cidr)]
        if not subnets:
            raise Invalid(f"IP address {address} is not a valid IP for the specified network.")
    return subnets


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        raise Invalid(f"'{address}' is not a valid IP address.") from None


def take_address(
    session: Session, subnets: Sequence[Subnet], port: UUID, address: str | None = None
) -> str:
    """Give `port` an address: the one asked for, or the lowest free of the first that has one."""
    if address is not None:
        subnet, wanted = subnets[0], _parsed(address)
        base = ipaddress.ip_network(subnet.cidr)
        gateway = subnet.gateway_ip and ipaddress.ip_address(subnet.gateway_ip)
        if wanted in (base.network_address, base.broadcast_address, gateway):
            raise Invalid(f"IP address {address} is not a valid IP for the specified subnet.")
        if not _take(session, subnet, port, int(wanted) - int(base.network_address)):
            raise Conflict(f"IP address {address} is already in use on subnet {subnet.id}.")
        return str(wanted)
    for subnet in subnets:
        for offset in _free(session, subnet):
            if _take(session, subnet, port, offset):
                return _address(subnet, offset)
    raise NoMoreAddresses("No more IP addresses available on the network.")


def _take(session: Session, subnet: Subnet, port: UUID, offset: int) -> bool:
    """The primary key decides who has it."""
    return insert_if_absent(
        session,
        FixedAddress,
        subnet_id=subnet.id,
        position=offset,
        address=_address(subnet, offset),
        port_id=port,
    )


def _address(subnet: Subnet, offset: int) -> str:
    return str(ipaddress.ip_network(subnet.cidr).network_address + offset)


def _free(session: Session, subnet: Subnet) -> Iterator[int]:
    """Offsets that nobody held a moment ago, lowest first.

    The gaps are found in one query per window, beginning behind the longest
    run of taken ones, so that a full subnet costs as little as an empty one.
    """
    base = int(ipaddress.ip_network(subnet.cidr).network_address)
    gateway = subnet.gateway_ip and int(ipaddress.ip_address(subnet.gateway_ip)) - base
    for pool in subnet.pools:
        first = int(ipaddress.ip_address(pool["start"])) - base
        last = int(ipaddress.ip_address(pool["end"])) - base
        start = _first_gap(session, subnet.id, first, last)
        while start <= last:
            end = min(start + WINDOW - 1, last)
            taken = set(
                session.scalars(
                    sa.select(FixedAddress.offset).where(
                        FixedAddress.subnet_id == subnet.id,
                        FixedAddress.offset.between(start, end),
                    )
                )
            )
            yield from (o for o in range(start, end + 1) if o not in taken and o != gateway)
            start = end + 1


def _first_gap(session: Session, subnet: UUID, first: int, last: int) -> int:
    """The lowest offset of the pool that is not taken, or one beyond its end."""
    here, beyond = sa.alias(FixedAddress.__table__), sa.alias(FixedAddress.__table__)
    mine = (here.c.subnet_id == subnet, here.c.position.between(first, last))
    if not session.scalar(sa.select(sa.literal(1)).where(*mine, here.c.position == first)):
        return first
    successor = sa.exists().where(
        beyond.c.subnet_id == subnet, beyond.c.position == here.c.position + 1
    )
    gap = session.scalar(
        sa.select(here.c.position)
        .where(*mine, sa.not_(successor))
        .order_by(here.c.position)
        .limit(1)
    )
    return last + 1 if gap is None else int(gap) + 1


def remove_ports(session: Session, ports: Iterable[UUID]) -> set[UUID]:
    """Take ports away with their addresses; return the networks that changed."""
    found = session.execute(
        sa.select(Port.id, Port.network_id).where(Port.id.in_(list(ports)))
    ).all()
    networks = {network for _, network in found}
    for network in sorted(networks):
        session.execute(
            sa.update(Network)
            .where(Network.id == network)
            .values(generation=Network.generation + 1)
        )
    ids = [id for id, _ in found]
    security_groups.leave(session, ids)
    session.execute(sa.delete(FixedAddress).where(FixedAddress.port_id.in_(ids)))
    session.execute(sa.delete(Port).where(Port.id.in_(ids)))
    return networks


def network_of(session: Session, port: UUID) -> UUID | None:
    """The network a port is on; None when the port is gone."""
    return session.scalar(sa.select(Port.network_id).where(Port.id == port))


def bind_port(
    session: Session, port: UUID, device: UUID, owner: str, order: int, tag: str | None = None
) -> bool:
    """Plug a port that is there into an instance; False when something else holds it."""
    free = (Port.id == port, sa.or_(Port.device_id == "", Port.device_id == str(device)))
    bind = sa.update(Port).where(*free)
    return bool(
        rows_changed(
            session, bind.values(device_id=str(device), device_owner=owner, position=order, tag=tag)
        )
    )


def release_ports(session: Session, ports: Iterable[UUID]) -> set[UUID]:
    """Take ports from their instance; return the networks that changed.

    Those that were made with it go, those that a client made are free again.
    """
    found = session.execute(
        sa.select(Port.id, Port.network_id, Port.keep).where(Port.id.in_(list(ports)))
    ).all()
    kept = [port for port in found if port.keep]
    if kept:
        session.execute(
            sa.update(Port)
            .where(Port.id.in_([port.id for port in kept]))
            .values(device_id="", device_owner="", tag=None)
        )
    gone = remove_ports(session, [port.id for port in found if not port.keep])
    return gone | {port.network_id for port in kept}


Plugged = tuple[Port, Network, list[str]]
"""A port with its network and its fixed addresses."""


def ports_of(session: Session, device: UUID) -> list[Plugged]:
    """The NICs of an instance in order."""
    return ports_of_all(session, [device])[device]


def ports_of_all(session: Session, devices: Iterable[UUID]) -> dict[UUID, list[Plugged]]:
    """The NICs of each of these instances in order, in one statement."""
    found: dict[UUID, dict[UUID, Plugged]] = {device: {} for device in devices}
    rows = session.execute(
        sa.select(Port, Network, FixedAddress.address)
        .join(Network, Network.id == Port.network_id)
        .outerjoin(FixedAddress, FixedAddress.port_id == Port.id)
        .where(Port.device_id.in_([str(device) for device in found]))
        .order_by(Port.order, Port.id, FixedAddress.offset)
        # A generation read earlier in this transaction is an old one.
        .execution_options(populate_existing=True)
    ).all()
    for port, network, address in rows:
        ports = found[UUID(port.device_id)]
        ports.setdefault(port.id, (port, network, []))[2].extend([address] if address else [])
    return {device: list(ports.values()) for device, ports in found.items()}


def provide_on(session: Session, network: UUID, host: str) -> bool:
    """Note that `host` has to provide `network`; say whether that is news."""
    return insert_if_absent(session, NetworkHost, network_id=network, host=host, applied=0, sent=0)


def provided(session: Session, network: Network) -> tuple[int, str | None]:
    """The generation that the network's gateway provides (0: none), and its last error."""
    found = session.execute(
        sa.select(NetworkHost.applied, NetworkHost.error).where(
            NetworkHost.network_id == network.id, NetworkHost.host == network.gateway_host
        )
    ).one_or_none()
    return (found.applied, found.error) if found else (0, None)


def leases(session: Session, network: UUID) -> list[tuple[str, str, list[str]]]:
    """MAC, host name and addresses of each port of a network, the oldest port first."""
    found: dict[str, tuple[str, str, list[str]]] = {}
    for mac, hostname, address in session.execute(
        sa.select(Port.mac, Port.hostname, FixedAddress.address)
        .join(FixedAddress, FixedAddress.port_id == Port.id)
        .where(Port.network_id == network)
        .order_by(Port.created_at, Port.id, FixedAddress.offset)
    ):
        found.setdefault(mac, (mac, hostname, []))[2].append(address)
    return list(found.values())


class instance_of(sa.sql.expression.FunctionElement[UUID]):
    """The instance id that a port's `device_id` holds, for joins; '' is no instance's.

    One is text because Neutron's is, the other a UUID, and each database keeps
    those in a way of its own: written so, the join finds instances by their index.
    """

    type = sa.Uuid()
    inherit_cache = True


@compiles(instance_of)
def _without_dashes(element: Any, compiler: Any, **how: Any) -> str:
    text = compiler.process(element.clauses, **how)
    if not compiler.dialect.supports_native_uuid:
        return f"replace({text}, '-', '')"
    return f"CAST(NULLIF({text}, '') AS UUID)"
