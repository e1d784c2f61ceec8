"""What a guest may know about itself, by the address it asks from."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import sqlalchemy as sa

from nova_lite.db.engine import Database
from nova_lite.db.models import FixedAddress, Instance, Network, Port, Subnet
from nova_lite.db.queries.networks import instance_of
from nova_lite.domain.errors import NotFound

SEED_BYTES = 512


@dataclass(frozen=True)
class GuestAddress:
    address: str
    cidr: str
    gateway_ip: str | None
    dhcp: bool
    dns_nameservers: Sequence[str]


@dataclass(frozen=True)
class GuestNic:
    port_id: UUID
    network_id: UUID
    mac: str
    mtu: int
    tag: str | None  # what its owner calls it
    addresses: Sequence[GuestAddress]


@dataclass(frozen=True)
class Guest:
    """One instance, in its own eyes."""

    id: UUID
    number: int
    project_id: str
    name: str
    hostname: str  # with the domain that its DHCP server tells it
    reservation_id: str
    launch_index: int
    image_id: UUID | None
    flavor_name: str
    ephemeral_gb: int
    zone: str
    key_name: str | None
    public_key: str | None
    user_data: bytes | None
    files: Sequence[Mapping[str, str]]  # personality: path, and contents in base64
    properties: Mapping[str, str]
    nics: Sequence[GuestNic]
    random_seed: bytes

    @property
    def address(self) -> str:
        """The first fixed address."""
        return next(at.address for nic in self.nics for at in nic.addresses)


class Metadata:
    """`domain` is what the guests' names end in; `entropy` draws so many bytes."""

    def __init__(
        self,
        database: Database,
        *,
        domain: str = "",
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.database = database
        self.domain = domain
        self.entropy = entropy

    def find(self, address: str) -> Guest:
        """The guest that has `address`, as the database says at this moment.

        Raises NotFound when nobody has it.
        """
        with self.database.read() as session:
            rows = session.execute(_FIND, {"address": address}).all()
        if not rows:
            raise NotFound("No instance has this address.")
        first = rows[0]
        nics: dict[UUID, GuestNic] = {}
        found: dict[UUID, list[GuestAddress]] = {}
        for row in rows:
            at = found.setdefault(row.port_id, [])
            nics.setdefault(
                row.port_id, GuestNic(row.port_id, row.network_id, row.mac, row.mtu, row.tag, at)
            )
            if row.address is not None:
                at.append(
                    GuestAddress(
                        row.address,
                        row.cidr,
                        row.gateway_ip,
                        row.enable_dhcp,
                        row.dns_nameservers,
                    )
                )
        return Guest(
            id=first.id,
            number=first.number,
            project_id=first.project_id,
            name=first.display_name,
            hostname=f"{first.hostname}.{self.domain}" if self.domain else first.hostname,
            reservation_id=first.reservation_id,
            launch_index=first.launch_index,
            image_id=first.image_id,
            flavor_name=first.flavor_name,
            ephemeral_gb=first.ephemeral_gb,
            zone=first.zone or "",
            key_name=first.key_name,
            public_key=first.key_data,
            user_data=None if first.user_data is None else base64.b64decode(first.user_data),
            files=first.files,
            properties=first.metadata,
            nics=list(nics.values()),
            random_seed=self.entropy(SEED_BYTES),
        )


def _find() -> sa.Select[tuple[object, ...]]:
    """One row for each address of the instance that has the one asked for."""
    asked, asked_port = sa.alias(FixedAddress.__table__), sa.alias(Port.__table__)
    instance, port, fixed = Instance.__table__.c, Port.__table__.c, FixedAddress.__table__.c
    return (
        sa.select(
            instance.id,
            instance.number,
            instance.project_id,
            instance.display_name,
            instance.hostname,
            instance.reservation_id,
            instance.launch_index,
            instance.image_id,
            instance.flavor_name,
            instance.ephemeral_gb,
            instance.zone,
            instance.key_name,
            instance.key_data,
            instance.user_data,
            instance.files,
            instance.metadata,
            port.id.label("port_id"),
            port.network_id,
            port.mac,
            port.tag,
            Network.mtu,
            fixed.address,
            Subnet.cidr,
            Subnet.gateway_ip,
            Subnet.enable_dhcp,
            Subnet.dns_nameservers,
        )
        .select_from(asked)
        .join(asked_port, asked_port.c.id == asked.c.port_id)
        .join(Instance, instance.id == instance_of(asked_port.c.device_id))
        .join(Port, port.device_id == asked_port.c.device_id)
        .join(Network, Network.id == port.network_id)
        .outerjoin(FixedAddress, fixed.port_id == port.id)
        .outerjoin(Subnet, Subnet.id == fixed.subnet_id)
        .where(asked.c.address == sa.bindparam("address"), instance.deleted == sa.false())
        .order_by(port.position, port.id, fixed.position)
    )


_FIND = _find()
