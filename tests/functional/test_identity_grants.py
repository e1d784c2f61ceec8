"""Giving roles to users and groups, and taking them away, through the identity API."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Grant
from tests.functional.role_site import UNKNOWN, RoleSite

PLACES = ("projects/kitchen", "domains/acme", "system")
#: Each place, and whether what is given there is for all projects below instead.
WAYS = [
    *((place, False) for place in PLACES),
    ("projects/kitchen", True),
    ("domains/acme", True),
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RoleSite]:
    """In acme: kitchen/stove/pan, and joe, who is the only one of the cooks."""
    site = RoleSite(tmp_path)
    acme = site.make("domain", "acme")
    site.make("project", "kitchen", domain_id=acme)
    site.make("project", "stove", domain_id=acme, parent_id=site.ids["kitchen"])
    site.make("project", "pan", domain_id=acme, parent_id=site.ids["stove"])
    site.make("user", "joe", domain_id=acme)
    site.make("group", "cooks", domain_id=acme)
    site.join("cooks", "joe")
    yield site
    site.cloud.close()


@pytest.mark.parametrize("actor", ["users/joe", "groups/cooks"])
def test_a_role_is_given_checked_listed_and_taken(site: RoleSite, actor: str) -> None:
    for place, inherited in WAYS:
        one = site.one("service", place, actor, inherited=inherited)
        everything = site.path(place, actor, inherited=inherited)
        everything += "/inherited_to_projects" if inherited else ""
        assert site.identity.get(everything)["roles"] == []
        for method in ("GET", "HEAD", "DELETE"):
            site.identity.call(method, one, status=404)
        for _ in "twice":
            site.identity.call("PUT", one, status=204)
        for method in ("GET", "HEAD"):
            assert site.identity.call(method, one, status=204).body == b""
        listed = site.identity.get(everything)
        [role] = listed["roles"]
        assert role == site.identity.get(f"/v3/roles/{site.ids['service']}")["role"]
        assert listed["links"]["self"].endswith(everything)
        site.identity.call("HEAD", everything, status=200)
        here = site.identity.get(site.path(place, actor))["roles"]
        assert here == ([] if inherited else [role])
        site.identity.delete(one)
        site.identity.call("HEAD", one, status=404)
        site.identity.call("DELETE", one, status=404)


def test_a_grant_refers_to_what_is_there(site: RoleSite) -> None:
    for place, inherited in WAYS:
        for actor in ("users/joe", "groups/cooks"):
            path = site.one("member", place, actor, inherited=inherited)
            for what in (place, actor, "roles/member"):
                name = what.partition("/")[2]
                gone = path.replace(site.ids[name], UNKNOWN) if name else f"{path}0"
                for method in ("PUT", "GET", "HEAD", "DELETE"):
                    site.identity.call(method, gone, status=404)
    site.identity.call("PUT", f"/v3/system/users/%00/roles/{site.ids['member']}", status=404)


def test_a_group_gives_its_users_what_it_has(site: RoleSite) -> None:
    site.give("member", "projects/kitchen", "groups/cooks")
    site.give("reader", "domains/acme", "groups/cooks")
    site.give("service", "system", "groups/cooks")
    assert site.roles_of("joe", "projects/kitchen") == {"member", "reader"}
    assert site.roles_of("joe", "domains/acme") == {"reader"}
    assert site.roles_of("joe", "system") == {"service"}
    assert site.roles_of("joe", "projects/stove") == set()


def test_what_a_project_passes_on_is_held_below_it(site: RoleSite) -> None:
    for actor in ("users/joe", "groups/cooks"):
        site.give("reader", "projects/kitchen", actor, inherited=True)
        found = {
            project: site.roles_of("joe", f"projects/{project}")
            for project in ("kitchen", "stove", "pan")
        }
        assert found == {"kitchen": set(), "stove": {"reader"}, "pan": {"reader"}}
        site.take("reader", "projects/kitchen", actor, inherited=True)
    assert site.roles_of("joe", "projects/pan") == set()


def test_what_a_domain_passes_on_is_held_in_all_its_projects(site: RoleSite) -> None:
    site.make("project", "elsewhere")
    site.give("reader", "domains/acme", "users/joe", inherited=True)
    found = {
        place: site.roles_of("joe", place)
        for place in ("projects/kitchen", "projects/pan", "projects/elsewhere", "domains/acme")
    }
    assert found == {
        "projects/kitchen": {"reader"},
        "projects/pan": {"reader"},
        "projects/elsewhere": set(),
        "domains/acme": set(),
    }
    mine = site.identity.get(f"/v3/users/{site.ids['joe']}/projects")["projects"]
    assert sorted(project["name"] for project in mine) == ["kitchen", "pan", "stove"]


def test_a_token_loses_what_is_taken_from_user_or_group_or_passed_on(site: RoleSite) -> None:
    ways = (("users/joe", False), ("groups/cooks", False), ("users/joe", True))
    for actor, inherited in ways:
        place = "domains/acme" if inherited else "projects/kitchen"
        site.give("member", place, actor, inherited=inherited)
        token = site.token("joe", "projects/kitchen")
        site.give("reader", "projects/kitchen", "users/joe")
        assert site.context(token).roles == {"member", "reader"}
        site.take("member", place, actor, inherited=inherited)
        assert site.context(token).roles == {"reader"}
        site.take("reader", "projects/kitchen", "users/joe")
        site.identity.call("GET", "/v3/auth/projects", token=token, status=401)


def test_a_token_loses_what_a_group_gave_when_its_user_leaves_it(site: RoleSite) -> None:
    site.give("member", "projects/kitchen", "groups/cooks")
    token = site.token("joe", "projects/kitchen")
    site.identity.call("GET", "/v3/auth/projects", token=token, status=200)
    site.identity.delete(f"/v3/groups/{site.ids['cooks']}/users/{site.ids['joe']}")
    site.identity.call("GET", "/v3/auth/projects", token=token, status=401)


def test_what_another_process_takes_is_believed_a_few_seconds_longer(site: RoleSite) -> None:
    site.give("member", "projects/kitchen", "groups/cooks")
    token = site.token("joe", "projects/kitchen")
    site.context(token)
    with site.cloud.database.write() as session:
        session.execute(sa.delete(Grant).where(Grant.group_id == site.ids["cooks"]))
    site.cloud.clock.pass_seconds(4)
    site.identity.call("GET", "/v3/auth/projects", token=token, status=200)
    site.cloud.clock.pass_seconds(1)
    site.identity.call("GET", "/v3/auth/projects", token=token, status=401)


@pytest.mark.parametrize("gone", ["users/joe", "groups/cooks", "projects/pan", "roles/taster"])
def test_grants_end_with_what_they_are_about(site: RoleSite, gone: str) -> None:
    site.make("role", "taster")
    actor = gone if gone.startswith(("users", "groups")) else "users/joe"
    for inherited in (False, True):
        site.give("taster", "projects/pan", actor, inherited=inherited)
    given = sa.select(sa.func.count(Grant.id)).where(Grant.role_id == site.ids["taster"])
    with site.cloud.database.read() as session:
        assert session.scalar(given) == 2
    kind, _, name = gone.partition("/")
    site.identity.delete(f"/v3/{kind}/{site.ids[name]}")
    with site.cloud.database.read() as session:
        assert session.scalar(given) == 0


def test_a_role_of_a_domain_is_given_in_its_domain_alone(site: RoleSite) -> None:
    site.make("role", "taster", domain_id=site.ids["acme"])
    site.make("project", "elsewhere")
    site.give("taster", "projects/kitchen", "users/joe")
    site.give("taster", "domains/acme", "users/joe", inherited=True)
    elsewhere = site.one("taster", "projects/elsewhere", "users/joe")
    site.identity.call("PUT", elsewhere, status=403)
    site.identity.call("PUT", site.one("taster", "system", "users/joe"), status=400)


def test_what_was_given_by_whom_is_in_the_log(
    site: RoleSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    site.give("reader", "domains/acme", "groups/cooks", inherited=True)
    [line] = [text for text in caplog.messages if "given to" in text]
    for word in (site.ids["reader"], site.ids["acme"], site.ids["cooks"], "below"):
        assert word in line


# --- within a domain ------------------------------------------------------------------------------


@pytest.fixture
def manager(site: RoleSite) -> str:
    """A token of the manager of acme."""
    site.make("user", "may", domain_id=site.ids["acme"])
    site.give("manager", "domains/acme", "users/may")
    return site.token("may", "domains/acme")


def test_the_manager_of_a_domain_gives_and_takes_lesser_roles_in_it(
    site: RoleSite, manager: str
) -> None:
    for role in ("manager", "member", "reader"):
        for place in ("projects/pan", "domains/acme"):
            for actor in ("users/joe", "groups/cooks"):
                for inherited in (False, True):
                    path = site.one(role, place, actor, inherited=inherited)
                    for method in ("PUT", "GET", "HEAD", "DELETE"):
                        site.identity.call(method, path, token=manager, status=204)
                    path = site.path(place, actor)
                    site.identity.call("GET", path, token=manager, status=200)


def test_the_manager_of_a_domain_is_nobody_beyond_it(site: RoleSite, manager: str) -> None:
    site.make("project", "elsewhere")
    site.make("user", "ann")
    site.make("role", "taster", domain_id=site.ids["acme"])
    beyond = [
        ("admin", "projects/pan", "users/joe"),
        ("service", "projects/pan", "users/joe"),
        ("taster", "projects/pan", "users/joe"),
        ("member", "projects/elsewhere", "users/joe"),
        ("member", "domains/default", "users/joe"),
        ("member", "projects/pan", "users/ann"),
        ("member", "system", "users/joe"),
    ]
    for role, place, actor in beyond:
        for method in ("PUT", "DELETE"):
            path = site.one(role, place, actor)
            site.identity.call(method, path, token=manager, status=403)
    for _, place, actor in beyond[3:]:
        site.identity.call("GET", site.one("member", place, actor), token=manager, status=403)
        site.identity.call("GET", site.path(place, actor), token=manager, status=403)
    # What is not there looks the same.
    path = site.one("member", "projects/pan", "users/joe")
    for name in ("pan", "joe", "member"):
        gone = path.replace(site.ids[name], UNKNOWN)
        site.identity.call("PUT", gone, token=manager, status=403)


def test_readers_of_a_domain_look_and_touch_nothing(site: RoleSite) -> None:
    site.give("reader", "domains/acme", "users/joe")
    site.give("member", "projects/pan", "groups/cooks")
    token = site.token("joe", "domains/acme")
    path = site.one("member", "projects/pan", "groups/cooks")
    site.identity.call("HEAD", path, token=token, status=204)
    for method in ("PUT", "DELETE"):
        site.identity.call(method, path, token=token, status=403)
    token = site.token("joe", "projects/pan")
    site.identity.call("HEAD", path, token=token, status=403)


def test_readers_of_the_system_look_everywhere(site: RoleSite) -> None:
    site.give("reader", "system", "users/joe")
    token = site.token("joe", "system")
    for place in PLACES:
        site.give("member", place, "groups/cooks")
        path = site.one("member", place, "groups/cooks")
        site.identity.call("HEAD", path, token=token, status=204)
        site.identity.call("DELETE", path, token=token, status=403)
        site.identity.call(
            "HEAD", path.replace(site.ids["cooks"], UNKNOWN), token=token, status=404
        )
