"""What was delegated, with the roles that come with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import (
    ApplicationCredential,
    ApplicationCredentialRole,
    Role,
    Trust,
    TrustRole,
)

#: The same of both: what has the roles, and the table that says so.
_LINKS: Mapping[type[Any], tuple[type[Any], str]] = {
    ApplicationCredential: (ApplicationCredentialRole, "credential_id"),
    Trust: (TrustRole, "trust_id"),
}


def delegated_roles(
    session: Session, model: type[ApplicationCredential] | type[Trust], ids: Collection[str]
) -> dict[str, list[Role]]:
    """The roles of each of these credentials, or trusts, by name."""
    link, owner = _LINKS[model]
    query = (
        sa.select(getattr(link, owner), Role)
        .join(Role, Role.id == link.role_id)
        .where(getattr(link, owner).in_(ids))
        .order_by(Role.name, Role.id)
    )
    found: dict[str, list[Role]] = {id: [] for id in ids}
    for id, role in session.execute(query):
        found[id].append(role)
    return found


def delegate(
    session: Session,
    model: type[ApplicationCredential] | type[Trust],
    id: str,
    roles: Collection[str],
) -> None:
    """Let the roles of these ids come with it."""
    link, owner = _LINKS[model]
    session.add_all(link(**{owner: id, "role_id": role}) for role in roles)


def pedigree(session: Session, trust_id: str) -> Sequence[Trust]:
    """A trust, that by which its trustor has the roles, and so on to the first; [] if it is gone.

    None of them is later than the one it came from, so that there are no circles.
    """
    found: list[Trust] = []
    next: str | None = trust_id
    while next is not None:
        trust = session.get(Trust, next)
        if trust is None:
            return []
        found.append(trust)
        next = trust.redelegated_trust_id
    return found


def forget_application_credentials(session: Session, user_id: str, project_id: str) -> None:
    """Of a user who lost a role on the project: they were made with what he had."""
    session.execute(
        sa.delete(ApplicationCredential).where(
            ApplicationCredential.user_id == user_id,
            ApplicationCredential.project_id == project_id,
        )
    )
