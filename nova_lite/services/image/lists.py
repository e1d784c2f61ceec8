"""Lists of images: what they can be narrowed to, and in which order they come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import Image, ImageMember, ImageStatus
from nova_lite.db.queries import images as queries
from nova_lite.domain.errors import Invalid

Condition = sa.ColumnElement[bool]
SECOND = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; `equal` is a column's name and the values it may have.

    `times` are a column, an operator of OPERATORS and a whole second: times
    are compared as they are shown.
    """

    ids: Sequence[UUID] | None = None
    equal: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    times: Sequence[tuple[str, str, dt.datetime]] = ()
    tags: Sequence[str] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    size_min: int | None = None
    size_max: int | None = None
    visibility: str | None = None  # "all": also other projects' community images
    member_status: str = "accepted"  # of others' images that are shared with who asks; or "all"
    os_hidden: bool = False


#: What a list can be sorted by.  What may be NULL sorts as the smallest value,
#: on every database.
SORTABLE: dict[str, sa.ColumnElement[Any]] = {
    **{
        name: Image.__table__.c[name]
        for name in (
            *("id", "status", "created_at", "updated_at"),
            *("visibility", "owner", "min_disk", "min_ram"),
        )
    },
    **{
        name: sa.func.coalesce(Image.__table__.c[name], "")
        for name in ("name", "disk_format", "container_format", "checksum", "os_hash_value")
    },
    "size": sa.func.coalesce(Image.size, -1),
    "virtual_size": sa.func.coalesce(Image.virtual_size, -1),
}

Compare = Callable[[sa.ColumnElement[Any], dt.datetime], Condition]
OPERATORS: dict[str, Compare] = {
    "gt": lambda column, second: column >= second + SECOND,
    "gte": lambda column, second: column >= second,
    "lt": lambda column, second: column < second,
    "lte": lambda column, second: column < second + SECOND,
    "eq": lambda column, second: sa.and_(column >= second, column < second + SECOND),
    "neq": lambda column, second: sa.or_(column < second, column >= second + SECOND),
}


def conditions(session: Session, context: RequestContext, filters: Filters) -> Iterator[Condition]:
    """What an image must fulfil to be in the list that `context` gets.  Raises Invalid."""
    yield Image.deleted == sa.false()
    yield Image.os_hidden == filters.os_hidden
    if not context.is_admin:
        yield sa.or_(*_listed(context, filters))
    if filters.visibility not in (None, "all"):
        yield Image.visibility == filters.visibility
    if filters.ids is not None:
        yield Image.id.in_(filters.ids)
    for name, values in filters.equal.items():
        yield Image.__table__.c[name].in_(_statuses(values) if name == "status" else values)
    for name, operator, second in filters.times:
        yield OPERATORS[operator](Image.__table__.c[name], second)
    if filters.size_min is not None:
        yield Image.size >= filters.size_min
    if filters.size_max is not None:
        yield Image.size <= filters.size_max
    for tag in filters.tags:
        yield queries.has_tag(session, tag)
    for name, value in filters.properties.items():
        yield Image.properties[name].as_string() == value


def _listed(context: RequestContext, filters: Filters) -> Iterator[Condition]:
    # Community images are for those who know of them.
    asked = filters.ids is not None or filters.visibility in ("community", "all")
    yield Image.visibility.in_(("public", "community") if asked else ("public",))
    if context.project_id is None:
        return
    yield Image.owner == context.project_id
    shared = sa.select(ImageMember.image_id).where(ImageMember.member == context.project_id)
    if filters.member_status != "all":
        shared = shared.where(ImageMember.status == filters.member_status)
    yield sa.and_(Image.visibility == "shared", Image.id.in_(shared))


def _statuses(words: Sequence[str]) -> Sequence[ImageStatus]:
    try:
        return [ImageStatus(word) for word in words]
    except ValueError as error:
        raise Invalid(f"status: {error}") from None
