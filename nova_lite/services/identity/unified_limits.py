"""Unified limits: how much of a service's resource a project may have.

A registered limit is what everybody may have of it; a limit says otherwise for
one project, or one domain.  The model is the flat one: what a project may have
does not depend on what any other project or its domain may have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import (
    CatalogService,
    Domain,
    Limit,
    Project,
    Region,
    RegisteredLimit,
)
from nova_lite.domain.errors import Conflict, Forbidden, Invalid
from nova_lite.services.identity.collection import find, sees_all
from nova_lite.services.identity.registry import Kind

#: Keystone's name for the model, and what it means.
MODEL = {
    "name": "flat",
    "description": (
        "Each project has a limit of its own, whatever the limits of the projects around it."
    ),
}
NO_LIMIT = -1


class UnifiedLimits:
    """What the services of this cloud ask; `region` is the one they are in."""

    def __init__(self, region: str) -> None:
        self.region = region

    def limit_of(
        self, session: Session, project_id: str, service_type: str, resource: str
    ) -> int | None:
        """How much the project may have of it; None when there is no end.

        There is none where nothing is registered, and where -1 is.  What is
        registered for our region goes before what is for all.
        """
        found = session.execute(
            sa.select(sa.func.coalesce(Limit.resource_limit, RegisteredLimit.default_limit))
            .join_from(
                RegisteredLimit, CatalogService, CatalogService.id == RegisteredLimit.service_id
            )
            .outerjoin(
                Limit,
                sa.and_(
                    Limit.registered_limit_id == RegisteredLimit.id,
                    Limit.project_id == project_id,
                ),
            )
            .where(
                CatalogService.type == service_type,
                RegisteredLimit.resource_name == resource,
                sa.or_(
                    RegisteredLimit.region_id == self.region, RegisteredLimit.region_id.is_(None)
                ),
            )
            .order_by(RegisteredLimit.region_id.is_(None), RegisteredLimit.id)
            .limit(1)
        ).scalar_one_or_none()
        return None if found is None or found == NO_LIMIT else int(found)


def register_quotas(
    session: Session, service_id: str, region_id: str, resources: Sequence[str]
) -> None:
    """Let projects be limited in these; as long as nobody is, there is no end for anybody."""
    for resource in resources:
        session.add(
            RegisteredLimit(
                id=uuid4().hex,
                service_id=service_id,
                region_id=region_id,
                resource_name=resource,
                default_limit=NO_LIMIT,
            )
        )


def _settle_registered(session: Session, values: dict[str, Any], found: Any) -> None:
    if found is not None:
        _unused(session, found)
    _check_there(session, values, "registered limit")
    what: dict[str, Any] = {name: values.get(name, getattr(found, name, None)) for name in _WHAT}
    # Whoever else registers something of this service waits here.
    find(session, CatalogService, what["service_id"], lock=True)
    same = _registered(session, what)
    if same is not None and same is not found:
        raise Conflict(
            "Conflict occurred attempting to store registered_limit - Duplicate entry of "
            f"resource {what['resource_name']}."
        )


def _unused(session: Session, found: Any) -> None:
    used = sa.select(Limit.id).where(Limit.registered_limit_id == found.id).limit(1)
    if session.scalar(used) is not None:
        raise Forbidden(
            f"Unable to update or delete registered limit {found.id} because there are limits "
            "of projects or domains associated with it."
        )


def _settle_limit(session: Session, values: dict[str, Any], found: Any) -> None:
    if found is not None:
        return
    _check_there(session, values, "limit")
    what = {name: values.pop(name, None) for name in _WHAT}
    registered = _registered(session, what)
    if registered is None:
        raise Forbidden(
            "Unable to create a limit that has no corresponding registered limit: "
            f"resource {what['resource_name']} of service {what['service_id']}, "
            f"region {what['region_id']}."
        )
    values["registered_limit_id"] = registered.id


_WHAT = ("service_id", "region_id", "resource_name")


def _registered(session: Session, what: Mapping[str, Any]) -> RegisteredLimit | None:
    return session.scalars(sa.select(RegisteredLimit).filter_by(**what)).first()


def _check_there(session: Session, values: Mapping[str, Any], target: str) -> None:
    for name, model in _REFERENCES.items():
        id = values.get(name)
        if id is not None and find(session, model, id) is None:
            raise Invalid(
                f"Invalid input for field/attribute {name}. Expecting to find a valid "
                f"{name} in {target}."
            )


_REFERENCES: dict[str, type[Any]] = {
    "service_id": CatalogService,
    "region_id": Region,
    "project_id": Project,
    "domain_id": Domain,
}


def _own(context: RequestContext) -> Sequence[sa.ColumnElement[bool]]:
    """One's project's, or those of one's domain and its projects."""
    if sees_all(context):
        return ()
    if context.project_id is not None:
        return (Limit.project_id == context.project_id,)
    domain = context.domain_id
    if domain is None:
        return (sa.false(),)
    inside = sa.select(Project.id).where(Project.domain_id == domain)
    return (sa.or_(Limit.domain_id == domain, Limit.project_id.in_(inside)),)


REGISTERED_LIMIT = Kind(
    "registered limit", RegisteredLimit, settle=_settle_registered, part=_unused
)
LIMIT = Kind(
    "limit",
    Limit,
    columns={
        "id": Limit.id,
        "project_id": Limit.project_id,
        "domain_id": Limit.domain_id,
        "service_id": RegisteredLimit.service_id,
        "region_id": RegisteredLimit.region_id,
        "resource_name": RegisteredLimit.resource_name,
        "resource_limit": Limit.resource_limit,
        "description": Limit.description,
    },
    origin=sa.join(Limit, RegisteredLimit, RegisteredLimit.id == Limit.registered_limit_id),
    settle=_settle_limit,
    visible=_own,
)
