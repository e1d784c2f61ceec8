"""Version documents, and agreeing on a microversion."""

from __future__ import annotations

from typing import Any

import pytest
import webob

from nova_lite.api.compute.app import RESOURCES
from nova_lite.api.compute.versions import LATEST_SERVED
from nova_lite.api.declare import PUBLIC
from nova_lite.api.microversions import said
from nova_lite.api.rules import RULES
from nova_lite.testing.cloud import Facade
from tests.functional.compute_site import Site


def anonymous(site: Site, path: str, **headers: str) -> Any:
    return Facade(site.cloud, "/compute").call("GET", path, token="", headers=headers)


LATEST = said(LATEST_SERVED)


@pytest.mark.parametrize("path", ["", "/"])
def test_the_root_lists_the_versions_without_a_token(site: Site, path: str) -> None:
    old, version = anonymous(site, path).json["versions"]
    assert (old["id"], old["status"], old["version"]) == ("v2.0", "SUPPORTED", "")
    assert old["links"] == [{"rel": "self", "href": "http://localhost/compute/v2/"}]
    assert (version["id"], version["status"]) == ("v2.1", "CURRENT")
    assert (version["min_version"], version["version"]) == ("2.1", LATEST)
    assert version["links"] == [{"rel": "self", "href": "http://localhost/compute/v2.1/"}]


@pytest.mark.parametrize("path", ["/v2.1", "/v2.1/"])
def test_the_version_describes_itself_without_a_token(site: Site, path: str) -> None:
    answer = anonymous(site, path)
    assert answer.status_int == 200
    assert answer.json["version"]["version"] == LATEST
    assert answer.json["version"]["media-types"][0]["base"] == "application/json"


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_so_does_the_one_before(site: Site, path: str) -> None:
    version = anonymous(site, path).json["version"]
    assert version["id"] == "v2.0" and version["links"][0]["href"].endswith("/compute/v2/")
    assert version["media-types"][0]["type"].endswith("compute+json;version=2")


def test_the_one_before_is_2_1_without_microversions_and_takes_what_it_does_not_know(
    site: Site,
) -> None:
    alice = site.person("alice")
    v2 = Facade(site.cloud, "/compute/v2")
    body: Any = {"keypair": {"name": "k", "type": "ssh", "color": "red"}, "stray": 1}
    made = v2.call("POST", "/os-keypairs", body, version="2.26", status=200, token=alice.token)
    assert "type" not in made.json["keypair"]
    assert "OpenStack-API-Version" not in made.headers
    path = f"/{alice.project}/os-keypairs"
    assert len(v2.get(path, token=alice.token)["keypairs"]) == 1
    site.refused(400, "POST", "/os-keypairs", {"keypair": {**body["keypair"], "name": "l"}})
    server: Any = {
        "name": "s",
        "imageRef": site.image_id,
        "flavorRef": "small",
        "metadata": {"a": "b"},
    }
    server |= {"networks": [{"uuid": site.network_id, "stray": 1}]}
    made = v2.call("POST", "/servers", {"server": server}, status=202)
    assert site.server(made.json["server"]["id"])["metadata"] == {"a": "b"}


def test_a_thing_with_an_empty_id_is_not_there(site: Site) -> None:
    for path in ("/servers/", "/os-simple-tenant-usage/?detailed=1"):
        site.refused(404, "GET", path)
    site.refused(404, "DELETE", "/images/", version="2.35")


def agreed(response: webob.Response) -> tuple[str, str, str]:
    return (
        response.headers["OpenStack-API-Version"],
        response.headers["X-OpenStack-Nova-API-Version"],
        response.headers["Vary"],
    )


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, "2.1"),
        ({"OpenStack-API-Version": "compute 2.26"}, "2.26"),
        ({"OpenStack-API-Version": "identity 3.1, compute 2.26"}, "2.26"),
        ({"OpenStack-API-Version": "volume 3.1"}, "2.1"),
        ({"X-OpenStack-Nova-API-Version": "2.30"}, "2.30"),
        (
            {"OpenStack-API-Version": "volume 3.1", "X-OpenStack-Nova-API-Version": "2.30"},
            "2.30",
        ),
        (
            {"OpenStack-API-Version": "compute 2.26", "X-OpenStack-Nova-API-Version": "2.30"},
            "2.26",
        ),
        ({"OpenStack-API-Version": "compute latest"}, LATEST),
        ({"X-OpenStack-Nova-API-Version": "latest"}, LATEST),
    ],
)
def test_a_version_is_agreed_upon_and_said_in_both_headers(
    site: Site, headers: dict[str, str], version: str
) -> None:
    answer = site.compute.call("GET", "/flavors", headers=headers, status=200)
    both = "OpenStack-API-Version, X-OpenStack-Nova-API-Version"
    assert agreed(answer) == (f"compute {version}", version, both)


@pytest.mark.parametrize("version", ["2.0", "2.1000", "3.1", "1.9"])
def test_a_version_that_is_not_served_is_not_acceptable(site: Site, version: str) -> None:
    answer = site.compute.call("GET", "/flavors", version=version, status=406)
    assert answer.json["computeFault"]["code"] == 406
    assert "Minimum is 2.1 and maximum is " + LATEST in answer.json["computeFault"]["message"]


@pytest.mark.parametrize("version", ["two", "2", "2.01", "2.1.1", "-2.1", "2.1234567890"])
def test_a_malformed_version_is_a_bad_request(site: Site, version: str) -> None:
    assert "invalid format" in site.refused(400, "GET", "/flavors", version=version)


def test_a_path_may_name_the_project_of_the_token(site: Site) -> None:
    alice = site.person("alice")
    for project in (alice.project, f"{alice.project}/"):
        path = f"/{project.rstrip('/')}/servers"
        assert site.compute.get(path, token=alice.token)["servers"] == []
    other = site.person("bob").project
    said = site.refused(400, "GET", f"/{other}/servers", token=alice.token)
    assert f"project_id '{other}' doesn't match" in said
    assert site.compute.call("GET", f"/{other}/servers", token="").status_int == 401


def test_without_a_token_nothing_but_version_documents_is_answered(site: Site) -> None:
    answer = site.compute.call("GET", "/servers", token="", status=401)
    assert answer.json["unauthorized"]["code"] == 401
    assert "Keystone uri=" in answer.headers["WWW-Authenticate"]


def test_unknown_paths_methods_and_bodies_are_refused_in_the_apis_own_json(site: Site) -> None:
    site.refused(404, "GET", "/nonesuch")
    site.refused(405, "PATCH", "/servers", {})
    site.refused(400, "POST", "/servers/x/action", {"dance": None})
    site.refused(400, "POST", "/servers/x/action", {"os-start": None, "os-stop": None})
    site.refused(400, "POST", "/servers", ["no"])
    answer = site.compute.call("POST", "/servers", data=b"{", status=400)
    assert "not JSON" in answer.json["badRequest"]["message"]


def test_every_endpoint_has_a_rule_that_is_declared_and_every_rule_is_of_use() -> None:
    endpoints = [endpoint for resource in RESOURCES for endpoint in resource.endpoints]
    assert {e.policy for e in endpoints} - {PUBLIC} <= set(RULES)
    for endpoint in endpoints:
        assert endpoint.since <= LATEST_SERVED
        changes = endpoint.method in ("POST", "PUT", "DELETE")
        assert RULES.get(endpoint.policy) != "role:reader" or not changes, endpoint
