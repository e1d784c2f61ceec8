"""Collections of things that have ids: how they are changed, found and listed.

The parts of the identity service build on this.  A list is what `Wanted` says of
it, in the words of Keystone: equal to a value, or like it in one of a few ways,
in pages.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import Base
from nova_lite.db.engine import Database, one_transaction
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.services import paging

LOG = logging.getLogger(__name__)

Thing = TypeVar("Thing", bound=Base)
Condition = sa.ColumnElement[bool]


@dataclass(frozen=True)
class Wanted:
    """What is asked of a list.

    `filters` are texts, or values, by the name of a column, or by that and a way
    to be like it: `name__contains`, `name__istartswith`; None is whatever.
    """

    filters: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    marker: str | None = None


#: All there is, in one page.
EVERYTHING = Wanted()


class Page(list[sa.Row[Any]]):
    """Rows; `more` when there are others behind them that the limit cut off."""

    def __init__(self, rows: Iterable[sa.Row[Any]], more: bool = False) -> None:
        super().__init__(rows)
        self.more = more


class Collection:
    """What holds such things.

    `changed` is called after each change that can take a right away.
    """

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self.database = database
        self.changed = changed

    @contextmanager
    def _change(
        self, context: RequestContext, what: str, model: type[Any], id: str
    ) -> Iterator[Session]:
        """One transaction that changes a thing, told to the log and to `changed`."""
        kind = word_for(model)
        try:
            with self.database.write() as session:
                yield session
        except sa.exc.IntegrityError:
            # References were checked before, so it is nearly always the name.
            raise Conflict(
                f"There is a {kind} of this name already, or what it refers to was just deleted."
            ) from None
        self.changed()
        LOG.info("%s %s %s by %s (%s)", kind, id, what, context.user_id, context.request_id)

    @one_transaction
    def _create(
        self, context: RequestContext, thing: Thing, *checks: Callable[[Session], None]
    ) -> Thing:
        """Add a thing that passes the checks.  Raises Conflict when its name is taken."""
        with self._change(context, "created", type(thing), _id(thing)) as session:
            for check in checks:
                check(session)
            session.add(thing)
        return thing

    def _list(
        self,
        model: type[Any],
        *conditions: Condition | None,
        wanted: Wanted = EVERYTHING,
        **equal: Any,
    ) -> Page:
        """Rows of a table, by name, of which these conditions are true."""
        given = [condition for condition in conditions if condition is not None]
        filters = {**wanted.filters, **equal}
        columns = model.__table__.c
        with self.database.read() as session:
            return rows(
                session,
                sa.select(*shown(model)).where(*given),
                Wanted(filters, wanted.limit, wanted.marker),
                {column.name: column for column in columns},
                [columns.name, columns.id] if "name" in columns else [columns.id],
            )


def shown(model: type[Base]) -> list[sa.ColumnElement[Any]]:
    """The columns of a table, but for those declared with info={"secret": True}."""
    return [column for column in model.__table__.columns if not column.info.get("secret")]


def rows(
    session: Session,
    query: sa.Select[Any],
    wanted: Wanted,
    columns: Mapping[str, Any],
    order: Sequence[sa.ColumnElement[Any]],
) -> Page:
    """A page of `query`: filtered by `columns`, and in an order whose last is the unique id.

    Raises NotFound for a marker that is not there.
    """
    for name, value in wanted.filters.items():
        if value is not None:
            name, _, way = name.partition("__")
            column = columns[name]
            # There is no being like a number, or a yes.
            like = _WAYS[way] if isinstance(column.type, sa.String) else _equal
            query = query.where(like(column, value))
    keys = [(column, False) for column in order]
    if wanted.marker is not None:
        at = session.execute(
            query.with_only_columns(*order).where(order[-1] == wanted.marker)
        ).first()
        if at is None:
            raise NotFound(f"The marker {wanted.marker} could not be found.")
        query = query.where(paging.behind(keys, at))
    query = query.order_by(*paging.order(keys))
    if wanted.limit is None:
        return Page(session.execute(query).all())
    found = session.execute(query.limit(wanted.limit + 1)).all()
    return Page(found[: wanted.limit], len(found) > wanted.limit)


def is_yes(text: str) -> bool:
    """Of a flag in a query: the bare name is a yes, too."""
    return text.lower() not in ("0", "false")


def _equal(column: Any, value: Any) -> Condition:
    if isinstance(column.type, sa.Boolean) and isinstance(value, str):
        value = is_yes(value)
    same: Condition = column == value
    return same


def _lower(like: Callable[[Any, str], Condition]) -> Callable[[Any, str], Condition]:
    return lambda column, value: like(sa.func.lower(column), value.lower())


def _contains(column: Any, value: str) -> Condition:
    return sa.func.coalesce(column, "").contains(value, autoescape=True)


def _starts(column: Any, value: str) -> Condition:
    return sa.func.coalesce(column, "").startswith(value, autoescape=True)


def _ends(column: Any, value: str) -> Condition:
    return sa.func.coalesce(column, "").endswith(value, autoescape=True)


#: How a value may be like what is wanted, by Keystone's words for it.  SQLite's LIKE
#: does not tell "a" from "A"; the other databases do.
_WAYS: dict[str, Callable[[Any, Any], Condition]] = {
    "": _equal,
    "equals": _equal,
    "contains": _contains,
    "startswith": _starts,
    "endswith": _ends,
    "iequals": _lower(_equal),
    "icontains": _lower(_contains),
    "istartswith": _lower(_starts),
    "iendswith": _lower(_ends),
}
WAYS = frozenset(_WAYS)


def find(session: Session, model: type[Thing], id: str, *, lock: bool = False) -> Thing | None:
    if "\0" in id:
        return None  # PostgreSQL would not even look
    return session.get(model, id, with_for_update=True if lock else None)


def get(session: Session, model: type[Thing], id: str, *, lock: bool = False) -> Thing:
    """Raises NotFound; with `lock` it stays as it is until the commit."""
    found = find(session, model, id, lock=lock)
    if found is None:
        raise not_found(model, id)
    return found


def not_found(model: type[Base], id: str) -> NotFound:
    return NotFound(f"Could not find {word_for(model)}: {id}.")


def unseen(context: RequestContext, model: type[Base], id: str) -> NotFound | Forbidden:
    """What to raise for a thing that is not there or not for the asker: he is not told which."""
    return not_found(model, id) if sees_all(context) else beyond()


def beyond() -> Forbidden:
    return Forbidden("You are not authorized to perform the requested action.")


def word_for(model: type[Base]) -> str:
    """What the things in a table are called."""
    return model.__name__.lower()


def sees_all(context: RequestContext) -> bool:
    """Whether the whole directory is open to this asker: admins and the system's readers."""
    return context.is_admin or (context.system_scope and "reader" in context.roles)


def oversees(context: RequestContext, domain_id: str | None) -> bool:
    """Whether all of a domain is open to this asker: to its readers, and to who sees all."""
    in_it = domain_id is not None and domain_id == context.domain_id
    return sees_all(context) or (in_it and "reader" in context.roles)


def overseen(context: RequestContext, domain_id: Any) -> Condition | None:
    """Of a list, the things in the domain that the asker's token is for; None for all."""
    if context.domain_id is None:
        return None
    own: Condition = domain_id == context.domain_id
    return own


def _id(thing: Any) -> str:
    return str(thing.id)


def put(thing: Thing, values: Mapping[str, Any]) -> Thing:
    """Change what a thing is.

    `options` and `extra` are added to what is there; an option of None is taken
    away.  A description is never None.  Raises Invalid for another domain.
    """
    if "domain_id" in values and values["domain_id"] != getattr(thing, "domain_id", None):
        raise Invalid("Invalid input for field/attribute domain_id. It cannot be changed.")
    for name, value in values.items():
        if name == "description":
            value = value or ""
        elif name == "extra":
            value = {**(getattr(thing, name) or {}), **value}
        elif name == "options":
            merged = {**(getattr(thing, name) or {}), **value}
            value = {option: said for option, said in merged.items() if said is not None}
        setattr(thing, name, value)
    return thing
