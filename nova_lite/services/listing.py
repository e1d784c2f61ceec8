"""Lists by any column: filtered, sorted, and paged from a marker, in one query.

What may be filtered and sorted by is a table of SQL expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import UtcDateTime
from nova_lite.domain.errors import Invalid, NotFound
from nova_lite.services import paging

Expression = Any  # of SQL: a mapped attribute, or anything computed from some
Condition = sa.ColumnElement[bool]


@dataclass(frozen=True)
class Listing:
    """What is asked of a list: `filters` as text, each name with its alternatives."""

    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sort: Sequence[tuple[str, bool]] = ()  # name, and whether the largest comes first
    limit: int | None = None
    marker: UUID | None = None
    reverse: bool = False  # the page before the marker


@dataclass(frozen=True)
class Listed:
    """How one kind of thing is listed."""

    columns: Mapping[str, Expression]  # `id` among them; what is answered, by its name
    origin: Any  # the table, or a join
    special: Mapping[str, Callable[[Sequence[str]], Condition]] = field(default_factory=dict)
    unsortable: frozenset[str] = frozenset()  # constants, and what may be NULL
    hidden: frozenset[str] = frozenset()  # what cannot be filtered by

    def page(
        self,
        session: Session,
        visible: Sequence[Condition],
        listing: Listing,
        largest: int,
    ) -> tuple[Sequence[sa.Row[Any]], bool]:
        """A page of at most `largest` rows, and whether there are more in its direction.

        Raises Invalid for names and values that cannot be, NotFound for a marker
        that is not among what is visible.
        """
        limit = min(listing.limit or largest, largest)
        conditions = [self._condition(name, texts) for name, texts in listing.filters.items()]
        order = [
            (self._sort_key(name), largest_first != listing.reverse)
            for name, largest_first in _unique((*listing.sort, ("id", False)))
        ]
        if listing.marker is not None:
            conditions.append(self._behind(session, visible, listing.marker, order))
        query = (
            self.select()
            .where(*visible, *conditions)
            .order_by(*paging.order(order))
            .limit(limit + 1)
        )
        found = session.execute(query).all()
        rows, more = found[:limit], len(found) > limit
        return (rows[::-1] if listing.reverse else rows), more

    def select(self) -> sa.Select[Any]:
        columns = (column.label(name) for name, column in self.columns.items())
        return sa.select(*columns).select_from(self.origin)

    def _condition(self, name: str, texts: Sequence[str]) -> Condition:
        special = self.special.get(name)
        if special is not None:
            return special(texts)
        column = self.columns.get(name)
        if column is None or name in self.hidden:
            raise Invalid(f"'{name}' is an invalid attribute for filtering.")
        values = [value for text in texts for value in _values(name, column.type, text)]
        condition: Condition = column.in_(values)
        return condition

    def _sort_key(self, name: str) -> Expression:
        if name not in self.columns or name in self.unsortable | self.hidden:
            raise Invalid(f"'{name}' is an invalid attribute for sort_key.")
        return self.columns[name]

    def _behind(
        self,
        session: Session,
        visible: Sequence[Condition],
        marker: UUID,
        order: Sequence[paging.Key],
    ) -> Condition:
        at = sa.select(*(key for key, _ in order)).select_from(self.origin)
        values = session.execute(at.where(*visible, self.columns["id"] == marker)).one_or_none()
        if values is None:
            raise NotFound(f"The marker {marker} could not be found.")
        return paging.behind(order, values)


def _unique(order: Sequence[tuple[str, bool]]) -> list[tuple[str, bool]]:
    """Sorting once more by the same key changes nothing."""
    names = [name for name, _ in order]
    return [pair for i, pair in enumerate(order) if pair[0] not in names[:i]]


def _values(name: str, kind: sa.types.TypeEngine[Any], text: str) -> list[Any]:
    """`text` as a value of the column's type; none when it could not be any thing's."""
    if isinstance(kind, sa.Boolean):
        value = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
        if value is None:
            raise Invalid(f"'{text}' cannot be converted to boolean: {name}.")
        return [value]
    if isinstance(kind, sa.Uuid):
        try:
            return [UUID(text)]
        except ValueError:
            return []
    if isinstance(kind, sa.Integer):
        if not text.isdecimal() or len(text) > 9:
            raise Invalid(f"'{text}' is not an integer: {name}.")
        return [int(text)]
    assert not isinstance(kind, UtcDateTime), f"{name}: say that it is hidden"
    return [text]
