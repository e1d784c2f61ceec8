"""Who has which role where: giving it, taking it away, and telling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import one_transaction
from nova_lite.db.models import Domain, Grant, Group, Project, Role, User
from nova_lite.db.queries import assignments as queries
from nova_lite.db.queries.assignments import Name, Range
from nova_lite.db.queries.delegation import forget_application_credentials
from nova_lite.domain.assignments import Assignment, effective
from nova_lite.domain.errors import Forbidden, Invalid, NotFound
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.identity.collection import Collection, Page, beyond, find, get, sees_all
from nova_lite.services.identity.roles import is_of_managers


@dataclass(frozen=True, slots=True)
class Place:
    """Where a role is held by whom: a user or a group, on a scope, or on all projects below it."""

    kind: ScopeKind
    scope_id: str = ALL
    user_id: str | None = None
    group_id: str | None = None
    inherited: bool = False

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "user_id": self.user_id,
            "group_id": self.group_id,
            "scope": self.kind.value,
            "scope_id": self.scope_id,
            "inherited": self.inherited,
        }

    def __str__(self) -> str:
        actor = f"user {self.user_id}" if self.user_id is not None else f"group {self.group_id}"
        below = "projects below " if self.inherited else ""
        return f"{actor} on {below}{self.kind} {self.scope_id}"


@dataclass(frozen=True)
class Filters:
    """What is asked of a list of assignments; None is whatever.

    With `effective` it is about users and what the grants come to for them, with
    `subtree` about the project and all below it; `inherited` is whether that was
    granted for all projects below.
    """

    user_id: str | None = None
    group_id: str | None = None
    role_id: str | None = None
    kind: ScopeKind | None = None
    scope_id: str | None = None
    inherited: bool | None = None
    effective: bool = False
    subtree: bool = False


@dataclass(frozen=True)
class Assignments:
    """`names` by id; empty unless they were asked for."""

    found: Sequence[Assignment]
    names: Mapping[str, Name]


class Grants(Collection):
    """The manager of a domain may give some roles within it, and its readers look there."""

    @one_transaction
    def grant(self, context: RequestContext, role_id: str, place: Place) -> None:
        """Give a role; may be said twice.  Raises NotFound, or Forbidden beyond one's domain."""
        with self._change(context, f"given to {place}", Role, role_id) as session:
            domain_id, role = _enter(session, context, place, role_id, to_change=True, lock=True)
            if role.domain_id and place.kind is ScopeKind.SYSTEM:
                raise Invalid(f"Role {role_id} is one of a domain, and cannot be held on a system.")
            if role.domain_id and place.kind is ScopeKind.PROJECT and role.domain_id != domain_id:
                raise Forbidden(f"Role {role_id} is one of another domain than the project's.")
            insert_if_absent(session, Grant, role_id=role_id, **place.columns)

    @one_transaction
    def revoke(self, context: RequestContext, role_id: str, place: Place) -> None:
        """Take a role away.  Raises NotFound when it was not given there."""
        with self._change(context, f"taken from {place}", Role, role_id) as session:
            _enter(session, context, place, role_id, to_change=True)
            gone = sa.delete(Grant).where(*_at(place), Grant.role_id == role_id)
            if not rows_changed(session, gone):
                raise _no_grant(role_id, place)
            if place.user_id is not None and place.kind is ScopeKind.PROJECT:
                forget_application_credentials(session, place.user_id, place.scope_id)

    def check_grant(self, context: RequestContext, role_id: str, place: Place) -> None:
        """Raises NotFound unless this role was given there."""
        with self.database.read() as session:
            _enter(session, context, place, role_id)
            given = sa.select(Grant.id).where(*_at(place), Grant.role_id == role_id)
            if session.scalar(given) is None:
                raise _no_grant(role_id, place)

    def roles_on(self, context: RequestContext, place: Place) -> Page:
        """The roles given there."""
        with self.database.read() as session:
            _enter(session, context, place)
        return self._list(Role, Role.id.in_(sa.select(Grant.role_id).where(*_at(place))))

    # --- all of them ------------------------------------------------------------------------

    def list_assignments(
        self, context: RequestContext, filters: Filters = Filters(), *, named: bool = False
    ) -> Assignments:
        """Who has which role where.

        With a token for a domain that is what is in it.  Raises NotFound where what
        is effective or below a project is asked, of what there is not; and for who
        sees not all Forbidden for what is below a project elsewhere or nowhere.
        """
        within = context.domain_id is not None or not sees_all(context)
        with self.database.read() as session:
            try:
                found = (_effective if filters.effective else _direct)(session, filters)
            except NotFound:
                if sees_all(context):
                    raise
                found = []
            if filters.subtree and not sees_all(context):
                project = find(session, Project, filters.scope_id or "")
                if project is None or project.domain_id != context.domain_id:
                    raise beyond()
            if within:
                found = _within_domain(session, found, context.domain_id)
            return Assignments(found, queries.names(session, found) if named else {})


def _direct(session: Session, filters: Filters) -> list[Assignment]:
    ids = None if filters.scope_id is None else [filters.scope_id]
    if filters.subtree:
        _, tree = _project_tree(session, filters)
        ids = [*(ids or ()), *tree.below((ScopeKind.PROJECT, filters.scope_id or ""))]
    return queries.granted(
        session,
        [Range(filters.kind, ids, filters.inherited)],
        user_id=filters.user_id,
        group_ids=None if filters.group_id is None else [filters.group_id],
        role_id=filters.role_id,
    )


def _effective(session: Session, filters: Filters) -> list[Assignment]:
    groups = None
    if filters.user_id is not None:
        get(session, User, filters.user_id)
        groups = queries.groups_of(session, filters.user_id)
    projects: set[str] | None = None
    ranges = [Range(filters.kind, None, False), Range(None, None, True)]
    if filters.kind is ScopeKind.PROJECT:
        domain_id, tree = _project_tree(session, filters)
        id = filters.scope_id or ""
        below = tree.below((ScopeKind.PROJECT, id)) if filters.subtree else ()
        projects = {id, *below}
        ranges = [
            Range(ScopeKind.PROJECT, projects, False),
            Range(ScopeKind.PROJECT, [*tree.above(id), *(projects if below else ())], True),
            Range(ScopeKind.DOMAIN, [domain_id], True),
        ]
    elif filters.kind is not None:
        # Nothing is inherited by a domain or the system.
        ranges = [Range(filters.kind, [filters.scope_id or ALL], False)]
    granted = queries.granted(
        session,
        [one for one in ranges if filters.inherited in (None, one.inherited)],
        user_id=filters.user_id,
        group_ids=groups,
    )
    if filters.user_id is None:
        members = queries.members_of(session, {one.group_id for one in granted if one.group_id})
    else:
        members = dict.fromkeys(groups or (), [filters.user_id])
    if filters.kind is not ScopeKind.PROJECT:
        tree = queries.tree_of(session, _domains_with_inherited(session, granted))
    everything = effective(
        granted,
        members=members,
        tree=tree,
        implied=queries.implications(session),
        projects=projects,
    )
    counting = queries.global_roles(session)
    return [
        one
        for one in everything
        if one.role_id in counting and filters.role_id in (None, one.role_id)
    ]


def _project_tree(session: Session, filters: Filters) -> tuple[str, Any]:
    domain_id = get(session, Project, filters.scope_id or "").domain_id
    return domain_id, queries.tree_of(session, [domain_id])


def _domains_with_inherited(session: Session, granted: Sequence[Assignment]) -> set[str]:
    tops = {(one.kind, one.scope_id) for one in granted if one.inherited}
    domains = {id for kind, id in tops if kind is ScopeKind.DOMAIN}
    projects = [id for kind, id in tops if kind is ScopeKind.PROJECT]
    return domains | set(queries.domains_of(session, projects).values())


def _within_domain(
    session: Session, found: Sequence[Assignment], domain_id: str | None
) -> list[Assignment]:
    projects = {one.scope_id for one in found if one.kind is ScopeKind.PROJECT}
    domains = queries.domains_of(session, projects)
    return [
        one
        for one in found
        if domain_id is not None
        and domain_id == {ScopeKind.DOMAIN: one.scope_id}.get(one.kind, domains.get(one.scope_id))
    ]


def forget_scope(session: Session, kind: ScopeKind, scope_id: str) -> None:
    """A project or a domain ends: with the roles on it, and with the roles of the domain."""
    session.execute(sa.delete(Grant).where(Grant.scope == kind.value, Grant.scope_id == scope_id))
    if kind is ScopeKind.DOMAIN:
        session.execute(sa.delete(Role).where(Role.domain_id == scope_id))


def _at(place: Place) -> list[sa.ColumnElement[bool]]:
    return [Grant.__table__.c[name] == value for name, value in place.columns.items()]


def _enter(
    session: Session,
    context: RequestContext,
    place: Place,
    role_id: str | None = None,
    *,
    to_change: bool = False,
    lock: bool = False,
) -> tuple[str | None, Any]:
    """The domain of the scope (None: the system), and the role, for who may act on both.

    Raises NotFound for what is not there, or Forbidden for one who may only act
    within a domain, whether this is beyond it or nowhere.  With `lock` the scope
    stays until the commit.
    """
    everywhere = context.is_admin or (sees_all(context) and not to_change)
    try:
        domain_id, actor = _scope_domain(session, place, lock), _actor(session, place)
        role = None if role_id is None else get(session, Role, role_id)
    except NotFound:
        if everywhere:
            raise
        raise beyond() from None
    if not everywhere:
        inside = context.domain_id is not None and domain_id == context.domain_id == actor.domain_id
        if not inside or not (role is None or _within_reach(context, role, to_change)):
            raise beyond()
    return domain_id, role


def _scope_domain(session: Session, place: Place, lock: bool) -> str | None:
    if place.kind is ScopeKind.PROJECT:
        return get(session, Project, place.scope_id, lock=lock).domain_id
    if place.kind is ScopeKind.DOMAIN:
        return get(session, Domain, place.scope_id, lock=lock).id
    return None


def _actor(session: Session, place: Place) -> User | Group:
    if place.user_id is not None:
        return get(session, User, place.user_id)
    return get(session, Group, place.group_id or "")


def _within_reach(context: RequestContext, role: Role, to_change: bool) -> bool:
    if to_change:
        return is_of_managers(role) and "manager" in context.roles
    return role.domain_id in ("", context.domain_id)


def _no_grant(role_id: str, place: Place) -> NotFound:
    return NotFound(f"Role {role_id} was not given to {place}.")
