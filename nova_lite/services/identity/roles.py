"""Roles, and which of them come with which others.

A few roles are there from the beginning, as the rules of policy speak of them:
they stay what they are.  A role of a domain only stands for what it implies.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import one_transaction
from nova_lite.db.models import Domain, ImpliedRole, Role
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound
from nova_lite.services.identity.collection import (
    EVERYTHING,
    Collection,
    Page,
    Wanted,
    find,
    get,
    put,
    sees_all,
    unseen,
)

#: The roles that rules of policy speak of, and what each implies at first.
BUILT_IN: dict[str, str | None] = {
    "admin": "manager",
    "manager": "member",
    "member": "reader",
    "reader": None,
    "service": None,
}
#: What the manager of a domain may give and take there.
OF_MANAGERS = frozenset({"manager", "member", "reader"})
#: What nobody can have but who was given it.
NEVER_IMPLIED = "admin"


class Implication(NamedTuple):
    """Rows of two roles, each with id and name."""

    prior_id: str
    prior_name: str
    implied_id: str
    implied_name: str


class Roles(Collection):
    # --- roles ------------------------------------------------------------------------------

    def list_roles(self, _context: RequestContext, wanted: Wanted = EVERYTHING) -> Page:
        """The global roles, or those of a domain that is asked for."""
        filters = {**wanted.filters, "domain_id": wanted.filters.get("domain_id") or ""}
        return self._list(Role, wanted=Wanted(filters, wanted.limit, wanted.marker))

    def get_role(self, context: RequestContext, id: str) -> Role:
        """Raises NotFound; to who sees not all Forbidden, but for what managers give."""
        with self.database.read() as session:
            role = find(session, Role, id)
        if role is None or not (sees_all(context) or is_of_managers(role)):
            raise unseen(context, Role, id)
        return role

    @one_transaction
    def create_role(
        self,
        context: RequestContext,
        *,
        name: str,
        domain_id: str | None = None,
        **values: Any,
    ) -> Role:
        """Raises Conflict when there is one of this name, Invalid for an unknown domain."""
        role = put(Role(id=uuid4().hex, name=name, domain_id=domain_id or ""), values)
        _check_name(role)
        with self._change(context, "created", Role, role.id) as session:
            # With the lock no role is left behind by a domain that is deleted at the same time.
            if role.domain_id and find(session, Domain, role.domain_id, lock=True) is None:
                raise Invalid(
                    "Invalid input for field/attribute domain_id. "
                    f"Domain {role.domain_id!r} could not be found."
                )
            session.add(role)
        return role

    @one_transaction
    def update_role(self, context: RequestContext, id: str, **values: Any) -> Role:
        """Set name, description, options or extra.

        Raises Forbidden for the roles that policy speaks of, and for one that is
        immutable unless that is all that shall change.
        """
        with self._change(context, "updated", Role, id) as session:
            role = get(session, Role, id)
            said = {name for name, value in values.items() if name != "extra" or value}
            if said != {"options"} or is_built_in(role):
                _check_mutable(role)
            if "domain_id" in values:
                values["domain_id"] = values["domain_id"] or ""
            put(role, values)
            if "name" in values:
                _check_name(role)
            return role

    @one_transaction
    def delete_role(self, context: RequestContext, id: str) -> None:
        """Take a role from everybody.  Raises Forbidden as `update_role` does."""
        with self._change(context, "deleted", Role, id) as session:
            role = get(session, Role, id)
            _check_mutable(role)
            session.delete(role)

    # --- what they imply --------------------------------------------------------------------

    def implications(
        self, _context: RequestContext, prior_id: str | None = None
    ) -> Sequence[Implication]:
        """What implies what directly, of all roles or of one.  Raises NotFound."""
        prior, implied = aliased(Role), aliased(Role)
        query = (
            sa.select(prior.id, prior.name, implied.id, implied.name)
            .join_from(ImpliedRole, prior, prior.id == ImpliedRole.prior_id)
            .join(implied, implied.id == ImpliedRole.implied_id)
            .order_by(prior.name, prior.id, implied.name, implied.id)
        )
        with self.database.read() as session:
            if prior_id is not None:
                get(session, Role, prior_id)
                query = query.where(ImpliedRole.prior_id == prior_id)
            return [Implication(*row) for row in session.execute(query)]

    def get_implication(
        self, _context: RequestContext, prior_id: str, implied_id: str
    ) -> Implication:
        """Raises NotFound unless the one directly implies the other."""
        with self.database.read() as session:
            prior, implied = get(session, Role, prior_id), get(session, Role, implied_id)
            if session.get(ImpliedRole, (prior_id, implied_id)) is None:
                raise _no_implication(prior_id, implied_id)
            return Implication(prior.id, prior.name, implied.id, implied.name)

    @one_transaction
    def imply(self, context: RequestContext, prior_id: str, implied_id: str) -> Implication:
        """Let who has the one role have the other, too.

        Raises Conflict when it is so already, Forbidden where it must not be.
        """
        with self._change(context, f"implies {implied_id}", Role, prior_id) as session:
            prior, implied = get(session, Role, prior_id), get(session, Role, implied_id)
            if not implied.domain_id and implied.name == NEVER_IMPLIED:
                raise Forbidden(f"{implied.id} cannot be an implied role.")
            if implied.domain_id and not prior.domain_id:
                raise Forbidden("A global role cannot imply a role of a domain.")
            if not insert_if_absent(session, ImpliedRole, prior_id=prior_id, implied_id=implied_id):
                raise Conflict(f"Role {prior_id} implies role {implied_id} already.")
            return Implication(prior.id, prior.name, implied.id, implied.name)

    @one_transaction
    def no_longer_imply(self, context: RequestContext, prior_id: str, implied_id: str) -> None:
        """Raises NotFound unless the one directly implies the other."""
        what = f"no longer implies {implied_id}"
        with self._change(context, what, Role, prior_id) as session:
            get(session, Role, prior_id)
            get(session, Role, implied_id)
            gone = sa.delete(ImpliedRole).where(
                ImpliedRole.prior_id == prior_id, ImpliedRole.implied_id == implied_id
            )
            if not rows_changed(session, gone):
                raise _no_implication(prior_id, implied_id)


def ensure_built_in(session: Session) -> dict[str, str]:
    """The ids of the roles of BUILT_IN by name; made with what they imply if they are missing."""
    for name in BUILT_IN:
        insert_if_absent(
            session,
            Role,
            id=uuid4().hex,
            name=name,
            domain_id="",
            options={"immutable": True},
        )
    query = sa.select(Role.name, Role.id).where(Role.domain_id == "", Role.name.in_(BUILT_IN))
    ids: dict[str, str] = {name: id for name, id in session.execute(query)}
    for name, implied in BUILT_IN.items():
        if implied is not None:
            insert_if_absent(session, ImpliedRole, prior_id=ids[name], implied_id=ids[implied])
    return ids


def is_built_in(role: Any) -> bool:
    """Whether policy speaks of the role, so that it has to stay what it is."""
    return not role.domain_id and role.name in BUILT_IN


def is_of_managers(role: Role) -> bool:
    return not role.domain_id and role.name in OF_MANAGERS


def options_of(role: Any) -> dict[str, Any]:
    return {**(role.options or {}), **({"immutable": True} if is_built_in(role) else {})}


def _check_mutable(role: Role) -> None:
    if options_of(role).get("immutable"):
        raise Forbidden(f"Role {role.name} is immutable.")


def _check_name(role: Role) -> None:
    # The policy engine does not tell "Admin" from "admin"; so nobody may be called so.
    if not role.domain_id and role.name.lower() in BUILT_IN:
        raise Conflict("There is a role of this name already.")


def _no_implication(prior_id: str, implied_id: str) -> NotFound:
    return NotFound(f"Role {prior_id} does not imply role {implied_id}.")
