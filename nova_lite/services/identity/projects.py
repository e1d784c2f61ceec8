"""Projects, in a domain or in other projects; and domains, which are projects, too.

As a project a domain is in nothing: its domain_id and parent_id are None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import one_transaction
from nova_lite.db.models import Domain, Project
from nova_lite.db.queries.identity import scopes_of
from nova_lite.domain.errors import Forbidden, Invalid, NotFound
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.collection import (
    EVERYTHING,
    Condition,
    Page,
    Wanted,
    find,
    get,
    is_yes,
    overseen,
    oversees,
    put,
    rows,
    shown,
    unseen,
)
from nova_lite.services.identity.domains import Domains, change_place, check_mutable
from nova_lite.services.identity.removal import remove_project

MOST_TAGS = 80


@dataclass(frozen=True)
class Family:
    """The projects above, the nearest first, ending with the domain; and all below, by parent."""

    parents: Sequence[Project | Domain]
    below: Mapping[str, Sequence[Project]]
    own: frozenset[str]  # all projects that the asker has a role on


class Projects(Domains):
    """Who may do this is policy; here is kept that one learns nothing of others' projects."""

    #: How many projects may be within each other.
    max_project_tree_depth: int

    def list_projects(self, context: RequestContext, wanted: Wanted = EVERYTHING) -> Page:
        """Those that are no domains, unless the filter is_domain says so."""
        return self._projects(wanted, overseen(context, Project.domain_id))

    def _projects(self, wanted: Wanted, condition: Condition | None) -> Page:
        filters = dict(wanted.filters)
        domains = is_yes(str(filters.pop("is_domain", "false")))
        model: type[Domain] | type[Project] = Domain if domains else Project
        query = sa.select(*shown(model)).where(*_tagged(model, filters))
        if domains:
            # It is in nothing; and roles on a domain are none on a project.
            nothing = (sa.null().label("domain_id"), sa.null().label("parent_id"))
            query = query.add_columns(*nothing)
            nowhere = {name.partition("__")[0] for name in filters} & {"domain_id", "parent_id"}
            if condition is not None or nowhere:
                query = query.where(sa.false())
        elif condition is not None:
            query = query.where(condition)
        columns: dict[str, Any] = {"name": model.name, "enabled": model.enabled}
        if not domains:
            parent = sa.func.coalesce(Project.parent_id, Project.domain_id)
            columns.update(domain_id=Project.domain_id, parent_id=parent)
        filters = {n: v for n, v in filters.items() if n.partition("__")[0] in columns}
        order: list[sa.ColumnElement[Any]] = [model.__table__.c.name, model.__table__.c.id]
        with self.database.read() as session:
            return rows(
                session, query, Wanted(filters, wanted.limit, wanted.marker), columns, order
            )

    def get_project(self, context: RequestContext, id: str) -> Project | Domain:
        with self.database.read() as session:
            return _visible(session, context, id)

    def family(self, context: RequestContext, id: str) -> Family:
        """The projects around one."""
        with self.database.read() as session:
            project = _visible(session, context, id)
            below = _below(session, project)
            parents = _above(session, project)
            mine = Project.id.in_(scopes_of(context.user_id, ScopeKind.PROJECT))
            own = session.scalars(sa.select(Project.id).where(mine))
            return Family(parents, below, frozenset(own))

    @one_transaction
    def create_project(
        self,
        context: RequestContext,
        *,
        name: str,
        domain_id: str | None = None,
        parent_id: str | None = None,
        description: str | None = None,
        enabled: bool = True,
        is_domain: bool = False,
        tags: list[str] | None = None,
        options: Mapping[str, Any] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Project | Domain:
        """Make a project within another, or directly in its domain; or a domain.

        Raises Conflict when the domain has one of this name, Invalid when a
        parent is disabled or not there, Forbidden when there are too many.
        """
        said: dict[str, Any] = {"description": description, "enabled": enabled}
        said.update(tags=tags or [], options=options or {}, extra=extra or {})
        if is_domain:
            if parent_id or domain_id:
                raise _wrong("parent_id", "Only a project that is in no other can be a domain.")
            if not context.is_admin:
                raise Forbidden("Only an admin can create a domain.")
            return self.create_domain(context, name=name, **said)
        id = uuid4().hex
        with self._change(context, "created", Project, id) as session:
            parent = _parent(session, context, domain_id, parent_id)
            above = [parent, *_above(session, parent)]
            disabled = next((place for place in above if not place.enabled), None)
            if disabled is not None:
                raise _wrong("parent_id", f"Project {disabled.id} is disabled.")
            if len(above) > self.max_project_tree_depth:
                raise Forbidden(
                    f"There may be {self.max_project_tree_depth} projects within each other."
                )
            project = Project(id=id, domain_id=above[-1].id, name=name)
            project.parent_id = parent.id if isinstance(parent, Project) else None
            session.add(put(project, said))
            return project

    @one_transaction
    def update_project(self, context: RequestContext, id: str, **values: Any) -> Project | Domain:
        """Set name, description, enabled, tags, options or extra.

        Raises Forbidden when it is to be moved, to be enabled in what is
        disabled, or to be disabled around what is enabled.
        """
        with self.database.read() as session:
            place = _reached(session, context, id)
        _check_stays(place, values)
        if isinstance(place, Domain):
            return self.update_domain(context, id, **values)
        with self._change(context, "updated", Project, id) as session:
            project = get(session, Project, id, lock=True)
            enabled = values.get("enabled", project.enabled)
            if enabled and not project.enabled:
                if not all(above.enabled for above in _above(session, project)):
                    raise Forbidden(f"Project {id} is within one that is disabled.")
            if project.enabled and not enabled:
                below = _below(session, project).values()
                if any(inner.enabled for inners in below for inner in inners):
                    raise Forbidden(f"Within project {id} there are enabled projects.")
            return change_place(project, values, self.now())

    @one_transaction
    def delete_project(self, context: RequestContext, id: str) -> None:
        """Remove a project and the roles on it.

        Raises Forbidden while there are projects in it, and Conflict while it
        owns servers, networks, ports or images.
        """
        with self.database.read() as session:
            place = _reached(session, context, id)
        if isinstance(place, Domain):
            return self.delete_domain(context, id)
        with self._change(context, "deleted", Project, id) as session:
            project = get(session, Project, id)
            check_mutable(project)
            if _below(session, project):
                raise Forbidden(f"Project {id} cannot be deleted: there are projects in it.")
            remove_project(session, project)

    # --- tags -------------------------------------------------------------------------------

    @one_transaction
    def tag_project(self, context: RequestContext, id: str, tag: str) -> None:
        """May be said twice.  Raises Invalid when there are too many."""
        with self._change(context, "tagged", Project, id) as session:
            place = _reached(session, context, id, lock=True)
            check_mutable(place)
            if tag not in place.tags:
                if len(place.tags) >= MOST_TAGS:
                    raise _wrong("tags", f"There may be {MOST_TAGS} of them.")
                place.tags = [*place.tags, tag]

    @one_transaction
    def untag_project(self, context: RequestContext, id: str, tag: str) -> None:
        """Raises NotFound when it has no such tag."""
        with self._change(context, "untagged", Project, id) as session:
            place = _reached(session, context, id, lock=True)
            check_mutable(place)
            check_tagged(place, tag)
            place.tags = [other for other in place.tags if other != tag]


def check_tagged(place: Project | Domain, tag: str) -> None:
    """Raises NotFound unless it has this tag."""
    if tag not in place.tags:
        raise NotFound(f"Could not find project tag: {tag}.")


def _find(session: Session, id: str, *, lock: bool = False) -> Project | Domain | None:
    return find(session, Project, id, lock=lock) or find(session, Domain, id, lock=lock)


def _visible(session: Session, context: RequestContext, id: str) -> Project | Domain:
    """What the asker may see: his own project and domain, and what he oversees."""
    if id == context.project_id:
        return get(session, Project, id)
    return get(session, Domain, id) if id == context.domain_id else _reached(session, context, id)


def _reached(
    session: Session, context: RequestContext, id: str, *, lock: bool = False
) -> Project | Domain:
    """What the asker may change, if policy lets him change anything."""
    found = _find(session, id, lock=lock)
    # A domain as a project is in none: it is for who sees all.
    if found is None or not oversees(context, found.domain_id):
        raise unseen(context, Project, id)
    return found


def _parent(
    session: Session, context: RequestContext, domain_id: str | None, parent_id: str | None
) -> Project | Domain:
    """What a new project is to be in; it stays there until the commit."""
    id = parent_id or domain_id or context.domain_id or context.project_domain_id
    parent = _find(session, id, lock=True)
    field = "parent_id" if parent_id else "domain_id"
    if parent is None:
        raise _wrong(field, f"Project {id} could not be found.")
    home = parent.domain_id or parent.id
    if domain_id is not None and domain_id != home:
        raise _wrong(field, f"Project {id} is not in domain {domain_id}.")
    if not oversees(context, home):
        raise Forbidden("Only in your own domain you can create projects.")
    return parent


def _above(session: Session, place: Project | Domain) -> list[Project | Domain]:
    """All that a project is in, the nearest first."""
    found: list[Project | Domain] = []
    while isinstance(place, Project):
        if place.parent_id is None:
            place = get(session, Domain, place.domain_id)
        else:
            place = get(session, Project, place.parent_id)
        found.append(place)
    return found


def _below(session: Session, place: Project | Domain) -> dict[str, list[Project]]:
    """All that are in a project, by what they are in."""
    found: dict[str, list[Project]] = {}
    if isinstance(place, Domain):
        inner = sa.select(Project).where(Project.domain_id == place.id)
        for project in session.scalars(inner.order_by(Project.name)):
            found.setdefault(project.parent_id or place.id, []).append(project)
        return found
    level = [place.id]
    while level:
        query = sa.select(Project).where(Project.parent_id.in_(level)).order_by(Project.name)
        level = []
        for project in session.scalars(query):
            found.setdefault(str(project.parent_id), []).append(project)
            level.append(project.id)
    return found


def _check_stays(place: Project | Domain, values: dict[str, Any]) -> None:
    """Raises when a project is to be moved; what it is in may be repeated."""
    home = place.parent_id or place.domain_id
    if values.pop("parent_id", home) != home:
        raise Forbidden("Update of parent_id is not allowed.")
    if values.pop("is_domain", isinstance(place, Domain)) != isinstance(place, Domain):
        raise _wrong("is_domain", "It cannot be changed.")
    if values.pop("domain_id", place.domain_id) != place.domain_id:
        raise _wrong("domain_id", "It cannot be changed.")


def _tagged(model: type[Domain] | type[Project], filters: dict[str, Any]) -> list[Condition]:
    """The conditions that the filters by tags are; they are taken out of the filters."""
    text = sa.func.coalesce(sa.type_coerce(model.tags, sa.Text), "")
    conditions = []
    for name, (combine, negate) in _TAG_FILTERS.items():
        wanted = filters.pop(name, None)
        if wanted is not None:
            # Unlike LIKE this tells "a" from "A" on every database.
            has = [sa.func.replace(text, f",{tag},", "") != text for tag in wanted.split(",")]
            met = combine(*has)
            conditions.append(sa.not_(met) if negate else met)
    return conditions


#: How the tags of a filter count together, and whether what has them is left out.
_TAG_FILTERS: dict[str, tuple[Any, bool]] = {
    "tags": (sa.and_, False),
    "tags-any": (sa.or_, False),
    "not-tags": (sa.and_, True),
    "not-tags-any": (sa.or_, True),
}
TAG_FILTERS = tuple(_TAG_FILTERS)


def _wrong(field: str, why: str) -> Invalid:
    return Invalid(f"Invalid input for field/attribute {field}. {why}")
