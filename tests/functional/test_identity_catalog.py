"""Services, endpoints and regions through the identity API, and the catalog made of them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.db.models import CatalogEndpoint, CatalogService, Region, RegisteredLimit
from nova_lite.services.identity.catalog import Catalog
from nova_lite.testing.cloud import Cloud, Facade

UNKNOWN = "0" * 32


def make(identity: Facade, kind: str, status: int = 201, **values: Any) -> Any:
    answer = identity.post(f"/v3/{kind}s", {kind: values}, status=status)
    return answer[kind] if status == 201 else answer["error"]["message"]


def catalog(identity: Facade, **how: Any) -> dict[str, list[dict[str, Any]]]:
    """The endpoints of each type of service."""
    found = identity.get("/v3/auth/catalog", **how)["catalog"]
    return {entry["type"]: entry["endpoints"] for entry in found}


def named(identity: Facade, type: str) -> Any:
    [service] = identity.get(f"/v3/services?type={type}")["services"]
    return service


# --- our own APIs -----------------------------------------------------------------------------


def test_our_own_apis_are_rows_with_the_address_of_the_client(identity: Facade) -> None:
    services = identity.get("/v3/services")["services"]
    assert {(one["type"], one["name"]) for one in services} == {
        ("identity", "keystone"),
        ("compute", "nova"),
        ("image", "glance"),
        ("network", "neutron"),
        ("placement", "placement"),
    }
    endpoints = identity.get(f"/v3/endpoints?service_id={named(identity, 'compute')['id']}")
    assert {one["url"] for one in endpoints["endpoints"]} == {"http://localhost/compute/v2.1"}
    assert [one["interface"] for one in catalog(identity)["compute"]] == [
        "public",
        "internal",
        "admin",
    ]
    elsewhere = identity.get("/v3/endpoints?interface=admin", headers={"Host": "cloud.org"})
    assert all(one["url"].startswith("http://cloud.org/") for one in elsewhere["endpoints"])
    [region] = identity.get("/v3/regions")["regions"]
    assert region["id"] == "RegionOne"


def test_an_operator_points_images_to_another_cloud_and_back(
    cloud: Cloud, identity: Facade
) -> None:
    glance = named(identity, "image")
    [public] = identity.get(f"/v3/endpoints?service_id={glance['id']}&interface=public")[
        "endpoints"
    ]
    path = f"/v3/endpoints/{public['id']}"
    changed = identity.patch(path, {"endpoint": {"url": "https://glance.org:9292"}}, status=200)
    assert changed["endpoint"] == {**public, "url": "https://glance.org:9292"}
    assert catalog(identity)["image"][0]["url"] == "https://glance.org:9292"
    identity.patch(path, {"endpoint": {"url": "/image"}}, status=200)
    assert catalog(identity)["image"][0]["url"] == "http://localhost/image"
    identity.delete(path)
    assert [one["interface"] for one in catalog(identity)["image"]] == ["internal", "admin"]
    cloud.services.catalog.ensure()  # as at the next bootstrap: it is not made again
    assert [one["interface"] for one in catalog(identity)["image"]] == ["internal", "admin"]


def test_a_database_from_before_there_were_rows_gets_them(cloud: Cloud, identity: Facade) -> None:
    before = identity.get("/v3/auth/catalog")["catalog"]
    with cloud.database.write() as session:
        for model in (RegisteredLimit, CatalogEndpoint, CatalogService, Region):
            session.execute(sa.delete(model))
    cloud.clock.pass_seconds(60)
    assert identity.get("/v3/auth/catalog", token=cloud.token())["catalog"] == before


def test_two_controllers_that_begin_together_register_our_apis_once(
    cloud: Cloud, identity: Facade, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity.get("/v3/auth/catalog")["catalog"]
    with cloud.database.write() as session:
        for model in (RegisteredLimit, CatalogEndpoint, CatalogService, Region):
            session.execute(sa.delete(model))
    here = cloud.services.catalog
    there = Catalog(cloud.database, "RegionOne", 5, cloud.clock)
    write = cloud.database.write

    def late() -> Any:
        monkeypatch.setattr(cloud.database, "write", write)
        there.ensure()  # after we saw that there was nothing
        return write()

    monkeypatch.setattr(cloud.database, "write", late)
    here.ensure()
    assert identity.get("/v3/auth/catalog")["catalog"] == before


def test_reading_the_catalog_for_a_token_costs_no_query(cloud: Cloud, identity: Facade) -> None:
    catalog(identity)
    asked: list[str] = []
    sa.event.listen(
        cloud.database.engine, "before_cursor_execute", lambda *args: asked.append(args[2])
    )
    catalog(identity)
    cloud.token()
    assert asked and not [text for text in asked if "catalog_" in text]


def test_what_another_process_changed_is_seen_after_a_few_seconds(
    cloud: Cloud, identity: Facade
) -> None:
    catalog(identity)
    with cloud.database.write() as session:
        session.execute(sa.update(CatalogEndpoint).values(url="http://new"))
    assert catalog(identity)["image"][0]["url"] == "http://localhost/image"
    cloud.clock.pass_seconds(cloud.config.identity.cache_seconds + 1)
    assert catalog(identity)["image"][0]["url"] == "http://new"


def test_what_was_read_before_a_change_is_not_kept_after_it(cloud: Cloud) -> None:
    here = cloud.services.catalog
    before = here._load
    try:

        def slow(now: dt.datetime) -> Any:
            found = before(now)
            here.forget()  # somebody changed something meanwhile
            return found

        here._load = slow  # type: ignore[method-assign]
        here.forget()
        here.entries("http://a", user_id="u", project_id=None)
        assert here._read is None
    finally:
        here._load = before  # type: ignore[method-assign]


# --- services ---------------------------------------------------------------------------------


def test_a_service_is_made_found_changed_and_removed(identity: Facade) -> None:
    made = make(identity, "service", type="object-store", name="swift", colour="red")
    path = f"/v3/services/{made['id']}"
    assert made == {
        "id": made["id"],
        "type": "object-store",
        "name": "swift",
        "description": "",
        "enabled": True,
        "colour": "red",
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert identity.get("/v3/services?name=swift")["services"] == [made]
    assert identity.get("/v3/services?name=swift&type=image")["services"] == []
    assert identity.get(path) == {"service": made}
    identity.call("HEAD", path, status=200)
    changed = identity.patch(path, {"service": {"description": "files", "size": 2}}, status=200)
    assert changed["service"] == {**made, "description": "files", "size": 2}
    identity.delete(path)
    identity.call("GET", path, status=404)
    identity.call("DELETE", path, status=404)


def test_a_service_that_cannot_be_is_refused(identity: Facade) -> None:
    service = named(identity, "image")
    path = f"/v3/services/{service['id']}"
    bad: tuple[dict[str, Any], ...] = (
        {"type": ""},
        {"type": "x" * 256},
        {"type": 1},
        {"type": "x", "enabled": "True"},
        {"type": "x", "name": ""},
    )
    for wrong in bad:
        make(identity, "service", 400, **wrong)
        identity.patch(path, {"service": wrong}, status=400)
    make(identity, "service", 400, name="without a type")
    assert identity.get(path)["service"] == service


def test_a_service_that_is_disabled_is_not_in_the_catalog(identity: Facade) -> None:
    service = make(identity, "service", type="volumev3")
    assert catalog(identity)["volumev3"] == []
    identity.patch(f"/v3/services/{service['id']}", {"service": {"enabled": False}}, status=200)
    assert "volumev3" not in catalog(identity)


def test_a_service_takes_its_endpoints_along(identity: Facade) -> None:
    service = make(identity, "service", type="x")
    endpoint = make(
        identity, "endpoint", service_id=service["id"], interface="public", url="http://x"
    )
    identity.delete(f"/v3/services/{service['id']}")
    identity.call("GET", f"/v3/endpoints/{endpoint['id']}", status=404)


# --- endpoints --------------------------------------------------------------------------------


@pytest.fixture
def service(identity: Facade) -> str:
    return str(make(identity, "service", type="x", name="y")["id"])


def test_an_endpoint_is_made_found_changed_and_removed(identity: Facade, service: str) -> None:
    made = make(
        identity,
        "endpoint",
        service_id=service,
        interface="internal",
        region="North",
        url="http://x:1/v1",
        name="mine",
    )
    path = f"/v3/endpoints/{made['id']}"
    assert made == {
        "id": made["id"],
        "service_id": service,
        "interface": "internal",
        "region": "North",
        "region_id": "North",
        "url": "http://x:1/v1",
        "enabled": True,
        "name": "mine",
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert identity.get("/v3/regions/North")["region"]["description"] == ""  # made for it
    for query in (
        f"service_id={service}",
        "region_id=North",
        "region=North",
        "region__contains=ort",
    ):
        assert identity.get(f"/v3/endpoints?{query}")["endpoints"] == [made]
    assert identity.get(f"/v3/endpoints?service_id={service}&interface=admin")["endpoints"] == []
    assert catalog(identity)["x"][0]["url"] == "http://x:1/v1"
    new = {"interface": "public", "region": "South", "url": "http://x:2", "enabled": False}
    changed = identity.patch(path, {"endpoint": new}, status=200)["endpoint"]
    assert changed == {**made, **new, "region_id": "South"}
    assert catalog(identity)["x"] == []
    assert identity.get(path)["endpoint"] == changed
    identity.delete(path)
    identity.call("GET", path, status=404)


def test_an_endpoint_may_be_in_no_region(identity: Facade, service: str) -> None:
    made = make(identity, "endpoint", service_id=service, interface="admin", url="http://x")
    assert made["region_id"] is None and made["region"] is None
    path = f"/v3/endpoints/{made['id']}"
    changed = identity.patch(path, {"endpoint": {"region_id": "RegionOne"}}, status=200)
    assert changed["endpoint"] == {**made, "region_id": "RegionOne", "region": "RegionOne"}


WRONG: tuple[dict[str, Any], ...] = (
    {"service_id": UNKNOWN},
    {"region_id": "nowhere"},
    {"interface": "secret"},
    {"enabled": "False"},
    {"enabled": "True"},
    {"url": "no url"},
    {"url": ""},
    {"url": "http://x/$(project_id)"},
    {"url": "http://x/$(project_id"},
    {"url": "http://x/%(tenant_id)d"},
    {"url": "http://x/$(admin_url)s"},
    {"url": "http://x/%"},
)


def test_an_endpoint_that_cannot_be_is_refused(identity: Facade, service: str) -> None:
    good: dict[str, Any] = {"service_id": service, "interface": "public", "url": "http://x"}
    made = make(identity, "endpoint", **good)
    path = f"/v3/endpoints/{made['id']}"
    for wrong in WRONG:
        make(identity, "endpoint", 400, **{**good, **wrong})
        identity.patch(path, {"endpoint": wrong}, status=400)
    assert identity.get(f"/v3/endpoints?service_id={service}")["endpoints"] == [made]


def test_an_endpoint_cannot_become_another(identity: Facade, service: str) -> None:
    made = make(identity, "endpoint", service_id=service, interface="public", url="http://x")
    body = {"endpoint": {"id": UNKNOWN, "url": "http://y"}}
    identity.patch(f"/v3/endpoints/{made['id']}", body, status=400)


def test_the_url_of_an_endpoint_may_name_who_asks(cloud: Cloud, identity: Facade) -> None:
    service = make(identity, "service", type="x")["id"]
    url = "http://x/$(tenant_id)s/%(project_id)s/100%%"
    make(identity, "endpoint", service_id=service, interface="public", url=url)
    project = cloud.admin.project_id
    assert catalog(identity)["x"][0]["url"] == f"http://x/{project}/{project}/100%"
    here = cloud.services.catalog.entries("http://a", user_id="me", project_id=None)
    # Nothing can be made of it for who has no project.
    assert {entry.type: len(entry.endpoints) for entry in here}["x"] == 0
    assert identity.get(f"/v3/endpoints?service_id={service}")["endpoints"][0]["url"] == url


# --- regions ----------------------------------------------------------------------------------


def test_a_region_is_made_found_changed_and_removed(identity: Facade) -> None:
    made = make(identity, "region", description=None)
    path = f"/v3/regions/{made['id']}"
    assert made == {
        "id": made["id"],
        "description": "",
        "parent_region_id": None,
        "links": {"self": f"http://localhost/identity{path}"},
    }
    child = make(identity, "region", id="inner", parent_region_id=made["id"], note="n")
    assert child["note"] == "n"
    found = identity.get(f"/v3/regions?parent_region_id={made['id']}")["regions"]
    assert found == [child]
    changed = identity.patch(path, {"region": {"description": "d"}}, status=200)["region"]
    assert changed == {**made, "description": "d"}
    identity.delete(path)  # with what is within
    identity.call("GET", "/v3/regions/inner", status=404)


def test_a_region_is_made_under_the_id_that_one_wants(identity: Facade) -> None:
    body = {"region": {"description": "d"}}
    assert identity.put("/v3/regions/mine", body, status=201)["region"]["id"] == "mine"
    identity.put("/v3/regions/mine", body, status=409)
    make(identity, "region", 409, id="mine")
    identity.put("/v3/regions/other", {"region": {"id": "mine"}}, status=400)
    identity.put("/v3/regions/other", {"region": {"id": "other"}}, status=201)
    identity.put(f"/v3/regions/{'x' * 256}", body, status=400)


def test_a_region_is_within_one_that_is_there_and_not_within_itself(identity: Facade) -> None:
    make(identity, "region", 404, parent_region_id="nowhere")
    make(identity, "region", id="outer")
    make(identity, "region", id="inner", parent_region_id="outer")
    make(identity, "region", 404, id="self", parent_region_id="self")
    for parent in ("outer", "inner"):
        body = {"region": {"parent_region_id": parent}}
        identity.patch("/v3/regions/outer", body, status=400)
    identity.patch("/v3/regions/inner", {"region": {"parent_region_id": None}}, status=200)


def test_a_region_with_something_in_it_stays(identity: Facade) -> None:
    make(identity, "region", id="outer")
    make(identity, "region", id="inner", parent_region_id="outer")
    service = make(identity, "service", type="x")["id"]
    endpoint = make(
        identity,
        "endpoint",
        service_id=service,
        interface="public",
        url="http://x",
        region_id="inner",
    )
    identity.call("DELETE", "/v3/regions/inner", status=403)
    identity.call("DELETE", "/v3/regions/outer", status=403)
    assert identity.get("/v3/regions/inner")["region"]["parent_region_id"] == "outer"
    identity.delete(f"/v3/endpoints/{endpoint['id']}")
    identity.delete("/v3/regions/outer")


# --- who may ----------------------------------------------------------------------------------


def test_only_the_admin_changes_the_catalog(cloud: Cloud, identity: Facade) -> None:
    project = make(identity, "project", name="joes")["id"]
    user = make(identity, "user", name="joe", password="secret-joe")["id"]
    [role] = identity.get("/v3/roles?name=member")["roles"]
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{role['id']}", None)
    joe = cloud.token("joe", "secret-joe", "joes")
    for kind in ("service", "endpoint"):
        identity.call("GET", f"/v3/{kind}s", token=joe, status=403)
    identity.get("/v3/regions", token=joe)
    for kind in ("service", "endpoint", "region"):
        identity.post(f"/v3/{kind}s", {kind: {}}, token=joe, status=403)
    assert [entry for entry in catalog(identity, token=joe)] == [
        "identity",
        "compute",
        "image",
        "network",
        "placement",
    ]
