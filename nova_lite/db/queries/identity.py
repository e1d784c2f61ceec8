"""Who may do what where, as of now: the question that every request asks.

A user holds the roles granted to him or to a group he is in, and all that these
imply.  A grant holds where it was made, or, if it is inherited, on every project
below.  Roles of a domain are gone over for what they imply, and count for nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from nova_lite.db.models import (
    Domain,
    Grant,
    GroupMember,
    ImpliedRole,
    Project,
    RevokedToken,
    Role,
    User,
)
from nova_lite.domain.scopes import ScopeKind


@dataclass(frozen=True, slots=True)
class Standing:
    """A user within a scope, with all roles he has there by whatever way."""

    user_name: str
    user_domain_id: str
    user_domain_name: str
    tokens_valid_after: dt.datetime | None
    scope_name: str
    scope_domain_id: str
    scope_domain_name: str
    roles: frozenset[str]
    role_ids: Sequence[tuple[str, str]] = ()
    """The same as (id, name), sorted by name."""
    reopened_at: dt.datetime | None = None
    """When one of project and domains was last enabled again: tokens from before are void."""


def standing(
    session: Session, user_id: str, kind: ScopeKind, scope_id: str, audit_id: str = ""
) -> Standing | None:
    """What the user is in this scope; None when nothing.  One query.

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
    roles = {row.role_id: row.role for row in rows if row.role_id}
    return Standing(
        user_name=first.user_name,
        user_domain_id=first.user_domain_id,
        user_domain_name=first.user_domain_name,
        tokens_valid_after=first.tokens_valid_after,
        scope_name=first.scope_name,
        scope_domain_id=first.scope_domain_id,
        scope_domain_name=first.scope_domain_name,
        roles=frozenset(roles.values()),
        role_ids=sorted(roles.items(), key=lambda role: role[1]),
        reopened_at=max(
            filter(None, (first.home_at, first.owner_at, first.project_at)), default=None
        ),
    )


def scopes_of(user_id: str, kind: ScopeKind) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """A query for the ids of the projects, or of the domains, the user has a role in.

    For `Project.id.in_(...)`; of the system it is ALL or nothing.  Whether they
    are enabled is not looked at.
    """
    held = _held(user_id)
    counting = (
        sa.select(held.c.scope, held.c.scope_id, held.c.inherited)
        .join(Role, sa.and_(Role.id == held.c.role_id, Role.domain_id == ""))
        .cte("counting")
    )
    here = sa.select(counting.c.scope_id).where(
        counting.c.scope == kind.value, ~counting.c.inherited
    )
    if kind is not ScopeKind.PROJECT:
        return here
    parent = sa.or_(
        sa.and_(counting.c.scope == "domain", counting.c.scope_id == Project.domain_id),
        sa.and_(counting.c.scope == "project", counting.c.scope_id == Project.parent_id),
    )
    below = (
        sa.select(Project.id)
        .join(counting, sa.and_(counting.c.inherited, parent))
        .cte("below", recursive=True)
    )
    child = aliased(Project)
    below = below.union(sa.select(child.id).join(below, child.parent_id == below.c.id))
    return here.union(sa.select(below.c.id))


def _granted(user: Any) -> sa.CTE:
    """What was granted to the user or a group he is in."""
    columns = (Grant.scope, Grant.scope_id, Grant.inherited, Grant.role_id)
    in_groups = (
        sa.select(GroupMember.user_id, *columns)
        .join(GroupMember, GroupMember.group_id == Grant.group_id)
        .where(GroupMember.user_id == user)
    )
    # Two queries, as no index serves a condition with OR.
    own = sa.select(Grant.user_id, *columns).where(Grant.user_id == user)
    return own.union(in_groups).cte("granted")


def _held(user: Any) -> sa.CTE:
    """The same with all that these roles imply.

    UNION leaves out what it has met already, and so comes to an end in a circle of roles, too.
    """
    granted = _granted(user)
    held = sa.select(granted).cte("held", recursive=True)
    return held.union(
        sa.select(
            held.c.user_id,
            held.c.scope,
            held.c.scope_id,
            held.c.inherited,
            ImpliedRole.implied_id,
        ).join(ImpliedRole, ImpliedRole.prior_id == held.c.role_id)
    )


def _above(project_id: Any) -> sa.CTE:
    """The ids of what a project is in, up to its domain."""
    above = (
        sa.select(Project.parent_id.label("id"))
        .where(Project.id == project_id)
        .cte("above", recursive=True)
    )
    parent = aliased(Project)
    return above.union(sa.select(parent.parent_id).join(above, parent.id == above.c.id))


def _standing(kind: ScopeKind) -> sa.Select[*tuple[Any, ...]]:
    home, owner = aliased(Domain), aliased(Domain)
    scope_id = sa.bindparam("scope_id", type_=sa.String)
    user_id = sa.bindparam("user_id", type_=sa.String)
    nothing = sa.literal("")
    name, domain_id, domain_name = {
        ScopeKind.PROJECT: (Project.name, owner.id, owner.name),
        ScopeKind.DOMAIN: (owner.name, owner.id, owner.name),
    }.get(kind, (nothing, nothing, nothing))
    without = kind is ScopeKind.NONE
    in_domain = kind in (ScopeKind.PROJECT, ScopeKind.DOMAIN)
    never = sa.null()
    query: sa.Select[*tuple[Any, ...]] = sa.select(
        User.name.label("user_name"),
        User.domain_id.label("user_domain_id"),
        home.name.label("user_domain_name"),
        User.tokens_valid_after,
        name.label("scope_name"),
        domain_id.label("scope_domain_id"),
        domain_name.label("scope_domain_name"),
        home.enabled_at.label("home_at"),
        (owner.enabled_at if in_domain else never).label("owner_at"),
        (Project.enabled_at if kind is ScopeKind.PROJECT else never).label("project_at"),
        (nothing if without else Role.id).label("role_id"),
        (nothing if without else Role.name).label("role"),
    ).join_from(User, home, sa.and_(home.id == User.domain_id, home.enabled))
    if kind is ScopeKind.PROJECT:
        query = query.join(Project, sa.and_(Project.id == scope_id, Project.enabled))
        query = query.join(owner, sa.and_(owner.id == Project.domain_id, owner.enabled))
    elif kind is ScopeKind.DOMAIN:
        query = query.join(owner, sa.and_(owner.id == scope_id, owner.enabled))
    if not without:
        held = _held(user_id)
        place = domain_id if kind is ScopeKind.DOMAIN else scope_id
        here = sa.and_(held.c.scope == kind.value, held.c.scope_id == place, ~held.c.inherited)
        if kind is ScopeKind.PROJECT:
            from_domain = sa.and_(held.c.scope == "domain", held.c.scope_id == Project.domain_id)
            from_parent = sa.and_(
                held.c.scope == "project", held.c.scope_id.in_(sa.select(_above(scope_id).c.id))
            )
            here = sa.or_(here, sa.and_(held.c.inherited, sa.or_(from_domain, from_parent)))
        query = query.join(held, sa.and_(held.c.user_id == User.id, here)).join(
            Role, sa.and_(Role.id == held.c.role_id, Role.domain_id == "")
        )
    revoked = sa.exists().where(RevokedToken.audit_id == sa.bindparam("audit_id", type_=sa.String))
    return query.where(User.id == user_id, User.enabled, sa.not_(revoked))


# Built once: putting such a statement together takes longer than running it.
_STANDING = {kind: _standing(kind) for kind in ScopeKind}
