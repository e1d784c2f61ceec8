"""Metadata definitions: namespaces, and what is in them.

All that is in a namespace (objects, properties, tags, the resource types it is
meant for) is one thing: a document of a kind, under a name.  Whoever changes
any of it holds the row of the namespace, so entries need no races of their own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import MetadefEntry, MetadefKind, MetadefNamespace, MetadefResourceType
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.services import paging

__all__ = ["Definition", "Described", "MetadefKind", "Metadefs", "Namespace", "Page"]

#: Known from the beginning, by the names orchestration has for them.
RESOURCE_TYPES = (
    "OS::Cinder::Volume",
    "OS::Glance::Image",
    "OS::Nova::Aggregate",
    "OS::Nova::Flavor",
    "OS::Nova::Server",
)
SORTABLE: dict[str, sa.ColumnElement[Any]] = {
    **{
        name: MetadefNamespace.__table__.c[name]
        for name in ("id", "namespace", "visibility", "owner", "created_at", "updated_at")
    },
    "display_name": sa.func.coalesce(MetadefNamespace.display_name, ""),
    "protected": paging.number(MetadefNamespace.__table__.c.protected),
}
SORTABLE_ENTRIES: dict[str, sa.ColumnElement[Any]] = {
    name: MetadefEntry.__table__.c[name] for name in ("name", "created_at", "updated_at")
}


@dataclass(frozen=True)
class Definition:
    """An entry as it is asked for."""

    kind: MetadefKind
    name: str
    document: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Namespace:
    """A namespace as it is asked for."""

    namespace: str
    display_name: str | None = None
    description: str | None = None
    visibility: str = "private"
    protected: bool = False
    owner: str | None = None  # by default the project of who asks


@dataclass(frozen=True)
class Described:
    """A namespace, and entries of it, in the order of their names."""

    namespace: Any
    entries: Sequence[Any]

    def of(self, kind: MetadefKind) -> list[Any]:
        return [entry for entry in self.entries if entry.kind == kind]


@dataclass(frozen=True)
class Page:
    """Which part of a list, in which order; the marker is a name."""

    limit: int
    marker: str | None = None
    sort_key: str = "created_at"
    descending: bool = True


class Metadefs:
    def __init__(
        self, database: Database, now: Callable[[], dt.datetime], max_limit: int = 1000
    ) -> None:
        self.database = database
        self.now = now
        self.max_limit = max_limit

    # --- namespaces -----------------------------------------------------------------------

    def list(
        self,
        context: RequestContext,
        page: Page,
        *,
        visibility: str | None = None,
        resource_types: Sequence[str] = (),
    ) -> tuple[Sequence[Described], bool]:
        """Namespaces, each with the resource types it is for, and whether there are more.

        Raises Invalid for an unknown sort key, NotFound when the marker is not there.
        """
        keys = _keys(page, SORTABLE, SORTABLE["id"])
        limit = min(page.limit, self.max_limit)
        query = sa.select(MetadefNamespace.__table__).order_by(*paging.order(keys)).limit(limit + 1)
        if not context.is_admin:
            query = query.where(_is_visible(context))
        if visibility is not None:
            query = query.where(MetadefNamespace.visibility == visibility)
        if resource_types:
            meant_for = sa.select(MetadefEntry.namespace_id).where(
                MetadefEntry.kind == MetadefKind.RESOURCE_TYPE,
                MetadefEntry.name.in_(resource_types),
            )
            query = query.where(MetadefNamespace.id.in_(meant_for))
        with self.database.read() as session:
            if page.marker is not None:
                at = _visible(session, context, page.marker)
                query = query.where(paging.behind(keys, _place(session, keys, at.id)))
            rows = session.execute(query).all()
            shown = rows[:limit]
            types = _entries(
                session, [row.id for row in shown], MetadefEntry.kind == MetadefKind.RESOURCE_TYPE
            )
        of = {row.id: list[MetadefEntry]() for row in shown}
        for entry in types:
            of[entry.namespace_id].append(entry)
        return [Described(row, of[row.id]) for row in shown], len(rows) > limit

    def get(self, context: RequestContext, namespace: str) -> Described:
        """A namespace with all that is in it."""
        with self.database.read() as session:
            found = _visible(session, context, namespace)
            return Described(found, _entries(session, [found.id]))

    @one_transaction
    def create(
        self, context: RequestContext, new: Namespace, definitions: Sequence[Definition] = ()
    ) -> Described:
        """Make a namespace with all that is in it, or nothing.

        Raises Conflict when its name is taken or two definitions have the same,
        Forbidden for a namespace of another project.
        """
        now = self.now()
        values = {**asdict(new), "owner": _owner(context, new.owner)}
        with self.database.write() as session:
            if not insert_if_absent(
                session, MetadefNamespace, **values, created_at=now, updated_at=now
            ):
                raise _taken(new.namespace)
            made = _visible(session, context, new.namespace)
            self._add(session, made, definitions)
            return Described(made, _entries(session, [made.id]))

    @one_transaction
    def update(self, context: RequestContext, namespace: str, new: Namespace) -> MetadefNamespace:
        """From now on it is all as in `new`, what that does not say included.

        Raises Conflict when another has the name, Forbidden.
        """
        try:
            with self.database.write() as session:
                found = _changeable(session, context, namespace)
                for name, value in {**asdict(new), "owner": _owner(context, new.owner)}.items():
                    setattr(found, name, value)
                found.updated_at = self.now()
                return found
        except sa.exc.IntegrityError:
            raise _taken(new.namespace) from None

    @one_transaction
    def delete(self, context: RequestContext, namespace: str) -> None:
        """With all that is in it.  Raises Forbidden when it is protected."""
        with self.database.write() as session:
            found = _unprotected(session, context, namespace)
            session.execute(sa.delete(MetadefNamespace).where(MetadefNamespace.id == found.id))

    # --- what is in them --------------------------------------------------------------------

    def entries(
        self, context: RequestContext, namespace: str, kind: MetadefKind, page: Page | None = None
    ) -> Sequence[Any]:
        """A page of a namespace's entries of one kind; without `page` all, by name.

        Raises NotFound when the marker is not there, Invalid for an unknown sort key.
        """
        with self.database.read() as session:
            found = _visible(session, context, namespace)
            is_one = MetadefEntry.kind == kind
            if page is None:
                return _entries(session, [found.id], is_one)
            keys = _keys(page, SORTABLE_ENTRIES, SORTABLE_ENTRIES["name"])
            query = sa.select(MetadefEntry.__table__).where(
                MetadefEntry.namespace_id == found.id, is_one
            )
            if page.marker is not None:
                at = _entry(session, found, kind, page.marker)
                place = [getattr(at, column.name) for column, _ in keys]
                query = query.where(paging.behind(keys, place))
            limit = min(page.limit, self.max_limit)
            return session.execute(query.order_by(*paging.order(keys)).limit(limit)).all()

    def entry(
        self, context: RequestContext, namespace: str, kind: MetadefKind, name: str
    ) -> MetadefEntry:
        with self.database.read() as session:
            return _entry(session, _visible(session, context, namespace), kind, name)

    @one_transaction
    def add(
        self,
        context: RequestContext,
        namespace: str,
        definitions: Sequence[Definition],
        *,
        instead: MetadefKind | None = None,
    ) -> Sequence[MetadefEntry]:
        """Add all of `definitions` or none; `instead` of all the namespace has of that kind.

        Raises Conflict when there is one of that kind and name.
        """
        with self.database.write() as session:
            found = _changeable(session, context, namespace)
            if instead is not None:
                session.execute(_delete(found, instead))
            self._add(session, found, definitions)
            return [_entry(session, found, new.kind, new.name) for new in definitions]

    @one_transaction
    def replace(
        self, context: RequestContext, namespace: str, name: str, new: Definition
    ) -> MetadefEntry:
        """The entry of that name is `new` from now on, perhaps under another name.

        Raises Conflict when that is taken.
        """
        with self.database.write() as session:
            found = _changeable(session, context, namespace)
            entry = _entry(session, found, new.kind, name)
            other = session.get(MetadefEntry, (found.id, new.kind, new.name))
            if other not in (None, entry):
                raise _doubled(new)
            entry.name, entry.document = new.name, dict(new.document)
            entry.updated_at = self.now()
            return entry

    @one_transaction
    def remove(self, context: RequestContext, namespace: str, kind: MetadefKind, name: str) -> None:
        """Raises Forbidden when the namespace is protected."""
        with self.database.write() as session:
            found = _unprotected(session, context, namespace)
            if not rows_changed(session, _delete(found, kind).where(MetadefEntry.name == name)):
                raise _no_entry(found, kind, name)

    @one_transaction
    def clear(self, context: RequestContext, namespace: str, kind: MetadefKind) -> None:
        """No entry of this kind is left.  Raises Forbidden when the namespace is protected."""
        with self.database.write() as session:
            session.execute(_delete(_unprotected(session, context, namespace), kind))

    def _add(
        self, session: Session, namespace: MetadefNamespace, new: Iterable[Definition]
    ) -> None:
        now = self.now()
        times = {"created_at": now, "updated_at": now}
        for definition in new:
            if definition.kind is MetadefKind.RESOURCE_TYPE:
                insert_if_absent(session, MetadefResourceType, name=definition.name, **times)
            if not insert_if_absent(
                session,
                MetadefEntry,
                namespace_id=namespace.id,
                kind=definition.kind,
                name=definition.name,
                document=dict(definition.document),
                **times,
            ):
                raise _doubled(definition)

    # --- resource types -----------------------------------------------------------------------

    def resource_types(self, context: RequestContext) -> Sequence[Any]:
        """All that any namespace was ever meant for, and those of the beginning."""
        query = sa.select(MetadefResourceType.__table__).order_by(MetadefResourceType.name)
        with self.database.read() as session:
            return session.execute(query).all()

    @one_transaction
    def bootstrap(self) -> None:
        """The resource types of RESOURCE_TYPES are known; may be said again."""
        now = self.now()
        with self.database.write() as session:
            for name in RESOURCE_TYPES:
                insert_if_absent(
                    session, MetadefResourceType, name=name, created_at=now, updated_at=now
                )


# --- parts ------------------------------------------------------------------------------------


def _is_visible(context: RequestContext) -> sa.ColumnElement[bool]:
    return sa.or_(
        MetadefNamespace.visibility == "public", MetadefNamespace.owner == context.project_id
    )


def _visible(
    session: Session, context: RequestContext, name: str, *, lock: bool = False
) -> MetadefNamespace:
    query = sa.select(MetadefNamespace).where(MetadefNamespace.namespace == name)
    if not context.is_admin:
        query = query.where(_is_visible(context))
    found = session.scalar(query.with_for_update() if lock else query)
    if found is None:
        raise NotFound(f"Metadata definition namespace {name} was not found.")
    return found


def _changeable(session: Session, context: RequestContext, name: str) -> MetadefNamespace:
    found = _visible(session, context, name, lock=True)
    if not context.owns(found.owner):
        raise Forbidden(f"You are not permitted to change namespace {name}: it is another's.")
    return found


def _unprotected(session: Session, context: RequestContext, name: str) -> MetadefNamespace:
    found = _changeable(session, context, name)
    if found.protected:
        raise Forbidden(f"Metadata definition namespace {name} is protected: nothing is deleted.")
    return found


def _owner(context: RequestContext, owner: str | None) -> str:
    owner = owner or context.project_id
    if owner is None:
        raise Forbidden("This needs a token that is scoped to a project.")
    if not context.owns(owner):
        raise Forbidden("You are not permitted to give a namespace to another project.")
    return owner


def _entries(
    session: Session, namespaces: Sequence[int], *conditions: sa.ColumnElement[bool]
) -> Sequence[Any]:
    query = (
        sa.select(MetadefEntry.__table__)
        .where(MetadefEntry.namespace_id.in_(namespaces), *conditions)
        .order_by(MetadefEntry.name)
    )
    return session.execute(query).all()


def _entry(
    session: Session, namespace: MetadefNamespace, kind: MetadefKind, name: str
) -> MetadefEntry:
    found = session.get(MetadefEntry, (namespace.id, kind, name))
    if found is None:
        raise _no_entry(namespace, kind, name)
    return found


def _delete(namespace: MetadefNamespace, kind: MetadefKind) -> sa.Delete:
    return sa.delete(MetadefEntry).where(
        MetadefEntry.namespace_id == namespace.id, MetadefEntry.kind == kind
    )


def _keys(
    page: Page, sortable: Mapping[str, sa.ColumnElement[Any]], unique: sa.ColumnElement[Any]
) -> list[paging.Key]:
    if page.sort_key not in sortable:
        raise Invalid(f"Invalid sort key: {page.sort_key}. One of {', '.join(sortable)}.")
    return [(sortable[page.sort_key], page.descending), (unique, page.descending)]


def _place(session: Session, keys: Sequence[paging.Key], id: int) -> Sequence[Any]:
    return session.execute(
        sa.select(*(column for column, _ in keys)).where(MetadefNamespace.id == id)
    ).one()


def _taken(namespace: str) -> Conflict:
    return Conflict(f"A metadata definition namespace {namespace} already exists.")


def _doubled(new: Definition) -> Conflict:
    return Conflict(f"The namespace already has a {_said(new.kind)} {new.name}.")


def _no_entry(namespace: MetadefNamespace, kind: MetadefKind, name: str) -> NotFound:
    return NotFound(f"The namespace {namespace.namespace} has no {_said(kind)} {name}.")


def _said(kind: MetadefKind) -> str:
    return kind.replace("_", " ")
