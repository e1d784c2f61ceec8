"""os-aggregates, and the zones and rules that come of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.functional.compute_site import Site

CREATED = {"availability_zone", "created_at", "deleted", "deleted_at", "id", "name", "updated_at"}
SHOWN = CREATED | {"hosts", "metadata"}


def create(site: Site, name: str = "fast", **values: Any) -> str:
    made = site.compute.post("/os-aggregates", {"aggregate": {"name": name, **values}}, status=200)
    return f"/os-aggregates/{made['aggregate']['id']}"


def act(site: Site, path: str, action: str, **values: Any) -> Any:
    return site.compute.post(f"{path}/action", {action: values}, status=200)["aggregate"]


def refused(site: Site, status: int, path: str, action: str, **values: Any) -> str:
    return site.refused(status, "POST", f"{path}/action", {action: values})


def shown(site: Site, path: str) -> Any:
    return site.compute.get(path)["aggregate"]


def zones(site: Site) -> dict[str, list[str]]:
    detail = site.compute.get("/os-availability-zone/detail")["availabilityZoneInfo"]
    return {zone["zoneName"]: sorted(zone["hosts"]) for zone in detail}


def test_an_aggregate_is_created_shown_changed_and_deleted(site: Site) -> None:
    answer = site.compute.post("/os-aggregates", {"aggregate": {"name": "fast"}}, status=200)
    made = answer["aggregate"]
    assert set(made) == CREATED
    assert (made["availability_zone"], made["deleted"], made["updated_at"]) == (None, False, None)
    path = f"/os-aggregates/{made['id']}"
    assert shown(site, path) == {**made, "hosts": [], "metadata": {}}
    changed = site.compute.put(path, {"aggregate": {"name": "faster"}})["aggregate"]
    assert changed["name"] == "faster" and changed["updated_at"]
    assert site.compute.get("/os-aggregates")["aggregates"] == [changed]
    site.compute.delete(path, status=200)
    site.refused(404, "GET", path)
    site.refused(404, "DELETE", path)


def test_an_aggregate_has_a_uuid_since_2_41(site: Site) -> None:
    path = create(site)
    assert set(site.compute.get(path, version="2.40")["aggregate"]) == SHOWN
    newer = site.compute.get(path, version="2.41")["aggregate"]
    assert set(newer) == SHOWN | {"uuid"} and UUID(newer["uuid"])
    made = site.compute.post("/os-aggregates", {"aggregate": {"name": "x"}}, version="2.41")
    assert set(made["aggregate"]) == CREATED | {"uuid"}


@pytest.mark.parametrize(
    "aggregate",
    [
        {},
        {"name": ""},
        {"name": "a" * 256},
        {"name": " a"},
        {"name": 5},
        {"name": "a", "availability_zone": ""},
        {"name": "a", "availability_zone": "zone:host"},
        {"name": "a", "hosts": ["host1"]},
    ],
)
def test_an_aggregate_that_cannot_be(site: Site, aggregate: Any) -> None:
    site.refused(400, "POST", "/os-aggregates", {"aggregate": aggregate})


def test_names_are_taken_once(site: Site) -> None:
    path = create(site)
    other = create(site, "slow")
    site.refused(409, "POST", "/os-aggregates", {"aggregate": {"name": "fast"}})
    site.refused(409, "PUT", other, {"aggregate": {"name": "fast"}})
    assert site.compute.put(path, {"aggregate": {"name": "fast"}})["aggregate"]["name"] == "fast"


def test_an_aggregate_that_is_not_there(site: Site) -> None:
    for id, status in (("-1", 404), ("999", 404), ("9" * 30, 404), ("fast", 400)):
        path = f"/os-aggregates/{id}"
        site.refused(status, "GET", path)
        site.refused(status, "DELETE", path)
        site.refused(status, "PUT", path, {"aggregate": {"name": "x"}})
        refused(site, status, path, "add_host", host="host1")
        refused(site, status, path, "set_metadata", metadata={"a": "b"})
    path = create(site)
    site.refused(400, "PUT", path, {"aggregate": {}})
    refused(site, 400, path, "explode")
    refused(site, 400, path, "add_host", host="a b")


def test_hosts_are_added_and_removed(site: Site) -> None:
    path = create(site)
    assert act(site, path, "add_host", host="host2")["hosts"] == ["host2"]
    assert act(site, path, "add_host", host="host1")["hosts"] == ["host1", "host2"]
    assert shown(site, path)["hosts"] == ["host1", "host2"]
    assert site.compute.get("/os-aggregates")["aggregates"][0]["hosts"] == ["host1", "host2"]
    refused(site, 409, path, "add_host", host="host1")
    refused(site, 404, path, "add_host", host="nonesuch")
    refused(site, 404, path, "add_host", host="net1")
    assert "not empty" in site.refused(400, "DELETE", path)
    for host in ("host1", "host2"):
        act(site, path, "remove_host", host=host)
    refused(site, 404, path, "remove_host", host="host1")
    site.compute.delete(path, status=200)


def test_metadata_is_added_to_and_taken_from(site: Site) -> None:
    path = create(site, availability_zone="east")
    assert act(site, path, "set_metadata", metadata={"ssd": "true"})["metadata"] == {
        "ssd": "true",
        "availability_zone": "east",
    }
    changed = act(site, path, "set_metadata", metadata={"ssd": None, "rack": "7", "no": None})
    assert changed["metadata"] == {"rack": "7", "availability_zone": "east"}
    for wrong in ({"a/b": "c"}, {"a": 5}, {"a": "x" * 256}, {"": "x"}):
        refused(site, 400, path, "set_metadata", metadata=wrong)
    assert "empty" in refused(site, 400, path, "set_metadata", metadata={"availability_zone": ""})


def test_an_aggregate_gives_its_hosts_a_zone_and_takes_it_back(site: Site) -> None:
    path = create(site, availability_zone="east")
    assert zones(site) == {"internal": ["net1"], "nova": ["host1", "host2"]}
    act(site, path, "add_host", host="host1")
    assert zones(site) == {"east": ["host1"], "internal": ["net1"], "nova": ["host2"]}
    site.cloud.heartbeat()
    site.cloud.deliver()
    assert zones(site)["east"] == ["host1"], "a worker's own zone does not come back by itself"
    for version in ("2.1", "2.53"):
        found = site.compute.get("/os-services?host=host1", version=version)["services"]
        assert [service["zone"] for service in found] == ["east"]

    id = site.running(availability_zone="east")
    server = site.server(id)
    assert server["OS-EXT-SRV-ATTR:host"] == "host1"
    assert server["OS-EXT-AZ:availability_zone"] == "east"
    site.act(id, "forceDelete", status=202)
    site.cloud.settle()

    site.compute.put(path, {"aggregate": {"availability_zone": "west"}})
    assert "west" in zones(site) and "east" not in zones(site)
    assert shown(site, path)["metadata"] == {"availability_zone": "west"}
    act(site, path, "set_metadata", metadata={"availability_zone": "north"})
    assert zones(site)["north"] == ["host1"]
    site.compute.put(path, {"aggregate": {"availability_zone": None}})
    assert zones(site)["nova"] == ["host1", "host2"]
    act(site, path, "set_metadata", metadata={"availability_zone": "south"})
    act(site, path, "remove_host", host="host1")
    assert zones(site)["nova"] == ["host1", "host2"]


def test_a_host_is_in_one_zone(site: Site) -> None:
    east = create(site, "a", availability_zone="east")
    west = create(site, "b", availability_zone="west")
    also_east = create(site, "c", availability_zone="east")
    plain = create(site, "d")
    act(site, east, "add_host", host="host1")
    assert "east" in refused(site, 409, west, "add_host", host="host1")
    assert shown(site, west)["hosts"] == []
    act(site, also_east, "add_host", host="host1")
    act(site, plain, "add_host", host="host1")
    site.refused(400, "PUT", east, {"aggregate": {"availability_zone": "west"}})
    refused(site, 400, plain, "set_metadata", metadata={"availability_zone": "west"})
    act(site, plain, "set_metadata", metadata={"availability_zone": "east"})
    act(site, east, "remove_host", host="host1")
    assert zones(site)["east"] == ["host1"], "others still say so"
    site.compute.put(also_east, {"aggregate": {"availability_zone": None}})
    assert zones(site)["east"] == ["host1"]
    act(site, plain, "remove_host", host="host1")
    assert "east" not in zones(site)


def test_zones_do_not_move_under_servers(site: Site) -> None:
    site.running(availability_zone="nova:host1")
    east = create(site, availability_zone="east")
    assert "instances" in refused(site, 409, east, "add_host", host="host1")
    act(site, east, "add_host", host="host2")
    site.running(availability_zone="east")
    refused(site, 409, east, "remove_host", host="host2")
    site.refused(400, "PUT", east, {"aggregate": {"availability_zone": "west"}})
    refused(site, 400, east, "set_metadata", metadata={"availability_zone": None})
    act(site, east, "set_metadata", metadata={"availability_zone": "east", "ssd": "true"})
    nova = create(site, "same", availability_zone="nova")
    act(site, nova, "add_host", host="host1")
    act(site, nova, "remove_host", host="host1")
    plain = create(site, "plain")
    act(site, plain, "add_host", host="host1")
    assert zones(site) == {"east": ["host2"], "internal": ["net1"], "nova": ["host1"]}


def test_a_server_that_asked_for_no_zone_moves_along_with_its_host(site: Site) -> None:
    id = site.running()
    host = site.server(id)["OS-EXT-SRV-ATTR:host"]
    east = create(site, availability_zone="east")
    act(site, east, "add_host", host=host)
    assert site.server(id)["OS-EXT-AZ:availability_zone"] == "east"
    act(site, east, "remove_host", host=host)
    assert site.server(id)["OS-EXT-AZ:availability_zone"] == "nova"


def test_a_flavor_lands_on_hosts_of_which_its_specs_are_said(site: Site) -> None:
    path = create(site)
    act(site, path, "add_host", host="host2")
    act(site, path, "set_metadata", metadata={"ssd": "true"})
    site.flavor("quick")
    site.compute.post("/flavors/quick/os-extra_specs", {"extra_specs": {"ssd": "true"}})
    for _ in range(3):
        id = site.running(flavorRef="quick")
        assert site.server(id)["OS-EXT-SRV-ATTR:host"] == "host2"
    act(site, path, "set_metadata", metadata={"ssd": "false"})
    site.cloud.clock.pass_seconds(2)
    id = site.create(flavorRef="quick")
    site.cloud.settle()
    fault = site.server(id)["fault"]
    assert "AggregateInstanceExtraSpecsFilter (ssd true): 0" in fault["message"]


def test_images_are_fetched_before_they_are_needed(site: Site) -> None:
    path = create(site)
    act(site, path, "add_host", host="host2")
    body = {"cache": [{"id": site.image_id}]}
    site.refused(404, "POST", f"{path}/images", body, version="2.80")
    site.compute.call("POST", f"{path}/images", body, version="2.81", status=202)
    site.cloud.settle()
    images = {name: host.machine.images for name, host in site.cloud.hosts.items()}
    assert images == {"host1": set(), "host2": {UUID(site.image_id)}}
    wrongs: list[Any] = [[], [{"id": "x"}], [{"id": site.image_id}] * 2, [{}]]
    for wrong in wrongs:
        site.refused(400, "POST", f"{path}/images", {"cache": wrong}, version="2.81")
    site.refused(404, "POST", f"{path}/images", {"cache": [{"id": str(uuid4())}]}, version="2.81")
    site.refused(404, "POST", "/os-aggregates/99/images", body, version="2.81")


def test_aggregates_are_an_administrators(site: Site) -> None:
    token, path = site.person("alice").token, create(site)
    site.refused(403, "GET", "/os-aggregates", token=token)
    site.refused(403, "POST", "/os-aggregates", {"aggregate": {"name": "x"}}, token=token)
    site.refused(403, "GET", path, token=token)
    site.refused(403, "PUT", path, {"aggregate": {"name": "x"}}, token=token)
    site.refused(403, "DELETE", path, token=token)
    for action in ("add_host", "remove_host"):
        body = {action: {"host": "host1"}}
        site.refused(403, "POST", f"{path}/action", body, token=token)
    nothing: Any = {"set_metadata": {"metadata": {}}}
    site.refused(403, "POST", f"{path}/action", nothing, token=token)
    cached = {"cache": [{"id": site.image_id}]}
    site.refused(403, "POST", f"{path}/images", cached, token=token, version="2.81")
