"""The network API as its clients see it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Network, Port, Subnet
from nova_lite.db.queries import networks as queries
from nova_lite.testing.cloud import PASSWORD, Cloud, Facade

Json = dict[str, Any]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    yield cloud
    cloud.close()


@pytest.fixture
def api(cloud: Cloud) -> Facade:
    """As an administrator."""
    return Facade(cloud, "/network/v2.0")


def someone(cloud: Cloud, name: str, role: str = "member") -> tuple[str, str]:
    """A new user of a new project: its token and the project's id."""
    identity = Facade(cloud, "/identity/v3")
    domain = {"domain_id": "default"}
    project = identity.post("/projects", {"project": {"name": name, **domain}})["project"]["id"]
    user = {"name": name, "password": f"{name}-{PASSWORD}", **domain}
    user_id = identity.post("/users", {"user": user})["user"]["id"]
    roles = {each["name"]: each["id"] for each in identity.get("/roles")["roles"]}
    identity.put(f"/projects/{project}/users/{user_id}/roles/{roles[role]}", None)
    return cloud.token(name, f"{name}-{PASSWORD}", name), project


@pytest.fixture
def alice(cloud: Cloud) -> tuple[str, str]:
    return someone(cloud, "alice")


def network(api: Facade, **values: Any) -> Json:
    token = values.pop("token", None)
    made: Json = api.post("/networks", {"network": values}, status=201, token=token)["network"]
    return made


def subnet(api: Facade, network_id: str, cidr: str = "10.0.0.0/24", **values: Any) -> Json:
    token = values.pop("token", None)
    body = {"subnet": {"network_id": network_id, "cidr": cidr, "ip_version": 4, **values}}
    made: Json = api.post("/subnets", body, status=201, token=token)["subnet"]
    return made


def port(api: Facade, network_id: str, **values: Any) -> Json:
    token = values.pop("token", None)
    body = {"port": {"network_id": network_id, **values}}
    made: Json = api.post("/ports", body, status=201, token=token)["port"]
    return made


def message(answer: Json) -> str:
    return str(answer["NeutronError"]["message"])


# --- what it is -------------------------------------------------------------------------------


def test_the_version_documents_need_no_token_and_link_to_the_outside(cloud: Cloud) -> None:
    root = cloud.networks.get("/", token="")
    assert root["versions"] == [
        {
            "id": "v2.0",
            "status": "CURRENT",
            "links": [{"rel": "self", "href": "http://localhost/network/v2.0/"}],
        }
    ]
    for path in ("/v2.0", "/v2.0/"):
        resources = cloud.networks.get(path, token="")["resources"]
        assert {"network", "subnet", "port"} <= {each["name"] for each in resources}


def test_every_resource_that_is_claimed_is_served(cloud: Cloud, api: Facade) -> None:
    for resource in cloud.networks.get("/v2.0/")["resources"]:
        path = f"/{resource['collection']}"
        answer = api.call("GET", f"{path}/x" if path == "/quotas" else path)
        assert answer.status_int == 200, path


def test_extensions_are_listed_and_shown_and_others_are_404(api: Facade) -> None:
    aliases = {each["alias"] for each in api.get("/extensions")["extensions"]}
    assert {"provider", "project-id", "pagination", "sorting", "net-mtu"} <= aliases
    assert {"security-group", "port-security", "quotas", "quota_details"} <= aliases
    assert not aliases & {"router", "rbac-policies", "standard-attr-revisions", "binding"}
    for alias in aliases:
        assert api.get(f"/extensions/{alias}")["extension"]["alias"] == alias
    assert "router" in message(api.get("/extensions/router", status=404))


@pytest.mark.parametrize("path", ["/routers", "/floatingips", "/nonsense"])
def test_what_is_not_served_is_404_in_neutrons_form(api: Facade, path: str) -> None:
    for method in ("GET", "POST"):
        answer = api.call(method, path, {} if method == "POST" else None, status=404).json
        assert answer["NeutronError"].keys() == {"type", "message", "detail"}


def test_without_a_token_one_is_401_and_the_wrong_method_405(api: Facade) -> None:
    assert api.get("/networks", token="", status=401)["NeutronError"]["type"] == "HTTPUnauthorized"
    assert api.call("PATCH", "/networks", status=405).json["NeutronError"]


# --- networks -----------------------------------------------------------------------------------


def test_a_projects_network_is_flat_dhcp_and_its_own(
    api: Facade, alice: tuple[str, str], cloud: Cloud
) -> None:
    token, project = alice
    made = network(api, name="blue", admin_state_up=True, token=token)
    assert made["project_id"] == made["tenant_id"] == project
    assert (made["name"], made["status"], made["shared"]) == ("blue", "ACTIVE", False)
    assert made["subnets"] == [] and made["mtu"] == 1500 and made["router:external"] is False
    assert not any(key.startswith("provider:") for key in made)
    assert api.get(f"/networks/{made['id']}", token=token)["network"] == made
    seen = api.get(f"/networks/{made['id']}")["network"]
    assert seen["provider:network_type"] == "flatdhcp"
    assert seen["provider:segmentation_id"] is None


def test_the_first_network_gets_the_configured_bridge_and_the_next_one_of_its_own(
    api: Facade, cloud: Cloud
) -> None:
    first, second = network(api, name="a"), network(api, name="b")
    with cloud.database.read() as session:
        bridges = {str(n.id): n.bridge for n in session.scalars(sa.select(Network))}
    assert bridges[first["id"]] == "br100"
    assert bridges[second["id"]] == f"br{second['id'][:8]}"


def test_the_flat_interface_joins_the_configured_bridge_and_no_other(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, options_={"network.flat_interface": "eth1"})
    api = Facade(cloud, "/network/v2.0")
    made = [network(api), network(api)]
    assert [net["provider:physical_network"] for net in made] == ["eth1", None]
    api.post("/networks", {"network": {"provider:physical_network": "eth1"}}, status=409)
    assert network(api, **{"provider:physical_network": "eth2"})["provider:physical_network"]
    api.post("/networks", {"network": {"provider:physical_network": "eth2"}}, status=409)
    flat = {"provider:network_type": "flat", "provider:physical_network": "br-lan"}
    assert network(api, **flat)["provider:physical_network"] == "br-lan"
    assert "br-lan" in message(api.post("/networks", {"network": flat}, status=409))
    cloud.close()


def test_who_asks_for_the_configured_interface_gets_the_configured_bridge(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, options_={"network.flat_interface": "eth1"})
    api = Facade(cloud, "/network/v2.0")
    made = network(api, **{"provider:physical_network": "eth1"})
    with cloud.database.read() as session:
        assert session.scalars(sa.select(Network.bridge)).all() == ["br100"]
    assert made["provider:physical_network"] == "eth1"
    cloud.close()


def test_only_an_administrator_says_how_a_network_is_made_shares_it_or_makes_it_for_others(
    api: Facade, alice: tuple[str, str]
) -> None:
    token, project = alice
    for values in (
        {"provider:network_type": "flat"},
        {"provider:physical_network": "eth0"},
        {"shared": True},
        {"project_id": "another"},
    ):
        answer = api.post("/networks", {"network": values}, token=token, status=403)
        assert answer["NeutronError"]["type"] == "PolicyNotAuthorized"
    network(api, shared=False, token=token)
    assert network(api, shared=True, tenant_id=project)["project_id"] == project
    for reader in ("vlan", "vxlan", 7):
        api.post("/networks", {"network": {"provider:network_type": reader}}, status=400)


def test_a_reader_looks_and_does_not_touch(api: Facade, cloud: Cloud) -> None:
    token, _ = someone(cloud, "rita", "reader")
    assert api.get("/networks", token=token) == {"networks": []}
    api.post("/networks", {"network": {}}, token=token, status=403)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": 7}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "line\x00feed"}, "name"),
        ({"admin_state_up": False}, "admin_state_up"),
        ({"router:external": True}, "router:external"),
        ({"provider:segmentation_id": 7}, "segmentation_id"),
        ({"provider:physical_network": "../../etc/x"}, "physical_network"),
        ({"provider:physical_network": "sixteen-letters-"}, "physical_network"),
        ({"mtu": 9000}, "network"),
        ({"nonsense": 1}, "network"),
    ],
)
def test_a_bad_network_is_refused_by_name(api: Facade, values: Json, field: str) -> None:
    answer = api.post("/networks", {"network": values}, status=400)
    assert field in message(answer) and answer["NeutronError"]["type"] == "HTTPBadRequest"


@pytest.mark.parametrize("body", [{}, {"network": {}, "networks": [{}]}, {"networks": []}, [], 7])
def test_a_body_is_one_thing_or_several(api: Facade, body: Any) -> None:
    api.post("/networks", body, status=400)
    api.call("POST", "/networks", data=b"{", status=400)


def test_several_networks_are_made_at_once_or_not_at_all(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path, options_={"quota.networks": 3})
    api = Facade(cloud, "/network/v2.0")
    made = api.post("/networks", {"networks": [{"name": "a"}, {"name": "b"}]}, status=201)
    assert [each["name"] for each in made["networks"]] == ["a", "b"]
    answer = api.post("/networks", {"networks": [{}, {}]}, status=409)
    assert "Quota exceeded" in message(answer)
    assert len(api.get("/networks")["networks"]) == 2
    cloud.close()


def test_a_network_of_others_is_404_and_a_shared_one_is_for_all_to_use_and_few_to_change(
    api: Facade, alice: tuple[str, str]
) -> None:
    token, _ = alice
    private, shared = network(api, name="private"), network(api, name="shared", shared=True)
    net = subnet(api, shared["id"])
    hidden = subnet(api, private["id"], "10.1.0.0/24")
    assert [n["name"] for n in api.get("/networks", token=token)["networks"]] == ["shared"]
    assert [s["id"] for s in api.get("/subnets", token=token)["subnets"]] == [net["id"]]
    for path in (f"/networks/{private['id']}", f"/subnets/{hidden['id']}"):
        kind = path.split("/")[1][:-1]
        for method in ("GET", "PUT", "DELETE"):
            body = {kind: {"name": "x"}} if method == "PUT" else None
            assert api.call(method, path, body, token=token).status_int == 404
    for path in (f"/networks/{shared['id']}", f"/subnets/{net['id']}"):
        kind = path.split("/")[1][:-1]
        api.get(path, token=token)
        api.put(path, {kind: {"name": "mine"}}, token=token, status=403)
        api.delete(path, token=token, status=403)
    body = {"subnet": {"network_id": shared["id"], "cidr": "10.9.0.0/24"}}
    api.post("/subnets", body, token=token, status=403)
    body["subnet"]["network_id"] = private["id"]
    api.post("/subnets", body, token=token, status=404)


def test_a_network_can_be_renamed_and_described(api: Facade) -> None:
    made = network(api, name="old")
    path = f"/networks/{made['id']}"
    changed = api.put(path, {"network": {"name": "new", "description": "d"}})["network"]
    assert (changed["name"], changed["description"]) == ("new", "d")
    assert api.get(path)["network"] == changed
    api.put(path, {"network": {"provider:network_type": "flat"}}, status=400)
    api.put(path, {}, status=400)


def test_sharing_ends_when_nobody_else_is_there(api: Facade, alice: tuple[str, str]) -> None:
    token, _ = alice
    made = network(api, shared=True)
    path = f"/networks/{made['id']}"
    guest = port(api, made["id"], token=token)
    assert "Multiple tenants" in message(api.put(path, {"network": {"shared": False}}, status=409))
    api.delete(f"/ports/{guest['id']}", token=token)
    assert api.put(path, {"network": {"shared": False}})["network"]["shared"] is False
    own = network(api, token=token)
    share = {"network": {"shared": True}}
    api.put(f"/networks/{own['id']}", share, token=token, status=403)
    assert api.put(f"/networks/{own['id']}", share)["network"]["shared"] is True


@pytest.mark.parametrize("kind", ["networks", "subnets", "ports", "agents"])
@pytest.mark.parametrize(
    "id", ["00000000-0000-4000-8000-000000000000", "by-name", "%C3%BCn", "0" * 300]
)
def test_ids_of_nothing_are_404(api: Facade, kind: str, id: str) -> None:
    methods = ("GET",) if kind == "agents" else ("GET", "DELETE", "PUT")
    for method in methods:
        body: Json | None = {kind[:-1]: {}} if method == "PUT" else None
        answer = api.call(method, f"/{kind}/{id}", body, status=404)
        assert answer.content_type == "application/json" and answer.json["NeutronError"]


# --- subnets ------------------------------------------------------------------------------------


def test_a_subnet_fills_in_what_was_left_open(api: Facade) -> None:
    net = network(api)
    made = subnet(api, net["id"], "10.0.0.0/24", name="s")
    assert made["gateway_ip"] == "10.0.0.1" and made["enable_dhcp"] is True
    assert made["allocation_pools"] == [{"start": "10.0.0.2", "end": "10.0.0.254"}]
    assert made["ip_version"] == 4 and made["dns_nameservers"] == made["host_routes"] == []
    assert api.get(f"/networks/{net['id']}")["network"]["subnets"] == [made["id"]]
    assert api.get(f"/subnets/{made['id']}")["subnet"] == made
    assert api.get("/subnets")["subnets"] == [made]


def test_the_gateway_divides_the_pools(api: Facade) -> None:
    made = subnet(api, network(api)["id"], "10.0.0.0/29", gateway_ip="10.0.0.3")
    assert made["allocation_pools"] == [
        {"start": "10.0.0.1", "end": "10.0.0.2"},
        {"start": "10.0.0.4", "end": "10.0.0.6"},
    ]
    last = subnet(api, network(api)["id"], "10.0.1.0/29", gateway_ip="10.0.1.6")
    assert last["allocation_pools"] == [{"start": "10.0.1.1", "end": "10.0.1.5"}]


def test_a_subnet_may_have_no_gateway_where_nobody_serves_it(api: Facade) -> None:
    flat = network(api, **{"provider:network_type": "flat"})
    made = subnet(api, flat["id"], "10.0.0.0/30", gateway_ip=None)
    assert made["gateway_ip"] is None and made["enable_dhcp"] is False
    assert made["allocation_pools"] == [{"start": "10.0.0.1", "end": "10.0.0.2"}]
    served = network(api)
    body = {"network_id": served["id"], "cidr": "10.1.0.0/24", "gateway_ip": None}
    assert "enable_dhcp" in message(api.post("/subnets", {"subnet": body}, status=400))
    subnet(api, served["id"], "10.1.0.0/24", gateway_ip=None, enable_dhcp=False)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"cidr": "10.0.0.5/24"}, "10.0.0.0/24' is recommended"),
        ({"cidr": "10.0.0.0"}, "not a valid"),
        ({"cidr": "10.0.0.0/255.255.255.0"}, "not a valid"),
        ({"cidr": "10.0.0.0/33"}, "not a valid"),
        ({"cidr": "fd00::/64"}, "not a valid"),
        ({"cidr": "10.0.0.0/31"}, "prefix length"),
        ({"cidr": "0.0.0.0/0"}, "prefix length"),
        ({"cidr": "169.254.0.0/16"}, "not a range for guests"),
        ({"cidr": "127.0.0.0/8"}, "not a range for guests"),
        ({"cidr": "224.0.0.0/24"}, "not a range for guests"),
        ({"cidr": 7}, "cidr"),
        ({"ip_version": 6}, "ip_version"),
        ({"gateway_ip": "10.0.1.1"}, "not valid on subnet"),
        ({"gateway_ip": "10.0.0.0"}, "not valid on subnet"),
        ({"gateway_ip": "10.0.0.255"}, "not valid on subnet"),
        ({"gateway_ip": "gw"}, "gateway_ip"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.5"}]}, "ends before"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.5"}]}, "beyond"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "x"}]}, "allocation_pools"),
        ({"allocation_pools": [{"start": "10.0.0.9"}]}, "allocation_pools"),
        ({"dns_nameservers": ["ns.example.org"]}, "dns_nameservers"),
        ({"dns_nameservers": ["8.8.8.8", "8.8.8.8"]}, "dns_nameservers"),
        ({"dns_nameservers": ["127.0.0.1"]}, "dns_nameservers"),
        ({"dns_nameservers": ["224.0.0.1"]}, "dns_nameservers"),
        ({"dns_nameservers": [f"8.8.8.{n}" for n in range(6)]}, "dns_nameservers"),
        ({"dns_nameservers": ["8.8.8.8\nserver=/x/"]}, "dns_nameservers"),
        ({"host_routes": [{"destination": "10.2.0.0/24", "nexthop": "10.0.0.9"}]}, "host_routes"),
        ({"network_id": "not-an-id"}, "network_id"),
        ({"subnetpool_id": "x"}, "subnet"),
    ],
)
def test_a_bad_subnet_is_refused_with_the_reason(api: Facade, values: Json, reason: str) -> None:
    body = {"network_id": network(api)["id"], "cidr": "10.0.0.0/24", **values}
    assert reason in message(api.post("/subnets", {"subnet": body}, status=400))


def test_pools_that_meet_each_other_or_the_gateway_are_a_conflict(api: Facade) -> None:
    body: Json = {"network_id": network(api)["id"], "cidr": "10.0.0.0/24"}
    for pools in (
        [("10.0.0.1", "10.0.0.9")],
        [("10.0.0.2", "10.0.0.9"), ("10.0.0.9", "10.0.0.12")],
    ):
        body["allocation_pools"] = [{"start": a, "end": b} for a, b in pools]
        api.post("/subnets", {"subnet": body}, status=409)
    body["allocation_pools"] = [
        {"start": "10.0.0.2", "end": "10.0.0.2"},
        {"start": "10.0.0.5", "end": "10.0.0.5"},
        {"start": "10.0.0.3", "end": "10.0.0.3"},
    ]
    three = api.post("/subnets", {"subnet": body}, status=201)["subnet"]
    assert three["allocation_pools"] == body["allocation_pools"]
    api.delete(f"/subnets/{three['id']}")
    body["allocation_pools"] = []
    made = api.post("/subnets", {"subnet": body}, status=201)["subnet"]
    assert made["allocation_pools"] == []
    full = api.post("/ports", {"port": {"network_id": body["network_id"]}}, status=409)
    assert "No more IP addresses" in message(full)


def test_a_range_exists_once_in_the_cloud(api: Facade, alice: tuple[str, str]) -> None:
    token, _ = alice
    subnet(api, network(api)["id"], "10.0.0.0/16")
    other = network(api, token=token)["id"]
    for cidr in ("10.0.0.0/16", "10.0.7.0/24", "10.0.0.0/8"):
        body = {"subnet": {"network_id": other, "cidr": cidr}}
        answer = api.post("/subnets", body, status=400, token=token)
        assert "overlaps with another subnet" in message(answer)
    subnet(api, other, "10.1.0.0/16", token=token)


def test_no_subnet_swallows_a_host_of_the_cloud(api: Facade, cloud: Cloud) -> None:
    cloud.hosts["host1"].machine.guests.clear()
    with cloud.database.write() as session:
        session.execute(sa.text("UPDATE hosts SET address = '192.168.7.9'"))
    body = {"subnet": {"network_id": network(api)["id"], "cidr": "192.168.7.0/24"}}
    assert "address of a host" in message(api.post("/subnets", body, status=400))
    with cloud.database.write() as session:
        session.execute(sa.text("UPDATE hosts SET address = 'known-by-name'"))
    api.post("/subnets", body, status=201)


def test_only_an_administrator_takes_public_ranges(api: Facade, alice: tuple[str, str]) -> None:
    token, _ = alice
    body = {"subnet": {"network_id": network(api, token=token)["id"], "cidr": "8.8.8.0/24"}}
    assert "private range" in message(api.post("/subnets", body, token=token, status=400))
    api.post("/subnets", body, status=201)


def test_one_subnet_per_network_is_served(api: Facade) -> None:
    net = network(api)
    subnet(api, net["id"])
    body = {"subnet": {"network_id": net["id"], "cidr": "10.1.0.0/24"}}
    assert "one per network" in message(api.post("/subnets", body, status=409))


def test_a_changed_subnet_is_news_for_its_gateway(api: Facade, cloud: Cloud) -> None:
    net = network(api)
    made = subnet(api, net["id"])
    path = f"/subnets/{made['id']}"

    def generation() -> int:
        with cloud.database.read() as session:
            return session.scalars(sa.select(Network.generation)).one()

    before = generation()
    api.put(path, {"subnet": {"name": "n", "description": "d"}})
    assert generation() == before
    changes = {
        "dns_nameservers": ["9.9.9.9"],
        "allocation_pools": [{"start": "10.0.0.10", "end": "10.0.0.20"}],
        "gateway_ip": "10.0.0.254",
        "enable_dhcp": False,
        "host_routes": [],
    }
    changed = api.put(path, {"subnet": changes})["subnet"]
    assert {name: changed[name] for name in changes} == changes and changed["name"] == "n"
    assert generation() == before + 1
    assert port(api, net["id"])["fixed_ips"][0]["ip_address"] == "10.0.0.10"
    api.put(path, {"subnet": {"gateway_ip": "10.0.0.15"}}, status=409)
    port(api, net["id"], fixed_ips=[{"ip_address": "10.0.0.99"}])
    taken = api.put(path, {"subnet": {"gateway_ip": "10.0.0.99"}}, status=409)
    assert "in use by port" in message(taken)
    api.put(path, {"subnet": {"gateway_ip": None, "enable_dhcp": True}}, status=400)
    api.put(path, {"subnet": {"cidr": "10.3.0.0/24"}}, status=400)


def test_a_subnet_in_use_stays(api: Facade) -> None:
    net = network(api)
    made = subnet(api, net["id"])
    guest = port(api, net["id"])
    path = f"/subnets/{made['id']}"
    assert "IP allocation" in message(api.delete(path, status=409))
    api.delete(f"/ports/{guest['id']}")
    api.delete(path)
    api.get(path, status=404)
    assert api.get(f"/networks/{net['id']}")["network"]["subnets"] == []
    assert port(api, net["id"])["fixed_ips"] == []


# --- ports --------------------------------------------------------------------------------------


def test_a_port_gets_an_address_and_keeps_its_place(api: Facade) -> None:
    net = network(api)
    made = subnet(api, net["id"])
    one = port(api, net["id"], name="vip", device_id="", device_owner="")
    assert one["fixed_ips"] == [{"subnet_id": made["id"], "ip_address": "10.0.0.2"}]
    assert one["mac_address"].startswith("fa:16:3e:") and one["status"] == "DOWN"
    assert api.get(f"/ports/{one['id']}")["port"] == one
    chosen = port(
        api,
        net["id"],
        mac_address="FA:16:3E:00:00:01",
        fixed_ips=[{"subnet_id": made["id"], "ip_address": "10.0.0.77"}],
    )
    assert chosen["mac_address"] == "fa:16:3e:00:00:01"
    assert chosen["fixed_ips"][0]["ip_address"] == "10.0.0.77"
    assert port(api, net["id"], fixed_ips=[])["fixed_ips"] == []
    several = {"ports": [{"network_id": net["id"], "name": n} for n in "ab"]}
    assert [p["name"] for p in api.post("/ports", several, status=201)["ports"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"fixed_ips": [{"ip_address": "10.0.0.2"}]}, 409),
        ({"fixed_ips": [{"ip_address": "10.7.0.2"}]}, 400),
        ({"fixed_ips": [{"ip_address": "x"}]}, 400),
        ({"fixed_ips": [{"subnet_id": str(uuid4())}]}, 404),
        ({"mac_address": "01:00:5e:00:00:01"}, 400),
        ({"mac_address": "00:00:00:00:00:00"}, 400),
        ({"mac_address": "fa:16:3e:00:00:01"}, 409),
        ({"device_id": str(uuid4())}, 400),
        ({"device_owner": "compute:nova"}, 400),
        ({"network_id": str(uuid4())}, 404),
        ({"admin_state_up": False}, 400),
        ({"security_groups": [str(uuid4())]}, 404),
        ({"security_groups": ["default"]}, 400),
    ],
)
def test_a_port_that_cannot_be_is_refused(api: Facade, values: Json, status: int) -> None:
    net = network(api)
    subnet(api, net["id"])
    port(api, net["id"], mac_address="fa:16:3e:00:00:01")
    api.post("/ports", {"port": {"network_id": net["id"], **values}}, status=status)
    assert len(api.get("/ports")["ports"]) == 1


def test_a_port_is_renamed_and_moved(api: Facade) -> None:
    net = network(api)
    subnet(api, net["id"])
    one = port(api, net["id"])
    path = f"/ports/{one['id']}"
    moved = {"name": "n", "fixed_ips": [{"ip_address": "10.0.0.50"}]}
    changed = api.put(path, {"port": moved})["port"]
    assert changed["name"] == "n" and changed["fixed_ips"][0]["ip_address"] == "10.0.0.50"
    assert port(api, net["id"])["fixed_ips"][0]["ip_address"] == "10.0.0.2"
    api.put(path, {"port": {"fixed_ips": [{"ip_address": "10.0.0.2"}]}}, status=409)
    assert api.get(path)["port"] == changed
    api.put(path, {"port": {"device_id": str(uuid4())}}, status=400)


def test_on_a_network_of_others_one_takes_what_one_is_given(
    api: Facade, alice: tuple[str, str], cloud: Cloud
) -> None:
    token, project = alice
    net = network(api, shared=True)
    subnet(api, net["id"])
    for choice in (
        {"mac_address": "fa:16:3e:00:00:01"},
        {"fixed_ips": [{"ip_address": "10.0.0.9"}]},
        {"project_id": "another"},
    ):
        body = {"port": {"network_id": net["id"], **choice}}
        api.post("/ports", body, token=token, status=403)
    mine = port(api, net["id"], token=token)
    theirs = port(api, net["id"])
    assert mine["project_id"] == project
    path = f"/ports/{mine['id']}"
    move = {"port": {"fixed_ips": [{"ip_address": "10.0.0.9"}]}}
    api.put(path, move, token=token, status=403)
    assert [p["id"] for p in api.get("/ports", token=token)["ports"]] == [mine["id"]]
    api.get(f"/ports/{theirs['id']}", token=token, status=404)
    api.delete(f"/ports/{theirs['id']}", token=token, status=404)
    bob, _ = someone(cloud, "bob")
    api.get(path, token=bob, status=404)
    # Whose the network is may see who is on it, and send them away.
    own = network(api, token=token)
    admins = port(api, own["id"])
    assert api.get(f"/ports/{admins['id']}", token=token)["port"]["project_id"] != project
    api.delete(f"/ports/{admins['id']}", token=token)


def on_an_instance(cloud: Cloud, network_id: str, owner: str) -> str:
    """A port as an instance's create makes it."""
    with cloud.database.write() as session:
        made = queries.add_port(
            session,
            UUID(network_id),
            project_id=owner,
            now=cloud.clock(),
            device_id=str(uuid4()),
            device_owner="compute:nova",
        )
    return str(made)


def test_the_port_of_an_instance_goes_with_the_instance_only(api: Facade, cloud: Cloud) -> None:
    net = network(api)
    subnet(api, net["id"])
    path = f"/ports/{on_an_instance(cloud, net['id'], net['project_id'])}"
    assert "compute:nova" in message(api.delete(path, status=409))
    api.put(path, {"port": {"fixed_ips": [{"ip_address": "10.0.0.9"}]}}, status=409)
    assert api.put(path, {"port": {"name": "eth0"}})["port"]["name"] == "eth0"
    answer = api.delete(f"/networks/{net['id']}", status=409)
    assert "ports still in use" in message(answer)


def test_a_deleted_network_is_gone_at_once_and_its_rows_when_the_hosts_let_go(
    api: Facade, cloud: Cloud
) -> None:
    net = network(api)
    made = subnet(api, net["id"])
    api.delete(f"/networks/{net['id']}")
    for path in (f"/networks/{net['id']}", f"/subnets/{made['id']}"):
        api.get(path, status=404)
    api.delete(f"/networks/{net['id']}", status=404)
    assert api.get("/networks") == {"networks": []}
    quota = api.get(f"/quotas/{net['project_id']}/details")["quota"]
    assert (quota["network"]["used"], quota["subnet"]["used"]) == (0, 0)
    subnet(api, network(api)["id"], made["cidr"])  # the range is free at once
    cloud.pass_time(30)
    with cloud.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Network)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Subnet)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Port)) == 0


# --- lists ----------------------------------------------------------------------------------------


@pytest.fixture
def colours(api: Facade) -> list[Json]:
    return [network(api, name=name) for name in ("red", "green", "blue", "blue", "black")]


def names(answer: Json) -> list[str]:
    return [each["name"] for each in answer["networks"]]


def test_any_attribute_is_a_filter_and_may_be_repeated(api: Facade, colours: list[Json]) -> None:
    made = subnet(api, colours[0]["id"])
    for query, expected in (
        ("name=blue", ["blue", "blue"]),
        ("name=blue&name=red", ["blue", "blue", "red"]),
        (f"id={colours[1]['id']}", ["green"]),
        ("id=no-such", []),
        (f"name=red&project_id={colours[0]['project_id']}", ["red"]),
        ("tenant_id=nobody", []),
        ("shared=True", []),
        ("router:external=True", []),
        ("status=DOWN", []),
        (f"subnets={made['id']}", ["red"]),
        ("subnets=no-such", []),
        ("provider:network_type=flat", []),
        ("mtu=1400", []),
        ("name=", []),
    ):
        assert sorted(names(api.get(f"/networks?{query}"))) == expected, query
    everything = "router:external=false&shared=0&status=ACTIVE&mtu=1500&admin_state_up=1"
    assert len(names(api.get(f"/networks?{everything}"))) == 5


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "created_at=2030",
        "provider:segmentation_id=7",
        "shared=perhaps",
        "mtu=much",
        "sort_key=colour",
        "sort_key=provider:physical_network",
        "sort_dir=asc",
        "sort_key=name&sort_dir=up",
        "limit=-1",
        "limit=many",
    ],
)
def test_what_a_list_does_not_understand_it_refuses(api: Facade, query: str) -> None:
    api.get(f"/networks?{query}", status=400)


def test_nobody_filters_by_what_one_may_not_see(api: Facade, alice: tuple[str, str]) -> None:
    api.get("/networks?provider:network_type=flat", token=alice[0], status=400)


def test_fields_pick_the_keys(api: Facade, colours: list[Json]) -> None:
    listed = api.get("/networks?fields=name&fields=id&name=red")["networks"]
    assert listed == [{"name": "red", "id": colours[0]["id"]}]
    shown = api.get(f"/networks/{colours[0]['id']}?fields=name")
    assert shown == {"network": {"name": "red"}}


def test_lists_are_sorted_by_several_keys(api: Facade, colours: list[Json]) -> None:
    query = "/networks?sort_key=name&sort_dir=desc&sort_key=id"
    listed = api.get(query)["networks"]
    assert names({"networks": listed}) == ["red", "green", "blue", "blue", "black"]
    blues = [each["id"] for each in listed if each["name"] == "blue"]
    assert blues == sorted(blues)


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_follow_each_other_forth_and_back(
    api: Facade, colours: list[Json], direction: str
) -> None:
    whole = names(api.get(f"/networks?sort_key=name&sort_dir={direction}"))
    page = api.get(f"/networks?limit=2&sort_key=name&sort_dir={direction}")
    found, links = names(page), [page["networks_links"]]
    while follow := {link["rel"]: link["href"] for link in links[-1]}.get("next"):
        page = api.get(follow.removeprefix("http://localhost/network/v2.0"))
        found += names(page)
        links.append(page["networks_links"])
    assert found == whole and len(links) == 3
    assert [link["rel"] for link in links[-1]] == ["previous"]
    back = api.get(links[-1][0]["href"].removeprefix("http://localhost/network/v2.0"))
    assert names(back) == whole[2:4]
    assert {link["rel"] for link in back["networks_links"]} == {"previous", "next"}
    first = next(link["href"] for link in back["networks_links"] if link["rel"] == "previous")
    front = api.get(first.removeprefix("http://localhost/network/v2.0"))
    assert names(front) == whole[:2]
    assert [link["rel"] for link in front["networks_links"]] == ["next"]


def test_a_whole_list_has_no_links_and_a_marker_must_be_visible(
    api: Facade, colours: list[Json], alice: tuple[str, str]
) -> None:
    assert "networks_links" not in api.get("/networks?limit=0")
    assert "networks_links" not in api.get("/networks?limit=5")
    last = api.get("/networks")["networks"][-1]["id"]
    assert api.get(f"/networks?marker={last}") == {"networks": []}
    for marker in (uuid4(), "no-such"):
        api.get(f"/networks?limit=1&marker={marker}", status=404)
    api.get(f"/networks?limit=1&marker={colours[0]['id']}", token=alice[0], status=404)


def test_ports_and_subnets_are_found_by_what_clients_look_for(api: Facade, cloud: Cloud) -> None:
    net = network(api)
    made = subnet(api, net["id"], name="s")
    one, two = port(api, net["id"], name="one"), port(api, net["id"], name="two")
    guest = on_an_instance(cloud, net["id"], net["project_id"])
    device = api.get(f"/ports/{guest}")["port"]["device_id"]
    for query, expected in (
        ("name=two", [two["id"]]),
        (f"mac_address={one['mac_address']}", [one["id"]]),
        (f"device_id={device}", [guest]),
        ("device_owner=compute:nova", [guest]),
        ("fixed_ips=ip_address=10.0.0.3", [two["id"]]),
        (f"fixed_ips=ip_address=10.0.0.2&fixed_ips=subnet_id={made['id']}", [one["id"]]),
        ("fixed_ips=subnet_id=no-such", []),
        ("status=ACTIVE", []),
        (f"network_id={uuid4()}", []),
    ):
        assert [p["id"] for p in api.get(f"/ports?{query}")["ports"]] == expected, query
    assert len(api.get(f"/ports?status=DOWN&network_id={net['id']}")["ports"]) == 3
    api.get("/ports?fixed_ips=colour=red", status=400)
    for query, number in (("cidr=10.0.0.0/24", 1), ("ip_version=6", 0), ("gateway_ip=10.0.0.1", 1)):
        assert len(api.get(f"/subnets?{query}")["subnets"]) == number
    api.get("/subnets?allocation_pools=x", status=400)
    api.get("/subnets?sort_key=gateway_ip", status=400)


# --- the rest -------------------------------------------------------------------------------------


def test_quotas_count_what_is_there(api: Facade, alice: tuple[str, str]) -> None:
    token, project = alice
    subnet(api, network(api, token=token)["id"], token=token)
    shown = api.get(f"/quotas/{project}", token=token)["quota"]
    assert shown == {
        **{"network": 100, "subnet": 100, "port": 500},
        **{"security_group": 10, "security_group_rule": 100},
    }
    assert api.get(f"/quotas/{project}/default") == api.get(f"/quotas/{project}")
    used = api.get(f"/quotas/{project}/details", token=token)["quota"]
    assert used["network"] == {"limit": 100, "used": 1, "reserved": 0}
    assert used["subnet"]["used"] == 1
    api.get("/quotas/another", token=token, status=403)


def test_less_than_is_used_is_refused_on_demand(api: Facade, alice: tuple[str, str]) -> None:
    token, project = alice
    for _ in range(2):
        network(api, token=token)
    path, checked = f"/quotas/{project}", {"network": 1, "check_limit": True}
    assert "networks" in message(api.put(path, {"quota": checked}, status=400))
    api.put(path, {"quota": {**checked, "force": True}}, status=400)
    for how in ({}, {"force": True}):
        body = {"quota": {"network": 1, **how}}
        assert api.put(path, body)["quota"]["network"] == 1
    assert api.put(path, {"quota": {**checked, "network": 2}})["quota"]["network"] == 2
    api.delete(path)
    assert api.get(path)["quota"]["network"] == 100


def test_the_agents_are_the_network_workers(
    api: Facade, cloud: Cloud, alice: tuple[str, str]
) -> None:
    (agent,) = api.get("/agents")["agents"]
    assert (agent["host"], agent["alive"], agent["binary"]) == ("net1", True, "nova-network")
    assert api.get(f"/agents/{agent['id']}")["agent"]["host"] == "net1"
    assert api.get("/agents?host=net2")["agents"] == []
    assert len(api.get("/agents?host=net1&alive=True&colour=red")["agents"]) == 1
    api.get("/agents", token=alice[0], status=403)
    zone = {"name": "internal", "resource": "network", "state": "available"}
    assert api.get("/availability_zones")["availability_zones"] == [zone]
    cloud.clock.pass_seconds(3000)
    token = cloud.token()
    assert api.get("/agents", token=token)["agents"][0]["alive"] is False
    zones = api.get("/availability_zones", token=token)["availability_zones"]
    assert zones[0]["state"] == "unavailable"
