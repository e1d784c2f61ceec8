"""Kinds of things an operator registers: listed, shown, made, changed and removed all alike.

What is peculiar to a kind is a row of words and a few functions (`Kind`); what
is done with all of them is here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import Base
from nova_lite.db.engine import Database, one_transaction
from nova_lite.domain.errors import Conflict, NotFound
from nova_lite.services.identity.collection import EVERYTHING, Page, Wanted, beyond, find, rows

LOG = logging.getLogger(__name__)

Values = Mapping[str, Any]
Settle = Callable[[Session, dict[str, Any], Any], None]


def as_it_is(session: Session, values: dict[str, Any], found: Any) -> None:
    """Nothing is to be settled."""


def without_more(session: Session, found: Any) -> None:
    """Nothing stands against it, and nothing goes with it."""


def everybody(context: RequestContext) -> Sequence[sa.ColumnElement[bool]]:
    """All of them are shown to whoever may see any."""
    return ()


@dataclass(frozen=True)
class Kind:
    """One kind of thing.

    `columns` are those of its answers, if they are not the model's, out of
    `origin`.  `settle` is called before a thing is made or changed, with the new
    values (to look at and to complete) and with what it is now, or None; `part`
    before one is removed.  Both raise what stands against it.
    """

    word: str
    model: type[Any]
    columns: Mapping[str, Any] | None = None
    origin: Any = None
    settle: Settle = as_it_is
    part: Callable[[Session, Any], None] = without_more
    visible: Callable[[RequestContext], Sequence[sa.ColumnElement[bool]]] = everybody

    def shown(self) -> Mapping[str, Any]:
        return self.columns or {column.name: column for column in self.model.__table__.columns}

    def query(self, context: RequestContext) -> sa.Select[Any]:
        labelled = [column.label(name) for name, column in self.shown().items()]
        origin = self.model if self.origin is None else self.origin
        return sa.select(*labelled).select_from(origin).where(*self.visible(context))


def there(session: Session, model: type[Base], word: str, id: str, *, lock: bool = False) -> Any:
    """The thing of this id.  Raises NotFound."""
    found = find(session, model, id, lock=lock)
    if found is None:
        raise NotFound(f"Could not find {word}: {id}.")
    return found


class Registry:
    """All such things; `changed` is called after each change."""

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self.database = database
        self.changed = changed

    def list(self, context: RequestContext, kind: Kind, wanted: Wanted = EVERYTHING) -> Page:
        shown = kind.shown()
        with self.database.read() as session:
            return rows(session, kind.query(context), wanted, shown, [shown["id"]])

    def get(self, context: RequestContext, kind: Kind, id: str) -> sa.Row[Any]:
        with self.database.read() as session:
            return _row(session, context, kind, id)

    @one_transaction
    def create(self, context: RequestContext, kind: Kind, *things: Values) -> Sequence[sa.Row[Any]]:
        """Make all of these or none; those without an id get one.

        Raises Conflict for what is there already.
        """
        ids: list[str] = []
        with self._change(context, kind, "created", ids) as session:
            for thing in things:
                values = {"id": uuid4().hex, **_cleaned(kind, thing)}
                kind.settle(session, values, None)
                session.add(kind.model(**values))
                session.flush()
                ids.append(values["id"])
            return [_row(session, context, kind, id) for id in ids]

    @one_transaction
    def update(self, context: RequestContext, kind: Kind, id: str, values: Values) -> sa.Row[Any]:
        """Set these values; `extra` is added to what is there."""
        with self._change(context, kind, "updated", [id]) as session:
            found = there(session, kind.model, kind.word, id, lock=True)
            new = _cleaned(kind, values)
            if "extra" in new:
                new["extra"] = {**found.extra, **new["extra"]}
            kind.settle(session, new, found)
            for name, value in new.items():
                setattr(found, name, value)
            session.flush()
            return _row(session, context, kind, id)

    @one_transaction
    def delete(self, context: RequestContext, kind: Kind, id: str) -> None:
        with self._change(context, kind, "deleted", [id]) as session:
            found = there(session, kind.model, kind.word, id, lock=True)
            kind.part(session, found)
            session.delete(found)

    @contextmanager
    def _change(
        self, context: RequestContext, kind: Kind, what: str, ids: Sequence[str]
    ) -> Iterator[Session]:
        try:
            with self.database.write() as session:
                yield session
        except sa.exc.IntegrityError:
            raise Conflict(
                f"There is such a {kind.word} already, or what it refers to has just changed."
            ) from None
        self.changed()
        for id in ids:
            LOG.info(
                "%s %s %s by %s (%s)", kind.word, id, what, context.user_id, context.request_id
            )


def _cleaned(kind: Kind, values: Values) -> dict[str, Any]:
    """A text of None is an empty one where there has to be one."""
    columns = kind.model.__table__.columns
    return {
        name: ""
        if value is None and name == "description" and not columns[name].nullable
        else value
        for name, value in values.items()
    }


def _row(session: Session, context: RequestContext, kind: Kind, id: str) -> sa.Row[Any]:
    found = session.execute(kind.query(context).where(kind.shown()["id"] == id)).first()
    if found is None:
        # Who does not see all is not told which of both it is.
        raise (
            beyond() if kind.visible(context) else NotFound(f"Could not find {kind.word}: {id}.")
        )
    return found
