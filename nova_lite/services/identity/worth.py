"""What a token is worth at this moment: asked of the database, never of the token.

An application credential is worth what its maker still is, as far as it goes; a
trust what the trustor still is.  Both are worth nothing as soon as one of their
roles is not held any more: who made them did not mean something less by it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import ApplicationCredential, RevokedToken, Role, Trust
from nova_lite.db.queries.assignments import implications
from nova_lite.db.queries.delegation import delegated_roles, pedigree
from nova_lite.db.queries.identity import Standing, standing
from nova_lite.domain.access_rules import AccessRule
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.tokens import Token


@dataclass(frozen=True, slots=True)
class Worth:
    """Who the bearer is taken for, and with what roles.

    `valid_after` is of who has shown who he is.
    """

    user_id: str
    standing: Standing
    valid_after: dt.datetime | None
    application_credential: ApplicationCredential | None = None
    trust: Trust | None = None

    @property
    def access_rules(self) -> tuple[AccessRule, ...] | None:
        """What may be asked; None: everything."""
        credential = self.application_credential
        if credential is None or credential.access_rules is None:
            return None
        return tuple(
            AccessRule(rule["service"], rule["path"], rule["method"])
            for rule in credential.access_rules
        )


def worth(session: Session, token: Token, now: dt.datetime) -> Worth | None:
    """None when the token is worth nothing, whatever the reason; its end is not looked at."""
    if _is_revoked(session, token.audit_ids):
        return None
    if token.trust_id is not None:
        found = worth_of_trust(session, token.trust_id, token.user_id, now)
    else:
        found = worth_of_user(session, token.user_id, token.kind, token.scope_id)
        if found is not None and token.application_credential_id is not None:
            id = token.application_credential_id
            found = worth_of_credential(session, found, token.scope_id, id, now)
    if found is None or found.valid_after != token.valid_after:
        return None
    reopened_at = found.standing.reopened_at
    return None if reopened_at is not None and token.issued_at < reopened_at else found


def worth_of_user(session: Session, user_id: str, kind: ScopeKind, scope_id: str) -> Worth | None:
    """What a user is there as himself."""
    found = standing(session, user_id, kind, scope_id)
    return None if found is None else Worth(user_id, found, found.tokens_valid_after)


def worth_of_credential(
    session: Session, whole: Worth, project_id: str, id: str, now: dt.datetime
) -> Worth | None:
    """What an application credential is, of all that its maker is on its project."""
    credential = session.get(ApplicationCredential, id)
    if credential is None or is_over(credential.expires_at, now):
        return None
    if (credential.user_id, credential.project_id) != (whole.user_id, project_id):
        return None
    roles = delegated_roles(session, ApplicationCredential, [id])[id]
    left = _narrowed(whole.standing, (role.id for role in roles))
    return (
        None if left is None else replace(whole, standing=left, application_credential=credential)
    )


def worth_of_trust(session: Session, id: str, trustee: str, now: dt.datetime) -> Worth | None:
    """What a trust is to its trustee."""
    chain = pedigree(session, id)
    if not chain or chain[0].trustee_user_id != trustee:
        return None
    trust, project_id = chain[0], chain[0].project_id
    agents = {one: standing(session, one, ScopeKind.NONE, "") for one in _agents(chain)}
    if project_id is None or any(is_over(link.expires_at, now) for link in chain):
        return None
    whole = standing(session, chain[-1].trustor_user_id, ScopeKind.PROJECT, project_id)
    roles = with_implied(session, (r.id for r in delegated_roles(session, Trust, [id])[id]))
    left = None if whole is None else _narrowed(whole, roles)
    user_id = trust.trustor_user_id if trust.impersonation else trustee
    user, who = agents[user_id], agents[trustee]
    if left is None or user is None or who is None or None in agents.values():
        return None
    as_user = replace(
        left,
        user_name=user.user_name,
        user_domain_id=user.user_domain_id,
        user_domain_name=user.user_domain_name,
    )
    return Worth(user_id, as_user, who.tokens_valid_after, trust=trust)


def _agents(chain: Iterable[Trust]) -> set[str]:
    """All who must still be there and enabled."""
    return {id for link in chain for id in (link.trustor_user_id, link.trustee_user_id)}


def is_over(end: dt.datetime | None, now: dt.datetime) -> bool:
    return end is not None and end <= now


def with_implied(session: Session, roles: Iterable[str]) -> set[str]:
    """The ids of these roles and of all they imply, without those of domains."""
    implied = implications(session)
    found: set[str] = set()
    waiting = list(roles)
    while waiting:
        role = waiting.pop()
        if role not in found:
            found.add(role)
            waiting += implied.get(role, ())
    is_global = sa.select(Role.id).where(Role.id.in_(found), Role.domain_id == "")
    return set(session.scalars(is_global))


def _narrowed(whole: Standing, roles: Iterable[str]) -> Standing | None:
    """With no other roles than these; None unless all of them, and any, are held."""
    wanted = set(roles)
    left = tuple((id, name) for id, name in whole.role_ids if id in wanted)
    if not left or len(left) < len(wanted):
        return None
    return replace(whole, role_ids=left, roles=frozenset(name for _, name in left))


def _is_revoked(session: Session, audit_ids: Iterable[str]) -> bool:
    """Whether it was taken back, or that of which its line began."""
    query = sa.select(RevokedToken.audit_id).where(RevokedToken.audit_id.in_(audit_ids))
    return session.execute(query.limit(1)).first() is not None
