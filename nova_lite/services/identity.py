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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn
from uuid import uuid4

import sqlalchemy as sa
from cryptography.fernet import MultiFernet
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Domain, Project, RevokedToken, Role, RoleAssignment, User
from nova_lite.db.queries.identity import Standing, standing
from nova_lite.domain.errors import Forbidden, NotFound, Unauthorized
from nova_lite.domain.ids import request_id as new_request_id
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.catalog import Entry, catalog
from nova_lite.services.directory import (
    DEFAULT_DOMAIN,
    ROLES,
    Directory,
    role_ids,
    sees_all,
    with_implied,
)
from nova_lite.services.passwords import Passwords
from nova_lite.services.tokens import Token, new_audit_id, seal, unseal

LOG = logging.getLogger(__name__)
#: All there is to say to who could not show who he is, whatever was wrong.
DENIED = "The request you have made requires authentication."
MOST_CACHED = 10_000  # checked tokens kept; about 2 kB each


@dataclass(frozen=True)
class IdentitySettings:
    """The options of [identity]."""

    token_expiration: int  # seconds
    cache_seconds: int
    password_hash_memory_kib: int
    password_hash_rounds: int
    region: str


@dataclass(frozen=True)
class Named:
    """A thing by its id, or by its name within a domain, which may be named by either, too."""

    id: str | None = None
    name: str | None = None
    domain_id: str | None = None
    domain_name: str | None = None


@dataclass(frozen=True)
class PasswordProof:
    user: Named
    password: str = field(repr=False)


@dataclass(frozen=True)
class Scope:
    """What a token shall be good for; a `kind` of None is the user's default project."""

    kind: ScopeKind | None = None
    what: Named = Named()


@dataclass(frozen=True)
class TokenDetails:
    """A token with the names of what it speaks of, and its roles as (id, name)."""

    token: Token
    standing: Standing
    roles: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Bootstrapped:
    user_id: str
    project_id: str


@dataclass(frozen=True, slots=True)
class _Checked:
    context: RequestContext
    expires_at: dt.datetime
    believed_until: dt.datetime


@dataclass(frozen=True, slots=True)
class _Login:
    """What is true of a user who has shown who he is."""

    user_id: str
    default_project_id: str | None
    valid_after: dt.datetime | None
    methods: tuple[str, ...]
    expires_at: dt.datetime
    line: str | None = None  # the audit id of the first token of this line


def admin_context(project_id: str | None = None, request_id: str = "") -> RequestContext:
    """The operator on the controller itself, who needs no token."""
    return RequestContext(
        request_id=request_id or new_request_id(),
        user_id="operator",
        user_name="operator",
        project_id=project_id,
        roles=with_implied(frozenset({"admin"})),
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
        super().__init__(database, passwords, now, changed=self._forget)
        self.fernet = fernet
        self.settings = settings
        self._believed = dt.timedelta(seconds=settings.cache_seconds)
        self._checked: OrderedDict[bytes, _Checked] = OrderedDict()
        self._lock = threading.Lock()

    def catalog(self, outside_url: str) -> tuple[Entry, ...]:
        """Every API there is, for a client that knows us as `outside_url`."""
        return catalog(self.settings.region, outside_url)

    # --- using a token --------------------------------------------------------------------

    def context_of(self, token: str, request_id: str) -> RequestContext:
        """Who asks, by his token.

        Raises Unauthorized when the token is not ours, has expired, or is worth
        nothing any more.  A right that was taken away is believed for at most
        `cache_seconds` more; the end of a token is exact.
        """
        key = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        now = self.now()
        with self._lock:
            checked = self._checked.get(key)
            if checked is not None:
                self._checked.move_to_end(key)
        # Both ways: a clock that is put back must not prolong belief.
        if checked is None or not dt.timedelta() < checked.believed_until - now <= self._believed:
            checked = self._check(token, now)
            with self._lock:
                self._checked[key] = checked
                self._checked.move_to_end(key)
                if len(self._checked) > MOST_CACHED:
                    self._checked.popitem(last=False)
        if now >= checked.expires_at:
            raise Unauthorized(DENIED)
        return replace(checked.context, request_id=request_id)

    def _check(self, text: str, now: dt.datetime) -> _Checked:
        with self.database.read() as session:
            token, found = self._worth(session, text, now)
        project = token.kind is ScopeKind.PROJECT
        context = RequestContext(
            request_id="",
            user_id=token.user_id,
            user_name=found.user_name,
            user_domain_id=found.user_domain_id,
            project_id=token.scope_id if project else None,
            project_name=found.scope_name if project else "",
            # New things go into the domain that the token is about.
            project_domain_id=found.scope_domain_id or found.user_domain_id,
            roles=with_implied(found.roles),
            system_scope=token.kind is ScopeKind.SYSTEM,
            expires_at=token.expires_at,
            token_id=token.audit_id,
        )
        return _Checked(context, token.expires_at, now + self._believed)

    def _worth(self, session: Session, text: str, now: dt.datetime) -> tuple[Token, Standing]:
        """What a token says and what it is worth, by the database.  Raises Unauthorized."""
        token = unseal(self.fernet, text)
        if now >= token.expires_at:
            raise Unauthorized(DENIED)
        found = standing(session, token.user_id, token.kind, token.scope_id, token.audit_id)
        if found is None or found.tokens_valid_after != token.valid_after:
            raise Unauthorized(DENIED)
        return token, found

    def _forget(self) -> None:
        with self._lock:
            self._checked.clear()

    # --- getting one ------------------------------------------------------------------------

    def login(
        self,
        request_id: str,
        *,
        password: PasswordProof | None = None,
        token: str | None = None,
        scope: Scope = Scope(),  # noqa: B008 - it is frozen
    ) -> tuple[str, TokenDetails]:
        """A new token for who shows a password, a token, or both of the same user.

        A token made from a token ends when that one does.  Raises Unauthorized,
        the same for whatever is wrong, and for a scope one has no role in.
        """
        proofs = [
            *([self._by_password(request_id, password)] if password is not None else []),
            *([self._by_token(request_id, token)] if token is not None else []),
        ]
        if not proofs or len({(proof.user_id, proof.valid_after) for proof in proofs}) > 1:
            _deny(request_id, "no proof, or proofs of different users")
        who = replace(
            min(proofs, key=lambda proof: proof.expires_at),
            methods=tuple(dict.fromkeys(m for proof in proofs for m in proof.methods)),
        )
        with self.database.read() as session:
            kind, scope_id, found = _enter(session, who, scope)
            if found is None or found.tokens_valid_after != who.valid_after:
                _deny(request_id, f"user {who.user_id} may not have a token for {kind} {scope_id}")
            audit_id = new_audit_id()
            made = Token(
                user_id=who.user_id,
                methods=who.methods,
                kind=kind,
                scope_id=scope_id,
                issued_at=self.now(),
                expires_at=who.expires_at,
                audit_ids=(audit_id, who.line) if who.line else (audit_id,),
                valid_after=who.valid_after,
            )
            details = _details(session, made, found)
        LOG.info(
            "user %s got token %s for %s %s (%s)",
            who.user_id,
            audit_id,
            kind,
            scope_id,
            request_id,
        )
        return seal(self.fernet, made), details

    def _by_password(self, request_id: str, proof: PasswordProof) -> _Login:
        expires_at = self.now() + dt.timedelta(seconds=self.settings.token_expiration)
        with self.database.read() as session:
            user = session.execute(
                sa.select(
                    User.id,
                    User.password_hash,
                    User.tokens_valid_after,
                    User.default_project_id,
                    sa.and_(User.enabled, Domain.enabled).label("enabled"),
                )
                .join(Domain, Domain.id == User.domain_id)
                .where(*_is(User, proof.user))
            ).first()
        # Outside of any transaction, and for nobody as for somebody.
        right = self.passwords.verify(user.password_hash if user else "", proof.password)
        if user is None or not right or not user.enabled:
            reason = f"user {user.id}: wrong password, or disabled" if user else "unknown user"
            _deny(request_id, reason)
        if self.passwords.is_outdated(user.password_hash):
            self._rehash(user.id, user.password_hash, proof.password)
        return _Login(
            user.id, user.default_project_id, user.tokens_valid_after, ("password",), expires_at
        )

    @one_transaction
    def _rehash(self, user_id: str, old: str, password: str) -> None:
        new = self.passwords.hash(password)
        with self.database.write() as session:
            session.execute(
                sa.update(User)
                .where(User.id == user_id, User.password_hash == old)
                .values(password_hash=new)
            )

    def _by_token(self, request_id: str, text: str) -> _Login:
        with self.database.read() as session:
            try:
                token, _ = self._worth(session, text, self.now())
            except Unauthorized:
                _deny(request_id, "a token that is worth nothing")
            default = session.scalar(
                sa.select(User.default_project_id).where(User.id == token.user_id)
            )
        methods = (*token.methods, "token")
        line = token.audit_ids[-1]
        return _Login(token.user_id, default, token.valid_after, methods, token.expires_at, line)

    # --- looking at one, and taking it back ---------------------------------------------------

    def describe(self, context: RequestContext, subject: str) -> TokenDetails:
        """What the token `subject` says and is worth now: one's own, or any for who sees all.

        Raises NotFound for a token that is worth nothing.
        """
        trusted = sees_all(context) or "service" in context.roles
        with self.database.read() as session:
            token, found = self._subject(session, context, subject, trusted)
            return _details(session, token, found)

    @one_transaction
    def revoke_token(self, context: RequestContext, subject: str) -> None:
        """Make one's own token worthless, or as an admin anybody's.

        Raises NotFound for one that is so already.
        """
        with self.database.write() as session:
            token, _ = self._subject(session, context, subject, context.is_admin)
            session.execute(sa.delete(RevokedToken).where(RevokedToken.expires_at < self.now()))
            insert_if_absent(
                session, RevokedToken, audit_id=token.audit_id, expires_at=token.expires_at
            )
        self._forget()
        LOG.info(
            "token %s of user %s revoked by %s (%s)",
            token.audit_id,
            token.user_id,
            context.user_id,
            context.request_id,
        )

    def _subject(
        self, session: Session, context: RequestContext, subject: str, trusted: bool
    ) -> tuple[Token, Standing]:
        try:
            token, found = self._worth(session, subject, self.now())
        except Unauthorized:
            raise NotFound("Could not find token.") from None
        if token.user_id != context.user_id and not trusted:
            raise Forbidden("You are not authorized to use the tokens of others.")
        return token, found

    # --- changing one's own password ------------------------------------------------------------

    def change_password(self, request_id: str, user_id: str, original: str, new: str) -> None:
        """Who knows the password may change it.  All tokens become void.

        Raises Unauthorized, as `login` does.
        """
        self._by_password(request_id, PasswordProof(Named(id=user_id), original))
        context = RequestContext(request_id=request_id, user_id=user_id)
        self.update_user(context, user_id, password=new)

    # --- the beginning of everything --------------------------------------------------------------

    @one_transaction
    def bootstrap(
        self, password: str, *, username: str = "admin", project: str = "admin"
    ) -> Bootstrapped:
        """Make what is needed to ask for anything more; may be said again.

        The default domain, the roles of ROLES, and a user and a project with role
        admin on it and on the system.  Whatever is there stays as it is, but the
        user is enabled and has this password afterwards.
        """
        with self.database.read() as session:
            in_default = _is(User, Named(name=username, domain_id=DEFAULT_DOMAIN))
            known = session.scalar(
                sa.select(User.password_hash)
                .join(Domain, Domain.id == User.domain_id)
                .where(*in_default)
            )
        stays = self.passwords.verify(known or "", password)
        hash = known if known and stays else self.passwords.hash(password)
        with self.database.write() as session:
            insert_if_absent(session, Domain, id=DEFAULT_DOMAIN, name="Default")
            for name in ROLES:
                insert_if_absent(session, Role, id=uuid4().hex, name=name)
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
            role = role_ids(session)["admin"]
            for kind, scope_id in ((ScopeKind.PROJECT, owner), (ScopeKind.SYSTEM, ALL)):
                insert_if_absent(
                    session,
                    RoleAssignment,
                    user_id=user.id,
                    scope=kind.value,
                    scope_id=scope_id,
                    role_id=role,
                )
        self._forget()
        LOG.info("bootstrapped: user %s is admin of project %s", user.id, owner)
        return Bootstrapped(user.id, owner)


def _deny(request_id: str, reason: str) -> NoReturn:
    LOG.info("login refused (%s): %s", request_id, reason)
    raise Unauthorized(DENIED)


def _enter(session: Session, who: _Login, scope: Scope) -> tuple[ScopeKind, str, Standing | None]:
    """Where the user wants to be, and what he is there."""
    if scope.kind is None:
        if who.default_project_id:
            there = standing(session, who.user_id, ScopeKind.PROJECT, who.default_project_id)
            if there is not None:
                return ScopeKind.PROJECT, who.default_project_id, there
        return ScopeKind.NONE, "", standing(session, who.user_id, ScopeKind.NONE, "")
    scope_id = _scope_id(session, scope.kind, scope.what)
    return scope.kind, scope_id, standing(session, who.user_id, scope.kind, scope_id)


def _scope_id(session: Session, kind: ScopeKind, what: Named) -> str:
    """The id of what is named; "" (which nothing has) when there is no such thing."""
    if kind is ScopeKind.SYSTEM:
        return ALL
    query: sa.Select[str]
    if kind is ScopeKind.PROJECT:
        query = sa.select(Project.id).join(Domain, Domain.id == Project.domain_id)
        query = query.where(*_is(Project, what))
    elif kind is ScopeKind.DOMAIN:
        by_id = what.id is not None
        query = sa.select(Domain.id).where(
            Domain.id == what.id if by_id else Domain.name == what.name
        )
    else:
        return ""
    return session.scalar(query) or ""


def _is(model: type[User] | type[Project], what: Named) -> Sequence[sa.ColumnElement[bool]]:
    """The conditions for what is named, in a query that joins its domain."""
    if what.id is not None:
        return (model.id == what.id,)
    domain = (
        Domain.id == what.domain_id
        if what.domain_id is not None
        else Domain.name == what.domain_name
    )
    return model.name == what.name, domain


def _details(session: Session, token: Token, found: Standing) -> TokenDetails:
    names = with_implied(found.roles)
    roles = [(id, name) for name, id in role_ids(session).items() if name in names]
    return TokenDetails(token, found, sorted(roles, key=lambda role: role[1]))
