"""Security groups, their rules, and the ports that are in them, as the network API has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Port, PortSecurityGroup, SecurityGroup, SecurityGroupRule
from nova_lite.db.queries import security_groups as queries
from nova_lite.domain.specs import FilterRule
from nova_lite.testing.cloud import Facade
from tests.functional.compute_site import Person, Site

Json = dict[str, Any]
NOTHING = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, hosts=1)
    yield site
    site.cloud.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Facade, str]]:
    """One group for many rules that do not stay."""
    site = Site(tmp_path_factory.mktemp("bench"), hosts=1)
    api = Facade(site.cloud, "/network/v2.0")
    yield api, a_group(api)["id"]
    site.cloud.close()


@pytest.fixture
def api(site: Site) -> Facade:
    return Facade(site.cloud, "/network/v2.0")


@pytest.fixture
def alice(site: Site) -> Person:
    return site.person("alice")


def groups(api: Facade, query: str = "", **how: Any) -> list[Json]:
    return list(api.get(f"/security-groups{query}", **how)["security_groups"])


def rules(api: Facade, query: str = "", **how: Any) -> list[Json]:
    return list(api.get(f"/security-group-rules{query}", **how)["security_group_rules"])


def a_group(api: Facade, name: str = "web", token: str | None = None, **values: Any) -> Json:
    body = {"security_group": {"name": name, **values}}
    made: Json = api.post("/security-groups", body, status=201, token=token)["security_group"]
    return made


def a_rule(
    api: Facade, group: str, status: int = 201, token: str | None = None, **values: Any
) -> Json:
    rule = {"security_group_id": group, "direction": "ingress", **values}
    body = {"security_group_rule": rule}
    answer: Json = api.call("POST", "/security-group-rules", body, status=status, token=token).json
    return dict(answer.get("security_group_rule", answer))


def refusal(api: Facade, status: int, group: str, **values: Any) -> str:
    return str(a_rule(api, group, status, **values)["NeutronError"]["message"])


def a_port(api: Facade, network: str, token: str | None = None, **values: Any) -> Json:
    body = {"port": {"network_id": network, **values}}
    made: Json = api.post("/ports", body, status=201, token=token)["port"]
    return made


def filters(site: Site, port: str) -> tuple[FilterRule, ...] | None:
    with site.cloud.database.read() as session:
        return queries.rules_of(session, [UUID(port)])[UUID(port)]


# --- groups -----------------------------------------------------------------------------------


def test_every_project_has_a_default_group(site: Site, api: Facade, alice: Person) -> None:
    (group,) = groups(api, token=alice.token)
    assert (group["name"], group["project_id"]) == ("default", alice.project)
    assert set(group) == {
        *("id", "name", "description", "tenant_id", "project_id", "security_group_rules"),
        *("created_at", "updated_at"),
    }
    said = [
        (rule["direction"], rule["ethertype"], rule["remote_group_id"])
        for rule in group["security_group_rules"]
    ]
    id = group["id"]
    inside, outwards = (
        [(way, version, remote) for version in ("IPv4", "IPv6")]
        for way, remote in (("ingress", id), ("egress", None))
    )
    assert sorted(said, key=str) == sorted([*inside, *outwards], key=str)
    assert groups(api, token=alice.token) == [group]
    path = f"/security-groups/{id}"
    assert api.get(path, token=alice.token) == {"security_group": group}
    api.delete(path, token=alice.token, status=409)
    renamed = {"security_group": {"name": "other"}}
    api.put(path, renamed, token=alice.token, status=409)
    described = {"security_group": {"description": "ours"}}
    changed = api.put(path, described, token=alice.token)["security_group"]
    assert (changed["name"], changed["description"]) == ("default", "ours")


def test_a_group_lets_its_guests_talk_and_nobody_to_them(api: Facade, alice: Person) -> None:
    how: Json = {"token": alice.token}
    made = a_group(api, description="d", **how)
    again = a_group(api, **how)  # names may repeat
    assert {each["name"] for each in groups(api, **how)} == {"default", "web"}
    assert len(groups(api, "?name=web", **how)) == 2
    said = {(r["direction"], r["ethertype"]) for r in made["security_group_rules"]}
    assert said == {("egress", "IPv4"), ("egress", "IPv6")}
    assert groups(api, f"?id={made['id']}&fields=name", **how) == [{"name": "web"}]
    path = f"/security-groups/{made['id']}"
    changed = api.put(path, {"security_group": {"name": "www"}}, **how)["security_group"]
    assert (changed["name"], changed["description"]) == ("www", "d")
    api.delete(path, **how)
    api.get(path, status=404, **how)
    assert [each["id"] for each in groups(api, "?name=web", **how)] == [again["id"]]
    gone = rules(api, f"?security_group_id={made['id']}", **how)
    assert gone == [] and len(rules(api, f"?security_group_id={again['id']}", **how)) == 2


def test_there_is_no_second_default_group(api: Facade, alice: Person) -> None:
    how: Json = {"token": alice.token}
    made = a_group(api, **how)["id"]
    named = {"security_group": {"name": "default"}}
    api.post("/security-groups", named, status=409, **how)
    api.put(f"/security-groups/{made}", named, status=409, **how)
    api.post("/security-groups", {"security_group": {"stateful": False}}, status=400, **how)


def test_an_administrator_sees_all_groups_and_others_only_theirs(
    site: Site, api: Facade, alice: Person
) -> None:
    bob = site.person("bob")
    mine = a_group(api, token=alice.token)
    assert {each["project_id"] for each in groups(api, token=bob.token)} == {bob.project}
    (rule, *_) = mine["security_group_rules"]
    for method, path, body in (
        ("GET", f"/security-groups/{mine['id']}", None),
        ("PUT", f"/security-groups/{mine['id']}", {"security_group": {"name": "x"}}),
        ("DELETE", f"/security-groups/{mine['id']}", None),
        ("GET", f"/security-group-rules/{rule['id']}", None),
        ("DELETE", f"/security-group-rules/{rule['id']}", None),
        ("GET", f"/security-groups/{NOTHING}", None),
        ("GET", "/security-groups/x", None),
        ("GET", "/security-group-rules/x", None),
    ):
        api.call(method, path, body, status=404, token=bob.token)
    a_rule(api, mine["id"], 404, token=bob.token)
    his = a_group(api, token=bob.token)["id"]
    a_rule(api, his, 404, token=bob.token, remote_group_id=mine["id"])
    theirs = groups(api, f"?project_id={alice.project}")
    assert {each["name"] for each in theirs} == {"default", "web"}
    made = a_group(api, "hers", project_id=alice.project)
    assert made["tenant_id"] == alice.project
    body = {"security_group": {"project_id": alice.project}}
    api.post("/security-groups", body, status=403, token=bob.token)
    reader = site.person("eve", "reader", alice)
    assert len(groups(api, token=reader.token)) == 3
    for where in ("security-groups", f"security-groups/{made['id']}", "security-group-rules"):
        method = "DELETE" if where.endswith(made["id"]) else "POST"
        api.call(method, f"/{where}", {}, status=403, token=reader.token)


def test_groups_are_sorted_and_paged(api: Facade, alice: Person) -> None:
    how: Json = {"token": alice.token}
    for name in ("c", "a", "b"):
        a_group(api, name, **how)
    page = api.get("/security-groups?sort_key=name&sort_dir=desc&limit=2", **how)
    assert [each["name"] for each in page["security_groups"]] == ["default", "c"]
    (link,) = page["security_groups_links"]
    path = link["href"].removeprefix("http://localhost/network/v2.0")
    rest = api.get(path, **how)
    assert [each["name"] for each in rest["security_groups"]] == ["b", "a"]
    api.get("/security-groups?colour=red", status=400, **how)


def test_there_may_be_so_many_groups_and_rules(api: Facade, alice: Person) -> None:
    how: Json = {"token": alice.token}
    a_group(api, **how)
    used = api.get(f"/quotas/{alice.project}/details", **how)["quota"]
    assert used["security_group"] == {"limit": 10, "used": 2, "reserved": 0}
    assert used["security_group_rule"] == {"limit": 100, "used": 6, "reserved": 0}
    limits = {"security_group": 3, "security_group_rule": 9}
    api.put(f"/quotas/{alice.project}", {"quota": limits})
    id = a_group(api, **how)["id"]
    body = {"security_group": {"name": "one more"}}
    said = api.post("/security-groups", body, status=409, **how)
    assert "Quota exceeded for" in str(said)
    a_rule(api, id, **how)
    assert "uota" in refusal(api, 409, id, protocol="tcp", **how)


# --- rules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [
        {"protocol": "tcp", "port_range_min": 77, "port_range_max": 77},
        {"protocol": "udp", "port_range_min": 1, "port_range_max": 65535},
        {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
        {"protocol": "icmp", "port_range_min": 11},
        {"protocol": "ipv6-icmp", "port_range_min": 128, "ethertype": "IPv6"},
        {"protocol": "icmp", "ethertype": "IPv6"},
        {"protocol": "sctp", "remote_ip_prefix": "10.2.3.124/24"},
        {"direction": "egress", "protocol": "vrrp", "description": "d"},
        {"remote_ip_prefix": "2001:db8::/32", "ethertype": "IPv6"},
    ],
)
def test_a_rule_is_shown_as_it_was_said(bench: tuple[Facade, str], values: Json) -> None:
    api, group = bench
    made = a_rule(api, group, **values)
    expected = {
        "direction": "ingress",
        "ethertype": "IPv4",
        **dict.fromkeys(("protocol", "port_range_min", "port_range_max")),
        **dict.fromkeys(("remote_ip_prefix", "remote_group_id")),
        "description": "",
        "security_group_id": group,
        **values,
    }
    assert {name: made[name] for name in expected} == expected
    assert api.get(f"/security-group-rules/{made['id']}") == {"security_group_rule": made}
    assert made in api.get(f"/security-groups/{group}")["security_group"]["security_group_rules"]
    assert made in rules(api, f"?security_group_id={group}&direction={made['direction']}")
    refusal(api, 409, group, **values)
    api.delete(f"/security-group-rules/{made['id']}")
    api.delete(f"/security-group-rules/{made['id']}", status=404)


def test_a_rule_has_one_form_however_it_is_said(api: Facade) -> None:
    group = a_group(api)["id"]
    shown = a_rule(
        api, group, ethertype="ipv4", protocol=17, port_range_min="5", port_range_max="6"
    )
    assert (shown["ethertype"], shown["protocol"]) == ("IPv4", "17")
    assert (shown["port_range_min"], shown["port_range_max"]) == (5, 6)
    refusal(api, 409, group, protocol="UDP", port_range_min=5, port_range_max=6)
    one = a_rule(api, group, remote_ip_prefix="10.0.0.1")
    assert (one["remote_ip_prefix"], one["normalized_cidr"]) == ("10.0.0.1/32", "10.0.0.1/32")
    net = a_rule(api, group, remote_ip_prefix="10.2.3.124/24")
    assert (net["remote_ip_prefix"], net["normalized_cidr"]) == ("10.2.3.124/24", "10.2.3.0/24")
    refusal(api, 409, group, remote_ip_prefix="10.2.3.0/24")
    a_rule(api, group, protocol="any")
    refusal(api, 409, group, remote_ip_prefix="0.0.0.0/0")
    a_rule(api, group, ethertype="IPv6", protocol="icmp")
    refusal(api, 409, group, ethertype="IPv6", protocol="ipv6-icmp")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"protocol": "tcp", "port_range_min": -16, "port_range_max": 80}, "value for port -16"),
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 79}, "must be <="),
        ({"protocol": "tcp", "port_range_min": 80, "port_range_max": 65536}, "for port 65536"),
        ({"protocol": "tcp", "port_range_max": 6}, "port_range_min must be <= port_range_max"),
        ({"protocol": "tcp", "port_range_min": 6}, "port_range_min must be <= port_range_max"),
        ({"protocol": "tcp", "port_range_min": 0, "port_range_max": 6}, "port 0"),
        ({"protocol": "tcp", "port_range_min": "x", "port_range_max": 6}, "port x"),
        ({"protocol": "icmp", "port_range_min": 1, "port_range_max": 256}, "ICMP code"),
        ({"protocol": "icmp", "port_range_max": 6}, "ICMP type (port-range-min) is missing"),
        ({"protocol": "icmp", "port_range_min": 300, "port_range_max": 1}, "ICMP type"),
        ({"protocol": "icmp", "port_range_min": -1, "port_range_max": 25}, "Invalid value"),
        ({"protocol": "vrrp", "port_range_min": 1, "port_range_max": 2}, "vrrp"),
        ({"port_range_min": 1, "port_range_max": 2}, "protocol"),
        ({"protocol": "bad_protocol"}, "bad_protocol not supported"),
        ({"protocol": 256}, "256 not supported"),
        ({"protocol": "ipv6-icmp"}, "Invalid ethertype"),
        ({"ethertype": "bad"}, "ethertype"),
        ({"direction": "sideways"}, "direction"),
        ({"remote_ip_prefix": "192.168.1./24"}, "192.168.1./24"),
        ({"remote_ip_prefix": "192.168.1.1/33"}, "CIDR"),
        ({"remote_ip_prefix": "256"}, "CIDR"),
        ({"remote_ip_prefix": "fe80::1%eth0", "ethertype": "IPv6"}, "CIDR"),
        ({"remote_ip_prefix": "2001:db8::/32"}, "Conflicting value ethertype"),
        ({"remote_ip_prefix": "10.0.0.0/8", "ethertype": "IPv6"}, "Conflicting value ethertype"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": str(uuid4())}, "Only"),
        ({"project_id": "another"}, "project"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(
    bench: tuple[Facade, str], values: Json, said: str
) -> None:
    api, group = bench
    assert said in refusal(api, 400, group, **values)


def test_a_rule_about_a_group_goes_with_it(api: Facade) -> None:
    web, peers = a_group(api)["id"], a_group(api, "peers")["id"]
    for nobody in (NOTHING, "bad_group_id"):
        refusal(api, 404, web, remote_group_id=nobody)
        refusal(api, 404, nobody)
    made = a_rule(api, web, protocol="udp", remote_group_id=peers)
    assert made["remote_group_id"] == peers and made["remote_ip_prefix"] is None
    assert rules(api, f"?remote_group_id={peers}") == [made]
    api.delete(f"/security-groups/{peers}")
    api.get(f"/security-group-rules/{made['id']}", status=404)


def test_several_rules_are_made_at_once_or_none(api: Facade) -> None:
    group = a_group(api)["id"]
    one = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    other = {**one, "protocol": "udp"}
    made = api.post("/security-group-rules", {"security_group_rules": [one, other]}, status=201)
    assert [r["protocol"] for r in made["security_group_rules"]] == ["tcp", "udp"]
    twice = {**one, "protocol": "icmp"}
    both = {"security_group_rules": [twice, twice]}
    api.post("/security-group-rules", both, status=409)
    assert rules(api, f"?security_group_id={group}&protocol=icmp") == []


# --- ports --------------------------------------------------------------------------------------


def test_a_port_is_in_the_default_group_unless_it_says_otherwise(
    site: Site, api: Facade, alice: Person
) -> None:
    how: Json = {"token": alice.token}
    plain = a_port(api, site.network_id, **how)
    (default,) = groups(api, **how)
    assert plain["security_groups"] == [default["id"]] and plain["port_security_enabled"]
    web, db = (a_group(api, name, **how)["id"] for name in ("web", "db"))
    chosen = a_port(api, site.network_id, security_groups=[web, db, web], **how)
    assert set(chosen["security_groups"]) == {web, db}
    assert a_port(api, site.network_id, security_groups=[], **how)["security_groups"] == []
    found = api.get(f"/ports?security_groups={web}", **how)["ports"]
    assert [each["id"] for each in found] == [chosen["id"]]
    path = f"/ports/{chosen['id']}"
    for wanted in ([db], [default["id"], db], []):
        body = {"port": {"security_groups": wanted}}
        assert set(api.put(path, body, **how)["port"]["security_groups"]) == set(wanted)
        assert set(api.get(path, **how)["port"]["security_groups"]) == set(wanted)
    for other in (NOTHING, a_group(api, "admin's")["id"]):
        for method, where in (("PUT", path), ("POST", "/ports")):
            values: Json = {"security_groups": [other]}
            values |= {} if method == "PUT" else {"network_id": site.network_id}
            api.call(method, where, {"port": values}, status=404, **how)


def test_a_group_in_use_stays(site: Site, api: Facade, alice: Person) -> None:
    how: Json = {"token": alice.token}
    web = a_group(api, **how)["id"]
    port = a_port(api, site.network_id, security_groups=[web], **how)["id"]
    api.delete(f"/security-groups/{web}", status=409, **how)
    api.delete(f"/ports/{port}", **how)
    api.delete(f"/security-groups/{web}", **how)


def test_port_security_is_the_word_of_who_owns_the_network(
    site: Site, api: Facade, alice: Person
) -> None:
    how: Json = {"token": alice.token}
    on: Json
    off: Json
    on, off = {"port_security_enabled": True}, {"port_security_enabled": False}
    foreign = a_port(api, site.network_id, **how)
    nothing: Json = {"security_groups": []}
    api.put(f"/ports/{foreign['id']}", {"port": {**off, **nothing}}, status=403, **how)
    api.post("/ports", {"port": {"network_id": site.network_id, **off}}, status=403, **how)
    net = api.post("/networks", {"network": {}}, **how)["network"]
    assert net["port_security_enabled"] is True
    port = a_port(api, net["id"], **how)
    path = f"/ports/{port['id']}"
    api.put(path, {"port": off}, status=409, **how)
    body = {"port": {**off, "security_groups": port["security_groups"]}}
    api.put(path, body, status=400, **how)
    freed = api.put(path, {"port": {**off, **nothing}}, **how)["port"]
    assert freed["port_security_enabled"] is False and freed["security_groups"] == []
    assert filters(site, port["id"]) is None
    back = {"port": {**on, "security_groups": port["security_groups"]}}
    assert api.put(path, back, **how)["port"]["security_groups"] == port["security_groups"]
    assert filters(site, port["id"])
    shown = api.put(f"/networks/{net['id']}", {"network": off}, **how)["network"]
    assert shown["port_security_enabled"] is False
    assert a_port(api, net["id"], **how)["security_groups"] == []
    assert a_port(api, net["id"], **on, **how)["security_groups"]
    body = {"port": {"network_id": net["id"], "security_groups": port["security_groups"]}}
    api.post("/ports", body, status=400, **how)


# --- what they mean -----------------------------------------------------------------------------


def test_the_filters_of_a_port_are_all_its_groups_rules(site: Site, api: Facade) -> None:
    web, peers = a_group(api)["id"], a_group(api, "peers")["id"]
    a_rule(api, web, protocol="6", port_range_min=22, port_range_max=22)
    a_rule(api, web, protocol="icmp", remote_ip_prefix="0.0.0.0/0")
    a_rule(api, web, protocol="icmpv6", ethertype="IPv6")
    a_rule(api, web, protocol="udp", remote_group_id=peers)
    a_rule(api, web, protocol="99", remote_ip_prefix="10.2.3.124/24")
    port = a_port(api, site.network_id, security_groups=[web, peers])
    address = port["fixed_ips"][0]["ip_address"]
    assert set(filters(site, port["id"]) or ()) == {
        FilterRule("egress", "IPv4"),
        FilterRule("egress", "IPv6"),
        FilterRule("ingress", "IPv4", "tcp", 22, 22),
        FilterRule("ingress", "IPv4", "icmp"),
        FilterRule("ingress", "IPv6", "ipv6-icmp"),
        FilterRule("ingress", "IPv4", "udp", remotes=(f"{address}/32",)),
        FilterRule("ingress", "IPv4", "99", remotes=("10.2.3.0/24",)),
    }
    assert len(filters(site, port["id"]) or ()) == 7  # each but once
    api.delete(f"/ports/{port['id']}")
    other = a_port(api, site.network_id, security_groups=[web])
    nobody = FilterRule("ingress", "IPv4", "udp", remotes=())
    assert nobody in (filters(site, other["id"]) or ())
    alone = a_port(api, site.network_id, security_groups=[])
    assert filters(site, alone["id"]) == ()


# --- how they go ----------------------------------------------------------------------------------


def test_the_groups_of_a_project_go_with_it(site: Site, api: Facade, alice: Person) -> None:
    made = a_group(api, token=alice.token)["id"]
    lent = a_port(api, site.network_id, security_groups=[made])
    site.identity.delete(f"/projects/{alice.project}")
    with site.cloud.database.read() as session:
        for model in (SecurityGroup, SecurityGroupRule):
            left = sa.select(sa.func.count()).where(model.project_id == alice.project)
            assert session.scalar(left) == 0
        assert session.scalar(sa.select(PortSecurityGroup.port_id).limit(1)) is None
        assert session.get(Port, UUID(lent["id"])) is not None


def test_an_administrator_may_clean_up_a_default_group(site: Site, api: Facade) -> None:
    (group,) = [each for each in groups(api) if each["name"] == "default"]
    api.delete(f"/security-groups/{group['id']}")
    (again,) = [each for each in groups(api) if each["name"] == "default"]
    assert again["id"] != group["id"]


# --- what follows from networks -----------------------------------------------------------------


def test_what_is_shared_is_a_policy_that_can_be_looked_at(
    site: Site, api: Facade, alice: Person
) -> None:
    (shared,) = api.get("/rbac-policies")["rbac_policies"]
    assert shared["object_id"] == site.network_id and shared["object_type"] == "network"
    assert (shared["action"], shared["target_tenant"]) == ("access_as_shared", "*")
    assert api.get(f"/rbac-policies/{shared['id']}") == {"rbac_policy": shared}
    assert api.get("/rbac-policies?object_type=qos_policy")["rbac_policies"] == []
    assert api.get("/rbac-policies", token=alice.token)["rbac_policies"] == []
    for id in (NOTHING, "x"):
        api.get(f"/rbac-policies/{id}", status=404)


def test_how_full_a_network_is(site: Site, api: Facade, alice: Person) -> None:
    bare = api.post("/networks", {"network": {"name": "bare"}})["network"]["id"]
    a_port(api, site.network_id)
    path = "/network-ip-availabilities"
    found = api.get(path)["network_ip_availabilities"]
    by_id = {each["network_id"]: each for each in found}
    assert (by_id[bare]["total_ips"], by_id[bare]["subnet_ip_availability"]) == (0, [])
    full = by_id[site.network_id]
    (subnet,) = full["subnet_ip_availability"]
    assert (full["total_ips"], full["used_ips"]) == (65533, 1)
    assert (subnet["total_ips"], subnet["used_ips"], subnet["ip_version"]) == (65533, 1, 4)
    assert api.get(f"{path}/{site.network_id}") == {"network_ip_availability": full}
    assert api.get(f"{path}?ip_version=4")["network_ip_availabilities"] == [full]
    assert api.get(f"{path}?network_name=net")["network_ip_availabilities"] == [full]
    api.get(f"{path}/{NOTHING}", status=404)
    api.get(path, token=alice.token, status=403)
