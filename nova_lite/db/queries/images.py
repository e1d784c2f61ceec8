"""Questions about images that each database is asked in its own words."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from nova_lite.db.models import Image

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
