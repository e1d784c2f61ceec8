"""From who one is to where one is: a token for a project, a domain, the system, by a trust."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import Domain, Project, Trust
from nova_lite.domain.errors import Forbidden
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.identity.proofs import Named, Shown, deny, is_named
from nova_lite.services.identity.tokens import Token, new_audit_id
from nova_lite.services.identity.worth import (
    Worth,
    is_over,
    worth_of_credential,
    worth_of_trust,
    worth_of_user,
)


@dataclass(frozen=True)
class Scope:
    """What a token shall be good for; a `kind` of None is the user's default project.

    With `trust_id` it is for what that trust is about.
    """

    kind: ScopeKind | None = None
    what: Named = Named()
    trust_id: str | None = None


#: Where who asks is at home, whatever that is.
HOME = Scope()
_Place = tuple[ScopeKind, str]


def enter(
    session: Session, request_id: str, who: Shown, scope: Scope, now: dt.datetime
) -> tuple[Token, Worth]:
    """A token for where the user wants to be, and what he is there.

    Raises Unauthorized when he is nothing there, or the trust is over; Forbidden for
    another's trust, and for a scope that is not for what he has shown.
    """
    end = who.expires_at
    found: Worth | None
    if scope.trust_id is not None:
        (kind, scope_id), found, trust = _by_trust(session, request_id, who, scope.trust_id, now)
        end = min(end, trust.expires_at or end)
    else:
        kind, scope_id = _place(session, request_id, who, scope)
        found = worth_of_user(session, who.user_id, kind, scope_id)
        if found is not None and who.application_credential_id is not None:
            id = who.application_credential_id
            found = worth_of_credential(session, found, scope_id, id, now)
    if found is None or found.valid_after != who.valid_after:
        deny(request_id, f"user {who.user_id} may not have a token for {kind} {scope_id}")
    audit_id = new_audit_id()
    token = Token(
        user_id=who.user_id,
        methods=who.methods,
        kind=kind,
        scope_id=scope_id,
        issued_at=now,
        expires_at=end,
        audit_ids=(audit_id, who.line) if who.line else (audit_id,),
        valid_after=who.valid_after,
        application_credential_id=who.application_credential_id,
        trust_id=scope.trust_id,
    )
    return token, found


def _place(session: Session, request_id: str, who: Shown, scope: Scope) -> _Place:
    if who.project_id is not None:
        if scope != HOME:
            deny(request_id, "an application credential is good for its own project only")
        return ScopeKind.PROJECT, who.project_id
    if who.kind is ScopeKind.SYSTEM and scope.kind in (ScopeKind.PROJECT, ScopeKind.DOMAIN):
        raise Forbidden("A system-scoped token cannot be used to get one of a project or domain.")
    if scope.kind is not None:
        return scope.kind, _id_of(session, scope.kind, scope.what)
    home = who.default_project_id
    if home and worth_of_user(session, who.user_id, ScopeKind.PROJECT, home) is not None:
        return ScopeKind.PROJECT, home
    return ScopeKind.NONE, ""


def _by_trust(
    session: Session, request_id: str, who: Shown, id: str, now: dt.datetime
) -> tuple[_Place, Worth, Trust]:
    if who.application_credential_id is not None:
        deny(request_id, "an application credential is good for its own project only")
    trust = session.get(Trust, id)
    if trust is None or is_over(trust.expires_at, now) or trust.remaining_uses == 0:
        deny(request_id, f"there is no trust {id}, or no more")
    if trust.trustee_user_id != who.user_id:
        raise Forbidden("You are not the trustee of this trust.")
    found = worth_of_trust(session, id, who.user_id, now)
    if found is None:
        raise Forbidden("The trustor does not have the roles of this trust any more.")
    return (ScopeKind.PROJECT, trust.project_id or ""), found, trust


def _id_of(session: Session, kind: ScopeKind, what: Named) -> str:
    """The id of what is named; "" (which nothing has) when there is no such thing."""
    query: sa.Select[str]
    if kind is ScopeKind.PROJECT:
        query = sa.select(Project.id).join(Domain, Domain.id == Project.domain_id)
        query = query.where(*is_named(Project, what))
    elif kind is ScopeKind.DOMAIN:
        by_id = what.id is not None
        query = sa.select(Domain.id).where(
            Domain.id == what.id if by_id else Domain.name == what.name
        )
    else:
        return ALL if kind is ScopeKind.SYSTEM else ""
    return session.scalar(query) or ""
