"""Key pairs: the public half is kept, a private one that we made is shown once."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import KeyPair
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.services.quotas import Quotas

# One line: type, key, and a comment.  Options before the type (`command=...`)
# and further lines would let a key do more than log in.
_LINE = re.compile(
    r"(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r"[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+[^\x00-\x1f\x7f]*)?"
)


class KeyPairs:
    """Of users, not of projects; `user_id` names another user than who asks, for administrators."""

    def __init__(self, database: Database, quotas: Quotas, now: Callable[[], dt.datetime]) -> None:
        self.database = database
        self.quotas = quotas
        self.now = now

    @one_transaction
    def create(
        self,
        context: RequestContext,
        name: str,
        public_key: str | None = None,
        *,
        user_id: str | None = None,
    ) -> tuple[KeyPair, str | None]:
        """Keep a public key; with None make a pair, and return its private half, too.

        Raises Invalid for what is no public key, Conflict for a name that is
        taken, QuotaExceeded.
        """
        owner = _owner(context, user_id)
        private_key = None
        if public_key is None:
            public_key, private_key = generate(name)
        public_key = public_key.strip()
        fingerprint = fingerprint_of(public_key)
        with self.database.write() as session:
            self.quotas.reserve_key_pair(session, owner)
            if not insert_if_absent(
                session,
                KeyPair,
                user_id=owner,
                name=name,
                type="ssh",
                fingerprint=fingerprint,
                public_key=public_key,
                created_at=self.now(),
            ):
                raise Conflict(f"Key pair '{name}' already exists.")
            return _get(session, owner, name), private_key

    def get(self, context: RequestContext, name: str, *, user_id: str | None = None) -> KeyPair:
        with self.database.read() as session:
            return _get(session, _owner(context, user_id), name)

    def list(
        self,
        context: RequestContext,
        *,
        user_id: str | None = None,
        limit: int | None = None,
        marker: str | None = None,
    ) -> Sequence[Any]:
        """Key pairs by name.  Raises Invalid when the marker is not there."""
        owner = _owner(context, user_id)
        query = (
            sa.select(KeyPair.__table__)
            .where(KeyPair.user_id == owner)
            .order_by(KeyPair.name)
            .limit(limit)
        )
        with self.database.read() as session:
            if marker is not None:
                known = sa.select(KeyPair.name).where(
                    KeyPair.user_id == owner, KeyPair.name == marker
                )
                if session.scalar(known) is None:
                    raise Invalid(f"marker [{marker}] not found")
                query = query.where(KeyPair.name > marker)
            return session.execute(query).all()

    @one_transaction
    def delete(self, context: RequestContext, name: str, *, user_id: str | None = None) -> None:
        owner = _owner(context, user_id)
        with self.database.write() as session:
            gone = sa.delete(KeyPair).where(KeyPair.user_id == owner, KeyPair.name == name)
            if not rows_changed(session, gone):
                raise _not_found(owner, name)


def generate(comment: str) -> tuple[str, str]:
    """A new ed25519 key: public line and private key, both as OpenSSH writes them."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return f"{public.decode()} {comment}", private.decode()


def fingerprint_of(public_key: str) -> str:
    """MD5 in colons, as Nova and `ssh-keygen -l -E md5` say it.  Raises Invalid."""
    line = _LINE.fullmatch(public_key)
    if line is None:
        raise Invalid("Keypair data is invalid: not one line of an OpenSSH public key.")
    try:
        load_ssh_public_key(f"{line[1]} {line[2]}".encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"Keypair data is invalid: {error}") from None
    digest = hashlib.md5(base64.b64decode(line[2]), usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, 32, 2))


def _owner(context: RequestContext, user_id: str | None) -> str:
    if user_id is None or user_id == context.user_id:
        return context.user_id
    if not context.is_admin:
        raise Forbidden("Only administrators may touch the key pairs of others.")
    return user_id


def _get(session: Session, owner: str, name: str) -> KeyPair:
    pair = session.scalar(sa.select(KeyPair).where(KeyPair.user_id == owner, KeyPair.name == name))
    if pair is None:
        raise _not_found(owner, name)
    return pair


def _not_found(owner: str, name: str) -> NotFound:
    return NotFound(f"Keypair {name} not found for user {owner}")
