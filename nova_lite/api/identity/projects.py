"""Projects, in a domain or in each other: /v3/projects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.kinds import Kind, directory
from nova_lite.api.identity.words import (
    DESCRIPTION,
    FLAG,
    IMMUTABLE,
    LABEL,
    OR_NULL,
    TAGS,
    asked,
)
from nova_lite.domain.errors import Invalid
from nova_lite.services.identity.projects import TAG_FILTERS, Family

PROJECTS = Resource("/v3/projects")
PROJECT = Kind(
    name="project",
    plural="projects",
    fields=(
        Field("id", lambda project: project.id),
        Field("name", lambda project: project.name),
        Field("domain_id", lambda project: project.domain_id),
        Field("description", lambda project: project.description),
        Field("enabled", lambda project: project.enabled),
        # Keystone's name for being in no other project.
        Field("parent_id", lambda project: project.parent_id or project.domain_id),
        Field("is_domain", lambda project: project.domain_id is None),
        Field("options", lambda project: project.options or {}),
        Field("tags", lambda project: project.tags),
    ),
    properties={
        "name": {**LABEL, "maxLength": 64},
        "domain_id": OR_NULL,
        "description": DESCRIPTION,
        "enabled": FLAG,
        "parent_id": OR_NULL,
        "is_domain": FLAG,
        "options": IMMUTABLE,
        "tags": TAGS,
    },
    filters=("name", "enabled", "domain_id", "parent_id", "is_domain", *TAG_FILTERS),
    beside=lambda request, id: _family(request, id),
)
PROJECT.serve(PROJECTS, directory)


def _family(request: Request, id: str) -> dict[str, Any]:
    """The projects above and below one, as far as the query asks for them."""
    ways = [_way(request, "parents", _PARENTS), _way(request, "subtree", _SUBTREE)]
    if not any(ways):
        return {}
    family = request.services.identity.family(request.context, id)
    return {name: tell(request, family, id) for name, tell in filter(None, ways)}


def _way(request: Request, name: str, ways: Mapping[str, Any]) -> tuple[str, Any] | None:
    """How something is to be told, of the ways there are; raises Invalid for two."""
    wanted = [way for way in ways if asked(request, f"{name}_as_{way}")]
    if len(wanted) > 1:
        raise Invalid(f"Use {name}_as_list or {name}_as_ids, not both of them.")
    return (name, ways[wanted[0]]) if wanted else None


def _listed(request: Request, family: Family, projects: Sequence[Any]) -> list[dict[str, Any]]:
    """Those of the projects that the asker has a role on."""
    return [PROJECT.answer(request, one) for one in projects if one.id in family.own]


def _parents_as_list(request: Request, family: Family, _id: str) -> list[dict[str, Any]]:
    return _listed(request, family, family.parents)


def _parents_as_ids(_request: Request, family: Family, _id: str) -> dict[str, Any] | None:
    """The nearest within what it is in, and so on."""
    told: dict[str, Any] | None = None
    for parent in reversed(family.parents):
        told = {parent.id: told}
    return told


def _subtree_as_list(request: Request, family: Family, _id: str) -> list[dict[str, Any]]:
    below = [project for projects in family.below.values() for project in projects]
    return _listed(request, family, below)


def _subtree_as_ids(request: Request, family: Family, id: str) -> dict[str, Any] | None:
    inner = family.below.get(id, ())
    return {one.id: _subtree_as_ids(request, family, one.id) for one in inner} or None


_PARENTS = {"list": _parents_as_list, "ids": _parents_as_ids}
_SUBTREE = {"list": _subtree_as_list, "ids": _subtree_as_ids}
