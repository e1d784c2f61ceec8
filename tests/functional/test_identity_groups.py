"""Groups, who is in them, and what that is good for."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from nova_lite.testing.cloud import Cloud, Facade
from tests.functional.identity_site import (
    UNKNOWN,
    make,
    names,
    person,
    role_id,
    token,
    user_id,
)


def test_users_join_a_group_and_leave_it(identity: Facade) -> None:
    group = make(identity, "group", name="staff")["id"]
    ann, bob = (make(identity, "user", name=name)["id"] for name in ("ann", "bob"))
    path = f"/v3/groups/{group}/users"
    for method in ("HEAD", "GET", "DELETE"):
        identity.call(method, f"{path}/{ann}", status=404)
    for _twice in range(2):
        identity.call("PUT", f"{path}/{ann}", status=204)
    identity.call("PUT", f"{path}/{bob}", status=204)
    for method in ("HEAD", "GET"):
        identity.call(method, f"{path}/{ann}", status=204)
    assert names(identity.get(path)) == ["ann", "bob"]
    assert names(identity.get(f"{path}?name=bob")) == ["bob"]
    assert names(identity.get(f"{path}?enabled=false")) == []
    shown = identity.get(f"/v3/users/{ann}")["user"]
    assert identity.get(path)["users"][0] == shown
    identity.delete(f"{path}/{ann}")
    assert names(identity.get(path)) == ["bob"]
    identity.delete(f"/v3/users/{bob}")
    assert names(identity.get(path)) == []


def test_a_user_is_told_his_groups(cloud: Cloud, identity: Facade) -> None:
    ann = make(identity, "user", name="ann", password="secret-ann")["id"]
    for name in ("staff", "guests"):
        group = make(identity, "group", name=name)["id"]
        identity.put(f"/v3/groups/{group}/users/{ann}", None)
    path = f"/v3/users/{ann}/groups"
    own = token(cloud, ann, "secret-ann", {"unscoped": {}})
    found = identity.get(path, token=own)["groups"]
    assert [(g["name"], g["membership_expires_at"]) for g in found] == [
        ("guests", None),
        ("staff", None),
    ]
    assert names(identity.get(f"{path}?name=staff")) == ["staff"]
    others = f"/v3/users/{user_id(identity, 'admin')}/groups"
    identity.call("GET", others, status=403, token=own)
    identity.call("GET", f"/v3/groups/{group}", status=403, token=own)


def test_who_is_in_a_domain_is_told_of_groups_and_members_in_it_alone(
    cloud: Cloud, identity: Facade
) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    boss = person(identity, "boss", "manager", f"domains/{acme}", domain_id=acme)
    far = make(identity, "user", name="far")["id"]
    groups = [
        make(identity, "group", name=name, domain_id=domain)["id"]
        for name, domain in (("near", acme), ("farther", "default"))
    ]
    for group in groups:
        for user in (boss, far):
            identity.put(f"/v3/groups/{group}/users/{user}", None)
    token_of = partial(token, cloud, boss, "secret-boss")
    mine = {"token": token_of({"domain": {"id": acme}})}
    assert names(identity.get(f"/v3/groups/{groups[0]}/users", **mine)) == ["boss"]
    assert names(identity.get(f"/v3/groups/{groups[0]}/users")) == ["boss", "far"]
    assert names(identity.get(f"/v3/users/{boss}/groups", **mine)) == ["farther", "near"]
    near = make(identity, "user", name="close", domain_id=acme)["id"]
    for group in groups:
        identity.put(f"/v3/groups/{group}/users/{near}", None)
    assert names(identity.get(f"/v3/users/{near}/groups", **mine)) == ["near"]


def test_only_who_is_there_joins_what_is_there(identity: Facade) -> None:
    group = make(identity, "group", name="staff")["id"]
    admin = user_id(identity, "admin")
    for method in ("PUT", "GET", "DELETE"):
        identity.call(method, f"/v3/groups/{UNKNOWN}/users/{admin}", status=404)
        identity.call(method, f"/v3/groups/{group}/users/{UNKNOWN}", status=404)
    identity.call("GET", f"/v3/groups/{UNKNOWN}/users", status=404)
    identity.call("GET", f"/v3/users/{UNKNOWN}/groups", status=404)


@pytest.mark.parametrize("end", ["he leaves it", "it is deleted"])
def test_what_a_member_may_do_by_a_group_ends_with_it(
    cloud: Cloud, identity: Facade, end: str
) -> None:
    group = make(identity, "group", name="staff")["id"]
    project = make(identity, "project", name="p")["id"]
    grant = f"/v3/projects/{project}/groups/{group}/roles/{role_id(identity, 'member')}"
    identity.call("PUT", grant, status=204)
    ann = make(identity, "user", name="ann", password="secret-ann")["id"]
    scope = {"project": {"id": project}}
    token(cloud, ann, "secret-ann", scope, status=401)
    identity.put(f"/v3/groups/{group}/users/{ann}", None)
    own: dict[str, Any] = {"token": token(cloud, ann, "secret-ann", scope)}
    assert names(identity.get("/v3/auth/projects", **own)) == ["p"]
    if end == "he leaves it":
        identity.delete(f"/v3/groups/{group}/users/{ann}")
    else:
        identity.delete(f"/v3/groups/{group}")
    identity.call("GET", "/v3/auth/projects", status=401, **own)
