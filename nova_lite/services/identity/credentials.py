"""Credentials: secrets kept for users, among them the key pairs of the EC2 API.

They must be told again, so they are encrypted, with the keys that seal tokens: a
key may go once nothing that was written with it is left.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
import sqlalchemy as sa
from cryptography.fernet import MultiFernet
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Credential, Project, User
from nova_lite.domain.errors import Forbidden, Invalid, NotFound
from nova_lite.services.identity.collection import (
    Collection,
    beyond,
    find,
    get,
    not_found,
    sees_all,
)
from nova_lite.services.identity.delegation import refuse_delegated

EC2 = "ec2"


@dataclass(frozen=True)
class Opened:
    """A credential that can be read."""

    id: str
    user_id: str
    project_id: str | None
    type: str
    blob: str = field(repr=False)
    extra: Mapping[str, Any]


@dataclass(frozen=True)
class Ec2Key:
    access: str
    secret: str = field(repr=False)
    user_id: str
    project_id: str


class Credentials(Collection):
    """Everybody has his own; operators see and change all.  Nobody does by delegation."""

    def __init__(
        self, database: Database, fernet: MultiFernet, changed: Callable[[], None]
    ) -> None:
        super().__init__(database, changed)
        self.fernet = fernet

    def list(
        self, context: RequestContext, *, user_id: str | None = None, type: str | None = None
    ) -> Sequence[Opened]:
        if context.is_delegated:
            return []
        query = sa.select(Credential).order_by(Credential.id)
        wanted = ((Credential.user_id, user_id), (Credential.type, type))
        query = query.where(*(column == value for column, value in wanted if value is not None))
        if not sees_all(context):
            query = query.where(Credential.user_id == context.user_id)
        with self.database.read() as session:
            return [self._open(one) for one in session.scalars(query)]

    def get(self, context: RequestContext, id: str) -> Opened:
        refuse_delegated(context)
        with self.database.read() as session:
            return self._open(_find(session, context, id, sees_all(context)))

    def create(
        self,
        context: RequestContext,
        *,
        user_id: str,
        type: str,
        blob: str,
        project_id: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Opened:
        """The blob of a key pair is JSON with its access key.

        Raises Forbidden for another user, NotFound for an unknown user or project,
        Invalid for a key pair that is none, Conflict for an access key that is taken.
        """
        _check_owner(context, user_id, context.is_admin)
        id = _id_of(_access(blob)) if type.lower() == EC2 else uuid4().hex
        credential = Credential(
            id=id,
            user_id=user_id,
            project_id=project_id,
            type=type,
            blob=self._close(blob),
            extra=dict(extra or {}),
        )
        return self._keep(context, credential)

    @one_transaction
    def update(self, context: RequestContext, id: str, *, blob: str, **said: str | None) -> Opened:
        """Change the blob; what else is said of it must be as it is, else Invalid is raised."""
        refuse_delegated(context)
        with self._change(context, "updated", Credential, id) as session:
            credential = _find(session, context, id, context.is_admin)
            for name, value in said.items():
                if value != getattr(credential, name):
                    raise Invalid(
                        f"Invalid input for field/attribute {name}. It cannot be changed."
                    )
            if credential.type.lower() == EC2:
                _access(blob)
            credential.blob = self._close(blob)
            return self._open(credential)

    @one_transaction
    def delete(self, context: RequestContext, id: str) -> None:
        refuse_delegated(context)
        with self._change(context, "deleted", Credential, id) as session:
            session.delete(_find(session, context, id, context.is_admin))

    # --- key pairs of the EC2 API -------------------------------------------------------------

    def list_ec2(self, context: RequestContext, user_id: str) -> Sequence[Ec2Key]:
        _check_owner(context, user_id, sees_all(context))
        with self.database.read() as session:
            get(session, User, user_id)
        return [_key(one) for one in self.list(context, user_id=user_id, type=EC2)]

    def get_ec2(self, context: RequestContext, user_id: str, access: str) -> Ec2Key:
        _check_owner(context, user_id, sees_all(context))
        with self.database.read() as session:
            return _key(self._open(_find_ec2(session, user_id, access)))

    def create_ec2(self, context: RequestContext, user_id: str, project_id: str) -> Ec2Key:
        """A new key pair for a user and a project, which need not have to do with each other:
        what he is there is asked when it is used.
        """
        _check_owner(context, user_id, context.is_admin)
        pair = {"access": secrets.token_hex(16), "secret": secrets.token_hex(16)}
        credential = Credential(
            id=_id_of(pair["access"]),
            user_id=user_id,
            project_id=project_id,
            type=EC2,
            blob=self._close(orjson.dumps({**pair, "trust_id": None}).decode()),
        )
        return _key(self._keep(context, credential))

    @one_transaction
    def delete_ec2(self, context: RequestContext, user_id: str, access: str) -> None:
        _check_owner(context, user_id, context.is_admin)
        with self._change(context, "deleted", Credential, _id_of(access)) as session:
            session.delete(_find_ec2(session, user_id, access))

    def ec2_secret(self, access: str) -> Ec2Key | None:
        """Whose the access key is, and what signs with it; None when there is no such key now."""
        with self.database.read() as session:
            found = session.get(Credential, _id_of(access))
            return None if found is None or found.type != EC2 else _key(self._open(found))

    # --- sealing --------------------------------------------------------------------------------

    @one_transaction
    def _keep(self, context: RequestContext, credential: Credential) -> Opened:
        with self._change(context, "created", Credential, credential.id) as session:
            get(session, User, credential.user_id)
            if credential.project_id is not None:
                get(session, Project, credential.project_id)
            session.add(credential)
        return self._open(credential)

    def _close(self, blob: str) -> str:
        return self.fernet.encrypt(blob.encode()).decode()

    def _open(self, credential: Credential) -> Opened:
        return Opened(
            id=credential.id,
            user_id=credential.user_id,
            project_id=credential.project_id,
            type=credential.type,
            blob=self.fernet.decrypt(credential.blob).decode(),
            extra=credential.extra or {},
        )


def _check_owner(context: RequestContext, user_id: str, trusted: bool) -> None:
    refuse_delegated(context)
    if context.user_id != user_id and not trusted:
        raise Forbidden("You are not authorized to use the credentials of others.")


def _find(session: Session, context: RequestContext, id: str, trusted: bool) -> Credential:
    found = find(session, Credential, id)
    if found is None or (found.user_id != context.user_id and not trusted):
        # Who may do that to all of them is told what there is not; nobody else is.
        raise not_found(Credential, id) if trusted else beyond()
    return found


def _find_ec2(session: Session, user_id: str, access: str) -> Credential:
    found = session.get(Credential, _id_of(access))
    if found is None or found.type != EC2 or found.user_id != user_id:
        raise NotFound(f"Could not find credential: {access}.")
    return found


def _id_of(access: str) -> str:
    return hashlib.sha256(access.encode("utf-8", "replace")).hexdigest()


def _access(blob: str) -> str:
    try:
        access = orjson.loads(blob)["access"]
    except (ValueError, TypeError, KeyError):
        access = None
    if not isinstance(access, str) or not access:
        raise Invalid(
            "Invalid input for field/attribute blob. It is no JSON object with an access key."
        )
    return access


def _key(opened: Opened) -> Ec2Key:
    pair = orjson.loads(opened.blob)
    return Ec2Key(
        access=pair["access"],
        secret=str(pair.get("secret", "")),
        user_id=opened.user_id,
        project_id=opened.project_id or "",
    )
