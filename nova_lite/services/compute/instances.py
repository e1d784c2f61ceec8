"""What can be done to instances, whoever asks: the OpenStack facade, EC2, or a test."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import object_session

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    Instance,
    Operation,
    OperationEvent,
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
from nova_lite.domain.states import ACTIONS, Action, PowerState, VmState
from nova_lite.operations import FLOWS, begin
from nova_lite.services import paging
from nova_lite.services.compute import instance_sight
from nova_lite.services.compute.instance_access import begun, found, gone, not_locked, ready
from nova_lite.services.compute.instance_lists import (
    COLUMNS,
    COLUMNS_WITHOUT_USER_DATA,
    INSTANCES,
    SORT_KEYS,
    Filters,
    conditions,
)
from nova_lite.services.compute.instance_references import (
    NetworkRequest,
    check_room,
    copied,
    disk_gb,
    flavor_for,
    groups_for,
    hostname_of,
    image_for,
    key_for,
    networks_for,
    of_the_image,
    project_of,
    user_data_of,
)
from nova_lite.services.compute.instance_sight import Address, Connections, Seen
from nova_lite.services.compute.quotas import Quotas
from nova_lite.services.compute.server_groups import join

Json = dict[str, Any]
Ask = Callable[[str, str, Json, float], Json]
"""Ask the compute worker of a host something live: host, question, arguments, seconds."""
CONSOLE_SECONDS = 10.0
MAX_CONSOLE_BYTES = 102_400
MAX_TAGS = 50


@dataclass(frozen=True)
class NewInstance:
    """A request for one or several equal servers, in the words of no particular API."""

    name: str
    flavor_id: str
    image_id: UUID | None
    networks: Sequence[NetworkRequest] | str = "any"  # or "auto", "none": see networks_for
    security_groups: Sequence[str] = ()  # names or ids; none: the default group
    key_name: str | None = None
    user_data: str | None = None  # base64, as it came
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: Sequence[str] = ()
    description: str | None = None
    hostname: str | None = None
    zone: str | None = None
    host: str | None = None  # an administrator's
    hints: Mapping[str, Any] = field(default_factory=dict)  # see operations/placement.py
    config_drive: bool = False
    files: Sequence[Mapping[str, str]] = ()  # path, contents in base64
    access_ip_v4: str | None = None
    access_ip_v6: str | None = None
    auto_disk_config: bool = False
    min_count: int = 1
    max_count: int = 1


class Instances:
    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        wake: Callable[[Sequence[UUID]], None],
        ask: Ask,
        now: Callable[[], dt.datetime],
        page_size: int = 1000,  # the longest page of any list of compute things
        service_down_time: dt.timedelta = dt.timedelta(seconds=60),
        reclaims: bool = False,  # what is deleted can be had back for a while
    ) -> None:
        self.page_size = page_size
        self.service_down_time = service_down_time
        self.reclaims = reclaims
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
        project_id = project_of(context)
        now = self.now()
        with self.database.write() as session:
            flavor = flavor_for(session, context, new.flavor_id)
            image = image_for(session, context, new.image_id, flavor)
            key = key_for(session, context, new.key_name)
            networks = networks_for(session, context, new.networks)
            groups = groups_for(session, project_id, new.security_groups, networks, now)
            check_room(session, new.zone, new.host)
            allowance = self.quotas.of(session, project_id, context.user_id)
            allowance.check_metadata(len(new.properties))
            allowance.check_files(new.files)
            count = allowance.afford(
                new.min_count,
                new.max_count,
                {"instances": 1, "cores": flavor.vcpus, "ram": flavor.memory_mb},
            )
            hints = {name: hint for name, hint in new.hints.items() if name != "group"}
            group = None
            if new.hints.get("group") is not None:
                group = join(session, context, allowance, new.hints["group"], count)
            common = {
                "project_id": project_id,
                "user_id": context.user_id,
                "description": new.description,
                "reservation_id": reservation_id(uuid4()),
                **copied(flavor),
                "server_group_id": group,
                "image_id": image and image.id,
                "image_properties": of_the_image(image),
                "key_name": key and key.name,
                "key_data": key and key.public_key,
                "user_data": user_data_of(new.user_data),
                "properties": dict(new.properties),
                "tags": list(new.tags),
                "requested_zone": new.zone,
                "config_drive": new.config_drive,
                "files": [dict(file) for file in new.files],
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
                    {
                        "network": str(wanted.network),
                        "address": wanted.address,
                        "port": wanted.port and str(wanted.port),
                        "tag": wanted.tag,
                    }
                    for wanted in networks
                ],
                **({} if groups is None else {"groups": [str(group) for group in groups]}),
                "host": new.host,
                "disk_gb": disk_gb(flavor, image),
                **({"hints": hints} if hints else {}),
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
                        "hostname": hostname_of(new.hostname or name, id),
                        "launch_index": i,
                        "operation_id": operation["id"],
                    }
                )
            session.execute(sa.insert(Instance), instances)
            session.execute(sa.insert(Operation), operations)
        self.wake([operation["id"] for operation in operations])
        return [Instance(**values) for values in instances]

    # --- looking ---------------------------------------------------------------------------

    def get(self, context: RequestContext, id: UUID, *, deleted: bool = False) -> Instance:
        with self.database.read() as session:
            return found(session, context, id, deleted=deleted)

    def look(self, context: RequestContext, id: UUID) -> Seen:
        """As `get`, but all that a view shows, in one statement; not to be changed."""
        seen = instance_sight.one(self.database, id, self.now() - self.service_down_time)
        if seen is None or seen.instance.deleted or not context.owns(seen.instance.project_id):
            raise gone(id)
        return seen

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
        nothing of NOT_SHOWN, and `user_data` only when it is asked for.
        Raises Invalid when the marker is not there.
        """
        columns = COLUMNS if user_data else COLUMNS_WITHOUT_USER_DATA
        down = sort[0][1] if sort else True
        keys = [(SORT_KEYS[key], key_down) for key, key_down in sort] + [(INSTANCES.number, down)]
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
            query = query.where(*conditions(session, context, filters))
            # Not by the session, which would look for objects in the rows.
            return session.connection().execute(query).all()

    def addresses(self, ids: Sequence[UUID]) -> dict[UUID, Sequence[Address]]:
        """The fixed addresses of many instances, in one query."""
        return {id: found.addresses for id, found in self.connections(ids).items()}

    def connections(self, ids: Sequence[UUID]) -> dict[UUID, Connections]:
        """As `addresses`, and the names of the security groups."""
        return instance_sight.connections(self.database, ids)

    def host_statuses(self, hosts: Iterable[str]) -> dict[str, str]:
        """The `host_status` of servers on each of these: UP, DOWN or MAINTENANCE."""
        alive_since = self.now() - self.service_down_time
        return instance_sight.host_statuses(self.database, hosts, alive_since)

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
            not_locked(context, instance)
            changed = {**({} if replace else instance.properties), **items}
            session = object_session(instance)
            assert session is not None  # it was read in this transaction
            allowance = self.quotas.of(session, instance.project_id, context.user_id)
            allowance.check_metadata(len(changed))
            instance.properties = changed

        return self._edit(context, id, change)

    def remove_metadata(self, context: RequestContext, id: UUID, key: str) -> None:
        def change(instance: Instance) -> None:
            not_locked(context, instance)
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

    def lock(self, context: RequestContext, id: UUID, reason: str | None = None) -> None:
        """Refuse to change it until it is unlocked; an administrator is not refused."""

        def change(instance: Instance) -> None:
            owner = instance.project_id == context.project_id
            # An owner's lock does not weaken an administrator's.
            if instance.locked_by is None or not owner:
                instance.locked_by = "owner" if owner else "admin"
                instance.locked_reason = reason

        self._edit(context, id, change)

    def unlock(self, context: RequestContext, id: UUID) -> None:
        """Raises Forbidden for an owner when an administrator has locked it."""

        def change(instance: Instance) -> None:
            if instance.locked_by == "admin" and not context.is_admin:
                raise Forbidden(f"Instance {id} was locked by an administrator.")
            instance.locked_by = instance.locked_reason = None

        self._edit(context, id, change)

    @one_transaction
    def reset(self, context: RequestContext, id: UUID, vm_state: VmState) -> None:
        """An administrator's word on what it is; what was being done to it is given up."""
        now = self.now()
        with self.database.write() as session:
            held = found(session, context, id).operation_id
            if held is not None:
                begin.cancel(
                    session, held, "an administrator has reset the state of the instance", now
                )
            mine = (
                Instance.operation_id.is_(None) if held is None else Instance.operation_id == held
            )
            say = (
                sa.update(Instance)
                .where(Instance.id == id, Instance.deleted == sa.false(), mine)
                .values(vm_state=vm_state, task_state=None, operation_id=None, updated_at=now)
            )
            if not rows_changed(session, say):
                raise Conflict(f"Instance {id} is being changed by another request.")

    @one_transaction
    def _edit(
        self, context: RequestContext, id: UUID, change: Callable[[Instance], None]
    ) -> Instance:
        with self.database.write() as session:
            instance = found(session, context, id, lock=True)
            change(instance)
            instance.updated_at = self.now()
            return instance

    # --- asking for deeds ---------------------------------------------------------------------

    def start(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.start")

    def stop(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.stop")

    def pause(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.pause")

    def unpause(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.unpause")

    def suspend(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.suspend")

    def resume(self, context: RequestContext, id: UUID) -> None:
        self._begin(context, id, "instance.resume")

    @one_transaction
    def reboot(self, context: RequestContext, id: UUID, *, hard: bool) -> None:
        """A soft one asks the guest, so that there must be one that runs."""
        with self.database.write() as session:
            instance = ready(session, context, id, Action.REBOOT)
            if not hard and instance.vm_state is not VmState.ACTIVE:
                raise InvalidState(
                    f"Cannot 'reboot' instance {id} while it is in vm_state {instance.vm_state}"
                )
            operations = begun(
                session,
                context,
                instance,
                "instance.reboot",
                self.now(),
                "rebooting_hard" if hard else "rebooting",
                hard=hard,
            )
        self.wake(operations)

    @one_transaction
    def delete(self, context: RequestContext, id: UUID, *, force: bool = False) -> None:
        """Whatever it is doing, wherever it is; asked twice is asked once.

        Where deleted servers can be had back, this is only the first half, unless `force`
        or asked again; but what was never built, or is on no host, has nothing to come back to.
        """
        with self.database.write() as session:
            instance = ready(session, context, id, Action.DELETE)
            at_once = (
                force
                or not self.reclaims
                or instance.host is None
                or instance.launched_at is None
                or instance.vm_state is VmState.SOFT_DELETED
                or instance.task_state == ACTIONS[Action.DELETE].task_state
            )
            kind = "instance.delete" if at_once else "instance.soft_delete"
            operations = begun(session, context, instance, kind, self.now())
        self.wake(operations)

    def restore(self, context: RequestContext, id: UUID) -> None:
        """Have one back that was deleted, but not yet for good."""
        self._begin(context, id, "instance.restore")

    @one_transaction
    def _begin(self, context: RequestContext, id: UUID, kind: str) -> None:
        with self.database.write() as session:
            instance = ready(session, context, id, FLOWS[kind].action)
            operations = begun(session, context, instance, kind, self.now())
        self.wake(operations)

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
        # What follows the last line break counts as a line, as it does to Nova's clients.
        return "\n".join(text.split("\n")[-lines:]) if lines else ""

    # --- the journal ------------------------------------------------------------------------

    def actions(
        self,
        context: RequestContext,
        id: UUID,
        *,
        deleted: bool = True,
        changed_since: dt.datetime | None = None,
        changed_before: dt.datetime | None = None,
        limit: int = 1000,
        marker: str | None = None,
    ) -> Sequence[Operation]:
        """What was asked of an instance, the newest first; `deleted`: also of one that is gone.

        Raises Invalid for a marker, a request id, that is not there.
        """
        mine = sa.select(Operation).where(Operation.target_id == id)
        with self.database.read() as session:
            found(session, context, id, deleted=deleted)
            if marker is not None:
                last = session.scalars(mine.where(Operation.request_id == marker)).first()
                if last is None:
                    raise Invalid(f"marker [{marker}] not found")
                mine = mine.where(Operation.number < last.number)
            if changed_since is not None:
                mine = mine.where(Operation.updated_at >= changed_since)
            if changed_before is not None:
                mine = mine.where(Operation.updated_at <= changed_before)
            return session.scalars(mine.order_by(Operation.number.desc()).limit(limit)).all()

    def action(
        self, context: RequestContext, id: UUID, request_id: str, *, deleted: bool = True
    ) -> tuple[Operation, Sequence[OperationEvent]]:
        """One action with its steps; the one under way is the last, and has no end."""
        with self.database.read() as session:
            found(session, context, id, deleted=deleted)
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


def _some_tags(tags: Iterable[str]) -> list[str]:
    unique = list(dict.fromkeys(tags))
    if len(unique) > MAX_TAGS:
        raise Invalid(f"The number of tags exceeded the per-server limit {MAX_TAGS}")
    return unique
