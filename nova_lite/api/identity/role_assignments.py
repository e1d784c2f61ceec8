"""Who has which role where, as a list: /v3/role_assignments."""

from __future__ import annotations

from typing import Any

from nova_lite.api import policy
from nova_lite.api.declare import Request, Resource
from nova_lite.api.identity.words import flag, listing, url
from nova_lite.domain.assignments import Assignment
from nova_lite.domain.errors import Invalid
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.identity.grants import Assignments, Filters

ASSIGNMENTS = Resource("/v3/role_assignments")
FOR_TREE = "identity:list_role_assignments_for_tree"
INHERITED_TO = "OS-INHERIT:inherited_to"
SCOPES = (
    (ScopeKind.PROJECT, "scope.project.id"),
    (ScopeKind.DOMAIN, "scope.domain.id"),
    (ScopeKind.SYSTEM, "scope.system"),
)


@ASSIGNMENTS.on("GET", policy="identity:list_role_assignments")
def index(request: Request) -> dict[str, Any]:
    filters = _filters(request)
    if filters.subtree:
        policy.require(FOR_TREE, request)
    named = bool(flag(request, "include_names"))
    assignments = request.services.grants.list_assignments(request.context, filters, named=named)
    rendered = (_render(request, one, assignments) for one in assignments.found)
    return listing(request, "role_assignments", rendered)


def _filters(request: Request) -> Filters:
    """What the query asks for.  Raises Invalid for what could never be true of anything."""
    asked = request.GET
    scopes = [(kind, asked[name]) for kind, name in SCOPES if asked.get(name)]
    if len(scopes) > 1:
        raise Invalid("Specify a project, a domain or the system, not several of them.")
    if asked.get("user.id") and asked.get("group.id"):
        raise Invalid("Specify a user or a group, not both.")
    kind, scope_id = scopes[0] if scopes else (None, None)
    if kind is ScopeKind.SYSTEM and scope_id != ALL:
        kind, scope_id = None, None  # to Keystone that says nothing
    inherited_to = asked.get(f"scope.{INHERITED_TO}")
    filters = Filters(
        user_id=asked.get("user.id") or None,
        group_id=asked.get("group.id") or None,
        role_id=asked.get("role.id") or None,
        kind=kind,
        scope_id=scope_id,
        inherited=None if inherited_to is None else inherited_to == "projects",
        effective=bool(flag(request, "effective")),
        subtree=bool(flag(request, "include_subtree")),
    )
    if filters.subtree and kind is not ScopeKind.PROJECT:
        raise Invalid("scope.project.id must be specified if include_subtree is also specified.")
    if filters.effective and filters.group_id:
        raise Invalid("No effective assignment is one of a group: it is one of its users.")
    if filters.effective and filters.inherited and kind is ScopeKind.DOMAIN:
        raise Invalid("No effective assignment is inherited by a domain.")
    return filters


def _render(request: Request, one: Assignment, assignments: Assignments) -> dict[str, Any]:
    def known(id: str) -> dict[str, Any]:
        name = assignments.names.get(id)
        if name is None:
            return {"id": id}
        domain = {"id": name.domain_id, "name": name.domain_name}
        return {"id": id, "name": name.name, **({"domain": domain} if name.domain_id else {})}

    everywhere = one.kind is ScopeKind.SYSTEM
    scope: dict[str, Any] = {one.kind.value: {"all": True} if everywhere else known(one.scope_id)}
    if one.inherited or one.source is not None:
        scope[INHERITED_TO] = "projects"
    actor = {"user": known(one.user_id)} if one.user_id else {"group": known(one.group_id or "")}
    return {
        "role": known(one.role_id),
        **actor,
        "scope": scope,
        "links": _links(request, one),
    }


def _links(request: Request, one: Assignment) -> dict[str, str]:
    """Of the grant to take back, of the membership, and of the implication it comes from."""
    kind, scope_id = one.source or (one.kind, one.scope_id)
    where = ("system",) if kind is ScopeKind.SYSTEM else (f"{kind}s", scope_id)
    group = one.group_id or one.membership
    actor = ("groups", group) if group else ("users", one.user_id or "")
    path = (*where, *actor, "roles", one.prior_role_id or one.role_id)
    if one.inherited or one.source is not None:
        path = ("OS-INHERIT", *path, "inherited_to_projects")
    links = {"assignment": url(request, *path)}
    if one.membership:
        links["membership"] = url(request, "groups", one.membership, "users", one.user_id or "")
    if one.prior_role_id:
        # As Keystone has it: the implied role comes first.
        links["prior_role"] = url(request, "prior_role", one.role_id, "implies", one.prior_role_id)
    return links
