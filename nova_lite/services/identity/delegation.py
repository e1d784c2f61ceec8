"""What application credentials and trusts have in common: roles handed on, until some day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import Role
from nova_lite.domain.errors import Forbidden, Invalid, NotFound

#: A role as clients name it: {"id": ...} or, if it is a global one, {"name": ...}.
NamedRole = Mapping[str, str]


def refuse_delegated(context: RequestContext) -> None:
    """Raises Forbidden for who acts by a part of what a user may: nothing is made of it."""
    if context.is_delegated:
        raise Forbidden("A token that was delegated is not for credentials.")


def refuse_restricted(context: RequestContext) -> None:
    """Raises Forbidden for an application credential that must not make others, or trusts."""
    if not context.unrestricted:
        raise Forbidden(
            "An application credential is not allowed to manage application credentials "
            "and trusts unless it is unrestricted."
        )


def ids_of(session: Session, named: Sequence[NamedRole]) -> list[str]:
    """The ids of roles.  Raises NotFound."""
    return [_id_of(session, role) for role in named]


def _id_of(session: Session, named: NamedRole) -> str:
    if "id" in named:
        condition, what = Role.id == named["id"], named["id"]
    else:
        condition, what = sa.and_(Role.name == named["name"], Role.domain_id == ""), named["name"]
    found = session.scalar(sa.select(Role.id).where(condition))
    if found is None:
        raise NotFound(f"Could not find role: {what}.")
    return found


def end_of(text: str | None, now: dt.datetime) -> dt.datetime | None:
    """When that is; UTC unless it says otherwise.  Raises Invalid for what is no time to come."""
    if text is None:
        return None
    try:
        time = dt.datetime.fromisoformat(text)
        end = (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Invalid(
            "Invalid input for field/attribute expires_at. It is not a time in ISO 8601."
        ) from None
    if end <= now:
        raise Invalid("Invalid input for field/attribute expires_at. It is in the past.")
    return end
