"""Which users are in which groups: /v3/groups/{id}/users and /v3/users/{id}/groups."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.identity.groups import GROUP
from nova_lite.api.identity.users import USER
from nova_lite.api.identity.words import wanted

MEMBERSHIPS = Resource("/v3")
MEMBER = "/groups/{id}/users/{user_id}"


@MEMBERSHIPS.on("GET", "/groups/{id}/users", policy="identity:list_users_in_group")
def users(request: Request, id: str) -> dict[str, Any]:
    asked = wanted(request, *USER.filters)
    return USER.page(request, request.services.identity.group_users(request.context, id, asked))


@MEMBERSHIPS.on("GET", "/users/{id}/groups", policy="identity:list_groups_for_user")
def groups(request: Request, id: str) -> dict[str, Any]:
    asked = wanted(request, *GROUP.filters)
    found = GROUP.page(request, request.services.identity.user_groups(request.context, id, asked))
    for group in found["groups"]:
        # Only federation makes memberships that end by themselves.
        group["membership_expires_at"] = None
    return found


@MEMBERSHIPS.on("PUT", MEMBER, policy="identity:add_user_to_group", status=204)
def add(request: Request, id: str, user_id: str) -> None:
    request.services.identity.add_user_to_group(request.context, id, user_id)


@MEMBERSHIPS.on("GET", MEMBER, policy="identity:check_user_in_group", status=204)
def check(request: Request, id: str, user_id: str) -> None:
    request.services.identity.check_user_in_group(request.context, id, user_id)


@MEMBERSHIPS.on("DELETE", MEMBER, policy="identity:remove_user_from_group", status=204)
def remove(request: Request, id: str, user_id: str) -> None:
    request.services.identity.remove_user_from_group(request.context, id, user_id)
