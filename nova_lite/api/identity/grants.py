"""Who has which role where: the grants of a user, and the list of all assignments."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Handler, Request, Resource
from nova_lite.api.identity.roles import render_role
from nova_lite.api.identity.words import flag, listing, url
from nova_lite.domain.errors import Invalid
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.directory import Assignment

GRANTS = Resource("/v3")
ASSIGNMENTS = Resource("/v3/role_assignments")


def _grant(kind: ScopeKind) -> Handler:
    def grant(request: Request, user_id: str, role_id: str, scope_id: str = ALL) -> None:
        request.services.identity.grant(
            request.context, user_id=user_id, role_id=role_id, kind=kind, scope_id=scope_id
        )

    return grant


def _check(kind: ScopeKind) -> Handler:
    def check(request: Request, user_id: str, role_id: str, scope_id: str = ALL) -> None:
        request.services.identity.check_grant(
            request.context, user_id=user_id, role_id=role_id, kind=kind, scope_id=scope_id
        )

    return check


def _revoke(kind: ScopeKind) -> Handler:
    def revoke(request: Request, user_id: str, role_id: str, scope_id: str = ALL) -> None:
        request.services.identity.revoke(
            request.context, user_id=user_id, role_id=role_id, kind=kind, scope_id=scope_id
        )

    return revoke


def _roles(kind: ScopeKind) -> Handler:
    def roles(request: Request, user_id: str, scope_id: str = ALL) -> dict[str, Any]:
        found = request.services.identity.roles_on(
            request.context, user_id=user_id, kind=kind, scope_id=scope_id
        )
        return listing(request, "roles", (render_role(request, role) for role in found))

    return roles


#: Kind of scope, its path, and the end of the names of its rules.
SCOPES = (
    (ScopeKind.PROJECT, "/projects/{scope_id}", "grant"),
    (ScopeKind.DOMAIN, "/domains/{scope_id}", "grant"),
    (ScopeKind.SYSTEM, "/system", "system_grant_for_user"),
)
for _kind, _path, _rule in SCOPES:
    _all, _one = f"{_path}/users/{{user_id}}/roles", f"{_path}/users/{{user_id}}/roles/{{role_id}}"
    _list_rule = f"identity:list_{_rule.replace('grant', 'grants')}"
    GRANTS.on("GET", _all, policy=_list_rule)(_roles(_kind))
    GRANTS.on("PUT", _one, policy=f"identity:create_{_rule}", status=204)(_grant(_kind))
    GRANTS.on("GET", _one, policy=f"identity:check_{_rule}", status=204)(_check(_kind))
    GRANTS.on("DELETE", _one, policy=f"identity:revoke_{_rule}", status=204)(_revoke(_kind))


@ASSIGNMENTS.on("GET", policy="identity:list_role_assignments")
def index(request: Request) -> dict[str, Any]:
    kind, scope_id = _scope(request)
    found = (
        []
        # Nobody has a role through a group or from above.
        if {"group.id", "scope.OS-INHERIT:inherited_to"} & set(request.GET)
        else request.services.identity.list_assignments(
            request.context,
            user_id=request.GET.get("user.id"),
            role_id=request.GET.get("role.id"),
            kind=kind,
            scope_id=scope_id,
            effective=bool(flag(request, "effective")),
        )
    )
    names = bool(flag(request, "include_names"))
    return listing(request, "role_assignments", (_render(request, one, names) for one in found))


def _scope(request: Request) -> tuple[ScopeKind | None, str | None]:
    wanted = [
        (kind, request.GET[name])
        for kind, name in (
            (ScopeKind.PROJECT, "scope.project.id"),
            (ScopeKind.DOMAIN, "scope.domain.id"),
            (ScopeKind.SYSTEM, "scope.system"),
        )
        if name in request.GET
    ]
    if len(wanted) > 1:
        raise Invalid("Specify a project, a domain or the system, not several of them.")
    return wanted[0] if wanted else (None, None)


def _render(request: Request, assignment: Assignment, names: bool) -> dict[str, Any]:
    at = assignment.at
    user: dict[str, Any] = {"id": at.user_id}
    role: dict[str, Any] = {"id": assignment.role_id}
    place: Any = {"id": at.scope_id}
    if names:
        role["name"] = assignment.role_name
        user["name"] = at.user_name
        user["domain"] = {"id": at.user_domain_id, "name": at.user_domain_name}
        place["name"] = at.scope_name
        if at.scope == ScopeKind.PROJECT:
            place["domain"] = {"id": at.scope_domain_id, "name": at.scope_domain_name}
    if at.scope == ScopeKind.SYSTEM:
        place, where = {"all": True}, "system"
    else:
        where = f"{at.scope}s/{at.scope_id}"
    # What an implied role comes from is the assignment one could take away.
    link = url(request, where, "users", at.user_id, "roles", at.role_id)
    return {
        "role": role,
        "user": user,
        "scope": {at.scope: place},
        "links": {"assignment": link},
    }
