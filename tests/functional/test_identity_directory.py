"""What all things of the identity API have in common, domains, and who may see and do what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.api.identity import app, rules
from nova_lite.api.identity.app import RESOURCES
from nova_lite.api.identity.rules import RULES
from nova_lite.api.policy import Policy
from nova_lite.db.models import Image
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

# --- what all kinds have in common ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["domain", "project", "user", "group", "role"])
def test_a_thing_is_made_found_changed_and_removed(identity: Facade, kind: str) -> None:
    made = make(identity, kind, name="first", description="what it is for")
    path = f"/v3/{kind}s/{made['id']}"
    assert made["links"] == {"self": f"http://localhost/identity{path}"}
    assert identity.get(path) == {kind: made}
    listed = identity.get(f"/v3/{kind}s?name=first")
    assert listed[f"{kind}s"] == [made]
    assert listed["links"] == {
        "next": None,
        "previous": None,
        "self": f"http://localhost/identity/v3/{kind}s",
    }
    changed = identity.patch(path, {kind: {"name": "second", "description": "more"}}, status=200)
    assert changed[kind] == {**made, "name": "second", "description": "more"}
    assert identity.get(f"/v3/{kind}s?name=first")[f"{kind}s"] == []
    assert identity.call("HEAD", path).status_int == 200
    if kind == "domain":
        identity.patch(path, {kind: {"enabled": False}})
    identity.delete(path)
    for method in ("GET", "DELETE"):
        gone = identity.call(method, path, status=404).json["error"]
        assert gone["code"] == 404 and kind in gone["message"]
    identity.call("PATCH", path, {kind: {"name": "third"}}, status=404)


@pytest.mark.parametrize("kind", ["domain", "project", "user", "group"])
def test_a_thing_keeps_whatever_else_is_said_of_it(identity: Facade, kind: str) -> None:
    made = make(identity, kind, name="  x ", shoe={"size": 44}, project_id="p", id="mine")
    assert (made["name"], made["shoe"], made["project_id"]) == ("x", {"size": 44}, "p")
    assert made["id"] != "mine"
    changed = change(identity, kind, made["id"], shoe=None, hat=True, id=made["id"])
    assert changed == {**made, "shoe": None, "hat": True}
    path = f"/v3/{kind}s/{made['id']}"
    assert identity.get(path)[kind] == changed
    assert identity.get(f"/v3/{kind}s?name=x")[f"{kind}s"] == [changed]
    assert change(identity, kind, made["id"], **changed) == changed
    assert change(identity, kind, made["id"], description=None)["description"] == ""
    assert "id" in change(identity, kind, made["id"], id=UNKNOWN, status=400)["message"]


@pytest.mark.parametrize("kind", ["domain", "project", "user", "group"])
def test_a_list_comes_in_pages_to_who_wants_them(identity: Facade, kind: str) -> None:
    for name in "abcde":
        make(identity, kind, name=f"page-{name}")
    found: list[str] = []
    query: str | None = f"/v3/{kind}s?limit=2&name__startswith=page"
    while query:
        page = identity.get(query)
        found += names(page)
        assert page.get("truncated", False) is bool(page["links"]["next"])
        query = page["links"]["next"] and page["links"]["next"].partition("/identity")[2]
    assert found == [f"page-{name}" for name in "abcde"]
    assert "truncated" not in identity.get(f"/v3/{kind}s?limit=0")
    identity.call("GET", f"/v3/{kind}s?limit=two", status=400)
    identity.call("GET", f"/v3/{kind}s?marker={UNKNOWN}", status=404)


def test_a_list_is_narrowed_by_what_a_name_is_like(identity: Facade) -> None:
    for name in ("Red Team", "blue team", "100%", "a_b"):
        make(identity, "group", name=name)
    for query, found in (
        ("name__icontains=TEAM", ["Red Team", "blue team"]),
        ("name__contains=%25", ["100%"]),
        ("name__contains=_", ["a_b"]),
        ("name__istartswith=red", ["Red Team"]),
        ("name__startswith=blue", ["blue team"]),
        ("name__iendswith=TEAM", ["Red Team", "blue team"]),
        ("name__endswith=b", ["a_b"]),
        ("name__iequals=red%20team", ["Red Team"]),
        ("name__equals=a_b", ["a_b"]),
        ("name__resembles=a_b", ["100%", "Red Team", "a_b", "blue team"]),
    ):
        assert names(identity.get(f"/v3/groups?{query}")) == found, query
    assert "admin" in names(identity.get("/v3/users?enabled__contains=true"))


@pytest.mark.parametrize("kind", ["domain", "project", "user", "group", "role"])
def test_a_name_that_is_taken_is_a_conflict(identity: Facade, kind: str) -> None:
    make(identity, kind, name="taken")
    other = make(identity, kind, name="other")
    again = identity.call("POST", f"/v3/{kind}s", {kind: {"name": "taken"}}, status=409)
    assert again.json["error"]["title"] == "Conflict"
    path = f"/v3/{kind}s/{other['id']}"
    identity.call("PATCH", path, {kind: {"name": "taken"}}, status=409)
    assert identity.get(path)[kind]["name"] == "other"


@pytest.mark.parametrize("kind", ["domain", "project", "user", "group", "role"])
def test_a_malformed_body_is_refused(identity: Facade, kind: str) -> None:
    bad: list[dict[str, Any]] = [{}, *({"name": name} for name in ("", " ", 7, "x" * 256, "a\nb"))]
    for values in bad:
        error = identity.call("POST", f"/v3/{kind}s", {kind: values}, status=400).json["error"]
        assert error["title"] == "Bad Request"
    identity.call("POST", f"/v3/{kind}s", {"thing": {"name": "x"}}, status=400)


@pytest.mark.parametrize(
    "kind", ["domain", "project", "user", "group", "role", "service", "endpoint"]
)
def test_an_unknown_id_is_not_found_whatever_it_looks_like(identity: Facade, kind: str) -> None:
    for id in (UNKNOWN, "no%20uuid", "%00", "%C3%A4", "x" * 1000):
        response = identity.call("GET", f"/v3/{kind}s/{id}", status=404)
        assert response.json["error"]["code"] == 404
        if kind != "endpoint" and id != "%00":  # they have no names; and NUL is none
            assert identity.get(f"/v3/{kind}s?name={id}")[f"{kind}s"] == []


def test_lists_are_narrowed_by_domain_and_by_being_enabled(identity: Facade) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    make(identity, "project", name="theirs", domain_id=acme)
    make(identity, "project", name="closed", enabled=False)
    make(identity, "user", name="ann", domain_id=acme)
    make(identity, "group", name="staff", domain_id=acme)
    make(identity, "group", name="guests")
    change(identity, "domain", acme, enabled=False)
    make(identity, "user", name="bob", enabled=False)
    for query, found in (
        ("domains?enabled=false", ["acme"]),
        ("domains?enabled", ["Default"]),
        (f"projects?domain_id={acme}", ["theirs"]),
        (f"projects?parent_id={acme}", ["theirs"]),
        ("projects?enabled=0", ["closed"]),
        ("projects?is_domain=true", ["Default", "acme"]),
        ("projects?is_domain=true&enabled=true", ["Default"]),
        (f"projects?is_domain=true&domain_id={acme}", []),
        ("projects?is_domain=false", ["admin", "closed", "theirs"]),
        (f"groups?domain_id={acme}", ["staff"]),
        ("groups?name=guests&domain_id=default", ["guests"]),
        ("users?password_expires_at=lt:2030-01-01T00:00:00Z", []),
        ("users?idp_id=elsewhere", []),
        ("users?shoe_size=44&domain_id=default", ["admin", "bob"]),
        (f"users?domain_id={acme}", ["ann"]),
        ("users?enabled=True", ["admin", "ann"]),
        (f"roles?domain_id={acme}", []),
    ):
        assert names(identity.get(f"/v3/{query}")) == found, query


# --- domains and projects -------------------------------------------------------------------------


def test_names_are_unique_within_a_domain_only(identity: Facade) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    for kind in ("project", "user", "group"):
        there = make(identity, kind, name="same", domain_id=acme)
        here = make(identity, kind, name="same")
        assert (there["domain_id"], here["domain_id"]) == (acme, "default")


@pytest.mark.parametrize(("kind", "status"), [("project", 400), ("user", 404), ("group", 404)])
def test_a_domain_that_is_not_there_is_named(identity: Facade, kind: str, status: int) -> None:
    body = {kind: {"name": "x", "domain_id": UNKNOWN}}
    error = identity.call("POST", f"/v3/{kind}s", body, status=status).json["error"]
    assert UNKNOWN in error["message"]


def test_a_project_that_owns_something_stays(cloud: Cloud, identity: Facade) -> None:
    project = make(identity, "project", name="rich")["id"]
    now = cloud.clock()
    with cloud.database.write() as session:
        session.add(Image(owner=project, name="picture", created_at=now, updated_at=now))
    error = identity.call("DELETE", f"/v3/projects/{project}", status=409).json["error"]
    assert "images" in error["message"]
    with cloud.database.write() as session:
        session.execute(sa.update(Image).values(deleted=True))
    identity.delete(f"/v3/projects/{project}")


def test_a_project_takes_its_roles_with_it(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    identity.patch(f"/v3/users/{user}", {"user": {"default_project_id": project}})
    identity.delete(f"/v3/projects/{project}")
    assert identity.get(f"/v3/role_assignments?user.id={user}")["role_assignments"] == []
    assert identity.get(f"/v3/users/{user}")["user"]["default_project_id"] is None
    identity.call("GET", "/v3/auth/projects", status=401, token=token)


def test_a_domain_goes_with_all_that_is_in_it_once_it_is_disabled(
    cloud: Cloud, identity: Facade
) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    project = make(identity, "project", name="p", domain_id=acme)["id"]
    inner = make(identity, "project", name="a", parent_id=project)["id"]
    user = make(identity, "user", name="u", domain_id=acme)["id"]
    group = make(identity, "group", name="g", domain_id=acme)["id"]
    identity.put(f"/v3/groups/{group}/users/{user}", None)
    reader = role_id(identity, "reader")
    identity.put(f"/v3/domains/{acme}/users/{user}/roles/{reader}", None)
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{reader}", None)
    error = identity.call("DELETE", f"/v3/domains/{acme}", status=403).json["error"]
    assert "disable" in error["message"]
    identity.patch(f"/v3/domains/{acme}", {"domain": {"enabled": False}})
    now = cloud.clock()
    with cloud.database.write() as session:
        session.add(Image(owner=project, name="picture", created_at=now, updated_at=now))
    identity.call("DELETE", f"/v3/domains/{acme}", status=409)
    identity.get(f"/v3/users/{user}")  # nothing is half done
    with cloud.database.write() as session:
        session.execute(sa.delete(Image))
    identity.delete(f"/v3/domains/{acme}")
    gone = (f"domains/{acme}", f"projects/{project}", f"projects/{inner}")
    for path in (*gone, f"users/{user}", f"groups/{group}"):
        identity.call("GET", f"/v3/{path}", status=404)


def test_nobody_saws_off_the_branch_the_cloud_sits_on(identity: Facade) -> None:
    off = {"domain": {"enabled": False}}
    identity.call("PATCH", "/v3/domains/default", off, status=403)
    identity.call("DELETE", "/v3/domains/default", status=403)
    admin = role_id(identity, "admin")
    assert identity.get(f"/v3/roles/{admin}")["role"]["options"] == {"immutable": True}
    identity.call("PATCH", f"/v3/roles/{admin}", {"role": {"name": "king"}}, status=403)
    identity.call("DELETE", f"/v3/roles/{admin}", status=403)


@pytest.mark.parametrize("kind", ["domain", "project"])
def test_what_is_immutable_first_has_to_be_made_mutable(identity: Facade, kind: str) -> None:
    id = make(identity, kind, name="rock", enabled=False, options={"immutable": True})["id"]
    path = f"/v3/{kind}s/{id}"
    refused: list[dict[str, Any]] = [
        {"name": "sand"},
        {"options": {"immutable": True}},
        {"options": {}},
        {"options": {"immutable": False}, "name": "sand"},
        {"options": {"immutable": False}, "hat": True},
    ]
    for values in refused:
        assert "immutable" in change(identity, kind, id, status=403, **values)["message"]
    identity.call("DELETE", path, status=403)
    identity.call("PUT", f"/v3/projects/{id}/tags/x", status=403)
    assert change(identity, kind, id, options={"immutable": None})["options"] == {}
    change(identity, kind, id, options={"immutable": True})
    assert change(identity, kind, id, options={"immutable": False})["options"] == {
        "immutable": False
    }
    assert "option" in change(identity, kind, id, options={"soft": True}, status=400)["message"]
    identity.delete(path)


def test_a_domain_has_the_id_that_is_chosen_for_it(identity: Facade) -> None:
    id = "f" * 32
    assert make(identity, "domain", name="acme", explicit_domain_id=id)["id"] == id
    again = {"domain": {"name": "other", "explicit_domain_id": id}}
    identity.call("POST", "/v3/domains", again, status=409)
    bad = {"domain": {"name": "other", "explicit_domain_id": "acme"}}
    identity.call("POST", "/v3/domains", bad, status=400)
    shown = change(identity, "domain", id, explicit_domain_id="e" * 32)
    assert shown["id"] == id and "explicit_domain_id" not in shown


def test_what_was_issued_before_something_was_disabled_stays_void(
    cloud: Cloud, identity: Facade
) -> None:
    home = make(identity, "domain", name="home")["id"]
    there = make(identity, "domain", name="there")["id"]
    project = make(identity, "project", name="p", domain_id=there)["id"]
    ann = person(identity, "ann", "member", f"projects/{project}", domain_id=home)
    for kind, id in (("project", project), ("domain", there), ("domain", home)):
        old = token(cloud, ann, "secret-ann", {"project": {"id": project}})
        identity.get("/v3/auth/projects", token=old)
        change(identity, kind, id, enabled=False)
        identity.call("GET", "/v3/auth/projects", status=401, token=old)
        change(identity, kind, id, enabled=True)
        identity.call("GET", "/v3/auth/projects", status=401, token=old)
        new = token(cloud, ann, "secret-ann", {"project": {"id": project}})
        change(identity, kind, id, enabled=True, description="nothing happened")
        identity.get("/v3/auth/projects", token=new)


# --- who may see and do what ----------------------------------------------------------------------


def test_one_sees_oneself_and_ones_own_and_of_others_nothing(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    admin = user_id(identity, "admin")
    assert identity.get(f"/v3/users/{user}", token=token)["user"]["name"] == "joe"
    assert names(identity.get(f"/v3/users/{user}/projects", token=token)) == ["joes"]
    assert identity.get(f"/v3/projects/{project}", token=token)["project"]["name"] == "joes"
    assert identity.get("/v3/domains/default", token=token)["domain"]["name"] == "Default"
    other = make(identity, "domain", name="acme")["id"]
    for path in (
        f"users/{admin}",
        f"users/{admin}/projects",
        f"projects/{cloud.admin.project_id}",
        f"domains/{other}",
    ):
        theirs = identity.call("GET", f"/v3/{path}", status=403, token=token).json
        id = path.split("/")[1]
        nowhere = f"/v3/{path.replace(id, UNKNOWN)}"
        # There is no telling whether it exists, but for admins.
        assert identity.call("GET", nowhere, status=403, token=token).json == theirs
        identity.call("GET", nowhere, status=404)


def test_a_disabled_project_is_no_place_to_go_to(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, _ = joe
    make(identity, "project", name="more")
    [more] = identity.get("/v3/projects?name=more")["projects"]
    member = role_id(identity, "member")
    identity.put(f"/v3/projects/{more['id']}/users/{user}/roles/{member}", None)
    token = cloud.token("joe", "secret-joe", "more")
    identity.patch(f"/v3/projects/{project}", {"project": {"enabled": False}})
    assert names(identity.get("/v3/auth/projects", token=token)) == ["more"]
    assert names(identity.get(f"/v3/users/{user}/projects", token=token)) == ["joes", "more"]
    assert names(identity.get(f"/v3/users/{user}/projects?enabled=false")) == ["joes"]


def test_without_a_token_nothing_but_the_door_is_open(identity: Facade) -> None:
    for resource in RESOURCES:
        for endpoint in resource.endpoints:
            path = endpoint.path.replace("{", "").replace("}", "")
            if endpoint.policy == "@":  # versions, logging in, changing a password
                assert path in ("", "/v3", "/v3/auth/tokens", "/v3/users/id/password")
            else:
                identity.call(endpoint.method, path, {}, status=401, token="")


def test_a_member_is_kept_from_everything_an_admin_does(
    identity: Facade, joe: tuple[str, str, str]
) -> None:
    _, _, token = joe
    policy, roles = Policy(), frozenset({"member", "reader"})
    closed = 0
    for resource in RESOURCES:
        for endpoint in resource.endpoints:
            if endpoint.policy != "@" and not policy.decide(endpoint.policy, roles, "project"):
                path = endpoint.path.replace("{", "").replace("}", "")
                identity.call(endpoint.method, path, {}, status=403, token=token)
                closed += 1
    assert closed > 50


def test_every_rule_is_asked_for_and_every_endpoint_asks_for_one() -> None:
    asked = {endpoint.policy for resource in RESOURCES for endpoint in resource.endpoints}
    assert asked - {"@"} <= set(RULES)
    # Some are asked by handlers, when it depends on the query or the body which one it is.
    modules = set(Path(app.__file__).parent.glob("*.py")) - {Path(rules.__file__)}
    handlers = [module.read_text() for module in modules]
    for rule in set(RULES) - asked:
        assert any(f'{rule.partition(":")[2]}"' in text for text in handlers), rule


def test_a_reader_of_the_system_sees_all_and_changes_nothing(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, _ = joe
    identity.put(f"/v3/system/users/{user}/roles/{role_id(identity, 'reader')}", None)
    body = {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {"user": {"id": user, "password": "secret-joe"}},
            },
            "scope": {"system": {"all": True}},
        }
    }
    response = identity.call("POST", "/v3/auth/tokens", body, token="", status=201)
    token = response.headers["X-Subject-Token"]
    assert names(identity.get("/v3/users", token=token)) == ["admin", "joe"]
    admin = user_id(identity, "admin")
    assert identity.get(f"/v3/users/{admin}", token=token)["user"]["name"] == "admin"
    identity.call("DELETE", f"/v3/projects/{project}", status=403, token=token)


def test_a_manager_of_a_domain_manages_what_is_in_it_and_nothing_else(
    cloud: Cloud, identity: Facade
) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    boss = person(identity, "boss", "manager", f"domains/{acme}", domain_id=acme)
    mine: dict[str, Any] = {"token": token(cloud, boss, "secret-boss", {"domain": {"id": acme}})}
    made = {}
    for kind in ("project", "user", "group"):
        body = {kind: {"name": "own"}}
        made[kind] = identity.post(f"/v3/{kind}s", body, status=201, **mine)[kind]
        assert made[kind]["domain_id"] == acme
        path = f"/v3/{kind}s/{made[kind]['id']}"
        identity.patch(path, {kind: {"description": "ours"}}, status=200, **mine)
        assert identity.get(path, **mine)[kind]["description"] == "ours"
        expected = ["boss", "own"] if kind == "user" else ["own"]
        assert names(identity.get(f"/v3/{kind}s", **mine)) == expected
        body[kind]["domain_id"] = "default"
        identity.call("POST", f"/v3/{kind}s", body, status=403, **mine)
        other = f"/v3/{kind}s/{make(identity, kind, name='other')['id']}"
        for method in ("GET", "PATCH", "DELETE"):
            identity.call(method, other, {kind: {"name": "x"}}, status=403, **mine)
    member = f"/v3/groups/{made['group']['id']}/users"
    stranger = user_id(identity, "other")
    identity.call("PUT", f"{member}/{stranger}", status=403, **mine)
    identity.call("PUT", f"{member}/{made['user']['id']}", status=204, **mine)
    identity.put(f"/v3/projects/{made['project']['id']}/tags/x", None, **mine)
    assert names(identity.get("/v3/domains", **mine)) == ["acme"]
    assert identity.get(f"/v3/domains/{acme}", **mine)["domain"]["name"] == "acme"
    identity.call("GET", "/v3/domains/default", status=403, **mine)
    identity.call("PATCH", f"/v3/domains/{acme}", {"domain": {"name": "x"}}, status=403, **mine)
    domain = {"project": {"name": "x", "is_domain": True}}
    identity.call("POST", "/v3/projects", domain, status=403, **mine)
    for role, status in (("member", 200), ("admin", 403)):
        identity.call("GET", f"/v3/roles/{role_id(identity, role)}", status=status, **mine)
    identity.call("GET", f"/v3/roles/{UNKNOWN}", status=403, **mine)
    identity.call("DELETE", f"/v3/projects/{acme}", status=403, **mine)
    for kind, thing in made.items():
        identity.delete(f"/v3/{kind}s/{thing['id']}", **mine)


def test_an_admin_with_a_token_for_a_domain_changes_nothing_that_is_in_none(
    cloud: Cloud, identity: Facade
) -> None:
    """He may do all within the domains, and is shown what is in his."""
    acme = make(identity, "domain", name="acme")["id"]
    root = person(identity, "root", "admin", f"domains/{acme}", domain_id=acme)
    his: dict[str, Any] = {"token": token(cloud, root, "secret-root", {"domain": {"id": acme}})}
    for kind in ("project", "group"):
        make(identity, kind, name="far")
        other = make(identity, kind, name="near", domain_id=acme)["id"]
        assert names(identity.get(f"/v3/{kind}s", **his)) == ["near"]
        identity.patch(f"/v3/{kind}s/{other}", {kind: {"name": "x"}}, status=200, **his)
    assert names(identity.get("/v3/users", **his)) == ["root"]
    assert names(identity.get("/v3/domains", **his)) == ["acme"]
    identity.call("GET", f"/v3/users/{UNKNOWN}", status=404, **his)
    identity.call("PATCH", f"/v3/domains/{acme}", {"domain": {"name": "x"}}, status=403, **his)
    for path in ("services", "endpoints", "policies", f"users/{root}/application_credentials"):
        identity.call("GET", f"/v3/{path}", status=403, **his)
    pairs = f"/v3/users/{root}/credentials/OS-EC2"
    identity.call("POST", pairs, {"tenant_id": cloud.admin.project_id}, status=403, **his)


def test_a_reader_of_a_domain_changes_nothing_in_it(cloud: Cloud, identity: Facade) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    ann = person(identity, "ann", "reader", f"domains/{acme}", domain_id=acme)
    own: dict[str, Any] = {"token": token(cloud, ann, "secret-ann", {"domain": {"id": acme}})}
    group = make(identity, "group", name="g", domain_id=acme)["id"]
    assert names(identity.get("/v3/users", **own)) == ["ann"]
    assert identity.get(f"/v3/groups/{group}", **own)["group"]["name"] == "g"
    identity.call("POST", "/v3/groups", {"group": {"name": "h"}}, status=403, **own)
    identity.call("DELETE", f"/v3/users/{ann}", status=403, **own)
