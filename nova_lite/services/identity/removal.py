"""What goes with a project, a user, a group or a domain, and what keeps them from going."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import (
    Domain,
    FlavorAccess,
    Group,
    Image,
    Instance,
    KeyPair,
    Network,
    Port,
    Project,
    QuotaLimit,
    User,
)
from nova_lite.db.queries import security_groups
from nova_lite.domain.errors import Conflict
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.grants import forget_scope

#: What keeps a project from being deleted.
_POSSESSIONS: dict[str, sa.Select[Any]] = {
    "servers": sa.select(Instance.project_id).where(Instance.deleted == sa.false()),
    "networks": sa.select(Network.project_id).where(Network.deleted == sa.false()),
    "ports": sa.select(Port.project_id),
    "images": sa.select(Image.owner).where(Image.deleted == sa.false()),
}


def remove_project(session: Session, project: Project) -> None:
    """Delete a project with the roles on it.

    Raises Conflict while it owns servers, networks, ports or images.  Keystone
    would leave them behind, owned by nobody; it cannot know of them, we can.
    """
    # Whoever adds something to the project holds this row, too: see Quotas.
    session.refresh(project, with_for_update=True)
    owned = [
        name
        for name, owners in _POSSESSIONS.items()
        if session.execute(owners.where(owners.selected_columns[0] == project.id).limit(1)).first()
    ]
    if owned:
        raise Conflict(f"Project {project.id} still owns {', '.join(owned)}: delete these first.")
    forget_scope(session, ScopeKind.PROJECT, project.id)
    session.execute(sa.delete(FlavorAccess).where(FlavorAccess.project_id == project.id))
    security_groups.forget(session, project.id)
    session.execute(
        sa.delete(QuotaLimit).where(
            QuotaLimit.scope == "project", QuotaLimit.scope_id == project.id
        )
    )
    session.execute(
        sa.update(User).where(User.default_project_id == project.id).values(default_project_id=None)
    )
    session.delete(project)
    session.flush()


def remove_user(session: Session, user: User) -> None:
    """Delete a user with roles, memberships and key pairs; what his projects own stays."""
    session.execute(sa.delete(KeyPair).where(KeyPair.user_id == user.id))
    session.delete(user)


def remove_domain(session: Session, domain: Domain) -> None:
    """Delete a domain with all that is in it.  Raises Conflict as `remove_project` does."""
    for project in leaves_first(projects_in(session, domain.id)):
        remove_project(session, project)
    for user in session.scalars(sa.select(User).where(User.domain_id == domain.id)).all():
        remove_user(session, user)
    for group in session.scalars(sa.select(Group).where(Group.domain_id == domain.id)).all():
        session.delete(group)
    forget_scope(session, ScopeKind.DOMAIN, domain.id)
    session.flush()
    session.delete(domain)


def projects_in(session: Session, domain_id: str) -> list[Project]:
    return list(session.scalars(sa.select(Project).where(Project.domain_id == domain_id)))


def leaves_first(projects: list[Project]) -> list[Project]:
    """Each project before the one that it is in."""
    parents = {project.id: project.parent_id for project in projects}

    def depth(id: str | None) -> int:
        return 0 if id is None else 1 + depth(parents.get(id))

    return sorted(projects, key=lambda project: depth(project.id), reverse=True)
