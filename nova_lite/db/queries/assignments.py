"""Lists of grants, and of what one must know to tell what follows from them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import Domain, Grant, Group, GroupMember, ImpliedRole, Project, Role, User
from nova_lite.domain.assignments import Assignment, Tree
from nova_lite.domain.scopes import ScopeKind

MOST_IN_A_QUERY = 1000  # ids: databases take a few ten thousand


@dataclass(frozen=True, slots=True)
class Range:
    """A part of all grants; None is whatever."""

    kind: ScopeKind | None = None
    ids: Collection[str] | None = None
    inherited: bool | None = None


def granted(
    session: Session,
    ranges: Iterable[Range],
    *,
    user_id: str | None = None,
    group_ids: Collection[str] | None = None,
    role_id: str | None = None,
) -> list[Assignment]:
    """The grants within any of the ranges to this user or to one of these groups."""
    actors = []
    if user_id is not None:
        actors.append(Grant.user_id == user_id)
    if group_ids is not None:
        actors.append(Grant.group_id.in_(group_ids))
    query = sa.select(
        Grant.role_id,
        Grant.scope,
        Grant.scope_id,
        Grant.user_id,
        Grant.group_id,
        Grant.inherited,
    ).where(sa.or_(sa.false(), *(_within(range) for range in ranges)))
    if actors:
        query = query.where(sa.or_(*actors))
    if role_id is not None:
        query = query.where(Grant.role_id == role_id)
    return [
        Assignment(row.role_id, ScopeKind(row.scope), row.scope_id, *row[3:])
        for row in session.execute(query.order_by(Grant.id))
    ]


def _within(range: Range) -> sa.ColumnElement[bool]:
    conditions: list[sa.ColumnElement[bool]] = [sa.true()]
    if range.kind is not None:
        conditions.append(Grant.scope == range.kind.value)
    if range.ids is not None:
        conditions.append(Grant.scope_id.in_(range.ids))
    if range.inherited is not None:
        conditions.append(Grant.inherited.is_(range.inherited))
    return sa.and_(*conditions)


def groups_of(session: Session, user_id: str) -> list[str]:
    return list(
        session.scalars(sa.select(GroupMember.group_id).where(GroupMember.user_id == user_id))
    )


def members_of(session: Session, groups: Collection[str]) -> dict[str, list[str]]:
    """The users in each of the groups."""
    found: dict[str, list[str]] = {}
    query = sa.select(GroupMember.group_id, GroupMember.user_id)
    for some in _batches(groups):
        for group, user in session.execute(
            query.where(GroupMember.group_id.in_(some)).order_by(GroupMember.user_id)
        ):
            found.setdefault(group, []).append(user)
    return found


def implications(session: Session) -> dict[str, list[str]]:
    """The roles that each role directly implies."""
    found: dict[str, list[str]] = {}
    for prior, implied in session.execute(sa.select(ImpliedRole.prior_id, ImpliedRole.implied_id)):
        found.setdefault(prior, []).append(implied)
    return found


def global_roles(session: Session) -> set[str]:
    return set(session.scalars(sa.select(Role.id).where(Role.domain_id == "")))


def tree_of(session: Session, domains: Collection[str]) -> Tree:
    """All projects of the domains."""
    query = sa.select(Project.id, Project.parent_id, Project.domain_id)
    return Tree(
        (row.id, row.parent_id, row.domain_id)
        for some in _batches(domains)
        for row in session.execute(query.where(Project.domain_id.in_(some)).order_by(Project.name))
    )


def domains_of(session: Session, projects: Collection[str]) -> dict[str, str]:
    """The domain of each of the projects."""
    query = sa.select(Project.id, Project.domain_id)
    return {
        row.id: row.domain_id
        for some in _batches(projects)
        for row in session.execute(query.where(Project.id.in_(some)))
    }


@dataclass(frozen=True, slots=True)
class Name:
    """What a thing is called, and its domain; None for what is in none."""

    name: str
    domain_id: str | None
    domain_name: str | None


def names(session: Session, found: Sequence[Assignment]) -> Mapping[str, Name]:
    """The names of all that the assignments speak of, by id."""
    places = {kind: {one.scope_id for one in found if one.kind is kind} for kind in ScopeKind}
    wanted: tuple[tuple[type[Any], Collection[str | None]], ...] = (
        (User, {one.user_id for one in found}),
        (Group, {one.group_id for one in found}),
        (Role, {one.role_id for one in found}),
        (Project, places[ScopeKind.PROJECT]),
    )
    named: dict[str, Name] = {}
    for model, ids in wanted:
        query = sa.select(model.id, model.name, Domain.id, Domain.name).outerjoin(
            Domain, Domain.id == model.domain_id
        )
        for some in _batches([id for id in ids if id is not None]):
            for id, *rest in session.execute(query.where(model.id.in_(some))):
                named[id] = Name(*rest)
    for some in _batches(places[ScopeKind.DOMAIN]):
        for id, name in session.execute(
            sa.select(Domain.id, Domain.name).where(Domain.id.in_(some))
        ):
            named[id] = Name(name, None, None)
    return named


def _batches(ids: Collection[str]) -> Iterator[Sequence[str]]:
    sequence = list(ids)
    for start in range(0, len(sequence), MOST_IN_A_QUERY):
        yield sequence[start : start + MOST_IN_A_QUERY]
