"""Quotas: what projects may have, who says so, and that it is kept to."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from tests.functional.compute_site import Person, Site

Json = dict[str, Any]
ALWAYS = {"instances", "cores", "ram", "key_pairs", "metadata_items"}
GROUPS = {"server_groups", "server_group_members"}
NETWORK = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}


def quota(site: Site, whose: Person, suffix: str = "", **how: Any) -> Json:
    found: Json = site.compute.get(f"/os-quota-sets/{whose.project}{suffix}", **how)["quota_set"]
    return found


def set_quota(site: Site, whose: Person, query: str = "", status: int = 200, **values: Any) -> Any:
    path = f"/os-quota-sets/{whose.project}{query}"
    answer = site.compute.call("PUT", path, {"quota_set": values}, status=status)
    return answer.json.get("quota_set") or next(iter(answer.json.values()))["message"]


def test_a_project_has_what_the_options_say_until_somebody_says_otherwise(site: Site) -> None:
    alice = site.person("alice")
    mine = quota(site, alice, token=alice.token)
    assert mine["id"] == alice.project and mine["instances"] == 10 and mine["floating_ips"] == -1
    assert quota(site, alice, "/defaults", token=alice.token) == mine
    changed = set_quota(site, alice, instances=3, cores="7")
    assert (changed["instances"], changed["cores"], changed["ram"]) == (3, 7, 51200)
    assert "id" not in changed
    assert quota(site, alice)["instances"] == 3
    assert quota(site, alice, "/defaults") == mine
    assert quota(site, site.person("bob"))["instances"] == 10
    site.compute.call("DELETE", f"/os-quota-sets/{alice.project}", status=202)
    assert quota(site, alice) == mine


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.1", ALWAYS | GROUPS | NETWORK | FILES),
        ("2.36", ALWAYS | GROUPS | FILES),
        ("2.57", ALWAYS | GROUPS),
        ("2.75", ALWAYS | GROUPS),
    ],
)
def test_what_a_quota_is_about_became_less(site: Site, version: str, names: set[str]) -> None:
    alice = site.person("alice")
    for suffix in ("", "/defaults", "/detail"):
        assert set(quota(site, alice, suffix, version=version)) == names | {"id"}
    path = f"/os-quota-sets/{alice.project}"
    body = {"quota_set": {**dict.fromkeys(names, 5), "force": True}}
    assert site.compute.put(path, body, version=version)["quota_set"] == dict.fromkeys(names, 5)
    for stray in (ALWAYS | NETWORK | FILES) - names | {"spoons", "networks"}:
        site.refused(400, "PUT", path, {"quota_set": {stray: 1}}, version=version)


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("2.1", ALWAYS | NETWORK | FILES),
        ("2.50", ALWAYS | GROUPS | FILES),
        ("2.57", ALWAYS | GROUPS),
    ],
)
def test_the_class_default_is_what_everybody_has(site: Site, version: str, names: set[str]) -> None:
    alice = site.person("alice")
    path = "/os-quota-class-sets/default"
    before = site.compute.get(path, version=version)["quota_class_set"]
    assert set(before) == names | {"id"} and before.pop("id") == "default"
    more = {name: limit + 100 for name, limit in before.items()}
    after = site.compute.put(path, {"quota_class_set": more}, version=version)
    assert after["quota_class_set"] == more
    assert site.compute.get(path, version=version)["quota_class_set"] == {**more, "id": "default"}
    assert quota(site, alice)["cores"] == quota(site, alice, "/defaults")["cores"] == 120
    set_quota(site, alice, cores=1)
    assert quota(site, alice)["cores"] == 1
    assert quota(site, alice, "/defaults")["cores"] == 120
    stray = {"quota_class_set": {"spoons": 1}}
    site.refused(400, "PUT", path, stray, version=version)
    site.refused(403, "GET", path, token=alice.token)


def test_other_classes_are_kept_and_mean_nothing(site: Site) -> None:
    path = "/os-quota-class-sets/gold"
    site.compute.put(path, {"quota_class_set": {"cores": 99}})
    assert site.compute.get(path)["quota_class_set"]["cores"] == 99
    assert site.compute.get("/os-quota-class-sets/default")["quota_class_set"]["cores"] == 20
    body = {"quota_class_set": {"cores": 1}}
    site.refused(400, "PUT", f"/os-quota-class-sets/{'x' * 256}", body)


def test_less_than_is_used_is_only_allowed_by_force(site: Site) -> None:
    alice = site.person("alice")
    site.create(alice, max_count=2)
    detail = quota(site, alice, "/detail", token=alice.token)
    assert detail["instances"] == {"in_use": 2, "limit": 10, "reserved": 0}
    assert "greater than or equal" in set_quota(site, alice, status=400, instances=1)
    assert set_quota(site, alice, instances=2)["instances"] == 2
    assert set_quota(site, alice, instances=-1)["instances"] == -1
    assert set_quota(site, alice, instances=0, force="True")["instances"] == 0
    answer = site.ask(alice)
    assert answer.status_int == 403 and "instances" in answer.json["forbidden"]["message"]


def test_what_was_said_is_kept_to(site: Site) -> None:
    alice = site.person("alice")
    for name in ("instances", "cores", "ram"):
        nothing: Json = {name: 0}
        set_quota(site, alice, **nothing)
        answer = site.ask(alice)
        assert answer.status_int == 403
        assert f"Quota exceeded for {name}" in answer.json["forbidden"]["message"]
        no_end: Json = {name: -1}
        set_quota(site, alice, **no_end)
    set_quota(site, alice, metadata_items=1)
    assert site.ask(alice, metadata={"a": "1", "b": "2"}).status_int == 403
    id = site.create(alice, metadata={"a": "1"})
    body = {"metadata": {"a": "1", "b": "2"}}
    for method in ("PUT", "POST"):
        site.refused(403, method, f"/servers/{id}/metadata", body, token=alice.token)
    set_quota(site, alice, key_pairs=0)
    pair = {"keypair": {"name": "k"}}
    site.refused(403, "POST", "/os-keypairs", pair, token=alice.token)
    assert site.ask(site.person("bob")).status_int == 202


def test_one_user_may_be_given_a_part(site: Site) -> None:
    alice = site.person("alice")
    anna = site.person("anna", project=alice)
    set_quota(site, alice, instances=4)
    query = f"?user_id={anna.user}"
    assert "less than or equal to 4" in set_quota(site, alice, query, 400, instances=5)
    assert "less than or equal to 4" in set_quota(site, alice, query, 400, instances=-1)
    assert set_quota(site, alice, query, instances=1)["instances"] == 1
    assert quota(site, alice, query)["instances"] == 1
    assert quota(site, alice)["instances"] == 4
    # The parts of the others are no longer there to give.
    other = f"?user_id={alice.user}"
    assert "less than or equal to 3" in set_quota(site, alice, other, 400, instances=4)
    set_quota(site, alice, other, instances=3)
    assert "greater than or equal to already used and reserved 4" in set_quota(
        site, alice, status=400, instances=3
    )
    site.create(anna, max_count=2)
    assert quota(site, alice, f"/detail{query}")["instances"]["in_use"] == 1
    answer = site.ask(anna)
    assert answer.status_int == 403 and "used 1 of 1 instances" in answer.text
    site.create(alice, max_count=3)
    assert "used 4 of 4 instances" in site.ask(alice).text
    site.compute.call("DELETE", f"/os-quota-sets/{alice.project}{query}", status=202)
    assert quota(site, alice, query)["instances"] == 4
    assert quota(site, alice, other)["instances"] == 3


def test_key_pairs_are_counted_for_a_user(site: Site) -> None:
    alice = site.person("alice")
    site.compute.post("/os-keypairs", {"keypair": {"name": "k"}}, token=alice.token)
    mine = f"/detail?user_id={alice.user}"
    assert quota(site, alice, mine)["key_pairs"] == {"in_use": 1, "limit": 100, "reserved": 0}
    assert quota(site, alice, "/detail")["key_pairs"]["in_use"] == 0


@pytest.mark.parametrize("value", [-2, "x", "-2", 2**31, str(2**32), None, 1.5, True])
def test_a_limit_is_a_whole_number(site: Site, value: Any) -> None:
    alice = site.person("alice")
    assert "cores" in set_quota(site, alice, status=400, cores=value)
    assert quota(site, alice)["cores"] == 20


def test_who_may_see_and_say_what(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    path, body = f"/os-quota-sets/{alice.project}", {"quota_set": {"cores": 1}}
    for suffix in ("", "/defaults", "/detail"):
        site.refused(403, "GET", path + suffix, token=bob.token)
        said = site.refused(400, "GET", f"/os-quota-sets/nonesuch{suffix}")
        assert said == "Project ID nonesuch is not a valid project."
    site.refused(400, "PUT", "/os-quota-sets/nonesuch", body)
    for method in ("PUT", "DELETE"):
        site.refused(403, method, path, body, token=alice.token)


def test_since_2_75_a_query_names_a_user_and_nothing_else(site: Site) -> None:
    alice = site.person("alice")
    path, body = f"/os-quota-sets/{alice.project}", {"quota_set": {"cores": 1}}
    for method, suffix in (("GET", ""), ("GET", "/detail"), ("PUT", ""), ("DELETE", "")):
        where = f"{path}{suffix}?user_id={alice.user}"
        sent = body if method == "PUT" else None
        site.refused(400, method, f"{where}&color=red", sent, version="2.75")
        assert site.compute.call(method, where, sent, version="2.75").status_int < 300
        answer = site.compute.call(method, f"{where}&color=red", sent, version="2.74")
        assert answer.status_int < 300


def test_limits_go_with_their_project(site: Site) -> None:
    ghost = site.person("ghost")
    set_quota(site, ghost, cores=1)
    set_quota(site, ghost, f"?user_id={ghost.user}", cores=1)
    site.identity.delete(f"/projects/{ghost.project}")
    with site.cloud.database.read() as session:
        assert session.scalar(sa.text("select count(*) from quota_limits")) == 0


def test_asking_for_servers_costs_one_look_at_the_limits(site: Site) -> None:
    alice = site.person("alice")
    set_quota(site, alice, cores=10)
    said: list[str] = []

    @sa.event.listens_for(site.cloud.database.engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    site.create(alice, max_count=3, metadata={"a": "b"})
    assert len([statement for statement in said if "quota_limits" in statement]) == 1
