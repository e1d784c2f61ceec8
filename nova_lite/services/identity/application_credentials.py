"""Application credentials: secrets that users make for programs, and what these may ask."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import AccessRule, ApplicationCredential, Role
from nova_lite.db.queries.delegation import delegate, delegated_roles
from nova_lite.domain.errors import Forbidden, Invalid, NotFound
from nova_lite.services.identity.collection import Collection, Page, Wanted, sees_all
from nova_lite.services.identity.delegation import NamedRole, end_of, ids_of, refuse_restricted
from nova_lite.services.identity.passwords import Passwords
from nova_lite.services.identity.worth import with_implied

SECRET_BYTES = 64


@dataclass(frozen=True)
class Described:
    """A credential, or a row of the columns that may be shown of one, with its roles."""

    credential: Any
    roles: Sequence[Role]


class ApplicationCredentials(Collection):
    """Everybody has his own, and sees his own; operators see all."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        now: Callable[[], dt.datetime],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(database, changed)
        self.passwords = passwords
        self.now = now

    def list(
        self, context: RequestContext, user_id: str, wanted: Wanted
    ) -> tuple[Sequence[Described], bool]:
        """Those of a user, and whether there are more behind this page."""
        _check_owner(context, user_id, sees_all(context))
        own = ApplicationCredential.user_id == user_id
        page = self._list(ApplicationCredential, own, wanted=wanted)
        with self.database.read() as session:
            roles = delegated_roles(session, ApplicationCredential, [row.id for row in page])
        return [Described(row, roles[row.id]) for row in page], page.more

    def get(self, context: RequestContext, user_id: str, id: str) -> Described:
        _check_owner(context, user_id, sees_all(context))
        with self.database.read() as session:
            return _described(session, _find(session, user_id, id))

    @one_transaction
    def create(
        self,
        context: RequestContext,
        user_id: str,
        *,
        name: str,
        description: str | None = None,
        secret: str | None = None,
        roles: Sequence[NamedRole] = (),
        expires_at: str | None = None,
        unrestricted: bool | None = None,
        access_rules: Sequence[Mapping[str, str]] = (),
    ) -> tuple[Described, str]:
        """One for oneself and the project of the token, with its secret, told only now.

        The roles are some of those of the token, with all they imply; none are all of
        them.  Raises Forbidden for another user, Invalid for a role that the token does
        not have, NotFound for one that there is not, Conflict for a name that is taken.
        """
        _check_owner(context, user_id, False)
        refuse_restricted(context)
        if context.project_id is None:
            raise Invalid("An application credential is made with a token of its project.")
        secret = secret or secrets.token_urlsafe(SECRET_BYTES)
        credential = ApplicationCredential(
            id=uuid4().hex,
            user_id=user_id,
            project_id=context.project_id,
            name=name,
            description=description,
            secret_hash=self.passwords.hash(secret),
            expires_at=end_of(expires_at, self.now()),
            unrestricted=unrestricted,
        )
        with self._change(context, "created", ApplicationCredential, credential.id) as session:
            chosen = _chosen(session, context, roles)
            rules = [_rule(session, user_id, rule) for rule in access_rules]
            credential.access_rules = rules or None
            session.add(credential)
            session.flush()
            delegate(session, ApplicationCredential, credential.id, chosen)
            session.flush()
            return _described(session, credential), secret

    @one_transaction
    def delete(self, context: RequestContext, user_id: str, id: str) -> None:
        _check_owner(context, user_id, context.is_admin)
        refuse_restricted(context)
        with self._change(context, "deleted", ApplicationCredential, id) as session:
            session.delete(_find(session, user_id, id))

    # --- access rules ---------------------------------------------------------------------

    def list_rules(self, context: RequestContext, user_id: str, wanted: Wanted) -> Page:
        """The rules that a user has ever written and not removed."""
        _check_owner(context, user_id, context.system_scope and sees_all(context))
        return self._list(AccessRule, AccessRule.user_id == user_id, wanted=wanted)

    def get_rule(self, context: RequestContext, user_id: str, id: str) -> AccessRule:
        _check_owner(context, user_id, context.system_scope and sees_all(context))
        with self.database.read() as session:
            return _find_rule(session, user_id, id)

    @one_transaction
    def delete_rule(self, context: RequestContext, user_id: str, id: str) -> None:
        """Raises Forbidden while there is a credential with it."""
        _check_owner(context, user_id, context.system_scope and context.is_admin)
        with self._change(context, "deleted", AccessRule, id) as session:
            rule = _find_rule(session, user_id, id)
            own = sa.select(ApplicationCredential.access_rules)
            lists = session.scalars(own.where(ApplicationCredential.user_id == user_id))
            if any(used["id"] == id for rules in lists for used in rules or ()):
                raise Forbidden(f"Access rule {id} is in use.")
            session.delete(rule)


def _check_owner(context: RequestContext, user_id: str, trusted: bool) -> None:
    if context.trust_id is not None:
        raise Forbidden("A token of a trust is not for application credentials.")
    if context.user_id != user_id and not trusted:
        raise Forbidden("You are not authorized to use the application credentials of others.")


def _find(session: Session, user_id: str, id: str) -> ApplicationCredential:
    query = sa.select(ApplicationCredential).filter_by(id=id, user_id=user_id)
    found = None if "\0" in id else session.scalar(query)
    if found is None:
        raise NotFound(f"Could not find application credential: {id}.")
    return found


def _find_rule(session: Session, user_id: str, id: str) -> AccessRule:
    query = sa.select(AccessRule).filter_by(id=id, user_id=user_id)
    found = None if "\0" in id else session.scalar(query)
    if found is None:
        raise NotFound(f"Could not find access rule: {id}.")
    return found


def _described(session: Session, credential: ApplicationCredential) -> Described:
    id = credential.id
    return Described(credential, delegated_roles(session, ApplicationCredential, [id])[id])


def _chosen(session: Session, context: RequestContext, named: Sequence[NamedRole]) -> set[str]:
    own = sa.select(Role.id).where(Role.name.in_(context.roles), Role.domain_id == "")
    held = set(session.scalars(own))
    if not named:
        return held
    ids = ids_of(session, named)
    chosen = with_implied(session, ids)
    # A role of a domain is none that a token has.
    if not chosen <= held or not chosen.issuperset(ids):
        raise Invalid(
            "Invalid application credential: it cannot have a role that the token has not."
        )
    return chosen


def _rule(session: Session, user_id: str, said: Mapping[str, str]) -> dict[str, str]:
    """The user's rule of this id, or with these words."""
    if "id" in said:
        rule = _find_rule(session, user_id, said["id"])
    else:
        words = {name: said[name] for name in ("service", "path", "method")}
        insert_if_absent(session, AccessRule, id=uuid4().hex, user_id=user_id, **words)
        rule = session.scalars(sa.select(AccessRule).filter_by(user_id=user_id, **words)).one()
    return {"id": rule.id, "service": rule.service, "path": rule.path, "method": rule.method}
