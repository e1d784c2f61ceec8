"""Showing who one is: by a password, a token, or an application credential."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import sqlalchemy as sa
from cryptography.fernet import MultiFernet

from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import ApplicationCredential, Domain, Project, User
from nova_lite.domain.errors import Forbidden, NotFound, Unauthorized
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.passwords import Passwords
from nova_lite.services.identity.tokens import unseal
from nova_lite.services.identity.worth import is_over, worth

LOG = logging.getLogger(__name__)
#: All there is to say to who could not show who he is, whatever was wrong.
DENIED = "The request you have made requires authentication."


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
class ApplicationCredentialProof:
    """By id, or by the name that its user gave it."""

    secret: str = field(repr=False)
    id: str | None = None
    name: str | None = None
    user: Named | None = None


@dataclass(frozen=True)
class Proofs:
    """All that somebody shows at once."""

    password: PasswordProof | None = None
    token: str | None = field(default=None, repr=False)
    application_credential: ApplicationCredentialProof | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What is true of a user who has shown who he is."""

    user_id: str
    default_project_id: str | None
    valid_after: dt.datetime | None
    methods: tuple[str, ...]
    expires_at: dt.datetime
    line: str | None = None  # the audit id of the first token of this line
    kind: ScopeKind | None = None  # of the token that was shown
    application_credential_id: str | None = None
    project_id: str | None = None  # where that is good, and nowhere else


def deny(request_id: str, reason: str) -> NoReturn:
    LOG.info("login refused (%s): %s", request_id, reason)
    raise Unauthorized(DENIED)


def is_named(model: type[User] | type[Project], what: Named) -> Sequence[sa.ColumnElement[bool]]:
    """The conditions for what is named, in a query that joins its domain."""
    if what.id is not None:
        return (model.id == what.id,)
    domain = (
        Domain.id == what.domain_id
        if what.domain_id is not None
        else Domain.name == what.domain_name
    )
    return model.name == what.name, domain


class Prover:
    """Checks proofs; `seconds` is how long what they show is believed."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        fernet: MultiFernet,
        seconds: int,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.passwords = passwords
        self.fernet = fernet
        self.lifetime = dt.timedelta(seconds=seconds)
        self.now = now

    def check(self, request_id: str, proofs: Proofs) -> Shown:
        """What all of the proofs together show, which must be about the same user.

        Raises Unauthorized, the same for whatever is wrong; NotFound for a token
        or an application credential that is none; Forbidden for a token that was
        delegated.
        """
        shown = []
        if proofs.password is not None:
            shown.append(self._by_password(request_id, proofs.password))
        if proofs.token is not None:
            shown.append(self._by_token(proofs.token))
        if proofs.application_credential is not None:
            shown.append(self._by_credential(request_id, proofs.application_credential))
        if not shown or len({(one.user_id, one.valid_after) for one in shown}) > 1:
            deny(request_id, "no proof, or proofs of different users")
        # What is delegated is the last of them: nothing makes more of it.
        return replace(
            shown[-1],
            methods=tuple(dict.fromkeys(method for one in shown for method in one.methods)),
            expires_at=min(one.expires_at for one in shown),
            line=next((one.line for one in shown if one.line), None),
            kind=next((one.kind for one in shown if one.kind), None),
        )

    def _by_password(self, request_id: str, proof: PasswordProof) -> Shown:
        with self.database.read() as session:
            user = session.execute(_USER.where(*is_named(User, proof.user))).first()
        # Outside of any transaction, and for nobody as for somebody.
        right = self.passwords.verify(user.password_hash if user else "", proof.password)
        if user is None or not right or not user.enabled:
            reason = f"user {user.id}: wrong password, or disabled" if user else "unknown user"
            deny(request_id, reason)
        if self.passwords.is_outdated(user.password_hash):
            self._rehash(user.id, user.password_hash, proof.password)
        return Shown(
            user.id,
            user.default_project_id,
            user.tokens_valid_after,
            ("password",),
            self.now() + self.lifetime,
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

    def _by_token(self, text: str) -> Shown:
        try:
            token = unseal(self.fernet, text)
        except Unauthorized:
            raise NotFound("Could not find token.") from None
        now = self.now()
        with self.database.read() as session:
            if now >= token.expires_at or worth(session, token, now) is None:
                raise NotFound("Could not find token.")
            default = session.scalar(
                sa.select(User.default_project_id).where(User.id == token.user_id)
            )
        if token.is_delegated:
            raise Forbidden("A token that was delegated cannot be used to get another.")
        return Shown(
            token.user_id,
            default,
            token.valid_after,
            (*token.methods, "token"),
            token.expires_at,
            line=token.audit_ids[-1],
            kind=token.kind,
        )

    def _by_credential(self, request_id: str, proof: ApplicationCredentialProof) -> Shown:
        query = (
            _USER.add_columns(
                ApplicationCredential.id.label("credential_id"),
                ApplicationCredential.secret_hash,
                ApplicationCredential.project_id,
                ApplicationCredential.expires_at,
            )
            .join(ApplicationCredential, ApplicationCredential.user_id == User.id)
            .where(
                ApplicationCredential.id == proof.id
                if proof.id is not None
                else ApplicationCredential.name == proof.name
            )
        )
        if proof.user is not None:
            query = query.where(*is_named(User, proof.user))
        with self.database.read() as session:
            found = session.execute(query).first()
        right = self.passwords.verify(found.secret_hash if found else "", proof.secret)
        if found is None and proof.id is not None:
            raise NotFound(f"Could not find application credential: {proof.id}.")
        now = self.now()
        if not found or not right or not found.enabled or is_over(found.expires_at, now):
            deny(request_id, "unknown application credential, wrong secret, over or disabled")
        return Shown(
            found.id,
            found.default_project_id,
            found.tokens_valid_after,
            ("application_credential",),
            min(now + self.lifetime, found.expires_at or dt.datetime.max.replace(tzinfo=dt.UTC)),
            application_credential_id=found.credential_id,
            project_id=found.project_id,
        )


_USER = sa.select(
    User.id,
    User.password_hash,
    User.tokens_valid_after,
    User.default_project_id,
    sa.and_(User.enabled, Domain.enabled).label("enabled"),
).join(Domain, Domain.id == User.domain_id)
