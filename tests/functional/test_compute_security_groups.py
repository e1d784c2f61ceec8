"""Security groups of servers, and what the compute API showed of groups until 2.35."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_lite.testing.cloud import Facade
from tests.functional.compute_site import Person, Site

Json = dict[str, Any]
NOTHING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, hosts=1)
    yield site
    site.cloud.close()


@pytest.fixture
def alice(site: Site) -> Person:
    return site.person("alice")


def by(person: Person) -> Json:
    return {"token": person.token}


def a_group(site: Site, name: str, owner: Person) -> str:
    api = Facade(site.cloud, "/network/v2.0")
    body = {"security_group": {"name": name}}
    id: str = api.post("/security-groups", body, **by(owner))["security_group"]["id"]
    return id


def names(site: Site, server: str) -> list[str]:
    return [group["name"] for group in site.server(server).get("security_groups", ())]


def refused(site: Site, status: int, id: str, action: str, name: str, who: Person) -> str:
    path, body = f"/servers/{id}/action", {action: {"name": name}}
    return site.refused(status, "POST", path, body, **by(who))


# --- servers --------------------------------------------------------------------------------------


def test_a_server_gets_the_groups_it_asks_for(site: Site, alice: Person) -> None:
    web, db = (a_group(site, name, alice) for name in ("web", "db"))
    plain = site.running(alice)
    asked = [{"name": "web"}, {"name": db}, {"name": "default"}, {"name": web}]
    made = site.ask(alice, security_groups=asked).json["server"]
    assert made["security_groups"] == asked
    assert names(site, made["id"]) == []  # it has no ports yet
    site.cloud.settle()
    assert names(site, made["id"]) == ["db", "default", "web"]
    assert names(site, plain) == ["default"]
    path = f"/servers/{made['id']}/os-security-groups"
    shown = site.compute.get(path, **by(alice))["security_groups"]
    assert [group["name"] for group in shown] == ["db", "default", "web"]
    assert shown[0]["tenant_id"] == alice.project
    listed = site.compute.get("/servers/detail", **by(alice))["servers"]
    assert {s["id"]: len(s["security_groups"]) for s in listed} == {made["id"]: 3, plain: 1}
    # Each address is shown once, in however many groups its port is.
    assert len(site.server(made["id"])["addresses"]["net"]) == 1


def test_a_server_in_a_group_that_is_not_there_is_refused(site: Site, alice: Person) -> None:
    a_group(site, "theirs", site.person("bob"))
    for _ in range(2):
        a_group(site, "twice", alice)
    for name in ("theirs", "web", NOTHING):
        answer = site.ask(alice, security_groups=[{"name": name}])
        assert answer.status_int == 400
        said = f"Security group {name} not found for project {alice.project}."
        assert answer.json["badRequest"]["message"] == said
    assert site.ask(alice, security_groups=[{"name": "twice"}]).status_int == 409
    api = Facade(site.cloud, "/network/v2.0")
    off = {"network": {"port_security_enabled": False}}
    api.put(f"/networks/{site.network_id}", off)
    a_group(site, "web", alice)
    answer = site.ask(alice, security_groups=[{"name": "web"}])
    assert answer.status_int == 400 and "port_security_enabled" in answer.text
    assert names(site, site.running(alice)) == []


def test_a_server_whose_group_goes_before_it_is_built_is_in_error(
    site: Site, alice: Person
) -> None:
    web = a_group(site, "web", alice)
    id = site.create(alice, security_groups=[{"name": "web"}])
    Facade(site.cloud, "/network/v2.0").delete(f"/security-groups/{web}", **by(alice))
    site.cloud.settle()
    shown = site.server(id)
    assert shown["status"] == "ERROR" and web in shown["fault"]["message"]


def test_a_server_is_put_into_a_group_and_taken_out(site: Site, alice: Person) -> None:
    web = a_group(site, "web", alice)
    id = site.running(alice, networks=[{"uuid": site.network_id}] * 2)
    for name in ("web", web):  # once more changes nothing
        site.act(id, "addSecurityGroup", {"name": name}, **by(alice))
        assert names(site, id) == ["default", "web"]
    api = Facade(site.cloud, "/network/v2.0")
    ports = api.get(f"/ports?device_id={id}", **by(alice))["ports"]
    assert [len(port["security_groups"]) for port in ports] == [2, 2]
    api.delete(f"/security-groups/{web}", status=409, **by(alice))
    for name in ("default", web):
        site.act(id, "removeSecurityGroup", {"name": name}, **by(alice))
    assert "security_groups" not in site.server(id)
    path = f"/servers/{id}/os-security-groups"
    assert site.compute.get(path, **by(alice)) == {"security_groups": []}
    said = refused(site, 404, id, "removeSecurityGroup", "web", alice)
    assert "not found" in said
    api.delete(f"/security-groups/{web}", **by(alice))
    refused(site, 404, id, "addSecurityGroup", "web", alice)
    refused(site, 400, id, "addSecurityGroup", "", alice)
    for _ in range(2):
        a_group(site, "twice", alice)
    refused(site, 409, id, "addSecurityGroup", "twice", alice)
    refused(site, 404, id, "addSecurityGroup", "default", site.person("bob"))


def test_a_server_without_ports_is_in_no_group(site: Site, alice: Person) -> None:
    id = site.running(alice, networks="none")
    refused(site, 404, id, "addSecurityGroup", "default", alice)
    assert "security_groups" not in site.server(id)


def test_what_is_plugged_in_keeps_its_groups_and_what_is_made_is_in_the_default(
    site: Site, alice: Person
) -> None:
    api = Facade(site.cloud, "/network/v2.0")
    web = a_group(site, "web", alice)
    port = {"network_id": site.network_id, "security_groups": [web]}
    mine = api.post("/ports", {"port": port}, **by(alice))["port"]["id"]
    id = site.running(alice, networks=[{"port": mine}], security_groups=[{"name": "default"}])
    assert names(site, id) == ["web"]
    body = {"interfaceAttachment": {"net_id": site.network_id}}
    site.compute.call("POST", f"/servers/{id}/os-interface", body, status=200, **by(alice))
    site.cloud.settle()
    assert names(site, id) == ["default", "web"]
    site.compute.call("DELETE", f"/servers/{id}", status=204, **by(alice))
    site.cloud.settle()
    assert api.get(f"/ports/{mine}", **by(alice))["port"]["security_groups"] == [web]


# --- the old words --------------------------------------------------------------------------------


@pytest.fixture
def old(alice: Person) -> Json:
    return {"version": "2.35", **by(alice)}


def make(site: Site, name: str, **old: Any) -> Json:
    body = {"security_group": {"name": name, "description": "d"}}
    made: Json = site.compute.call("POST", "/os-security-groups", body, status=200, **old).json
    return dict(made["security_group"])


def make_rule(site: Site, group: str, status: int = 200, **values: Any) -> Json:
    old = {name: values.pop(name) for name in ("version", "token")}
    body = {"security_group_rule": {"parent_group_id": group, **values}}
    made = site.compute.call("POST", "/os-security-group-rules", body, status=status, **old)
    return dict(made.json.get("security_group_rule", {}))


def test_groups_are_made_listed_changed_and_deleted(site: Site, alice: Person, old: Json) -> None:
    web = make(site, "web", **old)
    assert set(web) == {"id", "name", "description", "tenant_id", "rules"}
    assert (web["rules"], web["tenant_id"]) == ([], alice.project)
    path = f"/os-security-groups/{web['id']}"
    assert site.compute.get(path, **old) == {"security_group": web}
    default, listed = site.compute.get("/os-security-groups", **old)["security_groups"]
    assert listed == web and default["name"] == "default"
    some = site.compute.get("/os-security-groups?offset=1&limit=1", **old)["security_groups"]
    assert some == [web]
    (inside, _) = default["rules"]  # of both kinds of addresses
    assert inside["group"] == {"tenant_id": alice.project, "name": "default"}
    assert (inside["ip_range"], inside["ip_protocol"], inside["from_port"]) == ({}, None, None)
    body = {"security_group": {"name": " www ", "description": " other "}}
    changed = site.compute.put(path, body, **old)["security_group"]
    assert (changed["name"], changed["description"]) == (" www ", " other ")  # as it was said
    site.compute.put(path, {"security_group": {"name": "www", "description": ""}}, **old)
    server = site.running(alice, security_groups=[{"name": "www"}])
    site.refused(400, "DELETE", path, **old)  # in use
    site.compute.call("DELETE", f"/servers/{server}", status=204, **by(alice))
    site.cloud.settle()
    site.compute.call("DELETE", path, status=202, **old)
    site.refused(404, "GET", path, **old)
    theirs = f"/os-security-groups/{default['id']}"
    site.refused(400, "DELETE", theirs, **old)
    site.refused(400, "PUT", theirs, {"security_group": {"name": "x"}}, **old)
    for method, said in (("GET", None), ("DELETE", None), ("PUT", body)):
        site.refused(404, method, f"/os-security-groups/{NOTHING}", said, **old)
        site.refused(400, method, "/os-security-groups/999", said, **old)
    site.refused(404, "GET", "/os-security-groups", version="2.36")


def test_an_administrator_lists_the_groups_of_all_projects_on_demand(
    site: Site, alice: Person, old: Json
) -> None:
    mine = make(site, "web", **old)
    ours = make(site, "admin's", version="2.35")

    def listed(query: str = "", **how: Any) -> list[str]:
        found = site.compute.get(f"/os-security-groups{query}", **how)["security_groups"]
        return [each["name"] for each in found]

    assert {mine["name"], ours["name"]} <= set(listed("?all_tenants=true", version="2.35"))
    assert listed(version="2.35") == ["admin's", "default"]
    assert listed("?all_tenants=true", **old) == ["default", "web"]


def test_there_may_be_so_many_groups(site: Site, alice: Person, old: Json) -> None:
    Facade(site.cloud, "/network/v2.0").put(
        f"/quotas/{alice.project}", {"quota": {"security_group": 1}}
    )
    body = {"security_group": {"name": "web", "description": ""}}
    site.compute.call("POST", "/os-security-groups", body, status=403, **old)
    limits = site.compute.get("/limits", **old)["limits"]["absolute"]
    assert limits["maxSecurityGroups"] == 1 and limits["maxSecurityGroupRules"] == 100


def test_rules_are_for_what_comes_in(site: Site, alice: Person, old: Json) -> None:
    web, peers = make(site, "web", **old)["id"], make(site, "peers", **old)["id"]
    ssh: Json = {"ip_protocol": "tcp", "from_port": 22, "to_port": "22"}
    made = make_rule(site, web, **ssh, **old)
    expected = {
        "parent_group_id": web,
        **{"ip_protocol": "tcp", "from_port": 22, "to_port": 22},
        **{"group": {}, "ip_range": {"cidr": "0.0.0.0/0"}},
    }
    assert made == {**expected, "id": made["id"]}
    near = make_rule(site, web, **ssh, cidr="10.2.3.124/24", **old)
    assert near["ip_range"] == {"cidr": "10.2.3.124/24"}
    six = make_rule(site, web, **ssh, cidr="::/0", **old)
    assert six["ip_range"] == {"cidr": "::/0"}
    theirs = make_rule(site, web, **ssh, group_id=peers, **old)
    assert theirs["group"] == {"tenant_id": alice.project, "name": "peers"}
    assert theirs["ip_range"] == {}
    ping = make_rule(site, web, ip_protocol="icmp", from_port=-1, to_port=-1, **old)
    assert (ping["from_port"], ping["to_port"]) == (-1, -1)
    every = make_rule(site, web, ip_protocol="UDP", from_port=-1, to_port=-1, **old)
    assert (every["from_port"], every["to_port"]) == (1, 65535)
    anything = make_rule(site, web, group_id=peers, **old)
    assert anything["ip_protocol"] is None

    def shown() -> list[str]:
        group = site.compute.get(f"/os-security-groups/{web}", **old)["security_group"]
        return [rule["id"] for rule in group["rules"]]

    all_of_them = (made, near, six, theirs, ping, every, anything)
    assert set(shown()) == {rule["id"] for rule in all_of_them}
    path = f"/os-security-group-rules/{made['id']}"
    site.compute.call("DELETE", path, status=202, **old)
    site.refused(404, "DELETE", path, **old)
    site.compute.call("DELETE", f"/os-security-groups/{peers}", status=202, **old)
    assert set(shown()) == {rule["id"] for rule in (near, six, ping, every)}


def test_rules_that_cannot_be_are_refused(site: Site, alice: Person, old: Json) -> None:
    web = make(site, "web", **old)["id"]
    ssh: Json = {"ip_protocol": "tcp", "from_port": 22, "to_port": 22}
    make_rule(site, web, **ssh, **old)
    for status, values in (
        (400, {}),  # there is one like it
        (400, {"ip_protocol": "999"}),
        (400, {"ip_protocol": None}),
        (400, {"from_port": 65536}),
        (400, {"to_port": "x"}),
        (400, {"to_port": 65536}),
        (400, {"to_port": 21}),
        (400, {"cidr": "bad"}),
        (400, {"group_id": "bad"}),
        (404, {"group_id": NOTHING}),
        (400, {"ip_protocol": None, "from_port": None, "to_port": None}),
    ):
        make_rule(site, web, status, **{**ssh, **values}, **old)
    make_rule(site, NOTHING, 404, **ssh, **old)
    make_rule(site, "non-uuid", 400, **ssh, **old)
    site.refused(404, "DELETE", f"/os-security-group-rules/{NOTHING}", **old)
    site.refused(400, "DELETE", "/os-security-group-rules/1", **old)
