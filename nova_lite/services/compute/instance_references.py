"""What a request for a server refers to: flavor, image, key, networks, zone.

Something that is not there, or not for whoever asks, is Invalid: the request
is about a server, not about the thing.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import (
    FLAVOR,
    Flavor,
    Host,
    Image,
    ImageStatus,
    Instance,
    KeyPair,
    Network,
    Port,
    SecurityGroup,
    Subnet,
)
from nova_lite.db.queries.security_groups import DEFAULT, default_group
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.services.compute.flavors import usable
from nova_lite.services.image.access import can_use


@dataclass(frozen=True)
class NetworkRequest:
    """One NIC that is asked for."""

    network: UUID | None  # None: that of the port
    address: str | None = None
    port: UUID | None = None  # one that is there
    tag: str | None = None  # what the guest is to know this NIC by


def project_of(context: RequestContext) -> str:
    if context.project_id is None:
        raise Forbidden("This needs a token that is scoped to a project.")
    return context.project_id


def flavor_for(session: Session, context: RequestContext, flavor_id: str) -> Flavor:
    try:
        flavor = usable(session, context, flavor_id)
    except NotFound as error:
        raise Invalid(str(error)) from None
    if flavor.disabled:
        raise Invalid(f"Flavor {flavor_id} could not be found.")
    return flavor


def copied(flavor: Flavor) -> dict[str, Any]:
    """The columns that an instance has of its flavor."""
    instead = {"flavor_id": "flavorid", "flavor_name": "name"}
    return {name: getattr(flavor, instead.get(name, name)) for name in FLAVOR}


def check_room(session: Session, zone: str | None, host: str | None) -> None:
    """Raises Invalid for a zone or host that is not there at all."""
    if zone is not None and not session.scalar(
        sa.select(Host.number).where(Host.zone == zone).limit(1)
    ):
        raise Invalid("The requested availability zone is not available")
    if host is not None and not session.scalar(sa.select(Host.number).where(Host.name == host)):
        raise Invalid(f"Compute host {host} could not be found.")


def _address_fits(session: Session, network: UUID, address: str) -> None:
    cidrs = session.scalars(sa.select(Subnet.cidr).where(Subnet.network_id == network))
    if not any(ip_address(address) in ip_network(cidr) for cidr in cidrs):
        raise Invalid(f"Fixed IP address {address} is not a valid IP for network {network}.")


def bootable_image(session: Session, context: RequestContext, image_id: UUID) -> Image:
    """An image that may be used, and that a guest can start from."""
    image = session.get(Image, image_id)
    if image is None or image.deleted or not can_use(session, context, image):
        raise Invalid(f"Image {image_id} could not be found.")
    if image.status is not ImageStatus.ACTIVE:
        raise Invalid(f"Image {image_id} is not active.")
    if image.content_format == "ova":
        raise Invalid(f"Image {image_id} is an archive, not a disk to start from.")
    return image


def image_for(
    session: Session, context: RequestContext, image_id: UUID | None, flavor: Flavor | Instance
) -> Image | None:
    """The image, if what the flavor (or an instance with a copy of it) has is enough for it."""
    if image_id is None:
        return None
    image = bootable_image(session, context, image_id)
    if image.min_ram > flavor.memory_mb:
        raise Invalid("Flavor's memory is too small for requested image.")
    smallest = max(image.min_disk << 30, image.virtual_size or 0)
    if flavor.root_gb and smallest > flavor.root_gb << 30:
        raise Invalid("Flavor's disk is smaller than the minimum size of the requested image.")
    return image


def of_the_image(image: Image | None) -> dict[str, Any]:
    """What an image says of how to run it: kept with the server, which may outlive it."""
    if image is None:
        return {}
    return {
        **image.properties,
        "min_disk": str(image.min_disk),
        "min_ram": str(image.min_ram),
        "disk_format": image.disk_format,
        "container_format": image.container_format,
    }


def disk_gb(flavor: Flavor, image: Image | None) -> int:
    """What the disks take at most; a flavor without a root size takes the image's."""
    whole_image = -(-(image.virtual_size or 0) >> 30) if image else 0
    return (flavor.root_gb or whole_image) + flavor.ephemeral_gb


def key_for(session: Session, context: RequestContext, name: str | None) -> KeyPair | None:
    if name is None:
        return None
    key = session.scalar(
        sa.select(KeyPair).where(KeyPair.user_id == context.user_id, KeyPair.name == name)
    )
    if key is None:
        raise Invalid("Invalid key_name provided.")
    return key


def user_data_of(encoded: str | None) -> str | None:
    if encoded is None:
        return None
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise Invalid("User data needs to be valid base 64.") from None
    if len(data) > 65535:
        raise Invalid("User data too large. User data must be no larger than 65535 bytes.")
    return base64.b64encode(data).decode()


def hostname_of(name: str, id: UUID) -> str:
    """A DNS label for a name that may hold anything."""
    label = re.sub(r"[^a-z0-9-]+", "", re.sub(r"[\s_.]+", "-", name.lower())).strip("-")
    return label[:63].rstrip("-") or f"server-{id}"


def networks_for(
    session: Session, context: RequestContext, wanted: Sequence[NetworkRequest] | str
) -> Sequence[NetworkRequest]:
    """The networks a server gets.

    "none" is none at all; "auto" the one network the project may use, and
    "any" the same, or none where there is none.
    """
    usable = sa.select(Network.id).where(
        Network.deleted == sa.false(),
        sa.or_(Network.project_id == context.project_id, Network.shared),
    )
    if wanted == "none":
        return ()
    if isinstance(wanted, str):
        found = session.scalars(usable.limit(2)).all()
        if len(found) > 1:
            raise Conflict("Multiple possible networks found, use a Network ID to be specific.")
        if not found and wanted == "auto":
            raise Invalid("Unable to automatically allocate a network: there is none to use.")
        return [NetworkRequest(id) for id in found]
    named = [w.network for w in wanted if w.port is None]
    mine = set(session.scalars(usable.where(Network.id.in_(named)))) if named else set()
    return [
        _network(session, request, mine)
        if request.port is None
        else _port(session, context, request, request.port)
        for request in wanted
    ]


def groups_for(
    session: Session,
    project_id: str,
    wanted: Sequence[str],
    networks: Sequence[NetworkRequest],
    now: dt.datetime,
) -> list[UUID] | None:
    """The security groups, named or by their ids, that new ports get; None: the default group.

    Raises Invalid for one that the project does not have, and for a network whose
    ports are not filtered; Conflict for a name that several have.
    """
    if not set(wanted) - {DEFAULT}:
        return None
    ids = named_groups(session, project_id, wanted, now)
    open_to_all = sa.select(Network.id).where(
        Network.id.in_([network.network for network in networks if network.port is None]),
        Network.port_security_enabled == sa.false(),
    )
    if session.scalar(open_to_all.limit(1)):
        raise Invalid(
            "Network requires port_security_enabled and subnet associated in order to apply "
            "security groups."
        )
    return ids


def named_groups(
    session: Session, project_id: str, wanted: Sequence[str], now: dt.datetime
) -> list[UUID]:
    """Raises Invalid for one that the project does not have, Conflict for an ambiguous name."""
    if DEFAULT in wanted:
        default_group(session, project_id, now)
    group = (SecurityGroup.id, SecurityGroup.name)
    ids = [id for id in map(_uuid, wanted) if id is not None]
    either = sa.or_(SecurityGroup.name.in_(wanted), SecurityGroup.id.in_(ids))
    found = session.execute(
        sa.select(*group).where(SecurityGroup.project_id == project_id, either)
    ).all()
    chosen = []
    for text in wanted:
        # An id is meant before a name that looks like one.
        matches = [id for id, _ in found if id == _uuid(text)] or [
            id for id, name in found if name == text
        ]
        if not matches:
            raise Invalid(f"Security group {text} not found for project {project_id}.")
        if len(matches) > 1:
            raise Conflict(
                f"Multiple security groups found matching '{text}'. Use an ID to be more specific."
            )
        chosen.append(matches[0])
    return list(dict.fromkeys(chosen))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _network(session: Session, wanted: NetworkRequest, usable: set[UUID]) -> NetworkRequest:
    if wanted.network is None or wanted.network not in usable:
        raise Invalid(f"Network {wanted.network} could not be found.")
    if wanted.address is not None:
        _address_fits(session, wanted.network, wanted.address)
    return wanted


def _port(
    session: Session, context: RequestContext, wanted: NetworkRequest, id: UUID
) -> NetworkRequest:
    """A port that is there; whoever plugs it in first has it, which is settled later."""
    port = session.get(Port, id)
    if port is None or not context.owns(port.project_id):
        raise Invalid(f"Port {id} could not be found.")
    if port.device_id:
        raise Conflict(f"Port {id} is still in use.")
    return replace(wanted, network=port.network_id)
