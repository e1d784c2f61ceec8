"""Roles, and which of them come with which others, through the identity API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.db.models import ImpliedRole
from tests.functional.role_site import UNKNOWN, RoleSite

OPTIONS: dict[str, Any] = {"immutable": True}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RoleSite]:
    site = RoleSite(tmp_path)
    yield site
    site.cloud.close()


def names(answer: dict[str, Any]) -> list[str]:
    return [role["name"] for role in answer["roles"]]


# --- roles ----------------------------------------------------------------------------------------


def test_a_role_is_made_shown_changed_and_removed(site: RoleSite) -> None:
    new = {"name": "auditor", "description": "Reads books", "colour": "green", "id": "x"}
    made = site.identity.post("/v3/roles", {"role": new}, status=201)["role"]
    assert made.pop("links")["self"].endswith(f"/identity/v3/roles/{made['id']}")
    assert made.pop("id") != "x"
    assert made == {
        "name": "auditor",
        "description": "Reads books",
        "domain_id": None,
        "options": {},
        "colour": "green",
    }
    [shown] = site.identity.get("/v3/roles?name=auditor")["roles"]
    path = f"/v3/roles/{shown['id']}"
    change = {"role": {**shown, "name": "inspector", "description": None, "shape": "round"}}
    assert site.identity.patch(path, change)["role"] == {
        **shown,
        "name": "inspector",
        "description": None,
        "shape": "round",
    }
    site.identity.call("HEAD", path, status=200)
    site.identity.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        site.identity.call(method, path, status=404)
    site.identity.call("PATCH", path, change, status=404)


def test_there_are_roles_from_the_beginning_which_stay_what_they_are(site: RoleSite) -> None:
    found = site.identity.get("/v3/roles")
    assert names(found) == ["admin", "manager", "member", "reader", "service"]
    for role in found["roles"]:
        assert role["options"] == OPTIONS
        path = f"/v3/roles/{role['id']}"
        site.identity.call("PATCH", path, {"role": {"name": "king"}}, status=403)
        free = {"role": {"options": {"immutable": False}}}
        site.identity.call("PATCH", path, free, status=403)
        site.identity.call("DELETE", path, status=403)


def test_an_immutable_role_can_be_changed_after_that_was_changed(site: RoleSite) -> None:
    path = f"/v3/roles/{site.make('role', 'auditor', options=OPTIONS)}"
    assert site.identity.get(path)["role"]["options"] == OPTIONS
    site.identity.call("DELETE", path, status=403)
    free = {"options": {"immutable": False}}
    for change in ({"name": "other"}, {**free, "name": "other"}, {**free, "colour": "red"}):
        site.identity.call("PATCH", path, {"role": change}, status=403)
    assert site.identity.patch(path, {"role": free})["role"]["options"] == {"immutable": False}
    nothing = {"role": {"options": {"immutable": None}, "name": "other"}}
    assert site.identity.patch(path, nothing)["role"]["options"] == {}
    site.identity.delete(path)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": {}},
        {"role": {"name": ""}},
        {"role": {"name": " "}},
        {"role": {"name": "x" * 256}},
        {"role": {"name": 7}},
        {"role": {"name": "x", "description": 7}},
        {"role": {"name": "x", "options": {"colour": True}}},
        {"role": {"name": "x", "options": {"immutable": "yes"}}},
        {"role": {"name": "x", "domain_id": UNKNOWN}},
    ],
)
def test_what_cannot_be_a_role_is_refused(site: RoleSite, body: dict[str, Any]) -> None:
    site.identity.call("POST", "/v3/roles", body, status=400)


def test_a_role_stays_in_its_domain_and_keeps_its_id(site: RoleSite) -> None:
    acme = site.make("domain", "acme")
    path = f"/v3/roles/{site.make('role', 'auditor')}"
    site.identity.call("PATCH", path, {"role": {"domain_id": acme}}, status=400)
    site.identity.call("PATCH", path, {"role": {"id": UNKNOWN}}, status=400)


def test_a_name_is_there_once_among_global_roles_and_once_in_each_domain(site: RoleSite) -> None:
    for domain in ("acme", "umbrella"):
        site.make("domain", domain)
    body: dict[str, Any] = {"role": {"name": "cook"}}
    places: list[dict[str, Any]] = [
        {},
        {"domain_id": site.ids["acme"]},
        {"domain_id": site.ids["umbrella"]},
    ]
    for place in places:
        site.identity.post("/v3/roles", {"role": {"name": "cook", **place}}, status=201)
        site.identity.call("POST", "/v3/roles", {"role": {"name": "cook", **place}}, status=409)
    other = site.make("role", "other")
    site.identity.call("PATCH", f"/v3/roles/{other}", body, status=409)


@pytest.mark.parametrize("name", ["Admin", "READER", " member "])
def test_no_role_is_called_almost_like_one_that_policy_speaks_of(site: RoleSite, name: str) -> None:
    site.identity.call("POST", "/v3/roles", {"role": {"name": name}}, status=409)
    other = site.make("role", "other")
    site.identity.call("PATCH", f"/v3/roles/{other}", {"role": {"name": name}}, status=409)


def test_roles_of_a_domain_are_listed_for_themselves_and_end_with_it(site: RoleSite) -> None:
    acme = site.make("domain", "acme")
    cook = site.make("role", "cook", domain_id=acme)
    found = site.identity.get(f"/v3/roles?domain_id={acme}")["roles"]
    assert found == [site.identity.get(f"/v3/roles/{cook}")["role"]]
    assert found[0]["domain_id"] == acme
    assert "cook" not in names(site.identity.get("/v3/roles"))
    assert names(site.identity.get("/v3/roles?name__icontains=ADE")) == ["reader"]
    site.identity.patch(f"/v3/domains/{acme}", {"domain": {"enabled": False}})
    site.identity.delete(f"/v3/domains/{acme}")
    site.identity.call("GET", f"/v3/roles/{cook}", status=404)


def test_a_list_of_roles_comes_in_pages(site: RoleSite) -> None:
    first = site.identity.get("/v3/roles?limit=3")
    assert names(first) == ["admin", "manager", "member"]
    rest = first["links"]["next"].partition("/identity")[2]
    assert names(site.identity.get(rest)) == ["reader", "service"]


# --- what they imply ------------------------------------------------------------------------------


def test_built_in_roles_imply_each_other_by_rules_one_can_read(site: RoleSite) -> None:
    rules = site.identity.get("/v3/role_inferences")["role_inferences"]
    assert [
        (rule["prior_role"]["name"], [role["name"] for role in rule["implies"]]) for rule in rules
    ] == [("admin", ["manager"]), ("manager", ["member"]), ("member", ["reader"])]
    assert set(rules[0]["prior_role"]) == set(rules[0]["implies"][0]) == {"id", "name", "links"}
    site.identity.call("HEAD", "/v3/role_inferences", status=200)


def test_a_role_is_made_to_imply_another_for_a_while(site: RoleSite) -> None:
    cook, waiter = site.make("role", "cook"), site.make("role", "waiter")
    path = f"/v3/roles/{cook}/implies/{waiter}"
    made = site.identity.put(path, None, status=201)
    assert made == site.identity.get(path)
    inference = made["role_inference"]
    assert (inference["prior_role"]["name"], inference["implies"]["name"]) == ("cook", "waiter")
    assert inference["implies"]["links"]["self"].endswith(f"/v3/roles/{waiter}")
    assert made["links"]["self"].endswith(path)
    site.identity.call("PUT", path, status=409)
    assert site.identity.call("HEAD", path, status=204).body == b""
    listed = site.identity.get(f"/v3/roles/{cook}/implies")
    assert listed["role_inference"]["prior_role"]["id"] == cook
    assert [role["id"] for role in listed["role_inference"]["implies"]] == [waiter]
    assert listed["links"]["self"].endswith(f"/v3/roles/{cook}/implies")
    site.identity.delete(path)
    for method in ("GET", "HEAD", "DELETE"):
        site.identity.call(method, path, status=404)
    assert site.identity.get(f"/v3/roles/{cook}/implies")["role_inference"]["implies"] == []


def test_implications_are_of_roles_that_are_there_and_end_with_them(site: RoleSite) -> None:
    cook, waiter = site.make("role", "cook"), site.make("role", "waiter")
    for prior, implied in ((cook, UNKNOWN), (UNKNOWN, cook)):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            path = f"/v3/roles/{prior}/implies/{implied}"
            site.identity.call(method, path, status=404)
    site.identity.call("GET", f"/v3/roles/{UNKNOWN}/implies", status=404)
    site.imply("cook", "waiter")
    site.identity.delete(f"/v3/roles/{waiter}")
    assert site.identity.get(f"/v3/roles/{cook}/implies")["role_inference"]["implies"] == []


def test_nothing_implies_admin_and_a_global_role_implies_none_of_a_domain(site: RoleSite) -> None:
    acme, umbrella = site.make("domain", "acme"), site.make("domain", "umbrella")
    site.make("role", "global")
    for name, domain in (("cook", acme), ("waiter", acme), ("spy", umbrella)):
        site.make("role", name, domain_id=domain)
    for allowed in (("cook", "waiter"), ("cook", "spy"), ("cook", "global")):
        site.imply(*allowed)
    for prior, implied in (("global", "cook"), ("global", "admin"), ("cook", "admin")):
        path = f"/v3/roles/{site.ids[prior]}/implies/{site.ids[implied]}"
        site.identity.call("PUT", path, status=403)


def test_a_token_has_what_its_roles_imply_by_now(site: RoleSite) -> None:
    site.make("project", "kitchen")
    site.make("user", "joe")
    for role in ("chef", "cook", "eater"):
        site.make("role", role)
    site.give("chef", "projects/kitchen", "users/joe")
    token = site.token("joe", "projects/kitchen")
    assert site.context(token).roles == {"chef"}
    site.imply("chef", "cook")
    site.imply("cook", "eater")
    site.imply("eater", "chef")  # a circle is no harm
    assert site.context(token).roles == {"chef", "cook", "eater"}
    assert site.roles_of("joe", "projects/kitchen") == {"chef", "cook", "eater"}
    path = f"/v3/roles/{site.ids['chef']}/implies/{site.ids['cook']}"
    site.identity.delete(path)
    assert site.context(token).roles == {"chef"}


def test_a_role_of_a_domain_is_in_no_token_but_what_it_implies_is(site: RoleSite) -> None:
    site.make("project", "kitchen")
    site.make("user", "joe")
    site.make("role", "cook", domain_id="default")
    site.give("cook", "projects/kitchen", "users/joe")
    assert site.roles_of("joe", "projects/kitchen") == set()
    assert site.identity.get(f"/v3/users/{site.ids['joe']}/projects")["projects"] == []
    site.imply("cook", "reader")
    assert site.roles_of("joe", "projects/kitchen") == {"reader"}
    [project] = site.identity.get(f"/v3/users/{site.ids['joe']}/projects")["projects"]
    assert project["name"] == "kitchen"


def test_bootstrapping_again_brings_back_what_built_in_roles_imply(site: RoleSite) -> None:
    with site.cloud.database.write() as session:
        session.execute(sa.delete(ImpliedRole))
    assert site.identity.get("/v3/role_inferences")["role_inferences"] == []
    site.cloud.services.identity.bootstrap("correct horse")
    assert len(site.identity.get("/v3/role_inferences")["role_inferences"]) == 3


# --- who may --------------------------------------------------------------------------------------


def test_roles_are_for_admins_to_change_and_for_the_systems_readers_to_see(site: RoleSite) -> None:
    site.make("domain", "acme")
    site.make("project", "kitchen")
    cook = site.make("role", "cook", domain_id=site.ids["acme"])
    for user, role, place in (
        ("joe", "member", "projects/kitchen"),
        ("ron", "reader", "system"),
        ("may", "manager", "domains/acme"),
    ):
        site.make("user", user)
        site.give(role, place, f"users/{user}")
    reader = site.ids["reader"]
    sees = {"joe": 403, "ron": 200, "may": 200}
    sees_domains = {"joe": 403, "ron": 200, "may": 403}
    places = {"joe": "projects/kitchen", "ron": "system", "may": "domains/acme"}
    for user, place in places.items():
        token = site.token(user, place)
        for path, status in (
            ("/v3/roles", sees[user]),
            (f"/v3/roles/{reader}", sees[user]),
            (f"/v3/roles?domain_id={site.ids['acme']}", sees_domains[user]),
            (f"/v3/roles/{cook}", sees_domains[user]),
            (f"/v3/roles/{reader}/implies", sees_domains[user]),
            ("/v3/role_inferences", sees_domains[user]),
        ):
            site.identity.call("GET", path, token=token, status=status)
        for body in ({"name": "x"}, {"name": "x", "domain_id": site.ids["acme"]}):
            site.identity.call("POST", "/v3/roles", {"role": body}, token=token, status=403)
        site.identity.call("DELETE", f"/v3/roles/{cook}", token=token, status=403)
