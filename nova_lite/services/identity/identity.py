"""Who asks: logging in, tokens, and what a token is worth right now.

A token is believed for a few seconds after it was checked, and then checked
again: whether its user, project and domains still exist and are enabled, which
roles he has there now, and that neither the token nor the password behind it
was taken back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import uuid4

import sqlalchemy as sa
from cryptography.fernet import MultiFernet
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Domain, Grant, Project, RevokedToken, Trust, User
from nova_lite.db.queries.identity import scopes_of
from nova_lite.domain.access_rules import AccessRule, Asked, permitted
from nova_lite.domain.errors import Forbidden, NotFound, Unauthorized
from nova_lite.domain.ids import request_id as new_request_id
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.identity.collection import sees_all
from nova_lite.services.identity.directory import DEFAULT_DOMAIN, Directory
from nova_lite.services.identity.entering import HOME, Scope, enter
from nova_lite.services.identity.passwords import Passwords
from nova_lite.services.identity.proofs import (
    DENIED,
    Named,
    PasswordProof,
    Proofs,
    Prover,
    deny,
    is_named,
)
from nova_lite.services.identity.roles import ensure_built_in
from nova_lite.services.identity.tokens import Token, seal, unseal
from nova_lite.services.identity.worth import Worth, worth

LOG = logging.getLogger(__name__)
#: What the operator on the controller is, whatever the roles imply by now.
OPERATOR_ROLES = frozenset({"admin", "manager", "member", "reader"})
MOST_CACHED = 10_000  # checked tokens kept; about 2 kB each
#: How long after its end a token is still explained to services that do long work for it.
EXPIRED_WINDOW = dt.timedelta(days=2)
NO_TIME = dt.timedelta()


@dataclass(frozen=True)
class IdentitySettings:
    """The options of [identity]."""

    token_expiration: int  # seconds
    cache_seconds: int
    password_hash_memory_kib: int
    password_hash_rounds: int
    region: str
    max_project_tree_depth: int = 5


@dataclass(frozen=True)
class TokenDetails:
    """A token, and what it is worth."""

    token: Token
    worth: Worth


@dataclass(frozen=True)
class Bootstrapped:
    user_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class _Checked:
    context: RequestContext
    access_rules: tuple[AccessRule, ...] | None
    expires_at: dt.datetime
    believed_until: dt.datetime


def admin_context(project_id: str | None = None, request_id: str = "") -> RequestContext:
    """The operator on the controller itself, who needs no token."""
    return RequestContext(
        request_id=request_id or new_request_id(),
        user_id="operator",
        user_name="operator",
        project_id=project_id,
        roles=OPERATOR_ROLES,
        system_scope=project_id is None,
    )


class Identity(Directory):
    """The directory, and the proof that somebody is in it."""

    def __init__(
        self,
        database: Database,
        fernet: MultiFernet,
        settings: IdentitySettings,
        now: Callable[[], dt.datetime],
    ) -> None:
        passwords = Passwords(settings.password_hash_memory_kib, settings.password_hash_rounds)
        depth = settings.max_project_tree_depth
        super().__init__(database, passwords, now, self.forget, max_project_tree_depth=depth)
        self.fernet = fernet
        self.settings = settings
        self.prover = Prover(database, passwords, fernet, settings.token_expiration, now)
        self._believed = dt.timedelta(seconds=settings.cache_seconds)
        self._checked: OrderedDict[bytes, _Checked] = OrderedDict()
        self._forgotten = 0  # times
        self._introduced: set[tuple[str, str | None]] = set()
        self._lock = threading.Lock()

    # --- using a token --------------------------------------------------------------------

    def context_of(self, token: str, request_id: str, asked: Asked | None = None) -> RequestContext:
        """Who asks, by his token.

        Raises Unauthorized when the token is not ours, has expired, is worth nothing
        any more, or is not for what is `asked`.  A right that was taken away is
        believed for at most `cache_seconds` more; the end of a token is exact.
        """
        key = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        now = self.now()
        with self._lock:
            checked, forgotten = self._checked.get(key), self._forgotten
            if checked is not None:
                self._checked.move_to_end(key)
        # Both ways: a clock that is put back must not prolong belief.
        if checked is None or not dt.timedelta() < checked.believed_until - now <= self._believed:
            checked = self._check(token, now)
            with self._lock:
                # What was read before something changed is good for this once only.
                if forgotten == self._forgotten:
                    self._checked[key] = checked
                    self._checked.move_to_end(key)
                    if len(self._checked) > MOST_CACHED:
                        self._checked.popitem(last=False)
        if now >= checked.expires_at:
            raise Unauthorized(DENIED)
        if checked.access_rules is not None:
            if asked is None or not permitted(checked.access_rules, asked):
                raise Unauthorized(DENIED)
        return replace(checked.context, request_id=request_id)

    def forget(self) -> None:
        """Look at every token anew: something that tokens depend on has changed."""
        with self._lock:
            self._checked.clear()
            self._forgotten += 1

    def _check(self, text: str, now: dt.datetime) -> _Checked:
        with self.database.read() as session:
            token, found = self._worth(session, text, now)
        standing, credential = found.standing, found.application_credential
        project = token.kind is ScopeKind.PROJECT
        context = RequestContext(
            request_id="",
            user_id=found.user_id,
            user_name=standing.user_name,
            user_domain_id=standing.user_domain_id,
            project_id=token.scope_id if project else None,
            project_name=standing.scope_name if project else "",
            # New things go into the domain that the token is about.
            project_domain_id=standing.scope_domain_id or standing.user_domain_id,
            domain_id=token.scope_id if token.kind is ScopeKind.DOMAIN else None,
            roles=standing.roles,
            system_scope=token.kind is ScopeKind.SYSTEM,
            expires_at=token.expires_at,
            token_id=token.audit_id,
            application_credential_id=token.application_credential_id,
            unrestricted=credential is None or bool(credential.unrestricted),
            trust_id=token.trust_id,
        )
        return _Checked(context, found.access_rules, token.expires_at, now + self._believed)

    def _worth(
        self, session: Session, text: str, now: dt.datetime, window: dt.timedelta = NO_TIME
    ) -> tuple[Token, Worth]:
        """What a token says and what it is worth, by the database.  Raises Unauthorized."""
        token = unseal(self.fernet, text)
        if now >= token.expires_at + window:
            raise Unauthorized(DENIED)
        found = worth(session, token, now)
        if found is None:
            raise Unauthorized(DENIED)
        return token, found

    # --- getting one ------------------------------------------------------------------------

    def login(
        self, request_id: str, proofs: Proofs, scope: Scope = HOME
    ) -> tuple[str, TokenDetails]:
        """A new token for who shows who he is.

        A token made from a token ends when that one does.  Raises what `Prover.check`
        and `enter` do.
        """
        who = self.prover.check(request_id, proofs)
        with self.database.read() as session:
            token, found = enter(session, request_id, who, scope, self.now())
        if found.trust is not None and found.trust.remaining_uses is not None:
            self._use_trust(request_id, found.trust.id)
        LOG.info(
            "user %s got token %s for %s %s (%s)",
            token.user_id,
            token.audit_id,
            token.kind,
            token.scope_id,
            request_id,
        )
        return seal(self.fernet, token), TokenDetails(token, found)

    @one_transaction
    def _use_trust(self, request_id: str, id: str) -> None:
        """Raises Unauthorized when it was used as often as it may be."""
        left = sa.update(Trust).where(Trust.id == id, Trust.remaining_uses > 0)
        with self.database.write() as session:
            used = rows_changed(session, left.values(remaining_uses=Trust.remaining_uses - 1))
        if not used:
            deny(request_id, f"no use is left of trust {id}")

    # --- looking at one, and taking it back ---------------------------------------------------

    def describe(
        self,
        context: RequestContext,
        subject: str,
        *,
        allow_expired: bool = False,
        access_rules: bool = False,
    ) -> TokenDetails:
        """What the token `subject` says and is worth now: one's own, or any for who sees all.

        For the latter one that has expired may be explained, too; one with access
        rules is, to who says that he heeds these.  Raises NotFound for a token that
        is worth nothing.
        """
        trusted = sees_all(context) or "service" in context.roles
        window = EXPIRED_WINDOW if allow_expired and trusted else NO_TIME
        with self.database.read() as session:
            token, found = self._subject(session, context, subject, trusted, window)
        if found.access_rules is not None and not access_rules:
            raise NotFound("Could not find token.")
        return TokenDetails(token, found)

    @one_transaction
    def revoke_token(self, context: RequestContext, subject: str) -> None:
        """Make one's own token, and those made from it, worthless; or as an admin anybody's.

        Raises NotFound for one that is so already.
        """
        with self.database.write() as session:
            token, _ = self._subject(session, context, subject, context.is_admin, NO_TIME)
            session.execute(sa.delete(RevokedToken).where(RevokedToken.expires_at < self.now()))
            insert_if_absent(
                session, RevokedToken, audit_id=token.audit_id, expires_at=token.expires_at
            )
        self.forget()
        LOG.info(
            "token %s of user %s revoked by %s (%s)",
            token.audit_id,
            token.user_id,
            context.user_id,
            context.request_id,
        )

    def _subject(
        self,
        session: Session,
        context: RequestContext,
        subject: str,
        trusted: bool,
        window: dt.timedelta,
    ) -> tuple[Token, Worth]:
        try:
            token, found = self._worth(session, subject, self.now(), window)
        except Unauthorized:
            raise NotFound("Could not find token.") from None
        if context.user_id not in (token.user_id, found.user_id) and not trusted:
            raise Forbidden("You are not authorized to use the tokens of others.")
        return token, found

    def is_in_system(self, context: RequestContext) -> bool:
        """Whether who asks has a role on the system."""
        with self.database.read() as session:
            there = sa.select(scopes_of(context.user_id, ScopeKind.SYSTEM).exists())
            return bool(session.scalar(there))

    # --- others' users ------------------------------------------------------------------------

    def introduce(self, context: RequestContext) -> None:
        """Make known who asks, and for which project, if another Keystone answers for them.

        Quotas hold on to our rows of both.  The rows are named by their ids, as names
        may be given anew there; nobody can log in here by them.
        """
        key = (context.user_id, context.project_id)
        if key in self._introduced:
            return
        self._introduce(context)
        if len(self._introduced) >= MOST_CACHED:
            self._introduced.clear()
        self._introduced.add(key)

    @one_transaction
    def _introduce(self, context: RequestContext) -> None:
        with self.database.write() as session:
            for domain in {context.user_domain_id, context.project_domain_id}:
                insert_if_absent(session, Domain, id=domain, name=domain)
            id, home = context.user_id, context.user_domain_id
            insert_if_absent(session, User, id=id, domain_id=home, name=id, password_hash="")
            if context.project_id is not None:
                id, home = context.project_id, context.project_domain_id
                insert_if_absent(session, Project, id=id, domain_id=home, name=id)

    # --- changing one's own password ------------------------------------------------------------

    def change_password(self, request_id: str, user_id: str, original: str, new: str) -> None:
        """Who knows the password may change it.  All tokens become void.

        Raises Unauthorized, as `login` does.
        """
        self.prover.check(request_id, Proofs(PasswordProof(Named(id=user_id), original)))
        self.change_own_password(request_id, user_id, new)

    # --- the beginning of everything --------------------------------------------------------------

    @one_transaction
    def bootstrap(
        self, password: str, *, username: str = "admin", project: str = "admin"
    ) -> Bootstrapped:
        """Make what is needed to ask for anything more; may be said again.

        The default domain, the roles of BUILT_IN, and a user and a project with role
        admin on it and on the system.  Whatever is there stays as it is, but the
        user is enabled and has this password afterwards.
        """
        with self.database.read() as session:
            in_default = is_named(User, Named(name=username, domain_id=DEFAULT_DOMAIN))
            known = session.scalar(
                sa.select(User.password_hash)
                .join(Domain, Domain.id == User.domain_id)
                .where(*in_default)
            )
        stays = self.passwords.verify(known or "", password)
        hash = known if known and stays else self.passwords.hash(password)
        with self.database.write() as session:
            insert_if_absent(session, Domain, id=DEFAULT_DOMAIN, name="Default")
            roles = ensure_built_in(session)
            here = {"domain_id": DEFAULT_DOMAIN}
            insert_if_absent(session, Project, id=uuid4().hex, name=project, **here)
            insert_if_absent(
                session, User, id=uuid4().hex, name=username, password_hash=hash, **here
            )
            user = session.scalars(sa.select(User).filter_by(name=username, **here)).one()
            owner = session.scalars(sa.select(Project.id).filter_by(name=project, **here)).one()
            user.enabled = True
            if user.password_hash != hash:
                user.password_hash = hash
                user.tokens_valid_after = self.now()
            for kind, scope_id in ((ScopeKind.PROJECT, owner), (ScopeKind.SYSTEM, ALL)):
                insert_if_absent(
                    session,
                    Grant,
                    user_id=user.id,
                    scope=kind.value,
                    scope_id=scope_id,
                    role_id=roles["admin"],
                    inherited=False,
                )
        self.forget()
        LOG.info("bootstrapped: user %s is admin of project %s", user.id, owner)
        return Bootstrapped(user.id, owner)
