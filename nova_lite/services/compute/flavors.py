"""Flavors: what servers can be bought as, and by whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Flavor, FlavorAccess, Project
from nova_lite.domain.errors import Conflict, Invalid, NotFound
from nova_lite.services import paging

_FLAVORS = Flavor.__table__.c
#: What lists may be sorted by.
SORT_KEYS = {
    "flavorid": _FLAVORS.flavorid,
    "id": _FLAVORS.number,
    "name": _FLAVORS.name,
    "memory_mb": _FLAVORS.memory_mb,
    "vcpus": _FLAVORS.vcpus,
    "root_gb": _FLAVORS.root_gb,
    "ephemeral_gb": _FLAVORS.ephemeral_gb,
    "swap": _FLAVORS.swap_mb,
    "rxtx_factor": _FLAVORS.rxtx_factor,
    "is_public": paging.number(_FLAVORS.is_public),
    "disabled": paging.number(_FLAVORS.disabled),
    "description": sa.func.coalesce(_FLAVORS.description, ""),
    # By their numbers they were made in this order; none is ever weighed, or changed much.
    "created_at": _FLAVORS.number,
    "updated_at": _FLAVORS.number,
    "vcpu_weight": _FLAVORS.number,
}


@dataclass(frozen=True)
class NewFlavor:
    name: str
    memory_mb: int
    vcpus: int
    root_gb: int
    ephemeral_gb: int = 0
    swap_mb: int = 0
    rxtx_factor: float = 1.0
    is_public: bool = True
    flavorid: str | None = None  # None: one is drawn
    description: str | None = None


class Flavors:
    def __init__(self, database: Database) -> None:
        self.database = database

    @one_transaction
    def create(self, context: RequestContext, new: NewFlavor) -> Flavor:
        """Raises Conflict when the id or the name is taken."""
        values = asdict(new) | {"flavorid": new.flavorid or str(uuid4())}
        with self.database.write() as session:
            if not insert_if_absent(session, Flavor, **values):
                by_id = sa.select(Flavor.number).where(Flavor.flavorid == values["flavorid"])
                if session.scalar(by_id):
                    raise Conflict(f"Flavor with ID {values['flavorid']} already exists.")
                raise Conflict(f"Flavor with name {new.name} already exists.")
            return session.scalars(
                sa.select(Flavor).where(Flavor.flavorid == values["flavorid"])
            ).one()

    def get(self, context: RequestContext, flavorid: str) -> Flavor:
        with self.database.read() as session:
            return usable(session, context, flavorid)

    def list(
        self,
        context: RequestContext,
        *,
        is_public: bool | None = True,
        min_ram: int = 0,
        min_disk: int = 0,
        sort_key: str = "flavorid",
        descending: bool = False,
        limit: int = 1000,
        marker: str | None = None,
    ) -> Sequence[Any]:
        """A page of flavors.  `is_public` is an administrator's: None is every flavor there is.

        Raises Invalid for an unknown sort key, and when the marker is not there.
        """
        if sort_key not in SORT_KEYS:
            raise Invalid(f"Invalid input for field/attribute sort_key. Value: {sort_key}.")
        keys = [(SORT_KEYS[sort_key], descending), (SORT_KEYS["id"], descending)]
        query = (
            sa.select(Flavor.__table__)
            .where(Flavor.memory_mb >= min_ram, Flavor.root_gb >= min_disk)
            .order_by(*paging.order(keys))
            .limit(limit)
        )
        if not context.is_admin:
            query = query.where(_visible(context), Flavor.disabled == sa.false())
        elif is_public is not None:
            mine = _granted(context) if is_public else sa.false()
            query = query.where(sa.or_(Flavor.is_public.is_(is_public), mine))
        with self.database.read() as session:
            if marker is not None:
                found = sa.select(*(key for key, _ in keys)).where(
                    Flavor.flavorid == marker, _visible(context)
                )
                at = session.execute(found).one_or_none()
                if at is None:
                    raise Invalid(f"marker [{marker}] not found")
                query = query.where(paging.behind(keys, list(at)))
            return session.execute(query).all()

    @one_transaction
    def describe(self, context: RequestContext, flavorid: str, description: str | None) -> Flavor:
        """Say something else of it; all the rest of a flavor stays as it is."""
        with self.database.write() as session:
            flavor = usable(session, context, flavorid, lock=True)
            flavor.description = description
            return flavor

    @one_transaction
    def delete(self, context: RequestContext, flavorid: str) -> None:
        """Servers that were bought as it keep what they have."""
        with self.database.write() as session:
            gone = sa.delete(Flavor).where(Flavor.flavorid == flavorid)
            if not rows_changed(session, gone):
                raise _not_found(flavorid)

    # --- extra specs -------------------------------------------------------------------------

    @one_transaction
    def set_extra_specs(
        self, context: RequestContext, flavorid: str, specs: Mapping[str, str]
    ) -> None:
        with self.database.write() as session:
            flavor = usable(session, context, flavorid, lock=True)
            flavor.extra_specs = {**flavor.extra_specs, **specs}

    @one_transaction
    def remove_extra_spec(self, context: RequestContext, flavorid: str, key: str) -> None:
        with self.database.write() as session:
            flavor = usable(session, context, flavorid, lock=True)
            if key not in flavor.extra_specs:
                raise NotFound(f"Flavor {flavorid} has no extra specs with key {key}.")
            flavor.extra_specs = {k: v for k, v in flavor.extra_specs.items() if k != key}

    # --- who may use one that is not public ----------------------------------------------------

    def projects(self, context: RequestContext, flavorid: str) -> Sequence[str]:
        """Those a flavor that is not public was granted to.  Raises NotFound for public ones."""
        with self.database.read() as session:
            if usable(session, context, flavorid).is_public:
                raise NotFound("Access list not available for public flavors.")
            return _projects(session, flavorid)

    @one_transaction
    def grant(
        self,
        context: RequestContext,
        flavorid: str,
        project_id: str,
        *,
        refuse_public: bool = False,
    ) -> Sequence[str]:
        """Let a project use it; return all that may.

        Raises Conflict when it may already, and with `refuse_public` when everybody may.
        """
        with self.database.write() as session:
            flavor = usable(session, context, flavorid)
            if flavor.is_public and refuse_public:
                raise Conflict("Cannot add access to a public flavor.")
            if session.get(Project, project_id) is None:
                raise Invalid(f"Project ID {project_id} is not a valid project.")
            if not insert_if_absent(
                session, FlavorAccess, flavorid=flavorid, project_id=project_id
            ):
                raise Conflict(
                    f"Flavor access already exists for flavor {flavorid} "
                    f"and project {project_id} combination."
                )
            return _projects(session, flavorid)

    @one_transaction
    def withdraw(self, context: RequestContext, flavorid: str, project_id: str) -> Sequence[str]:
        with self.database.write() as session:
            usable(session, context, flavorid)
            gone = sa.delete(FlavorAccess).where(
                FlavorAccess.flavorid == flavorid, FlavorAccess.project_id == project_id
            )
            if not rows_changed(session, gone):
                raise NotFound(
                    f"Flavor access not found for {flavorid} / {project_id} combination."
                )
            return _projects(session, flavorid)


def usable(
    session: Session, context: RequestContext, flavorid: str, *, lock: bool = False
) -> Flavor:
    """The flavor, if whoever asks may use it.  Raises NotFound."""
    query = sa.select(Flavor).where(Flavor.flavorid == flavorid, _visible(context))
    flavor = session.scalar(query.with_for_update() if lock else query)
    if flavor is None:
        raise _not_found(flavorid)
    return flavor


def _not_found(flavorid: str) -> NotFound:
    return NotFound(f"Flavor {flavorid} could not be found.")


def _granted(context: RequestContext) -> sa.ColumnElement[bool]:
    return sa.exists().where(
        FlavorAccess.flavorid == Flavor.flavorid, FlavorAccess.project_id == context.project_id
    )


def _visible(context: RequestContext) -> sa.ColumnElement[bool]:
    return sa.true() if context.is_admin else sa.or_(Flavor.is_public, _granted(context))


def _projects(session: Session, flavorid: str) -> Sequence[str]:
    return session.scalars(
        sa.select(FlavorAccess.project_id)
        .where(FlavorAccess.flavorid == flavorid)
        .order_by(FlavorAccess.project_id)
    ).all()
