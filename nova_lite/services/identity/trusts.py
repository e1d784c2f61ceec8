"""Trusts: a user lets another use some of his roles on a project.

The other may hand it on, as far as it was said that he may: then there is a trust
by a trust, and it holds while all those before it do.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Project, Role, Trust, User
from nova_lite.db.queries.delegation import delegate, delegated_roles, pedigree
from nova_lite.db.queries.identity import standing
from nova_lite.domain.errors import Forbidden, Invalid, NotFound
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.collection import Collection, get, not_found, sees_all
from nova_lite.services.identity.delegation import NamedRole, end_of, ids_of, refuse_restricted
from nova_lite.services.identity.worth import is_over

MOST_REDELEGATIONS = 3


@dataclass(frozen=True)
class Trusted:
    """A trust with its roles."""

    trust: Trust
    roles: Sequence[Role]


class Trusts(Collection):
    """A trust is seen by both parties and by operators, and ended by the trustor or an admin."""

    def __init__(
        self, database: Database, now: Callable[[], dt.datetime], changed: Callable[[], None]
    ) -> None:
        super().__init__(database, changed)
        self.now = now

    def list(
        self,
        context: RequestContext,
        *,
        trustor_user_id: str | None = None,
        trustee_user_id: str | None = None,
    ) -> Sequence[Trust]:
        """Those one gave, those one was given, or all for who sees all."""
        if not sees_all(context) and context.user_id not in (trustor_user_id, trustee_user_id):
            raise Forbidden("You are not authorized to see the trusts of others.")
        wanted = (
            (Trust.trustor_user_id, trustor_user_id),
            (Trust.trustee_user_id, trustee_user_id),
        )
        query = sa.select(Trust).order_by(Trust.id)
        query = query.where(*(column == value for column, value in wanted if value is not None))
        with self.database.read() as session:
            return session.scalars(query).all()

    def get(self, context: RequestContext, id: str) -> Trusted:
        """Raises NotFound, also when it is over or used up, and for a third party."""
        with self.database.read() as session:
            trust = self._find(session, id)
            _must_be_party(context, trust)
            return Trusted(trust, delegated_roles(session, Trust, [id])[id])

    @one_transaction
    def create(
        self,
        context: RequestContext,
        *,
        trustor_user_id: str,
        trustee_user_id: str,
        impersonation: bool,
        project_id: str | None = None,
        roles: Sequence[NamedRole] = (),
        expires_at: str | None = None,
        remaining_uses: int | None = None,
        allow_redelegation: bool | None = None,
        redelegation_count: int | None = None,
    ) -> Trusted:
        """By the trustor himself; with a token of a trust, that one is handed on.

        Raises Forbidden for another's trust, for one without roles, and for what a
        trust that is handed on cannot give; NotFound for what there is not, and for
        roles the trustor does not have.
        """
        if context.user_id != trustor_user_id:
            raise Forbidden("The authenticated user is not the trustor.")
        refuse_restricted(context)
        if project_id is not None and not roles:
            raise Forbidden("At least one role should be specified.")
        trust = Trust(
            id=uuid4().hex,
            trustor_user_id=trustor_user_id,
            trustee_user_id=trustee_user_id,
            project_id=project_id,
            impersonation=impersonation,
            expires_at=end_of(expires_at, self.now()),
            remaining_uses=remaining_uses,
            redelegation_count=_depth(allow_redelegation, redelegation_count, remaining_uses),
        )
        with self._change(context, "created", Trust, trust.id) as session:
            get(session, User, trustee_user_id)
            ids = ids_of(session, roles)
            if context.trust_id is not None:
                before = pedigree(session, context.trust_id)
                _hand_on(session, before, trust, ids, redelegation_count)
            if project_id is not None:
                _check_held(session, context, trust, ids)
            session.add(trust)
            session.flush()
            delegate(session, Trust, trust.id, ids)
            session.flush()
            return Trusted(trust, delegated_roles(session, Trust, [trust.id])[trust.id])

    @one_transaction
    def delete(self, context: RequestContext, id: str) -> None:
        """End it, and those handed on from it."""
        refuse_restricted(context)
        with self._change(context, "deleted", Trust, id) as session:
            trust = self._find(session, id)
            _must_be_party(context, trust)
            if context.user_id != trust.trustor_user_id and not context.is_admin:
                raise Forbidden("Only the trustor or an admin can delete a trust.")
            session.delete(trust)

    def _find(self, session: Session, id: str) -> Trust:
        trust = get(session, Trust, id)
        if is_over(trust.expires_at, self.now()) or trust.remaining_uses == 0:
            raise not_found(Trust, id)
        return trust


def _depth(allowed: bool | None, count: int | None, remaining_uses: int | None) -> int:
    """How often it may be handed on."""
    if not allowed or count == 0:
        return 0
    if remaining_uses is not None:
        raise Invalid(
            "Invalid input for field/attribute remaining_uses. "
            "It must not be set when redelegation is allowed."
        )
    if count is not None and count > MOST_REDELEGATIONS:
        raise Forbidden(f"Redelegation is possible {MOST_REDELEGATIONS} times at most.")
    return MOST_REDELEGATIONS if count is None else count


def _hand_on(
    session: Session,
    before: Sequence[Trust],
    trust: Trust,
    roles: Sequence[str],
    asked_count: int | None,
) -> None:
    """Make it a trust by the first of `before`; raises Forbidden unless it is less than that."""
    if not before:
        raise Forbidden("The trust that this token is of has ended.")
    parent = before[0]
    left = parent.redelegation_count - 1
    if left < 0 or trust.remaining_uses is not None:
        raise Forbidden("This trust cannot be handed on, or not with a number of uses.")
    if trust.redelegation_count and asked_count not in (None, left):
        raise Forbidden(f"This trust can be handed on {left} times more, and nothing else.")
    given = {role.id for role in delegated_roles(session, Trust, [parent.id])[parent.id]}
    if not given.issuperset(roles) or trust.project_id != parent.project_id:
        raise Forbidden("Some of the requested roles are not in the trust that is handed on.")
    if trust.impersonation and not parent.impersonation:
        raise Forbidden("The trust that is handed on does not allow impersonation.")
    if parent.expires_at is not None:
        if trust.expires_at is not None and trust.expires_at > parent.expires_at:
            raise Forbidden("The trust that is handed on ends before that.")
        trust.expires_at = trust.expires_at or parent.expires_at
    trust.redelegated_trust_id = parent.id
    trust.redelegation_count = min(trust.redelegation_count, left)


def _check_held(
    session: Session, context: RequestContext, trust: Trust, roles: Sequence[str]
) -> None:
    """Raises NotFound for a role that the trustor does not have there, or not by this token."""
    project_id = trust.project_id or ""
    get(session, Project, project_id)
    before = pedigree(session, trust.redelegated_trust_id) if trust.redelegated_trust_id else ()
    holder = before[-1].trustor_user_id if before else trust.trustor_user_id
    found = standing(session, holder, ScopeKind.PROJECT, project_id)
    held = {id for id, _ in found.role_ids} if found is not None else set()
    if context.application_credential_id is not None:
        # It hands on no more than it has.
        held = {id for id, name in found.role_ids if name in context.roles} if found else set()
        held = held if project_id == context.project_id else set()
    for role in roles:
        if role not in held:
            raise NotFound(f"Could not find role: {role}.")


def _must_be_party(context: RequestContext, trust: Trust) -> None:
    """To anybody else there is no such trust."""
    parties = (trust.trustor_user_id, trust.trustee_user_id)
    if context.user_id not in parties and not sees_all(context):
        raise not_found(Trust, trust.id)
