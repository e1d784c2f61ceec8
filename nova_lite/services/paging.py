"""Pages of a list in any order: the rows that come behind a marker.

A sort key is a column and whether it runs downwards.  The last key is unique,
so that no row is shown twice or never when others compare equal; and no key is
ever NULL, because databases do not agree on where NULL belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

Key = tuple[sa.ColumnElement[Any], bool]


def order(keys: Sequence[Key]) -> list[sa.UnaryExpression[Any]]:
    return [column.desc() if down else column.asc() for column, down in keys]


def behind(keys: Sequence[Key], marker: Sequence[Any]) -> sa.ColumnElement[bool]:
    """Whether a row comes behind the one whose keys have the values of `marker`."""
    alternatives = []
    for i, ((column, down), value) in enumerate(zip(keys, marker, strict=True)):
        same = [key == known for (key, _), known in zip(keys[:i], marker[:i], strict=True)]
        alternatives.append(sa.and_(*same, column < value if down else column > value))
    return sa.or_(*alternatives)


def number(column: sa.ColumnElement[bool]) -> sa.ColumnElement[Any]:
    """A boolean as a key: databases compare numbers."""
    return sa.cast(column, sa.Integer)


def instead_of_null(column: sa.ColumnElement[Any], value: Any) -> sa.ColumnElement[Any]:
    """A column that may be NULL as a key: then it counts as `value`."""
    return sa.func.coalesce(column, sa.literal(value, column.type))
