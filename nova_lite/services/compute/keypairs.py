"""Key pairs: the public half is kept, a private one that we made is shown once.

Of type `ssh` the public half is one line as OpenSSH writes it, of type `x509` a
certificate, which is how one logs in to Windows.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_public_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import KeyPair
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.services.compute.quotas import Quotas

# One line: type, key, and a comment.  Options before the type (`command=...`)
# and further lines would let a key do more than log in.
_LINE = re.compile(
    r"(ssh-rsa|ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)"
    r"|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r"[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+[^\x00-\x1f\x7f]*)?"
)
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
CERTIFICATE_LIFE = dt.timedelta(days=3650)
#: Where Windows looks for whose certificate it is.
USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")


class Pair(NamedTuple):
    public: str
    private: str


class KeyPairs:
    """Of users, not of projects; `user_id` names another user than who asks, for administrators."""

    def __init__(self, database: Database, quotas: Quotas, now: Callable[[], dt.datetime]) -> None:
        self.database = database
        self.quotas = quotas
        self.now = now

    def create(
        self,
        context: RequestContext,
        name: str,
        public_key: str | None = None,
        *,
        type: str = "ssh",
        user_id: str | None = None,
    ) -> tuple[KeyPair, str | None]:
        """Keep a public key; with None make a pair, and return its private half, too.

        Raises Invalid for what is no public key of that type, Conflict for a name
        that is taken, QuotaExceeded.
        """
        owner = _owner(context, user_id)
        private_key = None
        if public_key is None:
            # Before the transaction, in which nobody else may add a key pair.
            public_key, private_key = GENERATE[type](name, owner, self.now())
        public_key = public_key.strip()
        return self._keep(context, owner, name, type, public_key), private_key

    @one_transaction
    def _keep(
        self, context: RequestContext, owner: str, name: str, type: str, public_key: str
    ) -> KeyPair:
        fingerprint = FINGERPRINT[type](public_key)
        with self.database.write() as session:
            self.quotas.reserve_key_pair(session, owner, context.project_id)
            if not insert_if_absent(
                session,
                KeyPair,
                user_id=owner,
                name=name,
                type=type,
                fingerprint=fingerprint,
                public_key=public_key,
                created_at=self.now(),
            ):
                raise Conflict(f"Key pair '{name}' already exists.")
            return _get(session, owner, name)

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


def generate(comment: str) -> Pair:
    """A new RSA key, as every client and the oldest guest know it.

    The public half is one line of OpenSSH, the private one PEM.  RSA, too,
    because with it a guest encrypts the password it has given its administrator.
    """
    key = _rsa_key()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return Pair(f"{public.decode()} {comment}", _pem(key, PrivateFormat.TraditionalOpenSSL))


def generate_certificate(user: str, now: dt.datetime) -> Pair:
    """A new RSA key, and a certificate signed by itself that lets `user` log in with it."""
    key = _rsa_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user[:64])])
    principal = f"{user}@localhost".encode()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))  # a guest's clock may be slow
        .not_valid_after(now + CERTIFICATE_LIFE)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.OtherName(USER_PRINCIPAL_NAME, _utf8_string(principal))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(Encoding.PEM).decode()
    return Pair(public, _pem(key, PrivateFormat.PKCS8))


def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _pem(key: rsa.RSAPrivateKey, format: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, format, NoEncryption()).decode()


def _utf8_string(value: bytes) -> bytes:
    """In DER; Windows takes no other type here."""
    length = len(value)
    assert length < 256  # a user's id has at most 64 characters
    return bytes([0x0C, *([0x81] if length > 127 else []), length]) + value


def fingerprint_of(public_key: str) -> str:
    """MD5 in colons, as Nova and `ssh-keygen -l -E md5` say it.  Raises Invalid."""
    line = _LINE.fullmatch(public_key)
    if line is None:
        raise Invalid("Keypair data is invalid: not one line of an OpenSSH public key.")
    try:
        load_ssh_public_key(f"{line[1]} {line[2]}".encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"Keypair data is invalid: {error}") from None
    return _colons(hashlib.md5(base64.b64decode(line[2]), usedforsecurity=False).digest())


def certificate_fingerprint_of(certificate: str) -> str:
    """SHA-1 in colons, as Windows and `openssl x509 -fingerprint` say it.  Raises Invalid."""
    try:
        if not (certificate.isascii() and certificate.startswith(_CERTIFICATE)):
            raise ValueError("not a certificate in PEM")
        known = x509.load_pem_x509_certificate(certificate.encode())
        return _colons(known.fingerprint(hashes.SHA1()))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Invalid(f"Keypair data is invalid: {error}") from None


def _colons(digest: bytes) -> str:
    return digest.hex(":")


GENERATE: dict[str, Callable[[str, str, dt.datetime], Pair]] = {
    "ssh": lambda name, user, now: generate(name),
    "x509": lambda name, user, now: generate_certificate(user, now),
}
FINGERPRINT: dict[str, Callable[[str], str]] = {
    "ssh": fingerprint_of,
    "x509": certificate_fingerprint_of,
}


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
