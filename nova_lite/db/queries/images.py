"""Questions about images that each database is asked in its own words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from nova_lite.db.models import Image, ImageStatus

Condition = sa.ColumnElement[bool]


def has_tag(session: Session, tag: str) -> Condition:
    return _HAS_TAG[session.get_bind().dialect.name](tag)


def _sqlite(tag: str) -> Condition:
    each = sa.func.json_each(Image.tags).table_valued("value")
    return sa.select(sa.literal(1)).select_from(each).where(each.c.value == tag).exists()


def _mysql(tag: str) -> Condition:
    return sa.func.json_contains(Image.tags, orjson.dumps(tag).decode()) == 1


def _postgresql(tag: str) -> Condition:
    return sa.cast(Image.tags, postgresql.JSONB).contains([tag])


_HAS_TAG: dict[str, Callable[[str], Condition]] = {
    "sqlite": _sqlite,
    "mysql": _mysql,
    "mariadb": _mysql,
    "postgresql": _postgresql,
}


def forget(session: Session, image: UUID, now: dt.datetime) -> None:
    """Delete an image that nobody but us asked for.

    Its bytes go soon after the commit, when ImageData.repair() comes by.
    """
    session.execute(
        sa.update(Image)
        .where(Image.id == image, Image.deleted == sa.false())
        .values(status=ImageStatus.PENDING_DELETE, deleted=True, updated_at=now)
    )


def backups(session: Session, project_id: str, instance: UUID, kind: str) -> Sequence[UUID]:
    """The backups of one kind (daily, weekly, ...) that an instance has, the newest first."""
    wanted = {"instance_uuid": str(instance), "image_type": "backup", "backup_type": kind}
    return session.scalars(
        sa.select(Image.id)
        .where(
            Image.owner == project_id,
            Image.deleted == sa.false(),
            Image.status == ImageStatus.ACTIVE,
            *(Image.properties[name].as_string() == value for name, value in wanted.items()),
        )
        .order_by(Image.created_at.desc(), Image.id)
    ).all()
