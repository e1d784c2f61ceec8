"""os-hypervisors and os-availability-zone."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Service
from nova_lite.domain.specs import Role
from tests.functional.compute_site import Site


def listed(site: Site, query: str = "", version: str = "2.53") -> list[Any]:
    return list(site.compute.get(f"/os-hypervisors{query}", version=version)["hypervisors"])


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
    for path in ("host/search", "host/servers"):
        site.refused(404, "GET", f"/os-hypervisors/{path}", version="2.53")


def test_since_2_53_the_list_is_searched_and_has_servers(site: Site) -> None:
    id = site.running(availability_zone="nova:host2")
    (found,) = listed(site, "?hypervisor_hostname_pattern=st2&with_servers=True")
    assert found["servers"] == [{"name": "server", "uuid": id}]
    first, second = listed(site, "/detail?with_servers=true")
    assert "servers" not in first and second["servers"] == found["servers"]
    first, _ = listed(site, "?with_servers=true", version="2.75")
    assert first["servers"] == []
    assert all("servers" not in host for host in listed(site, version="2.75"))
    shown = site.compute.get(f"/os-hypervisors/{found['id']}?with_servers=1", version="2.53")
    assert shown["hypervisor"]["servers"] == found["servers"]
    site.refused(404, "GET", "/os-hypervisors?hypervisor_hostname_pattern=x", version="2.53")
    for query in (
        "hypervisor_hostname_pattern=st2&limit=1",
        "with_servers=perhaps",
        "with_servers=1&with_servers=0",
        "hypervisor_hostname_pattern=%25",
        "marker=x",
        f"marker={uuid4()}",
        "limit=-1",
        "colour=red",
    ):
        site.refused(400, "GET", f"/os-hypervisors?{query}", version="2.53")
    site.refused(400, "GET", f"/os-hypervisors/{found['id']}?colour=red", version="2.53")


def test_a_hypervisor_has_a_number_and_since_2_53_a_uuid(site: Site) -> None:
    numbers = [host["id"] for host in listed(site, version="2.52")]
    ids = [host["id"] for host in listed(site)]
    assert numbers == [1, 2] and len({UUID(id) for id in ids}) == 2
    shown = site.compute.get(f"/os-hypervisors/{ids[0]}", version="2.53")["hypervisor"]
    assert shown["id"] == ids[0] and UUID(shown["service"]["id"])
    site.refused(404, "GET", f"/os-hypervisors/{ids[0]}", version="2.52")
    site.refused(400, "GET", f"/os-hypervisors/{numbers[0]}", version="2.53")


def test_a_hypervisor_that_is_not_there(site: Site) -> None:
    for id in ("999", "host1", "9" * 20, str(uuid4())):
        site.refused(404, "GET", f"/os-hypervisors/{id}")
        site.refused(404, "GET", f"/os-hypervisors/{id}/uptime")
    site.refused(404, "GET", f"/os-hypervisors/{uuid4()}", version="2.53")
    site.refused(404, "GET", f"/os-hypervisors/{uuid4()}/uptime", version="2.53")


UPTIME = re.compile(
    r" \d\d:\d\d:\d\d up .+,  \d+ users?,  load average: \d+\.\d\d, \d+\.\d\d, \d+\.\d\d"
)


def test_a_hypervisor_says_how_long_it_has_been_up(site: Site) -> None:
    shown = site.compute.get("/os-hypervisors/1/uptime")["hypervisor"]
    assert set(shown) == {"id", "hypervisor_hostname", "state", "status", "uptime"}
    assert UPTIME.fullmatch(shown["uptime"])
    (first, _) = listed(site)
    newer = site.compute.get(f"/os-hypervisors/{first['id']}/uptime", version="2.87")
    assert newer["hypervisor"]["id"] == first["id"]
    site.refused(404, "GET", f"/os-hypervisors/{first['id']}/uptime", version="2.88")
    site.cloud.kill(Role.COMPUTE, "host1")
    site.cloud.pass_time(60)
    assert "unavailable" in site.refused(400, "GET", "/os-hypervisors/1/uptime")
    with site.cloud.database.write() as session:
        session.execute(sa.update(Service).values(uptime=None))
    site.refused(501, "GET", "/os-hypervisors/2/uptime")


def test_since_2_88_what_placement_knows_is_gone_and_uptime_is_there(site: Site) -> None:
    (before, _) = listed(site, "/detail", version="2.87")
    (after, _) = listed(site, "/detail", version="2.88")
    assert set(after) == {
        "id",
        "hypervisor_hostname",
        "state",
        "status",
        "hypervisor_type",
        "hypervisor_version",
        "host_ip",
        "service",
        "uptime",
    }
    assert {"cpu_info", "vcpus", "running_vms"} <= set(before) and "uptime" not in before
    assert UPTIME.fullmatch(after["uptime"])
    site.refused(404, "GET", "/os-hypervisors/statistics", version="2.88")
    site.compute.put(
        f"/os-services/{after['service']['id']}", {"forced_down": True}, version="2.88"
    )
    shown = site.compute.get(f"/os-hypervisors/{after['id']}", version="2.88")["hypervisor"]
    assert (shown["state"], shown["uptime"]) == ("down", None)


@pytest.mark.parametrize("path", ["", "/detail"])
@pytest.mark.parametrize("version", ["2.33", "2.53"])
def test_hypervisors_are_paged_since_2_33(site: Site, path: str, version: str) -> None:
    assert len(listed(site, f"{path}?limit=1", version="2.32")) == 2
    page = site.compute.get(f"/os-hypervisors{path}?limit=1", version=version)
    (link,) = page["hypervisors_links"]
    wanted = f"/os-hypervisors{path}?limit=1&marker={page['hypervisors'][0]['id']}"
    assert wanted in link["href"]
    rest = link["href"].removeprefix("http://localhost/compute/v2.1/os-hypervisors")
    (host,) = listed(site, rest, version=version)
    assert host["hypervisor_hostname"] == "host2"
    for marker in ("x", "999"):
        site.refused(400, "GET", f"/os-hypervisors{path}?marker={marker}", version=version)


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
    _, zone = site.compute.get("/os-availability-zone/detail")["availabilityZoneInfo"]
    assert zone == {"zoneName": "nova", "zoneState": {"available": False}, "hosts": None}


def test_a_member_sees_no_hypervisors(site: Site) -> None:
    token = site.person("alice").token
    for path in ("", "/detail", "/1", "/statistics", "/1/uptime", "/host/search", "/host/servers"):
        site.refused(403, "GET", f"/os-hypervisors{path}", token=token)
