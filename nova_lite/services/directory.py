"""The directory: domains, projects, users, roles, and who has which role where."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    Domain,
    FlavorAccess,
    Image,
    Instance,
    KeyPair,
    Network,
    Port,
    Project,
    Role,
    RoleAssignment,
    User,
)
from nova_lite.db.queries.identity import assignments
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.passwords import Passwords

LOG = logging.getLogger(__name__)
DEFAULT_DOMAIN = "default"

#: The roles that rules of policy speak of, and what each implies.
ROLES: dict[str, str | None] = {
    "admin": "manager",
    "manager": "member",
    "member": "reader",
    "reader": None,
    "service": None,
}

Thing = TypeVar("Thing", Domain, Project, User, Role)


@dataclass(frozen=True, slots=True)
class Assignment:
    """A role that a user has; `at` is a row of db.queries.identity.assignments."""

    at: sa.Row[Any]
    role_id: str
    role_name: str


@lru_cache(maxsize=1000)
def with_implied(roles: frozenset[str]) -> frozenset[str]:
    """These roles, and all that they imply."""
    found: set[str] = set()
    waiting = list(roles)
    while waiting:
        role = waiting.pop()
        found.add(role)
        implied = ROLES.get(role)
        if implied is not None:
            waiting.append(implied)
    return frozenset(found)


def is_immutable(role: str) -> bool:
    """Whether policy speaks of the role of this name, so that it has to stay what it is."""
    return role in ROLES


def sees_all(context: RequestContext) -> bool:
    """Whether the whole directory is open to this asker: admins and the system's readers."""
    return context.is_admin or (context.system_scope and "reader" in context.roles)


class Directory:
    """What an operator or an admin does to the directory.

    Who may is policy; here is kept only whose a thing is: of others' things
    one learns nothing.  `changed` is called after each change that can take a
    right away.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        now: Callable[[], dt.datetime],
        changed: Callable[[], None],
    ) -> None:
        self.database = database
        self.passwords = passwords
        self.now = now
        self.changed = changed

    # --- domains ----------------------------------------------------------------------------

    def list_domains(
        self, _context: RequestContext, *, name: str | None = None, enabled: bool | None = None
    ) -> Sequence[sa.Row[Any]]:
        return self._list(Domain, name=name, enabled=enabled)

    def get_domain(self, context: RequestContext, id: str) -> Domain:
        own = id in (context.user_domain_id, context.project_domain_id)
        return self._show(Domain, id, own or sees_all(context))

    def create_domain(
        self,
        context: RequestContext,
        *,
        name: str,
        description: str | None = None,
        enabled: bool = True,
    ) -> Domain:
        """Raises Conflict when there is one of this name."""
        domain = Domain(id=uuid4().hex, name=name, description=description or "", enabled=enabled)
        return self._create(context, domain)

    @one_transaction
    def update_domain(self, context: RequestContext, id: str, **values: Any) -> Domain:
        """Set name, description or enabled."""
        if id == DEFAULT_DOMAIN and values.get("enabled") is False:
            raise Forbidden("The default domain cannot be disabled.")
        with self._change(context, "updated", Domain, id) as session:
            return _set(_get(session, Domain, id), values)

    @one_transaction
    def delete_domain(self, context: RequestContext, id: str) -> None:
        """Remove a domain that is disabled, with its users and its projects.

        Raises Conflict, and removes nothing, while one of these owns something.
        """
        if id == DEFAULT_DOMAIN:
            raise Forbidden("The default domain cannot be deleted.")
        with self._change(context, "deleted", Domain, id) as session:
            domain = _get(session, Domain, id)
            if domain.enabled:
                raise Forbidden("A domain that is enabled cannot be deleted: disable it first.")
            for project in session.scalars(sa.select(Project).where(Project.domain_id == id)).all():
                _remove_project(session, project)
            for user in session.scalars(sa.select(User).where(User.domain_id == id)).all():
                _remove_user(session, user)
            _remove_assignments(session, ScopeKind.DOMAIN, id)
            session.flush()
            session.delete(domain)

    # --- projects ---------------------------------------------------------------------------

    def list_projects(
        self,
        _context: RequestContext,
        *,
        name: str | None = None,
        domain_id: str | None = None,
        enabled: bool | None = None,
    ) -> Sequence[sa.Row[Any]]:
        return self._list(Project, name=name, domain_id=domain_id, enabled=enabled)

    def get_project(self, context: RequestContext, id: str) -> Project:
        return self._show(Project, id, id == context.project_id or sees_all(context))

    def create_project(
        self,
        context: RequestContext,
        *,
        name: str,
        domain_id: str | None = None,
        description: str | None = None,
        enabled: bool = True,
    ) -> Project:
        """Raises Conflict when the domain has one of this name."""
        project = Project(
            id=uuid4().hex,
            domain_id=domain_id or context.project_domain_id,
            name=name,
            description=description or "",
            enabled=enabled,
        )
        return self._create(context, project)

    @one_transaction
    def update_project(self, context: RequestContext, id: str, **values: Any) -> Project:
        """Set name, description or enabled."""
        with self._change(context, "updated", Project, id) as session:
            return _set(_get(session, Project, id), values)

    @one_transaction
    def delete_project(self, context: RequestContext, id: str) -> None:
        """Remove a project and the roles on it.

        Raises Conflict while it owns servers, networks, ports or images.  Keystone
        would leave them behind, owned by nobody; it cannot know of them, we can.
        """
        with self._change(context, "deleted", Project, id) as session:
            _remove_project(session, _get(session, Project, id))

    # --- users ------------------------------------------------------------------------------

    def list_users(
        self,
        _context: RequestContext,
        *,
        name: str | None = None,
        domain_id: str | None = None,
        enabled: bool | None = None,
    ) -> Sequence[sa.Row[Any]]:
        """Without their password hashes."""
        return self._list(User, name=name, domain_id=domain_id, enabled=enabled)

    def get_user(self, context: RequestContext, id: str) -> User:
        return self._show(User, id, id == context.user_id or sees_all(context))

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
    ) -> User:
        """A user without a password cannot log in.

        Raises Conflict when the domain has one of this name.
        """
        user = User(
            id=uuid4().hex,
            domain_id=domain_id or context.project_domain_id,
            name=name,
            # Before the transaction: a hash takes its time, and others would wait.
            password_hash=self.passwords.hash(password) if password is not None else "",
            enabled=enabled,
            default_project_id=default_project_id,
            email=email,
            description=description or "",
        )
        return self._create(context, user)

    @one_transaction
    def update_user(self, context: RequestContext, id: str, **values: Any) -> User:
        """Set name, description, email, default_project_id, enabled or password.

        A new password, and being disabled, make all tokens void.
        """
        voids = "password" in values or values.get("enabled") is False
        if "password" in values:
            password = values.pop("password")
            values["password_hash"] = "" if password is None else self.passwords.hash(password)
        with self._change(context, "updated", User, id) as session:
            user = _set(_get(session, User, id), values)
            if voids:
                user.tokens_valid_after = self.now()
            return user

    @one_transaction
    def delete_user(self, context: RequestContext, id: str) -> None:
        """Remove a user with roles and key pairs; what his projects own stays."""
        with self._change(context, "deleted", User, id) as session:
            _remove_user(session, _get(session, User, id))

    def user_projects(
        self,
        context: RequestContext,
        user_id: str,
        *,
        name: str | None = None,
        domain_id: str | None = None,
        enabled: bool | None = None,
    ) -> Sequence[sa.Row[Any]]:
        """The projects a user has a role on."""
        self.get_user(context, user_id)
        on = _scopes_of(user_id, ScopeKind.PROJECT)
        return self._list(Project, on, name=name, domain_id=domain_id, enabled=enabled)

    def user_domains(
        self, context: RequestContext, user_id: str, *, enabled: bool | None = None
    ) -> Sequence[sa.Row[Any]]:
        """The domains a user has a role on."""
        self.get_user(context, user_id)
        return self._list(Domain, _scopes_of(user_id, ScopeKind.DOMAIN), enabled=enabled)

    # --- roles ------------------------------------------------------------------------------

    def list_roles(
        self, _context: RequestContext, *, name: str | None = None
    ) -> Sequence[sa.Row[Any]]:
        return self._list(Role, name=name)

    def get_role(self, _context: RequestContext, id: str) -> Role:
        return self._show(Role, id, True)

    def create_role(
        self, context: RequestContext, *, name: str, description: str | None = None
    ) -> Role:
        """Raises Conflict when there is one of this name."""
        _check_role_name(name)
        return self._create(context, Role(id=uuid4().hex, name=name, description=description or ""))

    @one_transaction
    def update_role(self, context: RequestContext, id: str, **values: Any) -> Role:
        """Set name or description.  Raises Forbidden for the roles that policy speaks of."""
        with self._change(context, "updated", Role, id) as session:
            role = _mutable(_get(session, Role, id))
            _check_role_name(values.get("name", role.name))
            return _set(role, values)

    @one_transaction
    def delete_role(self, context: RequestContext, id: str) -> None:
        """Take a role from everybody.  Raises Forbidden for those that policy speaks of."""
        with self._change(context, "deleted", Role, id) as session:
            session.delete(_mutable(_get(session, Role, id)))

    # --- who has which role where -------------------------------------------------------------

    @one_transaction
    def grant(
        self,
        context: RequestContext,
        *,
        user_id: str,
        role_id: str,
        kind: ScopeKind,
        scope_id: str = ALL,
    ) -> None:
        """Give a role; may be said twice."""
        what = f"was given role {role_id} on {kind} {scope_id}"
        with self._change(context, what, User, user_id) as session:
            _check_scope(session, kind, scope_id, lock=True)
            _get(session, User, user_id)
            _get(session, Role, role_id)
            insert_if_absent(
                session,
                RoleAssignment,
                user_id=user_id,
                scope=kind.value,
                scope_id=scope_id,
                role_id=role_id,
            )

    @one_transaction
    def revoke(
        self,
        context: RequestContext,
        *,
        user_id: str,
        role_id: str,
        kind: ScopeKind,
        scope_id: str = ALL,
    ) -> None:
        """Take a role away.  Raises NotFound when the user does not have it there."""
        what = f"lost role {role_id} on {kind} {scope_id}"
        with self._change(context, what, User, user_id) as session:
            _check_scope(session, kind, scope_id)
            _get(session, User, user_id)
            _get(session, Role, role_id)
            gone = sa.delete(RoleAssignment).where(
                RoleAssignment.user_id == user_id,
                RoleAssignment.scope == kind.value,
                RoleAssignment.scope_id == scope_id,
                RoleAssignment.role_id == role_id,
            )
            if not rows_changed(session, gone):
                raise _no_assignment(role_id, user_id, kind, scope_id)

    def roles_on(
        self,
        _context: RequestContext,
        *,
        user_id: str,
        kind: ScopeKind,
        scope_id: str = ALL,
    ) -> Sequence[sa.Row[Any]]:
        """The roles assigned to a user there; as rows with the columns of a role."""
        with self.database.read() as session:
            _check_scope(session, kind, scope_id)
            _get(session, User, user_id)
        mine = sa.select(RoleAssignment.role_id).where(
            RoleAssignment.user_id == user_id,
            RoleAssignment.scope == kind.value,
            RoleAssignment.scope_id == scope_id,
        )
        return self._list(Role, Role.id.in_(mine))

    def check_grant(
        self,
        context: RequestContext,
        *,
        user_id: str,
        role_id: str,
        kind: ScopeKind,
        scope_id: str = ALL,
    ) -> None:
        """Raises NotFound unless the user has this role there."""
        mine = self.roles_on(context, user_id=user_id, kind=kind, scope_id=scope_id)
        if role_id not in {role.id for role in mine}:
            raise _no_assignment(role_id, user_id, kind, scope_id)

    def list_assignments(
        self,
        _context: RequestContext,
        *,
        user_id: str | None = None,
        role_id: str | None = None,
        kind: ScopeKind | None = None,
        scope_id: str | None = None,
        effective: bool = False,
    ) -> Sequence[Assignment]:
        """Who has which role where; with `effective` also the roles implied."""
        with self.database.read() as session:
            rows = assignments(
                session,
                user_id=user_id,
                role_id=None if effective else role_id,
                kind=kind,
                scope_id=scope_id,
            )
            ids = role_ids(session)
        found = {
            (row.user_id, row.scope, row.scope_id, name): Assignment(row, ids[name], name)
            for row in rows
            for name in _meant(row.role_name, effective)
            if name in ids
        }
        return [one for one in found.values() if role_id in (None, one.role_id)]

    # --- what all of them share ---------------------------------------------------------------

    @contextmanager
    def _change(
        self, context: RequestContext, what: str, model: type[Any], id: str
    ) -> Iterator[Session]:
        """One transaction that changes the directory, told to the log and to `changed`."""
        kind = model.__name__.lower()
        try:
            with self.database.write() as session:
                yield session
        except sa.exc.IntegrityError:
            # References were checked before, so it is nearly always the name.
            raise Conflict(
                f"There is a {kind} of this name already, or what it refers to was just deleted."
            ) from None
        self.changed()
        LOG.info("%s %s %s by %s (%s)", kind, id, what, context.user_id, context.request_id)

    @one_transaction
    def _create(self, context: RequestContext, thing: Thing) -> Thing:
        with self._change(context, "created", type(thing), thing.id) as session:
            if (
                isinstance(thing, Project | User)
                and _find(session, Domain, thing.domain_id) is None
            ):
                raise Invalid(
                    "Invalid input for field/attribute domain_id. "
                    f"Domain {thing.domain_id!r} could not be found."
                )
            session.add(thing)
        return thing

    def _show(self, model: type[Thing], id: str, visible: bool) -> Thing:
        if not visible:
            raise _not_found(model, id)
        with self.database.read() as session:
            return _get(session, model, id)

    def _list(
        self, model: type[Any], condition: sa.ColumnElement[bool] | None = None, **equal: Any
    ) -> Sequence[sa.Row[Any]]:
        columns = model.__table__.c
        query = sa.select(*(c for c in columns if c.name != "password_hash")).order_by(columns.name)
        if condition is not None:
            query = query.where(condition)
        for name, value in equal.items():
            if value is not None:
                query = query.where(columns[name] == value)
            if isinstance(value, str) and "\0" in value:
                return []
        with self.database.read() as session:
            return session.execute(query).all()


def _meant(role: str, effective: bool) -> list[str]:
    return sorted(with_implied(frozenset({role}))) if effective else [role]


def role_ids(session: Session) -> dict[str, str]:
    """Name -> id of every role."""
    return {name: id for name, id in session.execute(sa.select(Role.name, Role.id))}


def _find(session: Session, model: type[Thing], id: str, *, lock: bool = False) -> Thing | None:
    if "\0" in id:
        return None  # PostgreSQL would not even look
    return session.get(model, id, with_for_update=True if lock else None)


def _get(session: Session, model: type[Thing], id: str, *, lock: bool = False) -> Thing:
    found = _find(session, model, id, lock=lock)
    if found is None:
        raise _not_found(model, id)
    return found


def _not_found(model: type[Any], id: str) -> NotFound:
    return NotFound(f"Could not find {model.__name__.lower()}: {id}.")


def _no_assignment(role_id: str, user_id: str, kind: ScopeKind, scope_id: str) -> NotFound:
    return NotFound(f"User {user_id} does not have role {role_id} on {kind} {scope_id}.")


def _set(thing: Thing, values: dict[str, Any]) -> Thing:
    """Raises Invalid when that would move it to another domain."""
    if "domain_id" in values and values["domain_id"] != getattr(thing, "domain_id", None):
        raise Invalid("Invalid input for field/attribute domain_id. It cannot be changed.")
    for name, value in values.items():
        setattr(thing, name, "" if name == "description" and value is None else value)
    return thing


def _mutable(role: Role) -> Role:
    if is_immutable(role.name):
        raise Forbidden(f"Role {role.name} is immutable: the policy speaks of it.")
    return role


def _check_role_name(name: str) -> None:
    # The policy engine does not tell "Admin" from "admin"; so nobody may be called so.
    if name.lower() in ROLES:
        raise Conflict("There is a role of this name already.")


def _check_scope(session: Session, kind: ScopeKind, scope_id: str, *, lock: bool = False) -> None:
    """Raises NotFound unless it is there; with `lock` it stays until the commit."""
    if kind is ScopeKind.PROJECT:
        _get(session, Project, scope_id, lock=lock)
    elif kind is ScopeKind.DOMAIN:
        _get(session, Domain, scope_id, lock=lock)


def _scopes_of(user_id: str, kind: ScopeKind) -> sa.ColumnElement[bool]:
    mine = sa.select(RoleAssignment.scope_id).where(
        RoleAssignment.user_id == user_id, RoleAssignment.scope == kind.value
    )
    return (Project if kind is ScopeKind.PROJECT else Domain).id.in_(mine)


#: What keeps a project from being deleted.
_POSSESSIONS: dict[str, sa.Select[Any]] = {
    "servers": sa.select(Instance.project_id).where(Instance.deleted.is_(False)),
    "networks": sa.select(Network.project_id).where(Network.deleted.is_(False)),
    "ports": sa.select(Port.project_id),
    "images": sa.select(Image.owner).where(Image.deleted.is_(False)),
}


def _remove_project(session: Session, project: Project) -> None:
    # Whoever adds something to the project holds this row, too: see Quotas.
    session.refresh(project, with_for_update=True)
    owned = [
        name
        for name, owners in _POSSESSIONS.items()
        if session.execute(owners.where(owners.selected_columns[0] == project.id).limit(1)).first()
    ]
    if owned:
        raise Conflict(f"Project {project.id} still owns {', '.join(owned)}: delete these first.")
    _remove_assignments(session, ScopeKind.PROJECT, project.id)
    session.execute(sa.delete(FlavorAccess).where(FlavorAccess.project_id == project.id))
    session.execute(
        sa.update(User).where(User.default_project_id == project.id).values(default_project_id=None)
    )
    session.delete(project)


def _remove_user(session: Session, user: User) -> None:
    session.execute(sa.delete(KeyPair).where(KeyPair.user_id == user.id))
    session.delete(user)


def _remove_assignments(session: Session, kind: ScopeKind, scope_id: str) -> None:
    session.execute(
        sa.delete(RoleAssignment).where(
            RoleAssignment.scope == kind.value, RoleAssignment.scope_id == scope_id
        )
    )
