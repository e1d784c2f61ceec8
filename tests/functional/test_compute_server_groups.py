"""os-server-groups, and where their members go."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.functional.compute_site import FLAVOR, Person, Site

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, hosts=3, **{"quota.server_groups": 4})
    yield site
    site.cloud.close()


def create(site: Site, policy: str = "affinity", by: Person | None = None, **rules: Any) -> Any:
    body = {"name": "group", "policy": policy, **({"rules": rules} if rules else {})}
    return site.compute.post(
        "/os-server-groups",
        {"server_group": body},
        version="2.64",
        token=by.token if by else None,
        status=200,
    )["server_group"]


def ask(site: Site, status: int = 202, **hints: Any) -> Any:
    """The answer to a request for a server with these hints."""
    server = {
        "name": "server",
        "imageRef": site.image_id,
        "flavorRef": FLAVOR,
        "networks": "none",
    }
    body = {"server": server, "os:scheduler_hints": hints}
    return site.compute.call("POST", "/servers", body, version="2.64", status=status).json


def hinted(site: Site, **hints: Any) -> Any:
    """A server with these hints, as it became."""
    id = ask(site, **hints)["server"]["id"]
    site.cloud.settle()
    return site.server(id)


def boot(site: Site, group: Any, count: int = 1) -> list[Any]:
    """Servers of a group, all asked for before the first is placed, as they became."""
    ids = [ask(site, group=group["id"])["server"]["id"] for _ in range(count)]
    site.cloud.settle()
    return [site.server(id) for id in ids]


def host(server: Any) -> str:
    return str(server["OS-EXT-SRV-ATTR:host"])


def test_a_group_is_created_shown_listed_and_deleted(site: Site) -> None:
    body = {"server_group": {"name": "group", "policies": ["anti-affinity"]}}
    made = site.compute.post("/os-server-groups", body, status=200)["server_group"]
    assert made == {
        "id": made["id"],
        "name": "group",
        "policies": ["anti-affinity"],
        "members": [],
        "metadata": {},
    }
    path = f"/os-server-groups/{made['id']}"
    assert site.compute.get(path)["server_group"] == made
    assert site.compute.get("/os-server-groups")["server_groups"] == [made]
    site.compute.delete(path)
    assert site.compute.get("/os-server-groups")["server_groups"] == []
    site.refused(404, "GET", path)
    site.refused(404, "DELETE", path)
    site.refused(404, "GET", "/os-server-groups/x")


def test_what_a_group_shows_depends_on_the_version(site: Site) -> None:
    alice = site.person("alice")
    made = create(site, "anti-affinity", alice, max_server_per_host="2")
    assert made == {
        "id": made["id"],
        "name": "group",
        "policy": "anti-affinity",
        "rules": {"max_server_per_host": 2},
        "members": [],
        "project_id": alice.project,
        "user_id": alice.user,
    }
    path = f"/os-server-groups/{made['id']}"
    old = site.compute.get(path, version="2.12", token=alice.token)["server_group"]
    assert set(old) == {"id", "name", "policies", "members", "metadata"}
    newer = site.compute.get(path, version="2.13", token=alice.token)["server_group"]
    assert set(newer) - set(old) == {"project_id", "user_id"}
    assert create(site)["rules"] == {}


def test_soft_policies_are_there_since_2_15(site: Site) -> None:
    for policy in POLICIES[2:]:
        body = {"server_group": {"name": "g", "policies": [policy]}}
        site.refused(400, "POST", "/os-server-groups", body, version="2.14")
        made = site.compute.post("/os-server-groups", body, version="2.15")["server_group"]
        assert made["policies"] == [policy]
        assert create(site, policy)["policy"] == policy


@pytest.mark.parametrize(
    ("version", "group"),
    [
        ("2.1", {"name": "g"}),
        ("2.1", {"policies": ["affinity"]}),
        ("2.1", {"name": "", "policies": ["affinity"]}),
        ("2.1", {"name": " g", "policies": ["affinity"]}),
        ("2.1", {"name": "g", "policies": []}),
        ("2.1", {"name": "g", "policies": ["affinity", "anti-affinity"]}),
        ("2.1", {"name": "g", "policies": ["storm"]}),
        ("2.1", {"name": "g", "policies": ["affinity"], "members": []}),
        ("2.63", {"name": "g", "policy": "affinity"}),
        ("2.64", {"name": "g", "policies": ["affinity"]}),
        ("2.64", {"name": "g", "policy": "storm"}),
        ("2.64", {"name": "g", "policy": "affinity", "rules": {"max_server_per_host": 2}}),
        ("2.64", {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": 0}}),
        ("2.64", {"name": "g", "policy": "anti-affinity", "rules": {"max_server_per_host": "x"}}),
        ("2.64", {"name": "g", "policy": "anti-affinity", "rules": {"most": 2}}),
    ],
)
def test_a_group_that_cannot_be(site: Site, version: str, group: Any) -> None:
    site.refused(400, "POST", "/os-server-groups", {"server_group": group}, version=version)


def test_groups_are_paged_by_limit_and_offset(site: Site) -> None:
    ids = [create(site)["id"] for _ in range(3)]

    def listed(query: str, version: str = "2.64") -> list[str]:
        found = site.compute.get(f"/os-server-groups?{query}", version=version)
        return [group["id"] for group in found["server_groups"]]

    assert listed("") == listed("limit=0") == ids
    assert listed("limit=2") == ids[:2] and listed("limit=2&offset=2") == ids[2:]
    assert listed("colour=red", "2.74") == ids
    site.refused(400, "GET", "/os-server-groups?colour=red", version="2.75")
    assert listed("limit=1&offset=1", "2.75") == ids[1:2]
    for query in ("limit=-1", "offset=x"):
        site.refused(400, "GET", f"/os-server-groups?{query}", version="2.64")


def test_a_group_is_its_projects(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    hers, ours = create(site, by=alice), create(site)
    path = f"/os-server-groups/{hers['id']}"
    site.refused(404, "GET", path, token=bob.token)
    site.refused(404, "DELETE", path, token=bob.token)

    def listed(query: str = "", token: str | None = None) -> list[str]:
        found = site.compute.get(f"/os-server-groups{query}", token=token)["server_groups"]
        return [group["id"] for group in found]

    assert listed(token=bob.token) == listed("?all_projects", token=bob.token) == []
    assert listed() == [ours["id"]]
    assert listed("?all_projects=True") == [hers["id"], ours["id"]]
    assert site.compute.get(path)["server_group"]["id"] == hers["id"]


def test_groups_have_a_quota(site: Site) -> None:
    alice = site.person("alice")
    for _ in range(4):
        create(site, by=alice)
    body = {"server_group": {"name": "one more", "policies": ["affinity"]}}
    refused = site.refused(403, "POST", "/os-server-groups", body, token=alice.token)
    assert "server_groups" in refused


def test_members_are_its_live_servers(site: Site) -> None:
    group = create(site)
    path = f"/os-server-groups/{group['id']}"
    first, second = boot(site, group, 2)
    site.running()
    assert site.compute.get(path)["server_group"]["members"] == [first["id"], second["id"]]
    site.act(first["id"], "forceDelete", status=202)
    site.cloud.settle()
    assert site.compute.get(path)["server_group"]["members"] == [second["id"]]
    (listed,) = site.compute.get("/os-server-groups")["server_groups"]
    assert listed["members"] == [second["id"]]
    site.compute.delete(path)
    assert site.server(second["id"])["status"] == "ACTIVE"


def test_affinity_keeps_servers_together_or_not_at_all(site: Site) -> None:
    group = create(site, "affinity")
    (first,) = boot(site, group)
    assert {host(server) for server in boot(site, group, 3)} == {host(first)}
    which = {"host": host(first), "binary": "nova-compute"}
    site.compute.put("/os-services/disable", which)
    (refused,) = boot(site, group)
    assert refused["status"] == "ERROR"
    assert "ServerGroupAffinityFilter" in refused["fault"]["message"]


def test_anti_affinity_keeps_servers_apart_or_not_at_all(site: Site) -> None:
    group = create(site, "anti-affinity")
    servers = boot(site, group, 3)
    assert {host(server) for server in servers} == {"host1", "host2", "host3"}
    (refused,) = boot(site, group)
    assert refused["status"] == "ERROR"
    assert "ServerGroupAntiAffinityFilter" in refused["fault"]["message"]
    site.act(servers[0]["id"], "forceDelete", status=202)
    site.cloud.settle()
    (fits,) = boot(site, group)
    assert host(fits) == host(servers[0])


def test_anti_affinity_may_allow_a_few(site: Site) -> None:
    group = create(site, "anti-affinity", max_server_per_host=2)
    placed = [host(server) for server in boot(site, group, 6)]
    assert sorted(placed) == ["host1", "host1", "host2", "host2", "host3", "host3"]
    assert boot(site, group)[0]["status"] == "ERROR"


def test_soft_policies_are_kept_while_they_can_be(site: Site) -> None:
    together = create(site, "soft-affinity")
    (first,) = boot(site, together)
    which = {"host": host(first), "binary": "nova-compute"}
    site.compute.put("/os-services/disable", which)
    (second,) = boot(site, together)
    assert second["status"] == "ACTIVE" and host(second) != host(first)
    site.compute.put("/os-services/enable", which)
    apart = create(site, "soft-anti-affinity")
    assert {host(server) for server in boot(site, apart, 3)} == {"host1", "host2", "host3"}
    assert boot(site, apart)[0]["status"] == "ACTIVE"


def test_hints_name_other_servers(site: Site) -> None:
    first = site.running(availability_zone="nova:host1")
    second = site.running(availability_zone="nova:host2")
    assert host(hinted(site, same_host=first)) == "host1"
    assert host(hinted(site, same_host=[first, str(uuid4())])) == "host1"
    assert host(hinted(site, different_host=[first, second])) == "host3"
    assert host(hinted(site, different_host=[first], same_host=[first, second])) == "host2"
    nowhere = hinted(site, same_host=str(uuid4()))
    assert "SameHostFilter (one of no hosts): 0" in nowhere["fault"]["message"]
    for wrong in ("not an id", 5, {"a": "b"}, ["not an id"], [str(uuid4())] * 101):
        ask(site, 400, same_host=wrong)


def test_the_hint_of_a_group_names_one_that_is_there(site: Site) -> None:
    ask(site, 400, group="group")
    assert "could not be found" in ask(site, 400, group=str(uuid4()))["badRequest"]["message"]
    hers = create(site, by=site.person("alice"))
    bob = site.person("bob")
    server = {"name": "s", "imageRef": site.image_id, "flavorRef": FLAVOR, "networks": "none"}
    body = {"server": server, "os:scheduler_hints": {"group": hers["id"]}}
    site.refused(400, "POST", "/servers", body, version="2.64", token=bob.token)


def test_a_group_has_room_for_so_many_servers(site: Site) -> None:
    group = create(site)
    site.cloud.services.quotas.limits = {
        **site.cloud.services.quotas.limits,
        "server_group_members": 2,
    }
    boot(site, group, 2)
    assert "too many servers in group" in ask(site, 403, group=group["id"])["forbidden"]["message"]


def test_several_servers_of_one_request_keep_the_policy_of_their_group(site: Site) -> None:
    for policy, hosts in (("anti-affinity", 3), ("affinity", 1)):
        group = create(site, policy)
        server = {"name": "s", "imageRef": site.image_id, "flavorRef": FLAVOR, "min_count": 3}
        body = {"server": server, "os:scheduler_hints": {"group": group["id"]}}
        site.compute.call("POST", "/servers", body, version="2.1", status=202)
        site.cloud.settle()
        shown = site.compute.get(f"/os-server-groups/{group['id']}")["server_group"]
        assert len({host(site.server(id)) for id in shown["members"]}) == hosts
        assert len(shown["members"]) == 3


def test_a_query_is_json_of_bounded_length(site: Site) -> None:
    ask(site, 400, query="x" * 5000)
    assert hinted(site, query='[">=", "$free_ram_mb", 1]')["status"] == "ACTIVE"
    assert hinted(site, query=[">=", "$free_ram_mb", 1])["status"] == "ACTIVE"
    ask(site, 400, cidr="24")
