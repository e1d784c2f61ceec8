"""Groups, and the users that are in them: what a group may do, its members may do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import one_transaction
from nova_lite.db.models import Group, GroupMember, User
from nova_lite.domain.errors import NotFound
from nova_lite.services.identity.collection import (
    EVERYTHING,
    Page,
    Wanted,
    find,
    overseen,
    oversees,
    put,
    unseen,
)
from nova_lite.services.identity.users import Users, check_home, home, visible_user


class Groups(Users):
    """Who may do this is policy; here is kept that one learns nothing of others' groups."""

    def list_groups(self, context: RequestContext, wanted: Wanted = EVERYTHING) -> Page:
        return self._list(Group, overseen(context, Group.domain_id), wanted=wanted)

    def get_group(self, context: RequestContext, id: str) -> Group:
        with self.database.read() as session:
            return _visible(session, context, id)

    def create_group(
        self,
        context: RequestContext,
        *,
        name: str,
        domain_id: str | None = None,
        description: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Group:
        """Raises Conflict when the domain has one of this name, NotFound when it is not there."""
        group = Group(id=uuid4().hex, domain_id=home(context, domain_id), name=name)
        put(group, {"description": description, "extra": extra or {}})
        return self._create(context, group, lambda session: check_home(session, group.domain_id))

    @one_transaction
    def update_group(self, context: RequestContext, id: str, **values: Any) -> Group:
        """Set name, description or extra."""
        with self._change(context, "updated", Group, id) as session:
            return put(_visible(session, context, id, lock=True), values)

    @one_transaction
    def delete_group(self, context: RequestContext, id: str) -> None:
        """Remove a group, and what its members may do by it."""
        with self._change(context, "deleted", Group, id) as session:
            session.delete(_visible(session, context, id))

    # --- members ------------------------------------------------------------------------------

    def group_users(self, context: RequestContext, id: str, wanted: Wanted = EVERYTHING) -> Page:
        self.get_group(context, id)
        members = sa.select(GroupMember.user_id).where(GroupMember.group_id == id)
        return self._users(wanted, User.id.in_(members), overseen(context, User.domain_id))

    def user_groups(
        self, context: RequestContext, user_id: str, wanted: Wanted = EVERYTHING
    ) -> Page:
        self.get_user(context, user_id)
        mine = Group.id.in_(sa.select(GroupMember.group_id).where(GroupMember.user_id == user_id))
        # One is told all of one's own groups.
        known = None if user_id == context.user_id else overseen(context, Group.domain_id)
        return self._list(Group, mine, known, wanted=wanted)

    @one_transaction
    def add_user_to_group(self, context: RequestContext, id: str, user_id: str) -> None:
        """May be said twice."""
        with self._change(context, f"got member {user_id}", Group, id) as session:
            _both(session, context, id, user_id)
            insert_if_absent(session, GroupMember, group_id=id, user_id=user_id)

    def check_user_in_group(self, context: RequestContext, id: str, user_id: str) -> None:
        """Raises NotFound unless the user is in the group."""
        with self.database.read() as session:
            _both(session, context, id, user_id)
            if session.get(GroupMember, (id, user_id)) is None:
                raise _no_member(id, user_id)

    @one_transaction
    def remove_user_from_group(self, context: RequestContext, id: str, user_id: str) -> None:
        """Raises NotFound when the user is not in the group."""
        with self._change(context, f"lost member {user_id}", Group, id) as session:
            _both(session, context, id, user_id)
            gone = sa.delete(GroupMember).where(
                GroupMember.group_id == id, GroupMember.user_id == user_id
            )
            if not rows_changed(session, gone):
                raise _no_member(id, user_id)


def _visible(session: Session, context: RequestContext, id: str, *, lock: bool = False) -> Group:
    group = find(session, Group, id, lock=lock)
    if group is None or not oversees(context, group.domain_id):
        raise unseen(context, Group, id)
    return group


def _both(session: Session, context: RequestContext, id: str, user_id: str) -> None:
    _visible(session, context, id)
    visible_user(session, context, user_id)


def _no_member(id: str, user_id: str) -> NotFound:
    return NotFound(f"User {user_id} is not found in group {id}.")
