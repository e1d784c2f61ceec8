"""Which endpoints a project sees: Keystone's OS-EP-FILTER.

A project is associated with single endpoints, or with groups of them.  One that
is associated with none sees them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    CatalogEndpoint,
    EndpointGroup,
    Project,
    ProjectEndpoint,
    ProjectEndpointGroup,
)
from nova_lite.domain.errors import Conflict, NotFound
from nova_lite.services.identity.registry import there

#: What the filters of a group may say, and of which column of an endpoint.
FILTERS = {
    "service_id": CatalogEndpoint.service_id,
    "region_id": CatalogEndpoint.region_id,
    "interface": CatalogEndpoint.interface,
}


@dataclass(frozen=True)
class Link:
    """A table of which projects have which things of another."""

    table: type[Any]
    other: type[Any]
    word: str
    column: str  # that refers to the other

    def row(self, project_id: str, other_id: str) -> dict[str, str]:
        return {"project_id": project_id, self.column: other_id}


ENDPOINT = Link(ProjectEndpoint, CatalogEndpoint, "endpoint", "endpoint_id")
GROUP = Link(ProjectEndpointGroup, EndpointGroup, "endpoint group", "endpoint_group_id")


class EndpointFilter:
    """`changed` is called after each change."""

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self.database = database
        self.changed = changed

    @one_transaction
    def add(self, _context: RequestContext, link: Link, project_id: str, other_id: str) -> None:
        """Raises Conflict when the project has it already."""
        with self.database.write() as session:
            _ends(session, link, project_id, other_id, lock=True)
            if not insert_if_absent(session, link.table, **link.row(project_id, other_id)):
                raise Conflict(f"Project {project_id} has {link.word} {other_id} already.")
        self.changed()

    @one_transaction
    def remove(self, _context: RequestContext, link: Link, project_id: str, other_id: str) -> None:
        with self.database.write() as session:
            _ends(session, link, project_id, other_id)
            gone = sa.delete(link.table).filter_by(**link.row(project_id, other_id))
            if not rows_changed(session, gone):
                raise _no_link(link, project_id, other_id)
        self.changed()

    def check(self, _context: RequestContext, link: Link, project_id: str, other_id: str) -> None:
        """Raises NotFound unless the project has it."""
        with self.database.read() as session:
            _ends(session, link, project_id, other_id)
            if session.get(link.table, link.row(project_id, other_id)) is None:
                raise _no_link(link, project_id, other_id)

    def projects_with(self, _context: RequestContext, link: Link, other_id: str) -> list[Project]:
        """The projects that have this endpoint, or this group, by name."""
        with self.database.read() as session:
            there(session, link.other, link.word, other_id)
            having = sa.select(link.table.project_id).filter_by(**{link.column: other_id})
            query = sa.select(Project).where(Project.id.in_(having)).order_by(Project.name)
            return list(session.scalars(query))

    def groups_of(self, _context: RequestContext, project_id: str) -> list[EndpointGroup]:
        with self.database.read() as session:
            there(session, Project, "project", project_id)
            return list(session.scalars(_groups(project_id)))

    def endpoints_of(self, _context: RequestContext, project_id: str) -> list[CatalogEndpoint]:
        """Those the project was associated with, itself or by a group."""
        with self.database.read() as session:
            there(session, Project, "project", project_id)
            return _endpoints(session, CatalogEndpoint.id.in_(chosen_for(session, project_id)))

    def endpoints_in(self, _context: RequestContext, group_id: str) -> list[CatalogEndpoint]:
        with self.database.read() as session:
            group = there(session, EndpointGroup, "endpoint group", group_id)
            return _endpoints(session, _is_in(group))


def chosen_for(session: Session, project_id: str) -> sa.Select[str]:
    """A query for the ids of the endpoints that were chosen for a project."""
    single = sa.select(ProjectEndpoint.endpoint_id).where(ProjectEndpoint.project_id == project_id)
    groups = session.scalars(_groups(project_id))
    return sa.select(CatalogEndpoint.id).where(
        sa.or_(CatalogEndpoint.id.in_(single), *(_is_in(group) for group in groups))
    )


def _groups(project_id: str) -> sa.Select[EndpointGroup]:
    return (
        sa.select(EndpointGroup)
        .join(ProjectEndpointGroup, ProjectEndpointGroup.endpoint_group_id == EndpointGroup.id)
        .where(ProjectEndpointGroup.project_id == project_id)
        .order_by(EndpointGroup.name, EndpointGroup.id)
    )


def _is_in(group: EndpointGroup) -> sa.ColumnElement[bool]:
    return sa.and_(sa.true(), *(FILTERS[name] == value for name, value in group.filters.items()))


def _endpoints(session: Session, which: sa.ColumnElement[bool]) -> list[CatalogEndpoint]:
    query = sa.select(CatalogEndpoint).where(which).order_by(CatalogEndpoint.id)
    return list(session.scalars(query))


def _ends(
    session: Session, link: Link, project_id: str, other_id: str, *, lock: bool = False
) -> None:
    there(session, link.other, link.word, other_id, lock=lock)
    there(session, Project, "project", project_id, lock=lock)


def _no_link(link: Link, project_id: str, other_id: str) -> NotFound:
    return NotFound(f"Could not find {link.word} {other_id} in project {project_id}.")
