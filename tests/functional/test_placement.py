"""Placement: what hosts have, what of it is promised to whom, and who has room."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.api.placement.versions import LATEST_SERVED
from nova_lite.testing.cloud import Facade
from tests.functional.compute_site import Site

NEWEST = f"{LATEST_SERVED[0]}.{LATEST_SERVED[1]}"


class Placement(Facade):
    def ask(self, path: str, version: str = NEWEST) -> Any:
        return self.get(path, version=version)

    def names(self, query: str = "", version: str = NEWEST) -> list[str]:
        found = self.ask(f"/resource_providers{query}", version)
        return [each["name"] for each in found["resource_providers"]]

    def refused(self, status: int, path: str, version: str = NEWEST) -> str:
        response = self.call("GET", path, version=version, status=status)
        [error] = response.json["errors"]
        assert error["status"] == status
        return str(error["detail"])


@pytest.fixture
def placement(site: Site) -> Placement:
    return Placement(site.cloud, "/placement")


@pytest.fixture
def providers(placement: Placement) -> list[str]:
    """The ids of host1 and host2."""
    found = placement.ask("/resource_providers")["resource_providers"]
    return [each["uuid"] for each in found]


def test_what_it_is_is_told_to_everybody(placement: Placement) -> None:
    [version] = placement.get("/", token="")["versions"]
    assert (version["min_version"], version["max_version"]) == ("1.0", NEWEST)
    placement.call("GET", "/resource_providers", token="", status=401)


def test_a_version_is_agreed_upon(placement: Placement) -> None:
    answer = placement.call("GET", "/resource_providers", version="latest")
    assert answer.headers["OpenStack-API-Version"] == f"placement {NEWEST}"
    assert answer.headers["Vary"] == "OpenStack-API-Version"
    assert (
        answer.headers["Cache-Control"] == "no-cache" and "GMT" in answer.headers["Last-Modified"]
    )
    answer = placement.call("GET", "/resource_providers")
    assert answer.headers["OpenStack-API-Version"] == "placement 1.0"
    assert "Last-Modified" not in answer.headers
    assert "1.0" in placement.refused(406, "/resource_providers", "1.30")
    assert "1.x" in placement.refused(400, "/resource_providers", "1.x")


def test_hosts_are_providers_with_more_to_know_at_each_version(
    site: Site, placement: Placement, providers: list[str]
) -> None:
    ids = [h["id"] for h in site.compute.get("/os-hypervisors", version="2.53")["hypervisors"]]
    assert providers == ids and placement.names() == ["host1", "host2"]
    (id, _) = ids
    path = f"/resource_providers/{id}"
    oldest, newest = placement.ask(path, "1.0"), placement.ask(path)
    assert set(oldest) == {"uuid", "name", "generation", "links"}
    assert newest["root_provider_uuid"] == id and newest["parent_provider_uuid"] is None
    for version, rels in (
        ("1.0", {"self", "inventories", "usages"}),
        ("1.1", {"self", "inventories", "usages", "aggregates"}),
        ("1.6", {"self", "inventories", "usages", "aggregates", "traits"}),
        (NEWEST, {"self", "inventories", "usages", "aggregates", "traits", "allocations"}),
    ):
        links = placement.ask(path, version)["links"]
        assert {link["rel"] for link in links} == rels
        for link in links:
            placement.ask(link["href"].removeprefix("/placement"), NEWEST)


def test_an_inventory_is_what_the_scheduler_gives_out(
    site: Site, placement: Placement, providers: list[str]
) -> None:
    host = site.compute.get("/os-hypervisors/detail")["hypervisors"][0]
    path = f"/resource_providers/{providers[0]}/inventories"
    found = placement.ask(path)["inventories"]
    assert set(found) == {"VCPU", "MEMORY_MB", "DISK_GB"}
    assert found["VCPU"]["total"] == host["vcpus"] and found["VCPU"]["allocation_ratio"] == 4.0
    assert found["MEMORY_MB"]["total"] == host["memory_mb"]
    assert found["VCPU"]["max_unit"] == 4 * host["vcpus"]
    one = placement.ask(f"{path}/VCPU")
    assert one == {**found["VCPU"], "resource_provider_generation": 0}
    placement.refused(404, f"{path}/PCI_DEVICE")


def test_of_the_ratios_that_aggregates_name_the_smallest_counts(
    site: Site, placement: Placement, providers: list[str]
) -> None:
    for name, ratio in (("a", "8"), ("b", "2.5"), ("c", "nonsense")):
        body = {"aggregate": {"name": name}}
        aggregate = site.compute.post("/os-aggregates", body, version="2.41")["aggregate"]
        action = f"/os-aggregates/{aggregate['id']}/action"
        metadata = {"set_metadata": {"metadata": {"cpu_allocation_ratio": ratio}}}
        site.compute.post(action, metadata)
        site.compute.post(action, {"add_host": {"host": "host1"}})
    first, second = (
        placement.ask(f"/resource_providers/{id}/inventories/VCPU") for id in providers
    )
    assert (first["allocation_ratio"], second["allocation_ratio"]) == (2.5, 4.0)

    mine = f"/resource_providers/{providers[0]}/aggregates"
    ids = placement.ask(mine)["aggregates"]
    assert len(ids) == 3 and aggregate["uuid"] in ids
    assert "resource_provider_generation" not in placement.ask(mine, "1.18")
    placement.refused(404, mine, "1.0")
    assert placement.names(f"?member_of={ids[0]}") == ["host1"]
    assert placement.names(f"?member_of=in:{ids[0]},{uuid4()}&member_of={ids[1]}") == ["host1"]
    assert placement.names(f"?member_of={ids[0]}&member_of={uuid4()}") == []
    placement.refused(400, f"/resource_providers?member_of={ids[0]}&member_of={ids[1]}", "1.23")


def test_providers_are_found_by_what_they_are(
    site: Site, placement: Placement, providers: list[str]
) -> None:
    first, _ = providers
    assert placement.names("?name=host2") == ["host2"] and placement.names("?name=host") == []
    assert placement.names(f"?uuid={first}") == ["host1"]
    assert placement.names(f"?in_tree={first}&uuid={first.upper()}") == ["host1"]
    assert placement.names(f"?in_tree={first}&uuid={uuid4()}") == []
    site.compute.put("/os-services/disable", {"host": "host2", "binary": "nova-compute"})
    assert placement.names("?required=COMPUTE_STATUS_DISABLED") == ["host2"]
    assert placement.names("?required=!COMPUTE_STATUS_DISABLED") == ["host1"]
    assert placement.names("?required=CUSTOM_GOLD") == []
    room = placement.ask(f"/resource_providers/{first}/inventories/VCPU")["max_unit"]
    assert placement.names(f"?resources=VCPU:{room}") == ["host1", "host2"]
    assert placement.names(f"?resources=VCPU:{room + 1}") == []


def test_what_nobody_can_mean_is_refused(placement: Placement, providers: list[str]) -> None:
    for query, version in (
        ("?name=a&name=b", NEWEST),
        ("?uuid=host1", NEWEST),
        ("?unknown=1", NEWEST),
        ("?resources=VCPU", NEWEST),
        ("?resources=VCPU:0", NEWEST),
        ("?resources=GOLD:1", NEWEST),
        ("?required=gold", NEWEST),
        # Known, but not yet.
        ("?required=!GOLD", "1.21"),
        ("?required=GOLD", "1.17"),
        ("?resources=VCPU:1", "1.3"),
        (f"?in_tree={providers[0]}", "1.13"),
        (f"?member_of={uuid4()}", "1.2"),
    ):
        placement.refused(400, f"/resource_providers{query}", version)
    for path in (f"/resource_providers/{uuid4()}", "/resource_providers/x/usages", "/x"):
        placement.refused(404, path)
    for method in ("POST", "PUT", "DELETE"):
        placement.call(method, "/resource_classes", {}, version=NEWEST, status=405)


def test_a_server_is_a_consumer(site: Site, placement: Placement, providers: list[str]) -> None:
    dora = site.person("dora")
    id = site.running(by=dora, availability_zone="nova")
    host = site.compute.get(f"/servers/{id}")["server"]["OS-EXT-SRV-ATTR:host"]
    provider = providers[int(host[-1]) - 1]
    resources = {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}
    assert placement.ask(f"/allocations/{id}") == {
        "allocations": {provider: {"generation": 0, "resources": resources}},
        "project_id": dora.project,
        "user_id": dora.user,
        "consumer_generation": 0,
    }
    assert set(placement.ask(f"/allocations/{id}", "1.11")) == {"allocations"}
    assert placement.ask(f"/allocations/{uuid4()}") == {"allocations": {}}
    mine = placement.ask(f"/resource_providers/{provider}/allocations")
    assert mine["allocations"] == {id: {"resources": resources, "consumer_generation": 0}}
    usages = placement.ask(f"/resource_providers/{provider}/usages")
    assert usages["usages"] == resources

    assert placement.ask(f"/usages?project_id={dora.project}")["usages"] == resources
    nothing = dict.fromkeys(resources, 0)
    query = f"/usages?project_id={dora.project}&user_id="
    assert placement.ask(query + dora.user)["usages"] == resources
    assert placement.ask(query + "nobody")["usages"] == nothing
    assert placement.get(f"/usages?project_id={dora.project}", token=dora.token, version=NEWEST)
    other = f"/usages?project_id={uuid4().hex}"
    placement.call("GET", other, token=dora.token, version=NEWEST, status=403)
    placement.refused(400, "/usages")

    site.compute.call("DELETE", f"/servers/{id}", status=204)
    site.cloud.settle()
    assert placement.ask(f"/allocations/{id}") == {"allocations": {}}
    assert placement.ask(f"/usages?project_id={dora.project}")["usages"] == nothing


def test_classes_and_traits_are_those_of_the_hosts(placement: Placement) -> None:
    classes = placement.ask("/resource_classes")["resource_classes"]
    assert [each["name"] for each in classes] == ["VCPU", "MEMORY_MB", "DISK_GB"]
    assert placement.ask("/resource_classes/VCPU") == classes[0]
    placement.refused(404, "/resource_classes/CUSTOM_GOLD")
    placement.refused(404, "/resource_classes", "1.1")
    known = placement.ask("/traits")["traits"]
    assert known == sorted(known) and "COMPUTE_STATUS_DISABLED" in known
    (architecture,) = placement.ask("/traits?associated=true")["traits"]
    assert re.fullmatch("HW_ARCH_[A-Z0-9_]+", architecture)
    assert placement.ask("/traits?name=startswith:COMPUTE_")["traits"] == [known[0]]
    assert placement.ask(f"/traits?name=in:{architecture},X")["traits"] == [architecture]
    placement.call("GET", f"/traits/{architecture}", version=NEWEST, status=204)
    placement.refused(404, "/traits/CUSTOM_GOLD")


def candidates(placement: Placement, query: str, version: str = NEWEST) -> Any:
    return placement.ask(f"/allocation_candidates?{query}", version)


def test_candidates_are_the_hosts_with_room(
    site: Site, placement: Placement, providers: list[str]
) -> None:
    site.running(availability_zone="nova:host1")
    first, second = providers
    found = candidates(placement, "resources=VCPU:1,MEMORY_MB:64")
    wanted = {"resources": {"VCPU": 1, "MEMORY_MB": 64}}
    assert [each["allocations"] for each in found["allocation_requests"]] == [
        {first: wanted},
        {second: wanted},
    ]
    summary = found["provider_summaries"][first]
    assert summary["resources"]["VCPU"]["used"] == 1 and "DISK_GB" in summary["resources"]
    assert summary["root_provider_uuid"] == first and summary["traits"]
    room = summary["resources"]["VCPU"]["capacity"]
    assert list(candidates(placement, f"resources=VCPU:{room}")["provider_summaries"]) == [second]
    assert len(candidates(placement, "resources=VCPU:1&limit=1")["allocation_requests"]) == 1
    assert not candidates(placement, "resources=VCPU:1&required=CUSTOM_X")["allocation_requests"]
    assert not candidates(placement, f"resources=VCPU:1&member_of={uuid4()}")["provider_summaries"]

    old = candidates(placement, "resources=VCPU:1", "1.10")
    assert old["allocation_requests"][0]["allocations"] == [
        {"resource_provider": {"uuid": first}, "resources": {"VCPU": 1}}
    ]
    assert set(old["provider_summaries"][first]) == {"resources"}
    assert set(old["provider_summaries"][first]["resources"]) == {"VCPU"}
    placement.refused(404, "/allocation_candidates?resources=VCPU:1", "1.9")


def test_groups_of_a_request_end_on_one_host(placement: Placement, providers: list[str]) -> None:
    groups = "resources1=VCPU:2&resources2=VCPU:1&required2=!COMPUTE_STATUS_DISABLED"
    found = candidates(placement, f"{groups}&group_policy=none")
    first = found["allocation_requests"][0]["allocations"]
    assert first == {providers[0]: {"resources": {"VCPU": 3}}}
    assert not candidates(placement, f"{groups}&group_policy=isolate")["allocation_requests"]
    assert "group_policy" in placement.refused(400, f"/allocation_candidates?{groups}")
    assert "resources" in placement.refused(400, "/allocation_candidates")
    placement.refused(400, f"/allocation_candidates?{groups}&group_policy=none", "1.24")
    assert UUID(next(iter(first)))
