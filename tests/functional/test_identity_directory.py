"""Domains, projects, users, roles and grants through the identity API."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.api.identity.app import RESOURCES
from nova_lite.api.identity.rules import RULES
from nova_lite.db.models import Image, KeyPair, User
from nova_lite.testing.cloud import Cloud, Facade

UNKNOWN = "0" * 32


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path, hosts=0)
    yield cloud
    cloud.close()


@pytest.fixture
def identity(cloud: Cloud) -> Facade:
    return cloud.identity


def make(identity: Facade, kind: str, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = identity.post(f"/v3/{kind}s", {kind: values}, status=201)[kind]
    return made


def role_id(identity: Facade, name: str) -> str:
    [role] = identity.get(f"/v3/roles?name={name}")["roles"]
    return str(role["id"])


def user_id(identity: Facade, name: str) -> str:
    [user] = identity.get(f"/v3/users?name={name}")["users"]
    return str(user["id"])


def names(answer: dict[str, Any]) -> list[str]:
    [things] = [value for key, value in answer.items() if key != "links"]
    return [thing["name"] for thing in things]


@pytest.fixture
def joe(cloud: Cloud, identity: Facade) -> tuple[str, str, str]:
    """A member of a project of his: ids of user and project, and a token."""
    project = make(identity, "project", name="joes")["id"]
    user = make(identity, "user", name="joe", password="secret-joe")["id"]
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{role_id(identity, 'member')}", None)
    return user, project, cloud.token("joe", "secret-joe", "joes")


# --- what all kinds have in common ----------------------------------------------------------------


@pytest.mark.parametrize("kind", ["domain", "project", "user", "role"])
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
    changed = identity.patch(path, {kind: {"name": "second", "description": None}}, status=200)
    assert changed[kind] == {**made, "name": "second", "description": ""}
    assert identity.get(f"/v3/{kind}s?name=first")[f"{kind}s"] == []
    assert identity.call("HEAD", path).status_int == 200
    if kind == "domain":
        identity.patch(path, {kind: {"enabled": False}})
    identity.delete(path)
    for method in ("GET", "DELETE"):
        gone = identity.call(method, path, status=404).json["error"]
        assert gone["code"] == 404 and kind in gone["message"]
    identity.call("PATCH", path, {kind: {"name": "third"}}, status=404)


@pytest.mark.parametrize("kind", ["domain", "project", "user", "role"])
def test_a_name_that_is_taken_is_a_conflict(identity: Facade, kind: str) -> None:
    make(identity, kind, name="taken")
    other = make(identity, kind, name="other")
    again = identity.call("POST", f"/v3/{kind}s", {kind: {"name": "taken"}}, status=409)
    assert again.json["error"]["title"] == "Conflict"
    path = f"/v3/{kind}s/{other['id']}"
    identity.call("PATCH", path, {kind: {"name": "taken"}}, status=409)
    assert identity.get(path)[kind]["name"] == "other"


@pytest.mark.parametrize("kind", ["domain", "project", "user", "role"])
@pytest.mark.parametrize(
    "values",
    [{}, {"name": ""}, {"name": " x"}, {"name": 7}, {"name": "x" * 256}, {"name": "x", "zip": 1}],
)
def test_a_malformed_body_is_refused(identity: Facade, kind: str, values: Any) -> None:
    error = identity.call("POST", f"/v3/{kind}s", {kind: values}, status=400).json["error"]
    assert error["title"] == "Bad Request"
    identity.call("POST", f"/v3/{kind}s", {"thing": {"name": "x"}}, status=400)


@pytest.mark.parametrize("kind", ["domain", "project", "user", "role", "service", "endpoint"])
@pytest.mark.parametrize("id", [UNKNOWN, "no%20uuid", "%00", "%C3%A4", "x" * 1000])
def test_an_unknown_id_is_not_found_whatever_it_looks_like(
    identity: Facade, kind: str, id: str
) -> None:
    response = identity.call("GET", f"/v3/{kind}s/{id}", status=404)
    assert response.json["error"]["code"] == 404
    if kind != "endpoint" and id != "%00":  # they have no names; and NUL is none
        assert identity.get(f"/v3/{kind}s?name={id}")[f"{kind}s"] == []


def test_lists_are_narrowed_by_domain_and_by_being_enabled(identity: Facade) -> None:
    acme = make(identity, "domain", name="acme", enabled=False)["id"]
    make(identity, "project", name="theirs", domain_id=acme)
    make(identity, "project", name="closed", enabled=False)
    make(identity, "user", name="ann", domain_id=acme)
    make(identity, "user", name="bob", enabled=False)
    for query, found in (
        ("domains?enabled=false", ["acme"]),
        ("domains?enabled", ["Default"]),
        (f"projects?domain_id={acme}", ["theirs"]),
        (f"projects?parent_id={acme}", ["theirs"]),
        ("projects?enabled=0", ["closed"]),
        ("projects?is_domain=true", []),
        ("projects?is_domain=false", ["admin", "closed", "theirs"]),
        (f"users?domain_id={acme}", ["ann"]),
        ("users?enabled=True", ["admin", "ann"]),
        (f"roles?domain_id={acme}", []),
    ):
        assert names(identity.get(f"/v3/{query}")) == found, query


# --- domains and projects -------------------------------------------------------------------------


def test_names_are_unique_within_a_domain_only(identity: Facade) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    for kind in ("project", "user"):
        there = make(identity, kind, name="same", domain_id=acme)
        here = make(identity, kind, name="same")
        assert (there["domain_id"], here["domain_id"]) == (acme, "default")


def test_a_project_is_in_its_domain_and_nowhere_else(identity: Facade) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    project = make(identity, "project", name="p", parent_id=acme)
    assert project["domain_id"] == project["parent_id"] == acme
    path = f"/v3/projects/{project['id']}"
    identity.patch(path, {"project": {"domain_id": acme, "enabled": False}}, status=200)
    for values in ({"domain_id": "default"}, {"parent_id": project["id"]}):
        error = identity.call("PATCH", path, {"project": values}, status=400).json["error"]
        assert "domain_id" in error["message"]
    both = {"name": "q", "domain_id": acme, "parent_id": "default"}
    error = identity.call("POST", "/v3/projects", {"project": both}, status=400).json["error"]
    assert "parent_id" in error["message"]


@pytest.mark.parametrize("kind", ["project", "user"])
def test_a_domain_that_is_not_there_is_named(identity: Facade, kind: str) -> None:
    body = {kind: {"name": "x", "domain_id": UNKNOWN}}
    error = identity.call("POST", f"/v3/{kind}s", body, status=400).json["error"]
    assert "domain_id" in error["message"] and UNKNOWN in error["message"]


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
    user = make(identity, "user", name="u", domain_id=acme)["id"]
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
    for path in (f"domains/{acme}", f"projects/{project}", f"users/{user}"):
        identity.call("GET", f"/v3/{path}", status=404)


def test_nobody_saws_off_the_branch_the_cloud_sits_on(identity: Facade) -> None:
    off = {"domain": {"enabled": False}}
    identity.call("PATCH", "/v3/domains/default", off, status=403)
    identity.call("DELETE", "/v3/domains/default", status=403)
    admin = role_id(identity, "admin")
    assert identity.get(f"/v3/roles/{admin}")["role"]["options"] == {"immutable": True}
    identity.call("PATCH", f"/v3/roles/{admin}", {"role": {"name": "king"}}, status=403)
    identity.call("DELETE", f"/v3/roles/{admin}", status=403)


# --- users ----------------------------------------------------------------------------------------


def test_neither_password_nor_hash_is_ever_shown(
    cloud: Cloud, identity: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = make(identity, "user", name="ann", password="secret-ann", email="ann@example.org")
    assert user["email"] == "ann@example.org" and "password" not in user
    shown = identity.call("GET", "/v3/users").text + identity.call("GET", "/v3/roles").text
    assert "argon2" not in shown and "secret" not in shown
    path = f"/v3/users/{user['id']}"
    bad: list[dict[str, Any]] = [
        {"password": ["secret-x"]},
        {"password": "secret-x" * 1000},
        {"password": "secret-x", "name": ""},
        {"password": "secret-x", "shoe": 44},
    ]
    for values in bad:
        error = identity.call("PATCH", path, {"user": values}, status=400)
        assert "user" in error.text and "secret-x" not in error.text
    error = identity.call("POST", "/v3/users", {"user": {"password": "secret-x"}}, status=400)
    assert "name" in error.text and "secret-x" not in error.text
    identity.call("POST", "/v3/users", {"user": {"name": "bob"}, "shoe": 44}, status=400)
    assert "secret-" not in caplog.text


def test_an_admin_sets_a_password_and_takes_it_away(cloud: Cloud, identity: Facade) -> None:
    user = make(identity, "user", name="ann", password="first")["id"]
    project = cloud.admin.project_id
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{role_id(identity, 'reader')}", None)
    token = cloud.token("ann", "first")
    identity.patch(f"/v3/users/{user}", {"user": {"password": "second"}})
    identity.call("GET", "/v3/auth/projects", status=401, token=token)
    cloud.token("ann", "second")
    identity.patch(f"/v3/users/{user}", {"user": {"password": None}})
    with cloud.database.read() as session:
        assert session.scalar(sa.select(User.password_hash).filter_by(id=user)) == ""


def test_a_user_changes_his_password_by_knowing_it(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, _, token = joe
    path = f"/v3/users/{user}/password"
    wrong = {"user": {"original_password": "wrong", "password": "secret-new"}}
    identity.call("POST", path, wrong, status=401, token=token)
    identity.call("POST", path, {"user": {"password": "secret-new"}}, status=400, token=token)
    right = {"user": {"original_password": "secret-joe", "password": "secret-new"}}
    identity.call("POST", path, right, status=204, token="")
    identity.call("GET", "/v3/auth/projects", status=401, token=token)
    cloud.token("joe", "secret-new", "joes")
    identity.call("POST", "/v3/users/%00/password", right, status=404, token="")


def test_a_user_takes_roles_and_key_pairs_with_him(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, _ = joe
    with cloud.database.write() as session:
        session.add(
            KeyPair(user_id=user, name="k", fingerprint="", public_key="", created_at=cloud.clock())
        )
    identity.delete(f"/v3/users/{user}")
    found = identity.get(f"/v3/role_assignments?scope.project.id={project}")
    assert found["role_assignments"] == []
    with cloud.database.read() as session:
        assert session.scalars(sa.select(KeyPair)).all() == []


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
        theirs = identity.call("GET", f"/v3/{path}", status=404, token=token).json["error"]
        id = path.split("/")[1]
        unknown = identity.call(
            "GET", f"/v3/{path.replace(id, UNKNOWN)}", status=404, token=token
        ).json["error"]
        # There is no telling whether it exists.
        assert theirs["message"].replace(id, UNKNOWN) == unknown["message"]


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
    closed = 0
    for resource in RESOURCES:
        for endpoint in resource.endpoints:
            if RULES.get(endpoint.policy, "@") != "@":
                path = endpoint.path.replace("{", "").replace("}", "")
                identity.call(endpoint.method, path, {}, status=403, token=token)
                closed += 1
    assert closed > 30


def test_every_rule_is_asked_for_and_every_endpoint_asks_for_one() -> None:
    asked = {endpoint.policy for resource in RESOURCES for endpoint in resource.endpoints}
    assert asked - {"@"} == set(RULES)


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


# --- roles ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "names_of_place"),
    [("project", "projects/{}"), ("domain", "domains/default"), ("system", "system")],
)
def test_a_role_is_given_checked_listed_and_taken(
    identity: Facade, joe: tuple[str, str, str], place: str, names_of_place: str
) -> None:
    user, project, _ = joe
    base = f"/v3/{names_of_place.format(project)}/users/{user}/roles"
    service = role_id(identity, "service")
    one = f"{base}/{service}"
    identity.call("HEAD", one, status=404)
    for _twice in range(2):
        identity.call("PUT", one, status=204)
    identity.call("HEAD", one, status=204)
    identity.call("GET", one, status=204)
    assert "service" in names(identity.get(base))
    found = identity.get(f"/v3/role_assignments?user.id={user}&role.id={service}")
    [assignment] = found["role_assignments"]
    assert assignment["links"] == {"assignment": f"http://localhost/identity{one}"}
    assert place in assignment["scope"]
    identity.delete(one)
    identity.call("DELETE", one, status=404)
    assert "service" not in names(identity.get(base))


def test_a_grant_refers_to_what_is_there(identity: Facade, joe: tuple[str, str, str]) -> None:
    user, project, _ = joe
    member = role_id(identity, "member")
    for method in ("PUT", "HEAD", "DELETE"):
        for path in (
            f"projects/{UNKNOWN}/users/{user}/roles/{member}",
            f"projects/{project}/users/{UNKNOWN}/roles/{member}",
            f"projects/{project}/users/{user}/roles/{UNKNOWN}",
            f"domains/{UNKNOWN}/users/{user}/roles/{member}",
            f"system/users/%00/roles/{member}",
        ):
            identity.call(method, f"/v3/{path}", status=404)


def test_assignments_are_listed_with_names_and_with_what_they_imply(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, _ = joe
    identity.put(f"/v3/domains/default/users/{user}/roles/{role_id(identity, 'reader')}", None)
    everything = identity.get("/v3/role_assignments?include_names")["role_assignments"]
    default = {"id": "default", "name": "Default"}
    said = [
        (one["user"]["name"], one["role"]["name"], next(iter(one["scope"]))) for one in everything
    ]
    assert said == [
        ("admin", "admin", "project"),
        ("admin", "admin", "system"),
        ("joe", "reader", "domain"),
        ("joe", "member", "project"),
    ]
    assert everything[3]["scope"] == {"project": {"id": project, "name": "joes", "domain": default}}
    assert everything[2]["scope"] == {"domain": default}
    assert everything[1]["scope"] == {"system": {"all": True}}
    assert everything[3]["user"]["domain"] == default

    query = f"/v3/role_assignments?scope.project.id={project}"
    [plain] = identity.get(query)["role_assignments"]
    assert set(plain["role"]) == set(plain["user"]) == {"id"}
    effective = identity.get(f"{query}&effective&include_names=True")["role_assignments"]
    assert [one["role"]["name"] for one in effective] == ["member", "reader"]
    assert {one["links"]["assignment"] for one in effective} == {plain["links"]["assignment"]}
    reader = role_id(identity, "reader")
    narrowed = identity.get(f"{query}&effective=true&role.id={reader}")["role_assignments"]
    assert [one["role"]["id"] for one in narrowed] == [reader]
    for more, count in (
        ("scope.system=all", 1),
        ("scope.domain.id=default", 1),
        (f"scope.project.id={UNKNOWN}", 0),
        ("group.id=any", 0),
        ("scope.OS-INHERIT:inherited_to=projects", 0),
    ):
        assert len(identity.get(f"/v3/role_assignments?{more}")["role_assignments"]) == count
    identity.call("GET", f"{query}&scope.system=all", status=400)


def test_a_role_of_ones_own_can_be_given_and_takes_its_assignments_with_it(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, token = joe
    auditor = make(identity, "role", name="auditor")
    assert auditor["options"] == {}
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{auditor['id']}", None)
    context = cloud.services.identity.context_of(token, "req-1")
    assert context.roles == {"member", "reader", "auditor"}
    identity.delete(f"/v3/roles/{auditor['id']}")
    context = cloud.services.identity.context_of(token, "req-1")
    assert context.roles == {"member", "reader"}


@pytest.mark.parametrize("name", ["Admin", "ADMIN", "Reader"])
def test_no_role_is_called_almost_like_one_that_policy_speaks_of(
    identity: Facade, name: str
) -> None:
    identity.call("POST", "/v3/roles", {"role": {"name": name}}, status=409)
    other = make(identity, "role", name="other")["id"]
    identity.call("PATCH", f"/v3/roles/{other}", {"role": {"name": name}}, status=409)


# --- the parts of the catalog ---------------------------------------------------------------------


def test_services_endpoints_and_regions_agree_with_the_catalog(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    _, _, token = joe
    services = identity.get("/v3/services")["services"]
    assert [service["type"] for service in services] == ["identity", "compute", "image", "network"]
    [nova] = identity.get("/v3/services?type=compute")["services"]
    assert nova["name"] == "nova"
    assert identity.get(f"/v3/services/{nova['id']}")["service"] == nova
    query = f"service_id={nova['id']}&interface=public&region_id=RegionOne"
    [endpoint] = identity.get(f"/v3/endpoints?{query}")["endpoints"]
    assert endpoint["url"] == "http://localhost/compute/v2.1"
    assert identity.get(f"/v3/endpoints/{endpoint['id']}")["endpoint"] == endpoint
    assert identity.get("/v3/endpoints?region_id=elsewhere")["endpoints"] == []
    [region] = identity.get("/v3/regions", token=token)["regions"]
    assert region["id"] == "RegionOne"
    assert identity.get("/v3/regions/RegionOne", token=token)["region"] == region
    assert identity.get("/v3/regions?parent_region_id=RegionOne")["regions"] == []
    identity.call("GET", "/v3/regions/elsewhere", status=404)
    identity.call("POST", "/v3/services", {"service": {"type": "x"}}, status=405)
