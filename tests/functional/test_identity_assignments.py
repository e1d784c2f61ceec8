"""The list of who has which role where, through the identity API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.functional.role_site import UNKNOWN, RoleSite

INHERITED = "scope.OS-INHERIT:inherited_to=projects"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[RoleSite]:
    """In acme: kitchen/stove, joe among the cooks, and ann who is not."""
    site = RoleSite(tmp_path)
    acme = site.make("domain", "acme")
    site.make("project", "kitchen", domain_id=acme)
    site.make("project", "stove", domain_id=acme, parent_id=site.ids["kitchen"])
    for user in ("joe", "ann"):
        site.make("user", user, domain_id=acme)
    site.make("group", "cooks", domain_id=acme)
    site.join("cooks", "joe")
    yield site
    site.cloud.close()


def url(*path: str) -> str:
    return "/".join(("http://localhost/identity/v3", *path))


def names(found: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(user or group, role, where) of assignments with names."""
    return {
        (
            one.get("user", one.get("group", {}))["name"],
            one["role"]["name"],
            next(place.get("name", kind) for kind, place in one["scope"].items()),
        )
        for one in found
    }


def test_an_assignment_says_who_has_which_role_where(site: RoleSite) -> None:
    site.give("member", "projects/kitchen", "users/joe")
    ids = site.ids
    [one] = site.assignments(f"user.id={ids['joe']}")
    assert one == {
        "role": {"id": ids["member"]},
        "user": {"id": ids["joe"]},
        "scope": {"project": {"id": ids["kitchen"]}},
        "links": {
            "assignment": url(
                "projects", ids["kitchen"], "users", ids["joe"], "roles", ids["member"]
            )
        },
    }
    [named] = site.assignments(f"user.id={ids['joe']}&include_names")
    acme = {"id": ids["acme"], "name": "acme"}
    assert named == {
        **one,
        "role": {"id": ids["member"], "name": "member"},
        "user": {"id": ids["joe"], "name": "joe", "domain": acme},
        "scope": {"project": {"id": ids["kitchen"], "name": "kitchen", "domain": acme}},
    }
    site.identity.call("HEAD", "/v3/role_assignments", status=200)


def test_groups_domains_and_the_system_are_told_apart(site: RoleSite) -> None:
    ids = site.ids
    site.make("role", "taster", domain_id=ids["acme"])
    site.give("taster", "domains/acme", "groups/cooks", inherited=True)
    site.give("reader", "system", "groups/cooks")
    passed_on, everywhere = site.assignments(f"group.id={ids['cooks']}&include_names")
    acme = {"id": ids["acme"], "name": "acme"}
    cooks = {"id": ids["cooks"], "name": "cooks", "domain": acme}
    path = ("domains", ids["acme"], "groups", ids["cooks"], "roles", ids["taster"])
    assert passed_on == {
        "role": {"id": ids["taster"], "name": "taster", "domain": acme},
        "group": cooks,
        "scope": {"domain": acme, "OS-INHERIT:inherited_to": "projects"},
        "links": {"assignment": url("OS-INHERIT", *path, "inherited_to_projects")},
    }
    assert everywhere == {
        "role": {"id": ids["reader"], "name": "reader"},
        "group": cooks,
        "scope": {"system": {"all": True}},
        "links": {
            "assignment": url("system", "groups", ids["cooks"], "roles", ids["reader"]),
        },
    }


def test_an_effective_assignment_tells_the_way_it_came(site: RoleSite) -> None:
    ids = site.ids
    site.give("member", "projects/kitchen", "groups/cooks", inherited=True)
    found = site.assignments(f"user.id={ids['joe']}&effective")
    common = {
        "user": {"id": ids["joe"]},
        "scope": {"project": {"id": ids["stove"]}, "OS-INHERIT:inherited_to": "projects"},
    }
    path = ("projects", ids["kitchen"], "groups", ids["cooks"], "roles", ids["member"])
    links = {
        "assignment": url("OS-INHERIT", *path, "inherited_to_projects"),
        "membership": url("groups", ids["cooks"], "users", ids["joe"]),
    }
    prior = url("prior_role", ids["reader"], "implies", ids["member"])
    assert found == [
        {**common, "role": {"id": ids["member"]}, "links": links},
        {**common, "role": {"id": ids["reader"]}, "links": {**links, "prior_role": prior}},
    ]


def test_each_step_of_what_a_role_implies_names_the_one_before(site: RoleSite) -> None:
    ids = site.ids
    site.give("manager", "projects/kitchen", "users/joe")
    found = site.assignments(f"user.id={ids['joe']}&effective")
    priors = {one["role"]["id"]: one["links"].get("prior_role") for one in found}
    assert priors == {
        ids["manager"]: None,
        ids["member"]: url("prior_role", ids["member"], "implies", ids["manager"]),
        ids["reader"]: url("prior_role", ids["reader"], "implies", ids["member"]),
    }


def test_filters_narrow_the_list(site: RoleSite) -> None:
    ids = site.ids
    site.give("member", "projects/kitchen", "users/joe")
    site.give("member", "projects/stove", "users/ann", inherited=True)
    site.give("reader", "domains/acme", "groups/cooks")
    site.give("reader", "domains/acme", "users/ann", inherited=True)
    site.give("reader", "system", "users/ann")
    bootstrapped = 2  # the admin's on his project and the system
    for query, count in (
        ("", 5 + bootstrapped),
        (f"user.id={ids['ann']}", 3),
        (f"group.id={ids['cooks']}", 1),
        (f"role.id={ids['member']}", 2),
        (f"role.id={ids['member']}&user.id={ids['ann']}", 1),
        (f"scope.project.id={ids['kitchen']}", 1),
        (f"scope.project.id={ids['stove']}", 1),
        (f"scope.domain.id={ids['acme']}", 2),
        (f"scope.domain.id={ids['acme']}&{INHERITED}", 1),
        ("scope.system=all", 2),
        (f"scope.system=all&user.id={ids['ann']}", 1),
        ("scope.system=part", 5 + bootstrapped),
        (INHERITED, 2),
        ("scope.OS-INHERIT:inherited_to=nobody", 3 + bootstrapped),
        (f"user.id={UNKNOWN}", 0),
        (f"group.id={UNKNOWN}", 0),
        (f"scope.project.id={UNKNOWN}", 0),
        (f"role.id={UNKNOWN}", 0),
    ):
        assert len(site.assignments(query)) == count, query


def test_the_effective_list_is_of_users_on_places(site: RoleSite) -> None:
    ids = site.ids
    site.give("reader", "domains/acme", "groups/cooks")
    site.give("service", "domains/acme", "groups/cooks", inherited=True)
    site.give("member", "projects/stove", "users/ann")
    for query, expected in (
        (f"scope.domain.id={ids['acme']}", {("joe", "reader", "acme")}),
        (f"scope.project.id={ids['kitchen']}", {("joe", "service", "kitchen")}),
        (
            f"scope.project.id={ids['stove']}",
            {
                ("joe", "service", "stove"),
                ("ann", "member", "stove"),
                ("ann", "reader", "stove"),
            },
        ),
        (f"scope.project.id={ids['stove']}&{INHERITED}", {("joe", "service", "stove")}),
        (
            f"scope.project.id={ids['stove']}&scope.OS-INHERIT:inherited_to=no",
            {("ann", "member", "stove"), ("ann", "reader", "stove")},
        ),
        (
            f"role.id={ids['reader']}&scope.project.id={ids['stove']}",
            {("ann", "reader", "stove")},
        ),
        (
            INHERITED,
            {("joe", "service", "kitchen"), ("joe", "service", "stove")},
        ),
        (
            "scope.system=all",
            {("admin", role, "system") for role in ("admin", "manager", "member", "reader")},
        ),
        (f"scope.system=all&{INHERITED}", set()),
    ):
        assert names(site.assignments(f"{query}&effective&include_names")) == expected, query


def test_a_subtree_is_the_project_and_all_below_it(site: RoleSite) -> None:
    ids = site.ids
    site.give("service", "projects/kitchen", "users/joe")
    site.give("service", "projects/kitchen", "groups/cooks", inherited=True)
    site.give("reader", "projects/stove", "users/ann")
    query = f"scope.project.id={ids['kitchen']}&include_subtree"
    assert len(site.assignments(query)) == 3
    assert names(site.assignments(f"{query}&effective&include_names")) == {
        ("joe", "service", "kitchen"),
        ("joe", "service", "stove"),
        ("ann", "reader", "stove"),
    }
    below = f"scope.project.id={ids['stove']}&include_subtree"
    assert len(site.assignments(below)) == 1


def test_what_could_never_be_is_refused(site: RoleSite) -> None:
    ids = site.ids
    project, domain = f"scope.project.id={ids['kitchen']}", f"scope.domain.id={ids['acme']}"
    for query in (
        f"{project}&{domain}",
        f"{project}&scope.system=all",
        f"{domain}&scope.system=all",
        f"user.id={ids['joe']}&group.id={ids['cooks']}",
        f"effective&group.id={ids['cooks']}",
        f"effective&{domain}&{INHERITED}",
        "include_subtree",
        f"include_subtree&{domain}",
    ):
        site.identity.call("GET", f"/v3/role_assignments?{query}", status=400)
    for query in (
        f"effective&scope.project.id={UNKNOWN}",
        f"effective&user.id={UNKNOWN}",
        f"include_subtree&scope.project.id={UNKNOWN}",
    ):
        site.identity.call("GET", f"/v3/role_assignments?{query}", status=404)


def test_a_role_of_a_domain_is_assigned_but_not_effective(site: RoleSite) -> None:
    ids = site.ids
    site.make("role", "taster", domain_id=ids["acme"])
    site.give("taster", "projects/kitchen", "users/joe")
    query = f"scope.project.id={ids['kitchen']}&user.id={ids['joe']}"
    assert len(site.assignments(query)) == 1
    assert site.assignments(f"{query}&effective") == []
    site.imply("taster", "reader")
    assert site.roles_in(f"{query}&effective") == {"reader"}


def test_everybody_sees_what_his_token_is_about(site: RoleSite) -> None:
    ids = site.ids
    site.make("project", "elsewhere")
    site.give("reader", "domains/acme", "users/joe")
    site.give("member", "projects/stove", "users/ann")
    site.give("member", "projects/elsewhere", "users/ann")
    site.give("reader", "system", "users/ann")
    ask = "/v3/role_assignments?include_names"
    seen = site.identity.get(ask, token=site.token("joe", "domains/acme"))["role_assignments"]
    assert names(seen) == {("joe", "reader", "acme"), ("ann", "member", "stove")}
    tree = f"/v3/role_assignments?scope.project.id={ids['kitchen']}&include_subtree"
    token = site.token("joe", "domains/acme")
    assert len(site.identity.get(tree, token=token)["role_assignments"]) == 1
    for query in (f"user.id={UNKNOWN}", f"scope.project.id={ids['elsewhere']}"):
        nothing = site.identity.get(f"/v3/role_assignments?effective&{query}", token=token)
        assert nothing["role_assignments"] == []
    for id in (ids["elsewhere"], UNKNOWN):
        beyond = f"/v3/role_assignments?scope.project.id={id}&include_subtree"
        site.identity.call("GET", beyond, token=token, status=403)
    seen = site.identity.get(ask, token=site.token("ann", "system"))["role_assignments"]
    assert len(seen) == 6
    site.identity.call("GET", ask, token=site.token("ann", "projects/stove"), status=403)


def test_an_operator_may_close_the_list_of_a_subtree_alone(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"identity:list_role_assignments_for_tree": "!"\n')
    site = RoleSite(tmp_path, **{"api.policy_file": str(file)})
    query = f"scope.project.id={site.cloud.admin.project_id}"
    assert len(site.assignments(query)) == 1
    site.identity.call("GET", f"/v3/role_assignments?{query}&include_subtree", status=403)
    site.cloud.close()
