"""Who may do what where, as of now: the question that every request asks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from nova_lite.db.models import Domain, Project, RevokedToken, Role, RoleAssignment, User
from nova_lite.domain.scopes import ScopeKind


@dataclass(frozen=True, slots=True)
class Standing:
    """A user within a scope; `roles` are those assigned, without what they imply."""

    user_name: str
    user_domain_id: str
    user_domain_name: str
    tokens_valid_after: dt.datetime | None
    scope_name: str
    scope_domain_id: str
    scope_domain_name: str
    roles: frozenset[str]


def standing(
    session: Session, user_id: str, kind: ScopeKind, scope_id: str, audit_id: str = ""
) -> Standing | None:
    """What the user is in this scope; None when nothing.

    Nothing he is if anything on the way is gone or disabled (user, his domain,
    project, its domain), if he has no role there, or if the token of that
    audit id was revoked.
    """
    rows = session.execute(
        _STANDING[kind], {"user_id": user_id, "scope_id": scope_id, "audit_id": audit_id}
    ).all()
    if not rows:
        return None
    first = rows[0]
    return Standing(
        user_name=first.user_name,
        user_domain_id=first.user_domain_id,
        user_domain_name=first.user_domain_name,
        tokens_valid_after=first.tokens_valid_after,
        scope_name=first.scope_name,
        scope_domain_id=first.scope_domain_id,
        scope_domain_name=first.scope_domain_name,
        roles=frozenset(row.role for row in rows if row.role),
    )


def _standing(kind: ScopeKind) -> sa.Select[*tuple[Any, ...]]:
    home, owner = aliased(Domain), aliased(Domain)
    nothing = sa.literal("")
    name, domain_id, domain_name = {
        ScopeKind.PROJECT: (Project.name, owner.id, owner.name),
        ScopeKind.DOMAIN: (owner.name, owner.id, owner.name),
    }.get(kind, (nothing, nothing, nothing))
    query: sa.Select[*tuple[Any, ...]] = sa.select(
        User.name.label("user_name"),
        User.domain_id.label("user_domain_id"),
        home.name.label("user_domain_name"),
        User.tokens_valid_after,
        name.label("scope_name"),
        domain_id.label("scope_domain_id"),
        domain_name.label("scope_domain_name"),
        (nothing if kind is ScopeKind.NONE else Role.name).label("role"),
    ).join_from(User, home, sa.and_(home.id == User.domain_id, home.enabled))
    if kind is not ScopeKind.NONE:
        here = sa.and_(
            RoleAssignment.user_id == User.id,
            RoleAssignment.scope == kind.value,
            RoleAssignment.scope_id == sa.bindparam("scope_id", type_=sa.String),
        )
        query = query.join(RoleAssignment, here).join(Role, Role.id == RoleAssignment.role_id)
    if kind is ScopeKind.PROJECT:
        project = sa.and_(Project.id == RoleAssignment.scope_id, Project.enabled)
        query = query.join(Project, project)
        query = query.join(owner, sa.and_(owner.id == Project.domain_id, owner.enabled))
    elif kind is ScopeKind.DOMAIN:
        domain = sa.and_(owner.id == RoleAssignment.scope_id, owner.enabled)
        query = query.join(owner, domain)
    revoked = sa.exists().where(RevokedToken.audit_id == sa.bindparam("audit_id", type_=sa.String))
    return query.where(
        User.id == sa.bindparam("user_id", type_=sa.String), User.enabled, sa.not_(revoked)
    )


# Built once: putting such a statement together takes longer than running it.
_STANDING = {kind: _standing(kind) for kind in ScopeKind}


def assignments(
    session: Session,
    *,
    user_id: str | None = None,
    role_id: str | None = None,
    kind: str | None = None,
    scope_id: str | None = None,
) -> Sequence[sa.Row[*tuple[Any, ...]]]:
    """Assignments of roles with all their names, in one query; None is whatever."""
    home, owner, domain = aliased(Domain), aliased(Domain), aliased(Domain)
    query = (
        sa.select(
            User.id.label("user_id"),
            User.name.label("user_name"),
            home.id.label("user_domain_id"),
            home.name.label("user_domain_name"),
            Role.id.label("role_id"),
            Role.name.label("role_name"),
            RoleAssignment.scope,
            RoleAssignment.scope_id,
            sa.func.coalesce(Project.name, domain.name, "").label("scope_name"),
            owner.id.label("scope_domain_id"),
            owner.name.label("scope_domain_name"),
        )
        .join_from(RoleAssignment, User, User.id == RoleAssignment.user_id)
        .join(home, home.id == User.domain_id)
        .join(Role, Role.id == RoleAssignment.role_id)
        .outerjoin(
            Project,
            sa.and_(
                RoleAssignment.scope == ScopeKind.PROJECT.value,
                Project.id == RoleAssignment.scope_id,
            ),
        )
        .outerjoin(owner, owner.id == Project.domain_id)
        .outerjoin(
            domain,
            sa.and_(
                RoleAssignment.scope == ScopeKind.DOMAIN.value,
                domain.id == RoleAssignment.scope_id,
            ),
        )
        .order_by(User.name, RoleAssignment.scope, RoleAssignment.scope_id, Role.name)
    )
    wanted = (
        (RoleAssignment.user_id, user_id),
        (RoleAssignment.role_id, role_id),
        (RoleAssignment.scope, kind),
        (RoleAssignment.scope_id, scope_id),
    )
    for column, value in wanted:
        if value is not None:
            query = query.where(column == value)
    return session.execute(query).all()
