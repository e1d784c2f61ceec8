"""Networks, subnets and ports, whoever asks.

All that hosts must know of grows the network's generation; the network
reconciler tells them.  Ports of instances are made and removed by the
instances' own operations, with their addresses; all else of them can be changed here.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import AddressValueError, IPv4Address
from typing import Any
from uuid import UUID, uuid4, uuid5

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    COMPUTE,
    FixedAddress,
    Host,
    Instance,
    Network,
    Port,
    PortSecurityGroup,
    Service,
    Subnet,
)
from nova_lite.db.queries import networks as queries
from nova_lite.db.queries import security_groups as groups
from nova_lite.db.queries.networks import instance_of
from nova_lite.domain import subnets
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.domain.specs import Role
from nova_lite.domain.states import VmState
from nova_lite.services.compute.quotas import Quotas
from nova_lite.services.listing import Condition, Listed, Listing
from nova_lite.services.network import port_security

FLAT, FLAT_DHCP = "flat", "flatdhcp"
AGENTS = UUID("6f0d5cd0-6a1b-4d6e-9f5c-0d6f5d1b3a52")  # namespace of the agents' ids


@dataclass(frozen=True)
class NetworkSettings:
    flat_network_bridge: str = "br100"
    flat_interface: str | None = None  # joins this bridge
    default_mode: str = FLAT_DHCP
    page_size: int = 1000  # the longest list that is answered at once
    service_down_time: dt.timedelta = dt.timedelta(seconds=20)


@dataclass(frozen=True)
class NewNetwork:
    project_id: str | None = None  # None: who asks
    name: str = ""
    description: str = ""
    shared: bool = False
    port_security_enabled: bool = True  # of its ports, unless they say otherwise
    mode: str | None = None  # None: as configured
    physical_network: str | None = None  # flat: the operator's bridge; flatdhcp: the interface


@dataclass(frozen=True)
class NewSubnet:
    network_id: UUID
    cidr: str
    project_id: str | None = None
    name: str = ""
    description: str = ""
    gateway_ip: str | None = subnets.AUTO
    enable_dhcp: bool | None = None  # None: where there is somebody to serve it
    pools: Sequence[subnets.Pool] | None = None
    dns_nameservers: Sequence[str] = ()


@dataclass(frozen=True)
class NewPort:
    network_id: UUID
    project_id: str | None = None
    name: str = ""
    description: str = ""
    mac: str | None = None
    fixed_ips: Sequence[tuple[UUID | None, str | None]] | None = None  # None: any one address
    security_groups: Sequence[UUID] | None = None  # None: the default group
    port_security_enabled: bool | None = None  # None: as its network has it


@dataclass(frozen=True)
class ShownNetwork:
    id: UUID
    project_id: str
    name: str
    description: str
    mode: str
    physical_network: str | None  # as in NewNetwork
    mtu: int
    shared: bool
    admin_state_up: bool
    external: bool
    port_security_enabled: bool
    status: str
    created_at: dt.datetime
    updated_at: dt.datetime
    subnets: Sequence[UUID]


@dataclass(frozen=True)
class ShownSubnet:
    id: UUID
    network_id: UUID
    project_id: str
    name: str
    description: str
    cidr: str
    ip_version: int
    gateway_ip: str | None
    enable_dhcp: bool
    dns_nameservers: Sequence[str]
    pools: Sequence[Mapping[str, str]]
    created_at: dt.datetime
    updated_at: dt.datetime


@dataclass(frozen=True)
class ShownPort:
    id: UUID
    network_id: UUID
    project_id: str
    name: str
    description: str
    mac: str
    device_id: str
    device_owner: str
    admin_state_up: bool
    port_security_enabled: bool
    status: str
    created_at: dt.datetime
    updated_at: dt.datetime
    fixed_ips: Sequence[tuple[UUID, str]]  # subnet, address
    security_groups: Sequence[UUID]


@dataclass(frozen=True)
class Agent:
    """A network worker, as the network API speaks of it."""

    id: UUID
    host: str
    zone: str
    alive: bool
    enabled: bool
    created_at: dt.datetime
    last_seen_at: dt.datetime


# --- how they are listed ----------------------------------------------------------------------


def _ids(texts: Sequence[str]) -> list[UUID]:
    """Those that are ids at all."""
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue  # nothing has such an id
    return found


def _has_subnet(texts: Sequence[str]) -> Condition:
    return sa.exists().where(Subnet.network_id == Network.id, Subnet.id.in_(_ids(texts)))


def _has_address(texts: Sequence[str]) -> Condition:
    """`ip_address=...` and `subnet_id=...`: one address of the port is one of each that is said."""
    wanted: defaultdict[str, list[str]] = defaultdict(list)
    for text in texts:
        key, _, value = text.partition("=")
        if key not in ("ip_address", "subnet_id"):
            raise Invalid(f"'{text}' is an invalid value for filtering by fixed_ips.")
        wanted[key].append(value)
    conditions: list[Condition] = [FixedAddress.port_id == Port.id]
    if "ip_address" in wanted:
        conditions.append(FixedAddress.address.in_(wanted["ip_address"]))
    if "subnet_id" in wanted:
        conditions.append(FixedAddress.subnet_id.in_(_ids(wanted["subnet_id"])))
    return sa.exists().where(*conditions)


def _in_group(texts: Sequence[str]) -> Condition:
    return sa.exists().where(
        PortSecurityGroup.port_id == Port.id, PortSecurityGroup.group_id.in_(_ids(texts))
    )


#: What a port is while its instance is in these states; DOWN in all others.
_PORT_STATUS = {VmState.ACTIVE: "ACTIVE", VmState.PAUSED: "ACTIVE", VmState.BUILDING: "BUILD"}
_TIMES = frozenset({"created_at", "updated_at"})

NETWORKS = Listed(
    columns={
        "id": Network.id,
        "project_id": Network.project_id,
        "name": Network.name,
        "description": Network.description,
        "mode": Network.mode,
        "physical_network": sa.case((Network.mode == FLAT, Network.bridge), else_=Network.parent),
        "mtu": Network.mtu,
        "shared": Network.shared,
        "admin_state_up": Network.admin_state_up,
        "external": sa.literal(False),
        "port_security_enabled": Network.port_security_enabled,
        "status": sa.literal("ACTIVE"),
        "created_at": Network.created_at,
        "updated_at": Network.updated_at,
    },
    origin=Network,
    special={"subnets": _has_subnet},
    unsortable=frozenset({"physical_network", "external", "status"}),
    hidden=_TIMES,
)
SUBNETS = Listed(
    columns={
        "id": Subnet.id,
        "network_id": Subnet.network_id,
        "project_id": Subnet.project_id,
        "name": Subnet.name,
        "description": Subnet.description,
        "cidr": Subnet.cidr,
        "ip_version": sa.literal(4),
        "gateway_ip": Subnet.gateway_ip,
        "enable_dhcp": Subnet.enable_dhcp,
        "dns_nameservers": Subnet.dns_nameservers,
        "pools": Subnet.pools,
        "created_at": Subnet.created_at,
        "updated_at": Subnet.updated_at,
    },
    origin=sa.join(Subnet, Network, Network.id == Subnet.network_id),
    unsortable=frozenset({"ip_version", "gateway_ip"}),
    hidden=_TIMES | {"dns_nameservers", "pools"},
)
PORTS = Listed(
    columns={
        "id": Port.id,
        "network_id": Port.network_id,
        "project_id": Port.project_id,
        "name": Port.name,
        "description": Port.description,
        "mac": Port.mac,
        "device_id": Port.device_id,
        "device_owner": Port.device_owner,
        "admin_state_up": sa.literal(True),
        "port_security_enabled": Port.port_security_enabled,
        "status": sa.case(_PORT_STATUS, value=Instance.vm_state, else_="DOWN"),
        "created_at": Port.created_at,
        "updated_at": Port.updated_at,
    },
    origin=sa.join(Port, Network, Network.id == Port.network_id).outerjoin(
        Instance, Instance.id == instance_of(Port.device_id)
    ),
    special={"fixed_ips": _has_address, "security_groups": _in_group},
    unsortable=frozenset({"admin_state_up"}),
    hidden=_TIMES,
)


@dataclass(frozen=True)
class Page:
    """Some of a list: `more` says that it goes on in the direction that was asked for."""

    things: Sequence[Any]
    more: bool


class Networks:
    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        settings: NetworkSettings,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.quotas = quotas
        self.settings = settings
        self.now = now

    # --- networks ---------------------------------------------------------------------------

    def networks(self, context: RequestContext, listing: Listing) -> Page:
        """The project's own networks and those that are shared; all of them for administrators."""
        with self.database.read() as session:
            visible = _visible_networks(context)
            rows, more = NETWORKS.page(session, visible, listing, self.settings.page_size)
            return Page(_with_subnets(session, rows), more)

    def network(self, context: RequestContext, id: UUID) -> ShownNetwork:
        with self.database.read() as session:
            return self._shown_networks(session, context, [id])[0]

    @one_transaction
    def create_networks(
        self, context: RequestContext, new: Sequence[NewNetwork]
    ) -> list[ShownNetwork]:
        """All of them or none.  Raises QuotaExceeded, Conflict for a bridge in use."""
        with self.database.write() as session:
            return self._shown_networks(
                session, context, [self._add_network(session, context, one) for one in new]
            )

    def _add_network(self, session: Session, context: RequestContext, new: NewNetwork) -> UUID:
        project_id = _owner(context, new.project_id)
        self.quotas.reserve(session, project_id, networks=1)
        id, now = uuid4(), self.now()
        mode = new.mode or self.settings.default_mode
        for bridge, parent in self._bridges(mode, id, new.physical_network):
            if insert_if_absent(
                session,
                Network,
                id=id,
                project_id=project_id,
                name=new.name,
                description=new.description,
                mode=mode,
                bridge=bridge,
                parent=parent,
                mtu=1500,
                shared=new.shared,
                port_security_enabled=new.port_security_enabled,
                admin_state_up=True,
                generation=1,
                deleted=False,
                created_at=now,
                updated_at=now,
            ):
                return id
        raise Conflict(f"Physical network {new.physical_network} is in use.")

    def _bridges(self, mode: str, id: UUID, wanted: str | None) -> Iterator[tuple[str, str | None]]:
        """Bridges to try for a network, with their uplinks: the first that nobody has is taken."""
        first, interface = self.settings.flat_network_bridge, self.settings.flat_interface
        if mode == FLAT and wanted is not None:
            yield wanted, None  # the operator's bridge, whatever is in it
        elif wanted is None:
            yield first, interface if mode == FLAT_DHCP else None
            yield f"br{id.hex[:8]}", None
        elif wanted == interface:
            yield first, wanted
        else:
            # An interface can be in one bridge only: its name makes the bridge's,
            # so that of two networks that want it one finds the bridge taken.
            yield f"br{sha256(wanted.encode()).hexdigest()[:8]}", wanted

    @one_transaction
    def update_network(self, context: RequestContext, id: UUID, **values: Any) -> ShownNetwork:
        """Set name, description, shared, or port_security_enabled for new ports.

        Raises Conflict when others use what is shared.
        """
        with self.database.write() as session:
            network = self._own_network(session, context, id)
            if network.shared and values.get("shared") is False:
                foreign = sa.select(Port.id).where(
                    Port.network_id == id, Port.project_id != network.project_id
                )
                if session.scalar(foreign.limit(1)):
                    raise Conflict(
                        f"Unable to reconfigure sharing settings for network {id}. "
                        "Multiple tenants are using it."
                    )
            self._set(network, values)
            session.flush()
            return self._shown_networks(session, context, [id])[0]

    @one_transaction
    def delete_network(self, context: RequestContext, id: UUID) -> None:
        """Gone at once for everybody; the hosts let go of it as they are told.

        Raises Conflict while it has ports.
        """
        with self.database.write() as session:
            network = self._own_network(session, context, id)
            queries.touch(session, id)
            if session.scalar(sa.select(Port.id).where(Port.network_id == id).limit(1)):
                raise Conflict(
                    f"Unable to complete operation on network {id}. "
                    "There are one or more ports still in use on the network."
                )
            session.execute(sa.delete(Subnet).where(Subnet.network_id == id))
            session.execute(
                sa.update(Network)
                .where(Network.id == network.id)
                .values(deleted=True, updated_at=self.now())
            )

    # --- subnets ----------------------------------------------------------------------------

    def subnets(self, context: RequestContext, listing: Listing) -> Page:
        with self.database.read() as session:
            visible = _visible_networks(context)
            rows, more = SUBNETS.page(session, visible, listing, self.settings.page_size)
            return Page([ShownSubnet(**row._mapping) for row in rows], more)

    def subnet(self, context: RequestContext, id: UUID) -> ShownSubnet:
        with self.database.read() as session:
            return self._shown_subnets(session, context, [id])[0]

    @one_transaction
    def create_subnets(
        self, context: RequestContext, new: Sequence[NewSubnet]
    ) -> list[ShownSubnet]:
        """All of them or none.

        Raises Invalid for ranges that cannot be or that something else of this
        cloud has, Conflict for a network that has its subnet, QuotaExceeded.
        """
        with self.database.write() as session:
            return self._shown_subnets(
                session, context, [self._add_subnet(session, context, one) for one in new]
            )

    def _add_subnet(self, session: Session, context: RequestContext, new: NewSubnet) -> UUID:
        network = self._own_network(session, context, new.network_id)
        plan = subnets.plan(new.cidr, new.gateway_ip, new.pools, new.dns_nameservers)
        enable_dhcp = network.mode == FLAT_DHCP if new.enable_dhcp is None else new.enable_dhcp
        _check_dhcp(network, enable_dhcp, plan.gateway_ip)
        if not subnets.is_private(plan.cidr) and not context.is_admin:
            raise Invalid(
                f"Invalid input for cidr. '{plan.cidr}' is not a private range: "
                "only an administrator may route others to guests."
            )
        project_id = _owner(context, new.project_id or network.project_id)
        self.quotas.reserve(session, project_id, subnets=1)
        self._check_range(session, network, plan.cidr)
        queries.touch(session, network.id)
        id, now = uuid4(), self.now()
        session.add(
            Subnet(
                id=id,
                network_id=network.id,
                project_id=project_id,
                name=new.name,
                description=new.description,
                cidr=plan.cidr,
                gateway_ip=plan.gateway_ip,
                enable_dhcp=enable_dhcp,
                dns_nameservers=plan.dns_nameservers,
                pools=plan.pools,
                created_at=now,
                updated_at=now,
            )
        )
        session.flush()
        return id

    def _check_range(self, session: Session, network: Network, cidr: str) -> None:
        """The networks of a cloud share their hosts' routing table: a range exists once.

        It may not hold a host either, or that one would lose its way to the others.
        """
        # Whoever else adds a subnet anywhere waits here until we are through.
        session.execute(
            sa.select(Network.id)
            .where(Network.deleted == sa.false())
            .order_by(Network.id)
            .with_for_update()
        ).all()
        known = session.execute(sa.select(Subnet.network_id, Subnet.cidr)).all()
        if any(row.network_id == network.id for row in known):
            raise Conflict(f"Network {network.id} has its subnet: one per network is served.")
        for others, what in (
            ([row.cidr for row in known], "another subnet"),
            (_ipv4(session.scalars(sa.select(Host.address))), "the address of a host"),
        ):
            if subnets.overlapping(cidr, others):
                raise Invalid(
                    f"Invalid input for operation: Requested subnet with cidr: {cidr} for "
                    f"network: {network.id} overlaps with {what}."
                )

    @one_transaction
    def update_subnet(self, context: RequestContext, id: UUID, **values: Any) -> ShownSubnet:
        """Set name, description, gateway_ip, enable_dhcp, pools or dns_nameservers."""
        with self.database.write() as session:
            subnet = self._own_subnet(session, context, id)
            network = session.get_one(Network, subnet.network_id)
            if values.keys() - {"name", "description"}:
                queries.touch(session, network.id)
                subnet = self._own_subnet(session, context, id)  # as who came before us left it
            plan = subnets.plan(
                subnet.cidr,
                values.get("gateway_ip", subnet.gateway_ip),
                values.get("pools", subnet.pools),
                values.get("dns_nameservers", subnet.dns_nameservers),
            )
            if plan.gateway_ip != subnet.gateway_ip:
                taken = sa.select(FixedAddress.port_id).where(
                    FixedAddress.subnet_id == id, FixedAddress.address == plan.gateway_ip
                )
                if port := session.scalar(taken):
                    raise Conflict(f"Gateway ip {plan.gateway_ip} is in use by port {port}.")
            _check_dhcp(network, values.get("enable_dhcp", subnet.enable_dhcp), plan.gateway_ip)
            subnet.gateway_ip, subnet.pools = plan.gateway_ip, plan.pools
            subnet.dns_nameservers = plan.dns_nameservers
            plain = ("name", "description", "enable_dhcp")
            self._set(subnet, {name: values[name] for name in plain if name in values})
            session.flush()
            return self._shown_subnets(session, context, [id])[0]

    @one_transaction
    def delete_subnet(self, context: RequestContext, id: UUID) -> None:
        """Raises Conflict while a port has an address of it."""
        with self.database.write() as session:
            subnet = self._own_subnet(session, context, id)
            queries.touch(session, subnet.network_id)
            taken = sa.select(FixedAddress.port_id).where(FixedAddress.subnet_id == id)
            if session.scalar(taken.limit(1)):
                raise Conflict(
                    f"Unable to complete operation on subnet {id}: "
                    "One or more ports have an IP allocation from this subnet."
                )
            session.execute(sa.delete(Subnet).where(Subnet.id == id))

    # --- ports ------------------------------------------------------------------------------

    def ports(self, context: RequestContext, listing: Listing) -> Page:
        """The project's own ports, and all on networks of the project."""
        with self.database.read() as session:
            visible = _visible_ports(context)
            rows, more = PORTS.page(session, visible, listing, self.settings.page_size)
            return Page(_with_addresses(session, rows), more)

    def port(self, context: RequestContext, id: UUID) -> ShownPort:
        with self.database.read() as session:
            return self._shown_ports(session, context, [id])[0]

    @one_transaction
    def create_ports(self, context: RequestContext, new: Sequence[NewPort]) -> list[ShownPort]:
        """All of them or none.

        Raises Forbidden for who chooses addresses on a network of others, and
        what queries.add_port raises, and QuotaExceeded.
        """
        with self.database.write() as session:
            # In one order, whoever asks: two that want the same networks do not block each other.
            made = {
                i: self._add_port(session, context, one)
                for i, one in sorted(enumerate(new), key=lambda pair: pair[1].network_id)
            }
            return self._shown_ports(session, context, [made[i] for i in range(len(new))])

    def _add_port(self, session: Session, context: RequestContext, new: NewPort) -> UUID:
        network = self._network(session, context, new.network_id)
        project_id = _owner(context, new.project_id)
        chosen = new.mac or any(address for _, address in new.fixed_ips or ())
        if chosen and not context.owns(network.project_id):
            raise Forbidden("Only the owner of a network may choose addresses on it.")
        secured = port_security.for_new_port(
            session, context, network, project_id, new.port_security_enabled, new.security_groups
        )
        self.quotas.reserve(session, project_id, ports=1)
        return queries.add_port(
            session,
            network.id,
            project_id=project_id,
            addresses=((None, None),) if new.fixed_ips is None else new.fixed_ips,
            mac=new.mac and new.mac.lower(),
            name=new.name,
            description=new.description,
            keep=True,
            groups=new.security_groups,
            secured=secured,
            now=self.now(),
        )

    @one_transaction
    def update_port(
        self,
        context: RequestContext,
        id: UUID,
        *,
        fixed_ips: Sequence[tuple[UUID | None, str | None]] | None = None,
        security_groups: Sequence[UUID] | None = None,
        secured: bool | None = None,
        **values: Any,
    ) -> ShownPort:
        """Set name or description, its groups, or give it other addresses while nobody uses it."""
        with self.database.write() as session:
            port = self._port(session, context, id)
            if fixed_ips is not None:
                network = self._network(session, context, port.network_id)
                if any(address for _, address in fixed_ips) and not context.owns(
                    network.project_id
                ):
                    raise Forbidden("Only the owner of a network may choose addresses on it.")
                queries.touch(session, port.network_id)
                _check_unused(port)
                session.execute(sa.delete(FixedAddress).where(FixedAddress.port_id == id))
                queries.add_addresses(session, port.network_id, id, fixed_ips)
                groups.moved(session, [id])
            if secured is not None or security_groups is not None:
                network = self._network(session, context, port.network_id)
                port_security.change(session, context, port, network, secured, security_groups)
            self._set(port, values)
            session.flush()
            return self._shown_ports(session, context, [id])[0]

    @one_transaction
    def delete_port(self, context: RequestContext, id: UUID) -> None:
        """Raises Conflict for the port of an instance, which goes with that."""
        with self.database.write() as session:
            port = self._port(session, context, id)
            _check_unused(port)
            queries.remove_ports(session, [id])

    # --- who serves them ----------------------------------------------------------------------

    def agents(self) -> list[Agent]:
        """The network workers there are."""
        since = self.now() - self.settings.service_down_time
        with self.database.read() as session:
            found = session.scalars(
                sa.select(Service).where(Service.role == Role.NETWORK).order_by(Service.host)
            ).all()
        return [
            Agent(
                id=uuid5(AGENTS, service.host),
                host=service.host,
                zone=service.zone,
                alive=service.last_seen_at > since and not service.forced_down,
                enabled=not service.disabled,
                created_at=service.created_at,
                last_seen_at=service.last_seen_at,
            )
            for service in found
        ]

    def agent(self, id: UUID) -> Agent:
        for agent in self.agents():
            if agent.id == id:
                return agent
        raise NotFound(f"Agent {id} could not be found.")

    # --- parts --------------------------------------------------------------------------------

    def _set(self, thing: Network | Subnet | Port, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(thing, name, value)
        thing.updated_at = self.now()

    def _network(self, session: Session, context: RequestContext, id: UUID) -> Network:
        """A network that may be used."""
        query = sa.select(Network).where(Network.id == id, *_visible_networks(context))
        network = session.scalar(query)
        if network is None:
            raise NotFound(f"Network {id} could not be found.")
        return network

    def _own_network(self, session: Session, context: RequestContext, id: UUID) -> Network:
        """A network that may be changed."""
        network = self._network(session, context, id)
        if not context.owns(network.project_id):
            raise Forbidden(f"Network {id} is shared with you, and another project's to change.")
        return network

    def _own_subnet(self, session: Session, context: RequestContext, id: UUID) -> Subnet:
        subnet = session.get(Subnet, id, populate_existing=True)
        if subnet is None:
            raise NotFound(f"Subnet {id} could not be found.")
        try:
            self._own_network(session, context, subnet.network_id)
        except NotFound:
            raise NotFound(f"Subnet {id} could not be found.") from None
        return subnet

    def _port(self, session: Session, context: RequestContext, id: UUID) -> Port:
        query = sa.select(Port).join(Network, Network.id == Port.network_id)
        port = session.scalar(query.where(Port.id == id, *_visible_ports(context)))
        if port is None:
            raise NotFound(f"Port {id} could not be found.")
        return port

    def _shown_networks(
        self, session: Session, context: RequestContext, ids: Sequence[UUID]
    ) -> list[ShownNetwork]:
        rows = _by_ids(session, NETWORKS, _visible_networks(context), ids, "Network")
        return _with_subnets(session, rows)

    def _shown_subnets(
        self, session: Session, context: RequestContext, ids: Sequence[UUID]
    ) -> list[ShownSubnet]:
        rows = _by_ids(session, SUBNETS, _visible_networks(context), ids, "Subnet")
        return [ShownSubnet(**row._mapping) for row in rows]

    def _shown_ports(
        self, session: Session, context: RequestContext, ids: Sequence[UUID]
    ) -> list[ShownPort]:
        rows = _by_ids(session, PORTS, _visible_ports(context), ids, "Port")
        return _with_addresses(session, rows)


def _owner(context: RequestContext, project_id: str | None) -> str:
    """Whose a new thing is: the asker's project's, or as an administrator says."""
    project_id = project_id or context.project_id
    if project_id is None:
        raise Forbidden("This needs a token that is scoped to a project.")
    if not context.owns(project_id):
        raise Forbidden("Only an administrator may create things for other projects.")
    return project_id


def _visible_networks(context: RequestContext) -> list[Condition]:
    conditions: list[Condition] = [Network.deleted == sa.false()]
    if not context.is_admin:
        conditions.append(sa.or_(Network.project_id == context.project_id, Network.shared))
    return conditions


def _visible_ports(context: RequestContext) -> list[Condition]:
    if context.is_admin:
        return []
    mine = context.project_id
    return [sa.or_(Port.project_id == mine, Network.project_id == mine)]


def _by_ids(
    session: Session, listed: Listed, visible: Sequence[Condition], ids: Sequence[UUID], what: str
) -> list[sa.Row[Any]]:
    """The rows of these ids, in their order."""
    query = listed.select().where(*visible, listed.columns["id"].in_(ids))
    rows = {row.id: row for row in session.execute(query)}
    for id in ids:
        if id not in rows:
            raise NotFound(f"{what} {id} could not be found.")
    return [rows[id] for id in ids]


def _with_subnets(session: Session, rows: Sequence[sa.Row[Any]]) -> list[ShownNetwork]:
    found: defaultdict[UUID, list[UUID]] = defaultdict(list)
    query = sa.select(Subnet.network_id, Subnet.id).order_by(Subnet.created_at, Subnet.id)
    for network, subnet in session.execute(
        query.where(Subnet.network_id.in_([row.id for row in rows]))
    ):
        found[network].append(subnet)
    return [ShownNetwork(**row._mapping, subnets=found[row.id]) for row in rows]


def _with_addresses(session: Session, rows: Sequence[sa.Row[Any]]) -> list[ShownPort]:
    found: defaultdict[UUID, list[tuple[UUID, str]]] = defaultdict(list)
    query = sa.select(FixedAddress.port_id, FixedAddress.subnet_id, FixedAddress.address)
    for port, subnet, address in session.execute(
        query.where(FixedAddress.port_id.in_([row.id for row in rows])).order_by(
            FixedAddress.subnet_id, FixedAddress.offset
        )
    ):
        found[port].append((subnet, address))
    member = groups.groups_of(session, [row.id for row in rows])
    return [
        ShownPort(**row._mapping, fixed_ips=found[row.id], security_groups=member[row.id])
        for row in rows
    ]


def _check_dhcp(network: Network, enable_dhcp: bool, gateway_ip: str | None) -> None:
    if enable_dhcp and gateway_ip is None and network.mode == FLAT_DHCP:
        raise Invalid(
            "Invalid input for gateway_ip. DHCP is served from the gateway's address: "
            "a subnet without one needs enable_dhcp to be false."
        )


def _check_unused(port: Port) -> None:
    if port.device_owner.startswith(COMPUTE):
        raise Conflict(
            f"Port {port.id} cannot be changed or deleted directly via the port API: "
            f"has device owner {port.device_owner}."
        )


def _ipv4(addresses: Iterable[str]) -> list[str]:
    """Those that are IPv4 addresses; a host may be known by its name instead."""
    found = []
    for address in addresses:
        try:
            found.append(str(IPv4Address(address)))
        except AddressValueError:
            continue
    return found
