"""Registered limits and limits through the identity API, and what services make of them."""

from __future__ import annotations

from typing import Any

import pytest

from nova_lite.testing.cloud import Cloud, Facade

UNKNOWN = "0" * 32


@pytest.fixture
def service(identity: Facade) -> str:
    made = identity.post("/v3/services", {"service": {"type": "x"}}, status=201)
    return str(made["service"]["id"])


def register(identity: Facade, service: str, status: int = 201, **values: Any) -> Any:
    one = {"service_id": service, "resource_name": "cores", "default_limit": 10, **values}
    answer = identity.post("/v3/registered_limits", {"registered_limits": [one]}, status=status)
    return answer["registered_limits"][0] if status == 201 else answer["error"]["message"]


def limit(identity: Facade, service: str, status: int = 201, **values: Any) -> Any:
    one = {"service_id": service, "resource_name": "cores", "resource_limit": 5, **values}
    answer = identity.post("/v3/limits", {"limits": [one]}, status=status)
    return answer["limits"][0] if status == 201 else answer["error"]["message"]


def limit_of(cloud: Cloud, project: str, type: str = "x", resource: str = "cores") -> int | None:
    with cloud.database.read() as session:
        return cloud.services.unified_limits.limit_of(session, project, type, resource)


@pytest.fixture
def project(identity: Facade) -> str:
    made = identity.post("/v3/projects", {"project": {"name": "limited"}}, status=201)
    return str(made["project"]["id"])


# --- registered limits ------------------------------------------------------------------------


def test_registered_limits_are_made_found_changed_and_removed(
    identity: Facade, service: str
) -> None:
    body = {
        "registered_limits": [
            {"service_id": service, "resource_name": "cores", "default_limit": 10},
            {
                "service_id": service,
                "region_id": "RegionOne",
                "resource_name": "ram",
                "default_limit": -1,
                "description": "of all",
            },
        ]
    }
    answer = identity.post("/v3/registered_limits", body, status=201)
    assert list(answer) == ["registered_limits"]
    cores, ram = answer["registered_limits"]
    path = f"/v3/registered_limits/{cores['id']}"
    assert cores == {
        "id": cores["id"],
        "service_id": service,
        "region_id": None,
        "resource_name": "cores",
        "default_limit": 10,
        "description": None,
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert identity.get(path) == {"registered_limit": cores}
    here = f"/v3/registered_limits?service_id={service}"
    for query, found in (
        ("resource_name=cores", [cores]),
        ("region_id=RegionOne", [ram]),
        ("region_id=elsewhere", []),
    ):
        assert identity.get(f"{here}&{query}")["registered_limits"] == found
    change = {"default_limit": 20, "region_id": "RegionOne"}
    changed = identity.patch(path, {"registered_limit": change}, status=200)
    assert changed["registered_limit"] == {**cores, **change}
    identity.delete(path)
    identity.call("GET", path, status=404)


WRONG: tuple[dict[str, Any], ...] = (
    {"service_id": UNKNOWN},
    {"region_id": "nowhere"},
    {"default_limit": -2},
    {"default_limit": 1 << 31},
    {"default_limit": "10"},
    {"resource_name": ""},
    {"colour": "red"},
)


def test_a_registered_limit_that_cannot_be_is_refused(identity: Facade, service: str) -> None:
    made = register(identity, service)
    path = f"/v3/registered_limits/{made['id']}"
    for wrong in WRONG:
        register(identity, service, 400, **wrong)
        identity.patch(path, {"registered_limit": wrong}, status=400)
    assert identity.get(path)["registered_limit"] == made


def test_nothing_is_registered_twice_and_all_or_none(identity: Facade, service: str) -> None:
    cores = register(identity, service)
    register(identity, service, 409)
    ram = register(identity, service, resource_name="ram", region_id="RegionOne")
    register(identity, service, 409, resource_name="ram", region_id="RegionOne")
    register(identity, service, region_id="RegionOne")
    path = f"/v3/registered_limits/{ram['id']}"
    change = {"resource_name": "cores", "region_id": None}
    identity.patch(path, {"registered_limit": change}, status=409)
    twice = {"service_id": service, "resource_name": "disk", "default_limit": 1}
    identity.post("/v3/registered_limits", {"registered_limits": [twice, twice]}, status=409)
    found = identity.get("/v3/registered_limits?resource_name=disk")["registered_limits"]
    assert found == []
    identity.patch(  # to what it is
        f"/v3/registered_limits/{cores['id']}",
        {"registered_limit": {"resource_name": "cores"}},
        status=200,
    )


def test_what_projects_are_limited_in_stays_registered(
    identity: Facade, service: str, project: str
) -> None:
    path = f"/v3/registered_limits/{register(identity, service)['id']}"
    made = limit(identity, service, project_id=project)
    identity.call("DELETE", path, status=403)
    identity.patch(path, {"registered_limit": {"default_limit": 3}}, status=403)
    identity.delete(f"/v3/limits/{made['id']}")
    identity.delete(path)


# --- limits -----------------------------------------------------------------------------------


def test_limits_are_made_found_changed_and_removed(
    identity: Facade, service: str, project: str
) -> None:
    register(identity, service)
    made = limit(identity, service, project_id=project, description="less")
    path = f"/v3/limits/{made['id']}"
    assert made == {
        "id": made["id"],
        "project_id": project,
        "domain_id": None,
        "service_id": service,
        "region_id": None,
        "resource_name": "cores",
        "resource_limit": 5,
        "description": "less",
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert identity.get(path) == {"limit": made}
    domain = limit(identity, service, domain_id="default")
    assert (domain["domain_id"], domain["project_id"]) == ("default", None)
    for query, found in (
        (f"project_id={project}", [made]),
        ("domain_id=default", [domain]),
        ("resource_name=ram", []),
        (f"service_id={service}&project_id={project}", [made]),
        ("region_id=nowhere", []),
    ):
        assert identity.get(f"/v3/limits?{query}")["limits"] == found
    changed = identity.patch(path, {"limit": {"resource_limit": 7}}, status=200)
    assert changed["limit"] == {**made, "resource_limit": 7}
    identity.patch(path, {"limit": {"resource_name": "ram"}}, status=400)
    identity.delete(path)
    identity.call("GET", path, status=404)
    identity.call("PATCH", path, {"limit": {"resource_limit": 7}}, status=404)


def test_a_limit_needs_a_registered_one_and_an_owner(
    identity: Facade, service: str, project: str
) -> None:
    limit(identity, service, 403, project_id=project)
    register(identity, service)
    limit(identity, service, 403, project_id=project, region_id="RegionOne")
    for wrong in (
        {},
        {"project_id": project, "domain_id": "default"},
        {"project_id": UNKNOWN},
        {"domain_id": UNKNOWN},
        {"project_id": project, "service_id": UNKNOWN},
        {"project_id": project, "resource_limit": -2},
    ):
        limit(identity, service, 400, **wrong)
    limit(identity, service, project_id=project)
    limit(identity, service, 409, project_id=project)
    limit(identity, service, domain_id="default")
    limit(identity, service, 409, domain_id="default")


def test_the_limits_of_a_project_go_with_it(identity: Facade, service: str, project: str) -> None:
    register(identity, service)
    path = f"/v3/limits/{limit(identity, service, project_id=project)['id']}"
    identity.delete(f"/v3/projects/{project}")
    identity.call("GET", path, status=404)


def test_one_sees_the_limits_of_ones_own_project(
    cloud: Cloud, identity: Facade, service: str, project: str
) -> None:
    user = identity.post(
        "/v3/users", {"user": {"name": "joe", "password": "secret-joe"}}, status=201
    )["user"]["id"]
    [role] = identity.get("/v3/roles?name=member")["roles"]
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{role['id']}", None)
    joe = cloud.token("joe", "secret-joe", "limited")
    registered = register(identity, service)
    mine = limit(identity, service, project_id=project)
    others = limit(identity, service, project_id=cloud.admin.project_id)
    assert identity.get("/v3/limits", token=joe)["limits"] == [mine]
    assert identity.get(f"/v3/limits/{mine['id']}", token=joe)["limit"] == mine
    theirs = identity.call("GET", f"/v3/limits/{others['id']}", token=joe, status=403)
    # There is no telling whether it exists.
    unknown = identity.call("GET", f"/v3/limits/{UNKNOWN}", token=joe, status=403)
    assert theirs.json == unknown.json
    identity.call("GET", f"/v3/limits/{UNKNOWN}", status=404)
    assert len(identity.get("/v3/limits")["limits"]) == 2
    identity.get(f"/v3/registered_limits/{registered['id']}", token=joe)
    for path in ("registered_limits", "limits"):
        identity.post(f"/v3/{path}", {path: []}, token=joe, status=403)


def test_who_is_in_a_domain_sees_the_limits_of_that_and_of_its_projects(
    cloud: Cloud, identity: Facade, service: str, project: str
) -> None:
    def made(kind: str, **values: Any) -> str:
        return str(identity.post(f"/v3/{kind}s", {kind: values}, status=201)[kind]["id"])

    domain = made("domain", name="d")
    user = made("user", name="joe", password="secret-joe", domain_id=domain)
    inside = made("project", name="inside", domain_id=domain)
    [role] = identity.get("/v3/roles?name=reader")["roles"]
    identity.put(f"/v3/domains/{domain}/users/{user}/roles/{role['id']}", None)
    register(identity, service)
    limit(identity, service, project_id=project)
    seen = {
        limit(identity, service, project_id=inside)["id"],
        limit(identity, service, domain_id=domain)["id"],
    }
    proof = {"methods": ["password"], "password": {"user": {"id": user, "password": "secret-joe"}}}
    for scope, ids in (({"domain": {"id": domain}}, seen), ("unscoped", set[str]())):
        body = {"auth": {"identity": proof, "scope": scope}}
        answer = identity.call("POST", "/v3/auth/tokens", body, status=201, token="")
        joe = answer.headers["X-Subject-Token"]
        found = identity.get("/v3/limits", token=joe)["limits"]
        assert {one["id"] for one in found} == ids


def test_the_model_is_flat(identity: Facade) -> None:
    model = identity.get("/v3/limits/model")["model"]
    assert model["name"] == "flat" and model["description"]


# --- what services make of them ---------------------------------------------------------------


def test_a_project_has_its_limit_or_else_what_is_registered(
    cloud: Cloud, identity: Facade, service: str, project: str
) -> None:
    assert limit_of(cloud, project) is None  # nothing is registered
    register(identity, service)
    assert limit_of(cloud, project) == 10
    made = limit(identity, service, project_id=project)
    assert limit_of(cloud, project) == 5
    assert limit_of(cloud, UNKNOWN) == 10
    identity.patch(f"/v3/limits/{made['id']}", {"limit": {"resource_limit": -1}}, status=200)
    assert limit_of(cloud, project) is None
    assert limit_of(cloud, project, "image") is None
    assert limit_of(cloud, project, resource="ram") is None


def test_what_is_registered_for_our_region_goes_first(
    cloud: Cloud, identity: Facade, service: str, project: str
) -> None:
    identity.post("/v3/regions", {"region": {"id": "far"}}, status=201)
    register(identity, service, region_id="far", default_limit=1)
    assert limit_of(cloud, project) is None
    register(identity, service, default_limit=2)
    assert limit_of(cloud, project) == 2
    register(identity, service, region_id="RegionOne", default_limit=3)
    assert limit_of(cloud, project) == 3


def test_images_can_be_limited_from_the_beginning_and_are_not(
    cloud: Cloud, identity: Facade, project: str
) -> None:
    [glance] = identity.get("/v3/services?name=glance")["services"]
    found = identity.get(f"/v3/registered_limits?service_id={glance['id']}")["registered_limits"]
    assert {one["resource_name"] for one in found} == {
        "image_size_total",
        "image_stage_total",
        "image_count_total",
        "image_count_uploading",
    }
    assert limit_of(cloud, project, "image", "image_count_total") is None
    limit(
        identity,
        glance["id"],
        resource_name="image_count_total",
        region_id="RegionOne",
        project_id=project,
    )
    assert limit_of(cloud, project, "image", "image_count_total") == 5
