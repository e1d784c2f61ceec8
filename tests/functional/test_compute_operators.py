"""What operators look at: services, hypervisors, zones, limits and quotas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_lite.domain.specs import Role
from tests.functional.compute_site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.cloud.close()


def services(site: Site, query: str = "", version: str = "2.11") -> list[Any]:
    return list(site.compute.get(f"/os-services?{query}", version=version)["services"])


def test_services_are_listed_with_their_state(site: Site) -> None:
    found = {(s["binary"], s["host"]): s for s in services(site)}
    assert set(found) == {
        ("nova-compute", "host1"),
        ("nova-compute", "host2"),
        ("nova-network", "net1"),
    }
    one = found["nova-compute", "host1"]
    assert (one["state"], one["status"], one["zone"]) == ("up", "enabled", "nova")
    assert one["forced_down"] is False and one["disabled_reason"] is None
    assert found["nova-network", "net1"]["zone"] == "internal"
    assert "forced_down" not in services(site, version="2.10")[0]
    (one,) = services(site, "host=host2&binary=nova-compute")
    assert one["host"] == "host2"
    assert services(site, "binary=nova-conductor") == services(site, "host=x") == []


def test_a_service_that_says_nothing_is_down(site: Site) -> None:
    site.cloud.kill(Role.COMPUTE, "host1")
    site.cloud.pass_time(60)
    (one,) = services(site, "host=host1")
    (other,) = services(site, "host=host2")
    assert (one["state"], other["state"]) == ("down", "up")


def test_a_service_is_disabled_with_a_reason_and_enabled_again(site: Site) -> None:
    which = {"host": "host1", "binary": "nova-compute"}
    put = site.compute.put
    assert put("/os-services/disable", which)["service"] == {**which, "status": "disabled"}
    why = {**which, "disabled_reason": "new disks"}
    assert put("/os-services/disable-log-reason", why)["service"] == {**why, "status": "disabled"}
    (one,) = services(site, "host=host1")
    assert (one["status"], one["disabled_reason"]) == ("disabled", "new disks")
    assert put("/os-services/enable", which)["service"]["status"] == "enabled"
    (one,) = services(site, "host=host1")
    assert (one["status"], one["disabled_reason"]) == ("enabled", None)
    down = {**which, "forced_down": True}
    assert put("/os-services/force-down", down, version="2.11")["service"] == down
    assert services(site, "host=host1")[0]["state"] == "down"
    put("/os-services/force-down", {**which, "forced_down": "false"}, version="2.11")
    assert services(site, "host=host1")[0]["state"] == "up"
    site.refused(404, "PUT", "/os-services/force-down", down, version="2.10")
    for wrong in ({**which, "host": "x"}, {**which, "binary": "nova-x"}):
        site.refused(404, "PUT", "/os-services/disable", wrong)
    site.refused(400, "PUT", "/os-services/disable", {"host": "host1"})


def test_hypervisors_show_what_they_have_and_what_is_taken(site: Site) -> None:
    id = site.running(availability_zone="nova:host2")
    first, second = site.compute.get("/os-hypervisors/detail")["hypervisors"]
    assert (first["hypervisor_hostname"], second["hypervisor_hostname"]) == ("host1", "host2")
    assert (second["vcpus_used"], second["memory_mb_used"], second["local_gb_used"]) == (1, 64, 1)
    assert second["free_ram_mb"] == second["memory_mb"] - 64 and second["running_vms"] == 1
    assert second["service"]["host"] == "host2" and second["current_workload"] == 0
    assert site.compute.get(f"/os-hypervisors/{second['id']}")["hypervisor"] == second
    assert isinstance(second["cpu_info"], str)
    path = f"/os-hypervisors/{second['id']}"
    assert isinstance(site.compute.get(path, version="2.28")["hypervisor"]["cpu_info"], dict)

    totals = site.compute.get("/os-hypervisors/statistics")["hypervisor_statistics"]
    assert (totals["count"], totals["vcpus_used"], totals["running_vms"]) == (2, 1, 1)
    assert totals["memory_mb"] == first["memory_mb"] + second["memory_mb"]
    site.act(id, "os-stop")
    assert site.compute.get(path)["hypervisor"]["current_workload"] == 1
    site.compute.put("/os-services/disable", {"host": "host2", "binary": "nova-compute"})
    assert site.compute.get(path)["hypervisor"]["status"] == "disabled"
    totals = site.compute.get("/os-hypervisors/statistics")["hypervisor_statistics"]
    assert (totals["count"], totals["vcpus_used"]) == (1, 0)


def test_hypervisors_are_found_by_a_part_of_their_name(site: Site) -> None:
    id = site.running(availability_zone="nova:host2")
    found = site.compute.get("/os-hypervisors/host/servers")["hypervisors"]
    assert "servers" not in found[0]
    assert found[1]["servers"] == [{"name": "server", "uuid": id}]
    found = site.compute.get("/os-hypervisors/st2/search")["hypervisors"]
    assert [host["hypervisor_hostname"] for host in found] == ["host2"]
    for path in ("x/search", "x/servers", "%25/search"):
        site.refused(404, "GET", f"/os-hypervisors/{path}")


def test_a_hypervisor_that_is_not_there(site: Site) -> None:
    for id in ("999", "host1", "9" * 20):
        site.refused(404, "GET", f"/os-hypervisors/{id}")
        site.refused(404, "GET", f"/os-hypervisors/{id}/uptime")
    said = site.compute.call("GET", "/os-hypervisors/1/uptime", status=501)
    assert "uptime" in said.json["notImplemented"]["message"]


@pytest.mark.parametrize("path", ["/os-hypervisors", "/os-hypervisors/detail"])
def test_hypervisors_are_paged_since_2_33(site: Site, path: str) -> None:
    assert len(site.compute.get(f"{path}?limit=1", version="2.32")["hypervisors"]) == 2
    page = site.compute.get(f"{path}?limit=1", version="2.33")
    (link,) = page["hypervisors_links"]
    assert f"{path}?limit=1&marker={page['hypervisors'][0]['id']}" in link["href"]
    rest = link["href"].removeprefix("http://localhost/compute/v2.1")
    (host,) = site.compute.get(rest, version="2.33")["hypervisors"]
    assert host["hypervisor_hostname"] == "host2"
    for marker in ("x", "999"):
        site.refused(400, "GET", f"{path}?marker={marker}", version="2.33")


def test_there_are_no_aggregates(site: Site) -> None:
    assert site.compute.get("/os-aggregates") == {"aggregates": []}
    site.refused(404, "GET", "/os-aggregates/1")


def test_zones_one_may_ask_for_and_in_detail_who_is_in_them(site: Site) -> None:
    alice = site.person("alice")
    zones = site.compute.get("/os-availability-zone", token=alice.token)
    assert zones["availabilityZoneInfo"] == [
        {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    ]
    site.refused(403, "GET", "/os-availability-zone/detail", token=alice.token)
    detail = site.compute.get("/os-availability-zone/detail")["availabilityZoneInfo"]
    internal, nova = detail
    assert internal["zoneName"] == "internal" and list(internal["hosts"]) == ["net1"]
    assert set(nova["hosts"]) == {"host1", "host2"}
    worker = nova["hosts"]["host1"]["nova-compute"]
    assert worker["active"] is True and worker["available"] is True
    for host in ("host1", "host2"):
        site.compute.put("/os-services/disable", {"host": host, "binary": "nova-compute"})
    (zone,) = site.compute.get("/os-availability-zone")["availabilityZoneInfo"]
    assert zone["zoneState"] == {"available": False}


NETWORK_LIMITS = {
    "maxSecurityGroups",
    "maxSecurityGroupRules",
    "maxTotalFloatingIps",
    "totalFloatingIpsUsed",
    "totalSecurityGroupsUsed",
}
NETWORK_QUOTAS = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}


def test_limits_show_what_is_used_of_what_may_be(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    site.create(alice, max_count=2)
    limits = site.compute.get("/limits", token=alice.token)["limits"]
    assert limits["rate"] == []
    absolute = limits["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["maxTotalInstances"]) == (2, 10)
    assert (absolute["totalRAMUsed"], absolute["totalCoresUsed"]) == (128, 2)
    newer = site.compute.get("/limits", version="2.36", token=alice.token)["limits"]["absolute"]
    assert set(absolute) - set(newer) == NETWORK_LIMITS
    path = f"/limits?tenant_id={alice.project}"
    assert site.compute.get(path)["limits"]["absolute"]["totalInstancesUsed"] == 2
    site.refused(403, "GET", path, token=bob.token)


def test_quotas_can_be_looked_at_and_come_from_the_configuration(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    site.create(alice)
    path = f"/os-quota-sets/{alice.project}"
    quota = site.compute.get(path, token=alice.token)["quota_set"]
    assert quota["id"] == alice.project and quota["instances"] == 10
    assert site.compute.get(f"{path}/defaults", token=alice.token)["quota_set"] == quota
    detail = site.compute.get(f"{path}/detail", token=alice.token)["quota_set"]
    assert detail["instances"] == {"in_use": 1, "limit": 10, "reserved": 0}
    newer = site.compute.get(path, version="2.36", token=alice.token)["quota_set"]
    assert set(quota) - set(newer) == NETWORK_QUOTAS
    site.refused(403, "GET", path, token=bob.token)
    assert site.compute.get(path)["quota_set"] == quota
    site.refused(405, "PUT", path, {"quota_set": {"cores": 1}})


def test_extensions_are_listed(site: Site) -> None:
    aliases = [e["alias"] for e in site.compute.get("/extensions")["extensions"]]
    assert "os-keypairs" in aliases
    assert site.compute.get("/extensions/os-keypairs")["extension"]["name"] == "Keypairs"
    site.refused(404, "GET", "/extensions/os-nonesuch")


def test_a_member_is_no_operator(site: Site) -> None:
    alice = site.person("alice")
    for path in (
        "/os-services",
        "/os-hypervisors",
        "/os-hypervisors/detail",
        "/os-hypervisors/1",
        "/os-hypervisors/statistics",
        "/os-hypervisors/1/uptime",
        "/os-hypervisors/host/search",
        "/os-hypervisors/host/servers",
        "/os-aggregates",
    ):
        site.refused(403, "GET", path, token=alice.token)
    which = {"host": "host1", "binary": "nova-compute"}
    site.refused(403, "PUT", "/os-services/disable", which, token=alice.token)
    site.refused(403, "DELETE", "/flavors/1", token=alice.token)
