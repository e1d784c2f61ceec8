"""Users and their passwords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import one_transaction
from nova_lite.db.models import Domain, Project, User
from nova_lite.db.queries.identity import scopes_of
from nova_lite.domain.errors import Forbidden, Invalid
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.collection import (
    EVERYTHING,
    Condition,
    Page,
    Wanted,
    find,
    get,
    overseen,
    oversees,
    put,
    unseen,
)
from nova_lite.services.identity.passwords import Passwords
from nova_lite.services.identity.projects import Projects
from nova_lite.services.identity.removal import remove_user

#: What nobody has here: passwords that expire, and other providers of identity.
NOBODYS = ("password_expires_at", "idp_id", "protocol_id", "unique_id")
USER_FILTERS = ("name", "domain_id", "enabled", *NOBODYS)


class Users(Projects):
    """Who may do this is policy; here is kept that one learns nothing of others."""

    passwords: Passwords

    def list_users(self, context: RequestContext, wanted: Wanted = EVERYTHING) -> Page:
        return self._users(wanted, overseen(context, User.domain_id))

    def _users(self, wanted: Wanted, *conditions: Condition | None) -> Page:
        asked = {name.partition("__")[0] for name in wanted.filters}
        nobody = sa.false() if asked & set(NOBODYS) else None
        filters = {n: v for n, v in wanted.filters.items() if n.partition("__")[0] not in NOBODYS}
        wanted = Wanted(filters, wanted.limit, wanted.marker)
        return self._list(User, nobody, *conditions, wanted=wanted)

    def get_user(self, context: RequestContext, id: str) -> User:
        with self.database.read() as session:
            return visible_user(session, context, id)

    def create_user(
        self,
        context: RequestContext,
        *,
        name: str,
        password: str | None = None,
        domain_id: str | None = None,
        default_project_id: str | None = None,
        email: str | None = None,
        description: str | None = None,
        enabled: bool = True,
        options: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> User:
        """A user without a password cannot log in.

        Raises Conflict when the domain has one of this name, NotFound when there
        is no such domain.
        """
        user = User(
            id=uuid4().hex,
            domain_id=home(context, domain_id),
            name=name,
            # Before the transaction: a hash takes its time, and others would wait.
            password_hash=self.passwords.hash(password) if password is not None else "",
            enabled=enabled,
            default_project_id=default_project_id,
            email=email,
        )
        put(user, {"description": description, "options": options or {}, "extra": extra or {}})
        return self._create(
            context,
            user,
            lambda session: check_home(session, user.domain_id),
            lambda session: _check_default_project(session, default_project_id),
        )

    @one_transaction
    def update_user(self, context: RequestContext, id: str, **values: Any) -> User:
        """Set name, description, email, default_project_id, enabled, password, options or extra.

        A new password, and being disabled, make all tokens void.
        """
        voids = "password" in values or values.get("enabled") is False
        if "password" in values:
            password = values.pop("password")
            values["password_hash"] = "" if password is None else self.passwords.hash(password)
        with self._change(context, "updated", User, id) as session:
            user = put(visible_user(session, context, id, lock=True), values)
            _check_default_project(session, values.get("default_project_id"))
            if voids:
                user.tokens_valid_after = self.now()
            return user

    def change_own_password(self, request_id: str, id: str, new: str) -> None:
        """For a user who has shown the old one.  Raises Invalid when it is locked."""
        context = RequestContext(request_id=request_id, user_id=id)
        if (self.get_user(context, id).options or {}).get("lock_password"):
            raise Invalid("The password is locked: ask your administrator to change it.")
        self.update_user(context, id, password=new)

    @one_transaction
    def delete_user(self, context: RequestContext, id: str) -> None:
        """Remove a user with roles and key pairs; what his projects own stays."""
        with self._change(context, "deleted", User, id) as session:
            remove_user(session, visible_user(session, context, id))

    def user_projects(
        self, context: RequestContext, user_id: str, wanted: Wanted = EVERYTHING, **equal: Any
    ) -> Page:
        """The projects a user has a role on."""
        self.get_user(context, user_id)
        wanted = Wanted({**wanted.filters, **equal}, wanted.limit, wanted.marker)
        return self._projects(wanted, Project.id.in_(scopes_of(user_id, ScopeKind.PROJECT)))

    def user_domains(
        self, context: RequestContext, user_id: str, wanted: Wanted = EVERYTHING, **equal: Any
    ) -> Page:
        """The domains a user has a role on."""
        self.get_user(context, user_id)
        on = Domain.id.in_(scopes_of(user_id, ScopeKind.DOMAIN))
        return self._list(Domain, on, wanted=wanted, **equal)


def visible_user(session: Session, context: RequestContext, id: str, *, lock: bool = False) -> User:
    """Oneself, or one of those whom the asker oversees."""
    user = find(session, User, id, lock=lock)
    if user is None or (id != context.user_id and not oversees(context, user.domain_id)):
        raise unseen(context, User, id)
    return user


def home(context: RequestContext, domain_id: str | None) -> str:
    """The domain that a new user or group is to be in.  Raises Forbidden for another's."""
    found = domain_id or context.domain_id or context.project_domain_id
    if not oversees(context, found):
        raise Forbidden("Only in your own domain you can create users and groups.")
    return found


def check_home(session: Session, domain_id: str) -> None:
    """Raises NotFound unless there is such a domain."""
    get(session, Domain, domain_id)


def _check_default_project(session: Session, id: str | None) -> None:
    # It need not be there: then it is nobody's default.
    if id is not None and find(session, Domain, id) is not None:
        raise Invalid(
            "Invalid input for field/attribute default_project_id. "
            f"A default project cannot be a domain: {id}."
        )
