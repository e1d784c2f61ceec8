"""Lists of instances: what they may be narrowed to and sorted by, as SQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import COMPUTE, FixedAddress, Instance, Port
from nova_lite.domain.states import PowerState, VmState
from nova_lite.services import paging
from nova_lite.services.compute.instance_references import project_of
from nova_lite.services.patterns import literally, matches


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
    changed_before: dt.datetime | None = None
    locked: bool | None = None
    soft_deleted: bool = False
    power_states: Collection[PowerState] | None = None
    progress: int | None = None  # 100 when nothing is being done to it, else 0
    ids: Sequence[UUID] | None = None
    tags: Collection[str] = ()  # has all of them
    tags_any: Collection[str] = ()  # has one of them
    not_tags: Collection[str] = ()  # does not have all of them
    not_tags_any: Collection[str] = ()  # has none of them
    equal: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of Instance that have these values; never named by a client as they stand."""


def conditions(
    session: Session, context: RequestContext, filters: Filters
) -> Iterator[sa.ColumnElement[bool]]:
    if not (filters.all_projects and context.is_admin):
        yield Instance.project_id == project_of(context)
    elif filters.project_id:
        yield Instance.project_id == filters.project_id
    if filters.changed_since is None:
        yield Instance.deleted == filters.deleted
    else:
        yield Instance.updated_at >= filters.changed_since
    if filters.changed_before is not None:
        yield Instance.updated_at <= filters.changed_before
    if filters.locked is not None:
        yield Instance.locked_by.is_not(None) if filters.locked else Instance.locked_by.is_(None)
    if filters.soft_deleted:
        yield Instance.vm_state == VmState.SOFT_DELETED
    if filters.progress is not None:
        idle = {0: Instance.task_state.is_not(None), 100: Instance.task_state.is_(None)}
        yield idle.get(filters.progress, sa.false())
    if filters.name is not None:
        yield matches(INSTANCES.display_name, filters.name)
    for column, values in (
        (INSTANCES.vm_state, filters.vm_states),
        (INSTANCES.task_state, filters.task_states),
        (INSTANCES.power_state, filters.power_states),
        (INSTANCES.id, filters.ids),
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


def _tagged(tag: str) -> sa.ColumnElement[bool]:
    # As JSON in its quotes: within the text of another tag no quote stands bare.
    quoted = orjson.dumps(tag).decode()
    return sa.cast(INSTANCES.tags, sa.Text).like(f"%{literally(quoted)}%", escape="|")


def _with_address(session: Session, context: RequestContext, filters: Filters) -> list[UUID]:
    """Instances that have a fixed address like `filters.address`."""
    assert filters.address is not None
    query = (
        sa.select(Port.device_id)
        .join(FixedAddress, FixedAddress.port_id == Port.id)
        .where(Port.device_owner.startswith(COMPUTE))
        .where(matches(FixedAddress.__table__.c.address, filters.address))
    )
    if not (filters.all_projects and context.is_admin):
        query = query.where(Port.project_id == context.project_id)
    return [UUID(device) for device in session.scalars(query)]


INSTANCES = Instance.__table__.c
#: What no view shows; the first four may be long.
NOT_SHOWN = {
    *("key_data", "files", "image_properties", "password"),
    *("operation_id", "sequence", "disk_image_id", "disk_generation"),
    *("rescue_image_id", "shelved_image_id"),
    *("filters_wanted", "filters_applied", "filters_due_at"),
}
# As rows of lists have them.
COLUMNS = [
    column.label("properties" if column.name == "metadata" else column.name)
    for column in INSTANCES
    if column.name not in NOT_SHOWN
]
COLUMNS_WITHOUT_USER_DATA = [column for column in COLUMNS if column.name != "user_data"]


#: What lists may be sorted by, in Nova's words.
SORT_KEYS: dict[str, sa.ColumnElement[Any]] = {
    "access_ip_v4": paging.instead_of_null(INSTANCES.access_ip_v4, ""),
    "access_ip_v6": paging.instead_of_null(INSTANCES.access_ip_v6, ""),
    "auto_disk_config": paging.number(INSTANCES.auto_disk_config),
    "availability_zone": paging.instead_of_null(INSTANCES.zone, ""),
    "config_drive": paging.number(INSTANCES.config_drive),
    "created_at": INSTANCES.created_at,
    "display_description": paging.instead_of_null(INSTANCES.description, ""),
    "display_name": INSTANCES.display_name,
    "host": paging.instead_of_null(INSTANCES.host, ""),
    "hostname": INSTANCES.hostname,
    "image_ref": paging.instead_of_null(INSTANCES.image_id, UUID(int=0)),
    "instance_type_id": INSTANCES.flavor_id,
    "key_name": paging.instead_of_null(INSTANCES.key_name, ""),
    "launch_index": INSTANCES.launch_index,
    # A moment that has not come counts as that of its creation.
    "launched_at": sa.func.coalesce(INSTANCES.launched_at, INSTANCES.created_at),
    "locked_by": paging.instead_of_null(INSTANCES.locked_by, ""),
    "node": paging.instead_of_null(INSTANCES.host, ""),
    "power_state": INSTANCES.power_state,
    "project_id": INSTANCES.project_id,
    "task_state": paging.instead_of_null(INSTANCES.task_state, ""),
    "terminated_at": sa.func.coalesce(INSTANCES.terminated_at, INSTANCES.created_at),
    "updated_at": INSTANCES.updated_at,
    "user_id": INSTANCES.user_id,
    "uuid": INSTANCES.id,
    "vm_state": INSTANCES.vm_state,
}
