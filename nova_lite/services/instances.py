"""What can be done to instances, whoever asks: the OpenStack facade, EC2, or a test."""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    FixedAddress,
    Flavor,
    Host,
    Image,
    ImageStatus,
    Instance,
    KeyPair,
    Network,
    Operation,
    OperationEvent,
    Port,
    Subnet,
)
from nova_lite.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    InvalidState,
    NotFound,
    NovaLiteError,
)
from nova_lite.domain.ids import reservation_id
from nova_lite.domain.states import PowerState, VmState
from nova_lite.operations import begin
from nova_lite.services import paging
from nova_lite.services.flavors import usable
from nova_lite.services.quotas import Quotas

Json = dict[str, Any]
Ask = Callable[[str, str, Json, float], Json]
"""Ask the compute worker of a host something live: host, question, arguments, seconds."""
CONSOLE_SECONDS = 10.0
MAX_CONSOLE_BYTES = 102_400
MAX_TAGS = 50


@dataclass(frozen=True)
class NetworkRequest:
    """One NIC that is asked for."""

    network: UUID
    address: str | None = None


@dataclass(frozen=True)
class NewInstance:
    """A request for one or several equal servers, in the words of no particular API."""

    name: str
    flavor_id: str
    image_id: UUID | None
    networks: Sequence[NetworkRequest] | str = "any"  # or "auto", "none": see Instances._networks
    key_name: str | None = None
    user_data: str | None = None  # base64, as it came
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    description: str | None = None
    hostname: str | None = None
    zone: str | None = None
    host: str | None = None  # an administrator's
    config_drive: bool = False
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    auto_disk_config: bool = False
    min_count: int = 1
    max_count: int = 1


@dataclass(frozen=True)
class Filters:
    """What a list of instances is narrowed to; None is "whatever"."""

    all_projects: bool = False
    project_id: str | None = None
    deleted: bool = False
    vm_states: Collection[VmState] | None = None
    task_states: Collection[str] | None = None
    name: str | None = None  # a regular expression, or a part of the name
    address: str | None = None  # the same of a fixed address
    host: str | None = None
    flavor_id: str | None = None
    reservation_id: str | None = None
    image_id: str | None = None
    changed_since: dt.datetime | None = None
    ids: Sequence[UUID] | None = None
    tags: Collection[str] = ()  # has all of them
    tags_any: Collection[str] = ()  # has one of them
    not_tags: Collection[str] = ()  # does not have all of them
    not_tags_any: Collection[str] = ()  # has none of them
    equal: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of Instance that have these values; never named by a client as they stand."""


class Address(NamedTuple):
    """One fixed address of an instance, as lists of servers show it."""

    network: str
    address: str
    version: int
    mac: str


class Instances:
    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        wake: Callable[[Sequence[UUID]], None],
        ask: Ask,
        now: Callable[[], dt.datetime],
        page_size: int = 1000,  # the longest page of any list of compute things
    ) -> None:
        self.page_size = page_size
        self.database = database
        self.quotas = quotas
        self.wake = wake
        self.ask = ask
        self.now = now

    # --- creating -------------------------------------------------------------------------

    @one_transaction
    def create(self, context: RequestContext, new: NewInstance) -> list[Instance]:
        """Promise servers: rows, operations, one transaction; the schedulers do the rest.

        Raises Invalid for references to what is not there, QuotaExceeded.
        """
        project_id = _project(context)
        now = self.now()
        with self.database.write() as session:
            flavor = _flavor(session, context, new.flavor_id)
            image = _image(session, context, new.image_id, flavor)
            key = _key(session, context, new.key_name)
            networks = self._networks(session, context, new.networks)
            _room(session, new.zone, new.host)
            self.quotas.check_metadata(len(new.properties))
            count = self.quotas.afford(
                session,
                project_id,
                new.min_count,
                new.max_count,
                {"instances": 1, "cores": flavor.vcpus, "ram": flavor.memory_mb},
            )
            common = {
                "project_id": project_id,
                "user_id": context.user_id,
                "description": new.description,
                "reservation_id": reservation_id(uuid4()),
                "flavor_id": flavor.flavorid,
                "flavor_name": flavor.name,
                "memory_mb": flavor.memory_mb,
                "vcpus": flavor.vcpus,
                "root_gb": flavor.root_gb,
                "ephemeral_gb": flavor.ephemeral_gb,
                "swap_mb": flavor.swap_mb,
                "image_id": image and image.id,
                "key_name": key and key.name,
                "key_data": key and key.public_key,
                "user_data": _user_data(new.user_data),
                "properties": dict(new.properties),
                "tags": list(new.tags),
                "requested_zone": new.zone,
                "config_drive": new.config_drive,
                "access_ip_v4": new.access_ip_v4,
                "access_ip_v6": new.access_ip_v6,
                "auto_disk_config": new.auto_disk_config,
                "vm_state": VmState.BUILDING,
                "task_state": "scheduling",
                "power_state": PowerState.NOSTATE,
                "created_at": now,
                "updated_at": now,
            }
            args = {
                "networks": [
                    {"network": str(wanted.network), "address": wanted.address}
                    for wanted in networks
                ],
                "host": new.host,
                "disk_gb": _disk_gb(flavor, image),
            }
            instances, operations = [], []
            for i in range(count):
                name = new.name if count == 1 else f"{new.name}-{i + 1}"
                operation = begin.row(
                    "instance.create",
                    id := uuid4(),
                    project_id=project_id,
                    user_id=context.user_id,
                    request_id=context.request_id,
                    now=now,
                    args=args,
                )
                operations.append(operation)
                instances.append(
                    {
                        **common,
                        "id": id,
                        "display_name": name,
                        "hostname": _hostname(new.hostname or name, id),
                        "launch_index": i,
                        "operation_id": operation["id"],
                    }
                )
            session.execute(sa.insert(Instance), instances)
            session.execute(sa.insert(Operation), operations)
        self.wake([operation["id"] for operation in operations])
        return [Instance(**values) for values in instances]

    def _networks(
        self, session: Session, context: RequestContext, wanted: Sequence[NetworkRequest] | str
    ) -> Sequence[NetworkRequest]:
        """The networks a server gets.

        "none" is none at all; "auto" the one network the project may use, and
        "any" the same, or none where there is none.
        """
        usable = sa.select(Network.id).where(
            Network.deleted.is_(False),
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
        mine = set(session.scalars(usable.where(Network.id.in_([w.network for w in wanted]))))
        for request in wanted:
            if request.network not in mine:
                raise Invalid(f"Network {request.network} could not be found.")
            if request.address is not None:
                _address_fits(session, request.network, request.address)
        return wanted

    # --- looking ---------------------------------------------------------------------------

    def get(self, context: RequestContext, id: UUID, *, deleted: bool = False) -> Instance:
        with self.database.read() as session:
            return self._get(session, context, id, deleted=deleted)

    def list(
        self,
        context: RequestContext,
        filters: Filters,
        *,
        limit: int,
        marker: UUID | None = None,
        sort: Sequence[tuple[str, bool]] = (),
        user_data: bool = False,
    ) -> Sequence[Any]:
        """A page of instances, beginning behind `marker`; the newest first.

        `sort` is other keys, of SORT_KEYS, and whether they run downwards.  Rows have
        no `key_data`, and `user_data` only when it is asked for.
        Raises Invalid when the marker is not there.
        """
        columns = _COLUMNS if user_data else _COLUMNS_WITHOUT_USER_DATA
        down = sort[0][1] if sort else True
        keys = [(SORT_KEYS[key], key_down) for key, key_down in sort] + [(_INSTANCES.number, down)]
        query = sa.select(*columns).order_by(*paging.order(keys)).limit(limit)
        with self.database.read() as session:
            if marker is not None:
                found = sa.select(*(key for key, _ in keys)).where(Instance.id == marker)
                if not context.is_admin:
                    found = found.where(Instance.project_id == context.project_id)
                at = session.execute(found).one_or_none()
                if at is None:
                    raise Invalid(f"marker [{marker}] not found")
                query = query.where(paging.behind(keys, list(at)))
            query = query.where(*self._conditions(session, context, filters))
            return session.execute(query).all()

    def _conditions(
        self, session: Session, context: RequestContext, filters: Filters
    ) -> Iterator[sa.ColumnElement[bool]]:
        if not (filters.all_projects and context.is_admin):
            yield Instance.project_id == _project(context)
        elif filters.project_id:
            yield Instance.project_id == filters.project_id
        if filters.changed_since is None:
            yield Instance.deleted.is_(filters.deleted)
        else:
            yield Instance.updated_at >= filters.changed_since
        if filters.name is not None:
            yield _like(_INSTANCES.display_name, filters.name)
        for column, values in (
            (_INSTANCES.vm_state, filters.vm_states),
            (_INSTANCES.task_state, filters.task_states),
            (_INSTANCES.id, filters.ids),
        ):
            if values is not None:
                yield column.in_(values)
        equal = {
            "host": filters.host,
            "flavor_id": filters.flavor_id,
            "reservation_id": filters.reservation_id,
        }
        for name, value in {**equal, **filters.equal}.items():
            if value is not None:
                yield getattr(Instance, name) == value
        if filters.image_id is not None:
            try:
                yield Instance.image_id == UUID(filters.image_id)
            except ValueError:
                yield sa.false()
        if filters.address is not None:
            yield Instance.id.in_(_with_address(session, context, filters))
        if filters.tags:
            yield sa.and_(*map(_tagged, filters.tags))
        if filters.tags_any:
            yield sa.or_(*map(_tagged, filters.tags_any))
        if filters.not_tags:
            yield sa.not_(sa.and_(*map(_tagged, filters.not_tags)))
        if filters.not_tags_any:
            yield sa.not_(sa.or_(*map(_tagged, filters.not_tags_any)))

    def addresses(self, ids: Sequence[UUID]) -> dict[UUID, Sequence[Address]]:
        """The fixed addresses of many instances, in one query."""
        found: dict[str, list[Address]] = {str(id): [] for id in ids}
        query = (
            sa.select(Port.device_id, Port.mac, Network.name, FixedAddress.address)
            .join(Network, Network.id == Port.network_id)
            .join(FixedAddress, FixedAddress.port_id == Port.id)
            .where(Port.device_id.in_(found))
            .order_by(Port.order, FixedAddress.offset)
        )
        with self.database.read() as session:
            for device, mac, network, address in session.execute(query):
                version = 6 if ":" in address else 4
                found[device].append(Address(network, address, version, mac))
        return dict(zip(ids, found.values(), strict=True))

    # --- changing what it says of itself -----------------------------------------------------

    def update(self, context: RequestContext, id: UUID, **values: Any) -> Instance:
        """Set what its owner says of it: display_name, description, access_ip_v4, ..."""

        def change(instance: Instance) -> None:
            for name, value in values.items():
                setattr(instance, name, value)

        return self._edit(context, id, change)

    def set_metadata(
        self,
        context: RequestContext,
        id: UUID,
        items: Mapping[str, str],
        *,
        replace: bool = False,
    ) -> Instance:
        """Add these items, or with `replace` have no others.  Raises QuotaExceeded."""

        def change(instance: Instance) -> None:
            _not_locked(context, instance)
            changed = {**({} if replace else instance.properties), **items}
            self.quotas.check_metadata(len(changed))
            instance.properties = changed

        return self._edit(context, id, change)

    def remove_metadata(self, context: RequestContext, id: UUID, key: str) -> None:
        def change(instance: Instance) -> None:
            _not_locked(context, instance)
            if key not in instance.properties:
                raise NotFound("Metadata item was not found")
            instance.properties = {k: v for k, v in instance.properties.items() if k != key}

        self._edit(context, id, change)

    def set_tags(self, context: RequestContext, id: UUID, tags: Sequence[str]) -> Instance:
        """Have these tags and no others.  Raises Invalid for more than MAX_TAGS."""

        def change(instance: Instance) -> None:
            instance.tags = _some_tags(tags)

        return self._edit(context, id, change)

    def add_tag(self, context: RequestContext, id: UUID, tag: str) -> bool:
        """Say whether it is new.  Raises Invalid when there are MAX_TAGS already."""
        new = False

        def change(instance: Instance) -> None:
            nonlocal new
            new = tag not in instance.tags
            instance.tags = _some_tags([*instance.tags, tag])

        self._edit(context, id, change)
        return new

    def remove_tag(self, context: RequestContext, id: UUID, tag: str) -> None:
        def change(instance: Instance) -> None:
            if tag not in instance.tags:
                raise NotFound(f"Server {id} has no tag '{tag}'")
            instance.tags = [other for other in instance.tags if other != tag]

        self._edit(context, id, change)

    def lock(self, context: RequestContext, id: UUID) -> None:
        """Refuse to change it until it is unlocked; an administrator is not refused."""

        def change(instance: Instance) -> None:
            owner = instance.project_id == context.project_id
            # An owner's lock does not weaken an administrator's.
            if instance.locked_by is None or not owner:
                instance.locked_by = "owner" if owner else "admin"

        self._edit(context, id, change)

    def unlock(self, context: RequestContext, id: UUID) -> None:
        """Raises Forbidden for an owner when an administrator has locked it."""

        def change(instance: Instance) -> None:
            if instance.locked_by == "admin" and not context.is_admin:
                raise Forbidden(f"Instance {id} was locked by an administrator.")
            instance.locked_by = None

        self._edit(context, id, change)

    @one_transaction
    def reset(self, context: RequestContext, id: UUID, vm_state: VmState) -> None:
        """An administrator's word on what it is; what was being done to it is given up."""
        now = self.now()
        with self.database.write() as session:
            held = self._get(session, context, id).operation_id
            if held is not None:
                begin.cancel(
                    session, held, "an administrator has reset the state of the instance", now
                )
            mine = (
                Instance.operation_id.is_(None) if held is None else Instance.operation_id == held
            )
            say = (
                sa.update(Instance)
                .where(Instance.id == id, Instance.deleted.is_(False), mine)
                .values(vm_state=vm_state, task_state=None, operation_id=None, updated_at=now)
            )
            if not rows_changed(session, say):
                raise Conflict(f"Instance {id} is being changed by another request.")

    @one_transaction
    def _edit(
        self, context: RequestContext, id: UUID, change: Callable[[Instance], None]
    ) -> Instance:
        with self.database.write() as session:
            instance = self._get(session, context, id, lock=True)
            change(instance)
            instance.updated_at = self.now()
            return instance

    # --- asking for deeds ---------------------------------------------------------------------

    def start(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.start")

    def stop(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.stop")

    def reboot(self, context: RequestContext, id: UUID, *, hard: bool) -> None:
        self._begin(
            context,
            id,
            "instance.reboot",
            task_state="rebooting_hard" if hard else "rebooting",
            hard=hard,
        )

    def delete(self, context: RequestContext, id: UUID) -> None:
        """Whatever it is doing, wherever it is; asked twice is asked once."""
        self._begin(context, id, "instance.delete")

    @one_transaction
    def _begin(
        self,
        context: RequestContext,
        id: UUID,
        kind: str,
        task_state: str | None = None,
        **args: Any,
    ) -> None:
        with self.database.write() as session:
            instance = self._get(session, context, id)
            _not_locked(context, instance)
            if instance.host is None and kind != "instance.delete" and not instance.task_state:
                raise InvalidState(
                    f"Instance {id} in vm_state {instance.vm_state} has no host: "
                    "it was never built, and can only be deleted."
                )
            values = begin.row(
                kind,
                id,
                project_id=instance.project_id,
                user_id=context.user_id,
                request_id=context.request_id,
                now=self.now(),
                args=args,
            )
            operation = begin.begin(session, instance, values, task_state)
        if operation is not None:
            self.wake([operation])

    def console_log(self, context: RequestContext, id: UUID, lines: int | None = None) -> str:
        """The end of what the guest wrote to its serial port: all of it, or `lines` lines.

        Raises Conflict when there is no host to ask, or it does not answer.
        """
        instance = self.get(context, id)
        if instance.host is None:
            raise Conflict(f"Instance {id} is not ready")
        try:
            answer = self.ask(
                instance.host,
                "console.log",
                {"id": str(id), "max_bytes": MAX_CONSOLE_BYTES},
                CONSOLE_SECONDS,
            )
        except NovaLiteError as error:
            raise Conflict(f"The console log of instance {id} cannot be read: {error}") from None
        text = base64.b64decode(answer["log"]).decode(errors="replace")
        if lines is None or lines < 0:
            return text
        return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""

    # --- the journal ------------------------------------------------------------------------

    def actions(
        self, context: RequestContext, id: UUID, *, deleted: bool = True
    ) -> Sequence[Operation]:
        """What was asked of an instance, the newest first; `deleted`: also of one that is gone."""
        with self.database.read() as session:
            self._get(session, context, id, deleted=deleted)
            return session.scalars(
                sa.select(Operation)
                .where(Operation.target_id == id)
                .order_by(Operation.number.desc())
                .limit(1000)
            ).all()

    def action(
        self, context: RequestContext, id: UUID, request_id: str, *, deleted: bool = True
    ) -> tuple[Operation, Sequence[OperationEvent]]:
        """One action with its steps; the one under way is the last, and has no end."""
        with self.database.read() as session:
            self._get(session, context, id, deleted=deleted)
            operation = session.scalars(
                sa.select(Operation)
                .where(Operation.target_id == id, Operation.request_id == request_id)
                .limit(1)
            ).first()
            if operation is None:
                raise NotFound(f"Action for request_id {request_id} on instance {id} not found")
            events = session.scalars(
                sa.select(OperationEvent)
                .where(OperationEvent.operation_id == operation.id)
                .order_by(OperationEvent.number)
            ).all()
            return operation, events

    # --- parts ----------------------------------------------------------------------------

    def _get(
        self,
        session: Session,
        context: RequestContext,
        id: UUID,
        *,
        deleted: bool = False,
        lock: bool = False,
    ) -> Instance:
        query = sa.select(Instance).where(Instance.id == id)
        instance = session.scalar(query.with_for_update() if lock else query)
        gone = instance is None or (instance.deleted and not deleted)
        if instance is None or gone or not context.owns(instance.project_id):
            raise NotFound(f"Instance {id} could not be found.")
        return instance


def _project(context: RequestContext) -> str:
    if context.project_id is None:
        raise Forbidden("This needs a token that is scoped to a project.")
    return context.project_id


def _not_locked(context: RequestContext, instance: Instance) -> None:
    if instance.locked_by is not None and not context.is_admin:
        raise Conflict(f"Instance {instance.id} is locked")


def _some_tags(tags: Iterable[str]) -> list[str]:
    unique = list(dict.fromkeys(tags))
    if len(unique) > MAX_TAGS:
        raise Invalid(f"The number of tags exceeded the per-server limit {MAX_TAGS}")
    return unique


def _flavor(session: Session, context: RequestContext, flavor_id: str) -> Flavor:
    try:
        flavor = usable(session, context, flavor_id)
    except NotFound as error:
        raise Invalid(str(error)) from None
    if flavor.disabled:
        raise Invalid(f"Flavor {flavor_id} could not be found.")
    return flavor


def _room(session: Session, zone: str | None, host: str | None) -> None:
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


def _image(
    session: Session, context: RequestContext, image_id: UUID | None, flavor: Flavor
) -> Image | None:
    if image_id is None:
        return None
    image = session.get(Image, image_id)
    if image is None or image.deleted or not can_use(context, image):
        raise Invalid(f"Image {image_id} could not be found.")
    if image.status is not ImageStatus.ACTIVE:
        raise Invalid(f"Image {image_id} is not active.")
    if image.min_ram > flavor.memory_mb:
        raise Invalid("Flavor's memory is too small for requested image.")
    smallest = max(image.min_disk << 30, image.virtual_size or 0)
    if flavor.root_gb and smallest > flavor.root_gb << 30:
        raise Invalid("Flavor's disk is smaller than the minimum size of the requested image.")
    return image


def can_use(context: RequestContext, image: Image) -> bool:
    return image.visibility in ("public", "community") or context.owns(image.owner)


def _disk_gb(flavor: Flavor, image: Image | None) -> int:
    """What the disks take at most; a flavor without a root size takes the image's."""
    whole_image = -(-(image.virtual_size or 0) >> 30) if image else 0
    return (flavor.root_gb or whole_image) + flavor.ephemeral_gb


def _key(session: Session, context: RequestContext, name: str | None) -> KeyPair | None:
    if name is None:
        return None
    key = session.scalar(
        sa.select(KeyPair).where(KeyPair.user_id == context.user_id, KeyPair.name == name)
    )
    if key is None:
        raise Invalid("Invalid key_name provided.")
    return key


def _user_data(encoded: str | None) -> str | None:
    if encoded is None:
        return None
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise Invalid("User data needs to be valid base 64.") from None
    if len(data) > 65535:
        raise Invalid("User data too large. User data must be no larger than 65535 bytes.")
    return base64.b64encode(data).decode()


def _hostname(name: str, id: UUID) -> str:
    """A DNS label for a name that may hold anything."""
    label = re.sub(r"[^a-z0-9-]+", "", re.sub(r"[\s_.]+", "-", name.lower())).strip("-")
    return label[:63].rstrip("-") or f"server-{id}"


def _like(column: sa.ColumnElement[str], pattern: str) -> sa.ColumnElement[bool]:
    """A filter by text without a regular-expression engine at a tenant's disposal.

    Nova hands such filters to the database as regular expressions.  What
    clients use of that are anchors around a literal: those are understood,
    and anything else is looked for as it stands.
    """
    starts, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    core = re.sub(r"\\(.)", r"\1", pattern[starts : len(pattern) - ends])
    return column.like(
        ("" if starts else "%") + _literally(core) + ("" if ends else "%"), escape="|"
    )


def _literally(text: str) -> str:
    """`text` for a LIKE whose escape is |."""
    return re.sub(r"([%_|])", r"|\1", text)


def _tagged(tag: str) -> sa.ColumnElement[bool]:
    # As JSON in its quotes: within the text of another tag no quote stands bare.
    quoted = orjson.dumps(tag).decode()
    return sa.cast(_INSTANCES.tags, sa.Text).like(f"%{_literally(quoted)}%", escape="|")


def _with_address(session: Session, context: RequestContext, filters: Filters) -> list[UUID]:
    """Instances that have a fixed address like `filters.address`."""
    assert filters.address is not None
    query = (
        sa.select(Port.device_id)
        .join(FixedAddress, FixedAddress.port_id == Port.id)
        .where(Port.device_owner.startswith("compute:"))
        .where(_like(FixedAddress.__table__.c.address, filters.address))
    )
    if not (filters.all_projects and context.is_admin):
        query = query.where(Port.project_id == context.project_id)
    return [UUID(device) for device in session.scalars(query)]


_INSTANCES = Instance.__table__.c
# As rows of lists have them.
_COLUMNS = [
    column.label("properties" if column.name == "metadata" else column.name)
    for column in _INSTANCES
    if column.name != "key_data"
]
_COLUMNS_WITHOUT_USER_DATA = [column for column in _COLUMNS if column.name != "user_data"]


#: What lists may be sorted by, in Nova's words.
SORT_KEYS: dict[str, sa.ColumnElement[Any]] = {
    "access_ip_v4": paging.instead_of_null(_INSTANCES.access_ip_v4, ""),
    "access_ip_v6": paging.instead_of_null(_INSTANCES.access_ip_v6, ""),
    "auto_disk_config": paging.number(_INSTANCES.auto_disk_config),
    "availability_zone": paging.instead_of_null(_INSTANCES.zone, ""),
    "config_drive": paging.number(_INSTANCES.config_drive),
    "created_at": _INSTANCES.created_at,
    "display_description": paging.instead_of_null(_INSTANCES.description, ""),
    "display_name": _INSTANCES.display_name,
    "host": paging.instead_of_null(_INSTANCES.host, ""),
    "hostname": _INSTANCES.hostname,
    "image_ref": paging.instead_of_null(_INSTANCES.image_id, UUID(int=0)),
    "instance_type_id": _INSTANCES.flavor_id,
    "key_name": paging.instead_of_null(_INSTANCES.key_name, ""),
    "launch_index": _INSTANCES.launch_index,
    # A moment that has not come counts as that of its creation.
    "launched_at": sa.func.coalesce(_INSTANCES.launched_at, _INSTANCES.created_at),
    "locked_by": paging.instead_of_null(_INSTANCES.locked_by, ""),
    "node": paging.instead_of_null(_INSTANCES.host, ""),
    "power_state": _INSTANCES.power_state,
    "project_id": _INSTANCES.project_id,
    "task_state": paging.instead_of_null(_INSTANCES.task_state, ""),
    "terminated_at": sa.func.coalesce(_INSTANCES.terminated_at, _INSTANCES.created_at),
    "updated_at": _INSTANCES.updated_at,
    "user_id": _INSTANCES.user_id,
    "uuid": _INSTANCES.id,
    "vm_state": _INSTANCES.vm_state,
}
