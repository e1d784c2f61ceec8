"""Tokens: what one promises to say who he is, sealed so that only we can write it.

A token carries ids and times, no names and no roles: what they are worth is
asked of the database whenever a token is used.
"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

import orjson
from cryptography.fernet import InvalidToken, MultiFernet

from nova_lite.domain.errors import Unauthorized
from nova_lite.domain.scopes import ScopeKind

LONGEST = 2048  # characters of a token; ours have about 400
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Token:
    """`audit_ids` name the token and the first of its line, without being able to use them.

    `user_id` is who has shown who he is: by a trust he may act for somebody else.
    `valid_after` is the user's `tokens_valid_after` as it was when he showed his
    password.  That it is still the same shows that the password is; comparing
    times instead would leave a gap while the password is being changed.
    """

    user_id: str
    methods: tuple[str, ...]
    kind: ScopeKind
    scope_id: str
    issued_at: dt.datetime
    expires_at: dt.datetime
    audit_ids: tuple[str, ...]
    valid_after: dt.datetime | None
    application_credential_id: str | None = None
    trust_id: str | None = None

    @property
    def is_delegated(self) -> bool:
        """Whether it is for a part of what the user may, or of what another may."""
        return self.application_credential_id is not None or self.trust_id is not None

    @property
    def audit_id(self) -> str:
        return self.audit_ids[0]


def new_audit_id() -> str:
    return secrets.token_urlsafe(16)


def seal(fernet: MultiFernet, token: Token) -> str:
    payload = {
        "u": token.user_id,
        "m": token.methods,
        "k": token.kind,
        "s": token.scope_id,
        "i": _microseconds(token.issued_at),
        "e": _microseconds(token.expires_at),
        "a": token.audit_ids,
        "v": token.valid_after and _microseconds(token.valid_after),
        "c": token.application_credential_id,
        "t": token.trust_id,
    }
    sealed = fernet.encrypt_at_time(orjson.dumps(payload), int(token.issued_at.timestamp()))
    return sealed.decode().rstrip("=")


def unseal(fernet: MultiFernet, text: str) -> Token:
    """What the token says.  Raises Unauthorized unless one of our keys wrote it.

    Whether it has expired or was revoked is not looked at.
    """
    data = text[: LONGEST + 1].encode("utf-8", "replace")
    if len(data) > LONGEST:
        raise Unauthorized("The token is no token of ours.")
    try:
        payload = orjson.loads(fernet.decrypt(data + b"=" * (-len(data) % 4)))
        return Token(
            user_id=payload["u"],
            methods=tuple(payload["m"]),
            kind=ScopeKind(payload["k"]),
            scope_id=payload["s"],
            issued_at=_time(payload["i"]),
            expires_at=_time(payload["e"]),
            audit_ids=tuple(payload["a"]),
            valid_after=None if payload["v"] is None else _time(payload["v"]),
            # Tokens of the first release know of neither.
            application_credential_id=payload.get("c"),
            trust_id=payload.get("t"),
        )
    except (InvalidToken, ValueError, KeyError, TypeError):
        # The last three: written with our keys, but by another release.
        raise Unauthorized("The token is no token of ours.") from None


def _microseconds(time: dt.datetime) -> int:
    return (time - EPOCH) // MICROSECOND


def _time(microseconds: int) -> dt.datetime:
    return EPOCH + microseconds * MICROSECOND
