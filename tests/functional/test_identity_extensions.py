"""Endpoint filters, policies of other services, consumers, and configurations of domains."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.db.models import DomainOption
from nova_lite.testing.cloud import Cloud, Facade

UNKNOWN = "0" * 32
FILTER = "/v3/OS-EP-FILTER"


def make(identity: Facade, path: str, kind: str, status: int = 201, **values: Any) -> Any:
    answer = identity.post(f"/v3/{path}", {kind: values}, status=status)
    return answer[kind] if status == 201 else answer["error"]["message"]


def types(identity: Facade) -> list[str]:
    return [entry["type"] for entry in identity.get("/v3/auth/catalog")["catalog"]]


def endpoint_of(identity: Facade, type: str, interface: str = "public") -> Any:
    [service] = identity.get(f"/v3/services?type={type}")["services"]
    query = f"service_id={service['id']}&interface={interface}"
    [endpoint] = identity.get(f"/v3/endpoints?{query}")["endpoints"]
    return endpoint


# --- groups of endpoints ------------------------------------------------------------------------


def test_a_group_of_endpoints_is_made_found_changed_and_removed(identity: Facade) -> None:
    made = make(
        identity,
        "OS-EP-FILTER/endpoint_groups",
        "endpoint_group",
        name="outside",
        filters={"interface": "public"},
    )
    path = f"{FILTER}/endpoint_groups/{made['id']}"
    assert made == {
        "id": made["id"],
        "name": "outside",
        "description": None,
        "filters": {"interface": "public"},
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert identity.get(path) == {"endpoint_group": made}
    identity.call("HEAD", path, status=200)
    assert identity.get(f"{FILTER}/endpoint_groups")["endpoint_groups"] == [made]
    assert identity.get(f"{FILTER}/endpoint_groups?name=other")["endpoint_groups"] == []
    inside = identity.get(f"{path}/endpoints")["endpoints"]
    assert len(inside) == 5 and {one["interface"] for one in inside} == {"public"}
    new = {"name": "inside", "description": "d", "filters": {"interface": "internal"}}
    changed = identity.patch(path, {"endpoint_group": new}, status=200)["endpoint_group"]
    assert changed == {**made, **new}
    identity.delete(path)
    identity.call("GET", path, status=404)


def test_a_group_is_of_what_endpoints_have(identity: Facade) -> None:
    for filters in ({}, {"colour": "red"}, {"interface": "secret"}, None):
        body = {"endpoint_group": {"name": "n", "filters": filters}}
        identity.post(f"{FILTER}/endpoint_groups", body, status=400)


def test_a_project_sees_the_endpoints_it_is_associated_with(cloud: Cloud, identity: Facade) -> None:
    project = cloud.admin.project_id
    endpoint = endpoint_of(identity, "image")
    one = f"{FILTER}/projects/{project}/endpoints/{endpoint['id']}"
    identity.call("GET", one, status=404)
    everything = types(identity)
    identity.call("PUT", one, status=204)
    identity.call("PUT", one, status=409)
    identity.call("GET", one, status=204)
    identity.call("HEAD", one, status=204)
    assert types(identity) == ["image"]
    assert types(identity) == ["image"]
    found = identity.get(f"{FILTER}/projects/{project}/endpoints")["endpoints"]
    assert found == [endpoint]
    [seen] = identity.get(f"{FILTER}/endpoints/{endpoint['id']}/projects")["projects"]
    assert seen["id"] == project
    identity.delete(one)
    identity.call("DELETE", one, status=404)
    assert types(identity) == everything


def test_a_project_sees_the_endpoints_of_its_groups(cloud: Cloud, identity: Facade) -> None:
    project = cloud.admin.project_id
    service = endpoint_of(identity, "network")["service_id"]
    group = make(
        identity,
        "OS-EP-FILTER/endpoint_groups",
        "endpoint_group",
        name="g",
        filters={"service_id": service, "interface": "public"},
    )
    path = f"{FILTER}/endpoint_groups/{group['id']}/projects/{project}"
    identity.call("GET", path, status=404)
    identity.call("PUT", path, status=204)
    identity.call("PUT", path, status=409)
    assert identity.get(path)["project_endpoint_group"] == {
        "endpoint_group_id": group["id"],
        "project_id": project,
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert types(identity) == ["network"]
    found = identity.get(f"{FILTER}/projects/{project}/endpoint_groups")["endpoint_groups"]
    assert found == [group]
    [seen] = identity.get(f"{FILTER}/endpoint_groups/{group['id']}/projects")["projects"]
    assert seen["id"] == project
    [only] = identity.get(f"{FILTER}/projects/{project}/endpoints")["endpoints"]
    assert only["interface"] == "public"
    # Others see everything still.
    others = cloud.services.catalog.entries("", user_id="u", project_id=UNKNOWN)
    assert len(others) == 5
    identity.delete(path)
    assert len(types(identity)) == 5


def test_associations_are_of_what_there_is(cloud: Cloud, identity: Facade) -> None:
    project, endpoint = cloud.admin.project_id, endpoint_of(identity, "image")["id"]
    for path in (
        f"projects/{UNKNOWN}/endpoints",
        f"projects/{UNKNOWN}/endpoint_groups",
        f"projects/{project}/endpoints/{UNKNOWN}",
        f"projects/{UNKNOWN}/endpoints/{endpoint}",
        f"endpoint_groups/{UNKNOWN}/projects/{project}",
        f"endpoint_groups/{UNKNOWN}/projects",
        f"endpoint_groups/{UNKNOWN}/endpoints",
        f"endpoints/{UNKNOWN}/projects",
    ):
        identity.call("GET", f"{FILTER}/{path}", status=404)


# --- policies of other services -----------------------------------------------------------------


def test_a_policy_is_made_found_changed_and_removed(identity: Facade) -> None:
    made = make(identity, "policies", "policy", blob="{}", type="application/json", note="n")
    path = f"/v3/policies/{made['id']}"
    assert made == {
        "id": made["id"],
        "blob": "{}",
        "type": "application/json",
        "note": "n",
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert identity.get("/v3/policies?type=application/json")["policies"] == [made]
    assert identity.get("/v3/policies?type=text")["policies"] == []
    changed = identity.patch(path, {"policy": {"type": "text"}}, status=200)["policy"]
    assert changed == identity.get(path)["policy"] == {**made, "type": "text"}
    identity.delete(path)
    identity.call("GET", path, status=404)
    make(identity, "policies", "policy", 400, blob="x")


def test_the_closest_policy_holds_for_an_endpoint(identity: Facade) -> None:
    endpoint = endpoint_of(identity, "compute")
    make(identity, "regions", "region", id="world")
    body = {"region": {"parent_region_id": "world"}}
    identity.patch("/v3/regions/RegionOne", body, status=200)
    service = endpoint["service_id"]
    make(identity, "regions", "region", id="moon")
    there = {**endpoint, "region_id": "moon", "url": "http://moon"}
    make(identity, "endpoints", "endpoint", **there)
    effective = f"/v3/endpoints/{endpoint['id']}/OS-ENDPOINT-POLICY/policy"
    identity.call("GET", effective, status=404)
    paths, counts = [], [4, 3, 3, 1]
    for target in (
        f"services/{service}",
        f"services/{service}/regions/world",
        f"services/{service}/regions/RegionOne",
        f"endpoints/{endpoint['id']}",
    ):
        policy = make(identity, "policies", "policy", blob=target, type="t")
        path = f"/v3/policies/{policy['id']}/OS-ENDPOINT-POLICY"
        identity.call("GET", f"{path}/{target}", status=404)
        identity.call("DELETE", f"{path}/{target}", status=404)
        identity.call("PUT", f"{path}/{target}", status=204)
        identity.call("PUT", f"{path}/{target}", status=204)
        identity.call("GET", f"{path}/{target}", status=204)
        assert identity.get(effective)["policy"]["blob"] == target
        found = identity.get(f"{path}/endpoints")["endpoints"]
        assert endpoint in found and len(found) == counts.pop(0)
        paths.append(f"{path}/{target}")
    for path in reversed(paths):
        assert identity.get(effective)["policy"]["blob"] in path
        identity.delete(path)
    identity.call("GET", effective, status=404)


def test_of_one_target_there_is_one_policy(identity: Facade) -> None:
    endpoint = endpoint_of(identity, "compute")["id"]
    first = make(identity, "policies", "policy", blob="1", type="t")["id"]
    second = make(identity, "policies", "policy", blob="2", type="t")["id"]
    for policy in (first, second):
        path = f"/v3/policies/{policy}/OS-ENDPOINT-POLICY/endpoints/{endpoint}"
        identity.call("PUT", path, status=204)
    path = f"/v3/policies/{first}/OS-ENDPOINT-POLICY"
    identity.call("GET", f"{path}/endpoints/{endpoint}", status=404)
    assert identity.get(f"{path}/endpoints")["endpoints"] == []
    identity.call("PUT", f"{path}/endpoints/{UNKNOWN}", status=404)
    identity.call("PUT", f"{path}/services/{UNKNOWN}/regions/RegionOne", status=404)
    identity.call("GET", f"/v3/policies/{UNKNOWN}/OS-ENDPOINT-POLICY/endpoints", status=404)


# --- consumers ----------------------------------------------------------------------------------


def test_the_secret_of_a_consumer_is_told_once(identity: Facade) -> None:
    made = make(identity, "OS-OAUTH1/consumers", "consumer", description=None)
    assert len(made.pop("secret")) == 32
    path = f"/v3/OS-OAUTH1/consumers/{made['id']}"
    assert made == {
        "id": made["id"],
        "description": None,
        "links": {"self": f"http://localhost/identity{path}"},
    }
    assert identity.get(path)["consumer"] == made
    assert identity.get("/v3/OS-OAUTH1/consumers")["consumers"] == [made]
    changed = identity.patch(path, {"consumer": {"description": "d"}}, status=200)
    assert changed["consumer"] == {**made, "description": "d"}
    identity.patch(path, {"consumer": {"secret": "mine"}}, status=400)
    make(identity, "OS-OAUTH1/consumers", "consumer", 400, secret="mine")
    identity.delete(path)
    identity.call("GET", path, status=404)


# --- configurations of domains --------------------------------------------------------------------

CONFIG = {
    "identity": {"driver": "ldap"},
    "ldap": {"url": "ldap://x", "user_tree_dn": "ou=Users"},
}


@pytest.fixture
def here(identity: Facade) -> str:
    domain = make(identity, "domains", "domain", name="special")["id"]
    path = f"/v3/domains/{domain}/config"
    assert identity.put(path, {"config": CONFIG}, status=201) == {"config": CONFIG}
    return path


def test_the_configuration_of_a_domain_is_shown_whole_and_in_parts(
    identity: Facade, here: str
) -> None:
    assert identity.get(here)["config"] == CONFIG
    assert identity.get(f"{here}/ldap")["config"] == {"ldap": CONFIG["ldap"]}
    assert identity.get(f"{here}/ldap/url")["config"] == {"url": "ldap://x"}
    identity.call("HEAD", f"{here}/identity/driver", status=200)
    identity.call("GET", f"{here}/identity/list_limit", status=404)
    for path in (f"{here}/nothing", f"{here}/ldap/nothing"):
        identity.call("GET", path, status=403)
    identity.call("GET", f"/v3/domains/{UNKNOWN}/config", status=404)


def test_a_new_configuration_takes_the_place_of_the_old(identity: Facade, here: str) -> None:
    new = {"identity": {"list_limit": 5}}
    assert identity.put(here, {"config": new}, status=200)["config"] == new
    assert identity.get(here)["config"] == new


def test_a_configuration_is_changed_whole_and_in_parts(identity: Facade, here: str) -> None:
    more = {"ldap": {"url": "ldap://y", "page_size": 7}}
    changed = identity.patch(here, {"config": more}, status=200)["config"]
    assert changed == {**CONFIG, "ldap": {**CONFIG["ldap"], **more["ldap"]}}
    changed = identity.patch(
        f"{here}/identity", {"config": {"identity": {"driver": "sql", "list_limit": 3}}}, status=200
    )["config"]
    assert changed["identity"] == {"driver": "sql", "list_limit": 3}
    changed = identity.patch(f"{here}/identity/driver", {"config": {"driver": "x"}}, status=200)[
        "config"
    ]
    assert changed["identity"] == {"driver": "x", "list_limit": 3}


def test_a_change_that_cannot_be_is_refused(identity: Facade, here: str) -> None:
    wrong: tuple[tuple[str, Any, int], ...] = (
        ("", {}, 403),
        ("", {"ldap": {}}, 403),
        ("", {"ldap": "x"}, 403),
        ("", {"token": {"expiration": 1}}, 403),
        ("", {"ldap": {"nothing": 1}}, 403),
        ("/ldap", {"identity": {"driver": "x"}}, 403),
        ("/ldap", {"ldap": {"url": "x"}, "identity": {"driver": "x"}}, 403),
        ("/ldap/url", {"user": "x"}, 403),
        ("/ldap/user", {"user": "x"}, 404),
        ("/nothing", {"nothing": {"x": 1}}, 403),
    )
    for part, config, status in wrong:
        identity.patch(f"{here}{part}", {"config": config}, status=status)
    assert identity.get(here)["config"] == CONFIG


def test_a_configuration_is_removed_whole_and_in_parts(identity: Facade, here: str) -> None:
    identity.delete(f"{here}/ldap/url")
    identity.call("GET", f"{here}/ldap/url", status=404)
    identity.call("DELETE", f"{here}/ldap/url", status=404)
    identity.delete(f"{here}/ldap")
    identity.call("GET", f"{here}/ldap", status=404)
    identity.call("DELETE", f"{here}/ldap", status=404)
    identity.patch(f"{here}/ldap", {"config": {"ldap": {"url": "x"}}}, status=404)
    identity.delete(here)
    identity.call("GET", here, status=404)
    identity.delete(here)


def test_a_password_is_kept_and_never_shown(cloud: Cloud, identity: Facade, here: str) -> None:
    body = {"config": {"ldap": {"password": "secret-ldap"}}}
    assert identity.patch(here, body, status=200)["config"] == CONFIG
    assert "password" not in identity.get(f"{here}/ldap")["config"]["ldap"]
    identity.call("GET", f"{here}/ldap/password", status=404)
    with cloud.database.read() as session:
        kept = session.scalars(sa.select(DomainOption.value).filter_by(option="password")).one()
    assert kept == ["secret-ldap"]
    identity.call("GET", "/v3/domains/config/ldap/password/default", status=403)
    assert "password" not in identity.get("/v3/domains/config/ldap/default")["config"]["ldap"]


def test_the_defaults_are_shown_whole_and_in_parts(identity: Facade) -> None:
    whole = identity.get("/v3/domains/config/default")["config"]
    assert whole["identity"] == {"driver": "sql", "list_limit": None}
    for group, options in whole.items():
        assert identity.get(f"/v3/domains/config/{group}/default")["config"] == {group: options}
        for option, value in options.items():
            path = f"/v3/domains/config/{group}/{option}/default"
            assert identity.get(path)["config"] == {option: value}
    identity.call("GET", "/v3/domains/config/token/default", status=403)


def test_everybody_may_know_what_passwords_must_look_like(cloud: Cloud, identity: Facade) -> None:
    path = "/v3/domains/default/config/security_compliance"
    assert identity.get(path)["config"] == {
        "security_compliance": {"password_regex": None, "password_regex_description": None}
    }
    assert identity.get(f"{path}/password_regex")["config"] == {"password_regex": None}
    identity.call("GET", f"{path}/lockout_duration", status=403)
    other = make(identity, "domains", "domain", name="other")["id"]
    identity.call("GET", f"/v3/domains/{other}/config/security_compliance", status=403)
    identity.call("GET", f"/v3/domains/{UNKNOWN}/config/security_compliance", status=404)
