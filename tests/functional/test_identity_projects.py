"""Projects within projects, domains as projects, and tags."""

from __future__ import annotations

from typing import Any

from nova_lite.testing.cloud import Cloud, Facade
from tests.functional.identity_site import (
    UNKNOWN,
    change,
    make,
    names,
    person,
    role_id,
    token,
    user_id,
)


def tree(identity: Facade, *names: str, **values: Any) -> list[str]:
    """The ids of projects, each in the one before."""
    ids: list[str] = []
    for name in names:
        parent = {"parent_id": ids[-1]} if ids else values
        ids.append(make(identity, "project", name=name, **parent)["id"])
    return ids


def refused(identity: Facade, status: int, **values: Any) -> str:
    """What is said when such a project is not made."""
    answer = identity.call("POST", "/v3/projects", {"project": values}, status=status)
    return str(answer.json["error"]["message"])


# --- projects within projects ---------------------------------------------------------------------


def test_a_project_is_in_its_domain_or_in_another_project_of_it(identity: Facade) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    for said in ({"parent_id": acme}, {"domain_id": acme}, {"domain_id": acme, "parent_id": acme}):
        root = make(identity, "project", name=f"root{len(said)}{list(said)}", **said)
        assert (root["domain_id"], root["parent_id"], root["is_domain"]) == (acme, acme, False)
    inner = make(identity, "project", name="inner", parent_id=root["id"])
    assert (inner["domain_id"], inner["parent_id"]) == (acme, root["id"])
    assert "root" not in names(identity.get(f"/v3/projects?parent_id={root['id']}"))
    assert names(identity.get(f"/v3/projects?parent_id={root['id']}")) == ["inner"]
    assert "inner" not in names(identity.get(f"/v3/projects?parent_id={acme}"))
    message = refused(identity, 400, name="q", domain_id="default", parent_id=root["id"])
    assert "parent_id" in message
    assert "parent_id" in refused(identity, 400, name="q", parent_id=UNKNOWN)


def test_a_project_stays_where_it_is(identity: Facade) -> None:
    outer, inner = tree(identity, "outer", "inner")
    same = change(identity, "project", inner, parent_id=outer, domain_id="default", is_domain=False)
    assert same["parent_id"] == outer
    acme = make(identity, "domain", name="acme")["id"]
    change(identity, "project", inner, parent_id="default", status=403)
    assert "domain_id" in change(identity, "project", inner, domain_id=acme, status=400)["message"]
    assert "is_domain" in change(identity, "project", inner, is_domain=True, status=400)["message"]


def test_there_are_only_so_many_projects_within_each_other(identity: Facade) -> None:
    *_, deepest = tree(identity, "a", "b", "c", "d", "e")
    assert "5" in refused(identity, 403, name="f", parent_id=deepest)


def test_a_project_with_others_in_it_is_not_deleted(identity: Facade) -> None:
    outer, inner = tree(identity, "outer", "inner")
    identity.call("DELETE", f"/v3/projects/{outer}", status=403)
    identity.delete(f"/v3/projects/{inner}")
    identity.delete(f"/v3/projects/{outer}")


def test_what_is_enabled_is_not_in_what_is_disabled(identity: Facade) -> None:
    outer, middle, inner = tree(identity, "outer", "middle", "inner")
    assert "enabled" in change(identity, "project", outer, enabled=False, status=403)["message"]
    for id in (inner, middle, outer):
        change(identity, "project", id, enabled=False)
    for id in (inner, middle):
        assert "disabled" in change(identity, "project", id, enabled=True, status=403)["message"]
    assert "disabled" in refused(identity, 400, name="new", parent_id=inner)
    for id in (outer, middle, inner):
        assert change(identity, "project", id, enabled=True)["enabled"] is True
    acme = make(identity, "domain", name="acme")["id"]
    (root,) = tree(identity, "root", domain_id=acme)
    change(identity, "domain", acme, enabled=False)
    assert acme in refused(identity, 400, name="new", domain_id=acme)
    change(identity, "project", root, enabled=False)
    change(identity, "project", root, enabled=True, status=403)


def test_a_project_tells_what_is_above_and_below_it(cloud: Cloud, identity: Facade) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    top, middle, leaf = tree(identity, "top", "middle", "leaf", domain_id=acme)
    other = make(identity, "project", name="other", parent_id=top)["id"]
    admin, member = user_id(identity, "admin"), role_id(identity, "member")
    for id in (top, leaf):
        identity.put(f"/v3/projects/{id}/users/{admin}/roles/{member}", None)

    def told(id: str, *ways: str) -> Any:
        query = "&".join(ways)
        project = identity.get(f"/v3/projects/{id}?{query}")["project"]
        return [project.get(name) for name in ("parents", "subtree") if name in project]

    def told_names(id: str, way: str) -> list[str]:
        [listed] = told(id, way)
        return [one["project"]["name"] for one in listed]

    assert told(middle) == told(middle, "parents_as_list=0") == []
    assert told(middle, "parents_as_ids", "subtree_as_ids") == [{top: {acme: None}}, {leaf: None}]
    assert told(top, "subtree_as_ids") == [{middle: {leaf: None}, other: None}]
    assert told(leaf, "subtree_as_ids") == [None]
    assert told(acme, "parents_as_ids", "subtree_as_ids") == [
        None,
        {top: {middle: {leaf: None}, other: None}},
    ]
    # A list has only those that one has a role on.
    assert told_names(leaf, "parents_as_list") == ["top"]
    assert told_names(top, "subtree_as_list=true") == ["leaf"]
    for both in ("parents", "subtree"):
        query = f"{both}_as_list&{both}_as_ids"
        identity.call("GET", f"/v3/projects/{top}?{query}", status=400)


# --- domains as projects --------------------------------------------------------------------------


def test_a_domain_is_a_project_that_is_in_nothing(identity: Facade) -> None:
    made = make(identity, "project", name="acme", is_domain=True, domain_id=None, tags=["a"])
    assert (made["domain_id"], made["parent_id"], made["is_domain"]) == (None, None, True)
    id = made["id"]
    domain = identity.get(f"/v3/domains/{id}")["domain"]
    assert (domain["name"], domain["tags"]) == ("acme", ["a"])
    assert "parent_id" not in domain
    assert identity.get(f"/v3/projects/{id}")["project"] == made
    assert made in identity.get("/v3/projects?is_domain=true")["projects"]
    assert "acme" not in names(identity.get("/v3/projects"))
    changed = change(identity, "project", id, description="theirs", is_domain=True, parent_id=None)
    assert changed == {**made, "description": "theirs"}
    change(identity, "project", id, is_domain=False, status=400)
    identity.call("DELETE", f"/v3/projects/{id}", status=403)
    change(identity, "project", id, enabled=False)
    identity.delete(f"/v3/projects/{id}")
    identity.call("GET", f"/v3/domains/{id}", status=404)
    for said in ({"parent_id": "default"}, {"domain_id": "default"}):
        assert "parent_id" in refused(identity, 400, name="x", is_domain=True, **said)
    refused(identity, 409, name="Default", is_domain=True)


# --- tags -----------------------------------------------------------------------------------------


def test_tags_are_put_on_a_project_and_taken_off(identity: Facade) -> None:
    id = make(identity, "project", name="p", tags=["b", "a"])["id"]
    path = f"/v3/projects/{id}/tags"
    assert identity.get(path) == {
        "tags": ["b", "a"],
        "links": {"self": f"http://localhost/identity{path}"},
    }
    for _twice in range(2):
        put = identity.call("PUT", f"{path}/c", {}, status=201)
        assert put.headers["Location"] == f"http://localhost/identity{path}/c"
        assert put.body == b""
    assert identity.get(path)["tags"] == ["b", "a", "c"]
    for method in ("GET", "HEAD"):
        identity.call(method, f"{path}/c", status=204)
        identity.call(method, f"{path}/C", status=404)
    identity.delete(f"{path}/a")
    identity.call("DELETE", f"{path}/a", status=404)
    assert identity.get(f"/v3/projects/{id}")["project"]["tags"] == ["b", "c"]
    assert identity.put(path, {"tags": ["x"]}, status=200)["tags"] == ["x"]
    assert change(identity, "project", id, tags=["y", "z"])["tags"] == ["y", "z"]
    identity.delete(path)
    assert identity.get(path)["tags"] == []


def test_tags_are_few_short_and_different(identity: Facade) -> None:
    many = [f"t{n}" for n in range(80)]
    id = make(identity, "project", name="p", tags=many)["id"]
    path = f"/v3/projects/{id}/tags"
    identity.call("PUT", f"{path}/t0", status=201)
    error = identity.call("PUT", f"{path}/t80", status=400).json["error"]
    assert "80" in error["message"]
    for bad in ([*many, "t80"], ["a", "a"], ["a,b"], ["a/b"], [""], ["x" * 256], [7], "a"):
        identity.call("PUT", path, {"tags": bad}, status=400)
        refused(identity, 400, name="q", tags=bad)
    identity.call("PUT", f"{path}/{'x' * 256}", status=400)
    identity.call("PUT", f"{path}/a,b", status=400)
    identity.call("PUT", f"/v3/projects/{UNKNOWN}/tags/a", status=404)


def test_a_list_is_narrowed_by_tags(identity: Facade) -> None:
    for name, tags in (("one", ["a", "b"]), ("two", ["b"]), ("three", ["A", "ab"]), ("four", [])):
        make(identity, "project", name=name, tags=tags, domain_id=None)
    make(identity, "domain", name="acme", tags=["a"])
    for query, found in (
        ("tags=a", ["one"]),
        ("tags=a,b", ["one"]),
        ("tags-any=a,b", ["one", "two"]),
        ("tags-any=ab,nothing", ["three"]),
        ("not-tags=a,b", ["admin", "four", "three", "two"]),
        ("not-tags-any=a,b", ["admin", "four", "three"]),
        ("tags=b&not-tags=a", ["two"]),
        ("tags-any=a&is_domain=true", ["acme"]),
    ):
        assert names(identity.get(f"/v3/projects?{query}")) == found, query


def test_members_of_a_project_see_its_tags_and_change_none(cloud: Cloud, identity: Facade) -> None:
    id = make(identity, "project", name="p", tags=["a"])["id"]
    ann = person(identity, "ann", "member", f"projects/{id}")
    hers: dict[str, Any] = {"token": token(cloud, ann, "secret-ann", {"project": {"id": id}})}
    path = f"/v3/projects/{id}/tags"
    assert identity.get(path, **hers)["tags"] == ["a"]
    identity.call("GET", f"{path}/a", status=204, **hers)
    for method, where in (("PUT", f"{path}/b"), ("PUT", path), ("DELETE", path)):
        identity.call(method, where, {"tags": []}, status=403, **hers)
    elsewhere = f"/v3/projects/{cloud.admin.project_id}/tags"
    identity.call("GET", elsewhere, status=403, **hers)
