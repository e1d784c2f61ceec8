"""os-services and os-hosts: the workers, and taking them out of service."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Host, Service
from nova_lite.domain.specs import Role
from tests.functional.compute_site import Site

WHICH = {"host": "host1", "binary": "nova-compute"}


def services(site: Site, query: str = "", version: str = "2.11") -> list[Any]:
    return list(site.compute.get(f"/os-services?{query}", version=version)["services"])


def id_of(site: Site, host: str = "host1", version: str = "2.53") -> Any:
    (one,) = services(site, f"host={host}", version)
    return one["id"]


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


def test_both_filters_of_the_list_count(site: Site) -> None:
    (one,) = services(site, "host=host2&binary=nova-compute")
    assert one["host"] == "host2"
    assert services(site, "host=host1&binary=nova-network") == []
    assert services(site, "binary=nova-conductor") == services(site, "host=x") == []
    assert len(services(site, "host=&binary=")) == len(services(site)) == 3


def test_an_unknown_word_of_the_query_is_refused_since_2_75(site: Site) -> None:
    assert len(services(site, "xxx=nova-compute", version="2.74")) == 3
    site.refused(400, "GET", "/os-services?xxx=nova-compute", version="2.75")
    assert len(services(site, "binary=nova-compute", version="2.75")) == 2


def test_a_service_has_a_number_and_since_2_53_a_uuid(site: Site) -> None:
    assert all(isinstance(s["id"], int) for s in services(site, version="2.52"))
    ids = [UUID(s["id"]) for s in services(site, version="2.53")]
    assert len(set(ids)) == 3
    assert [UUID(s["id"]) for s in services(site, version="2.53")] == ids


def test_rows_from_before_there_were_ids_get_one(site: Site) -> None:
    with site.cloud.database.write() as session:
        session.execute(sa.update(Service).values(id=None))
        session.execute(sa.update(Host).values(id=None))
    ids = [service["id"] for service in services(site, version="2.53")]
    assert len({UUID(id) for id in ids}) == 3
    site.cloud.heartbeat()
    site.cloud.deliver()
    assert [service["id"] for service in services(site, version="2.53")] == ids
    hosts = site.compute.get("/os-hypervisors", version="2.53")["hypervisors"]
    assert len({UUID(host["id"]) for host in hosts}) == 2


def test_a_service_that_says_nothing_is_down(site: Site) -> None:
    site.cloud.kill(Role.COMPUTE, "host1")
    site.cloud.pass_time(60)
    (one,) = services(site, "host=host1")
    (other,) = services(site, "host=host2")
    assert (one["state"], other["state"]) == ("down", "up")


def test_a_service_is_disabled_with_a_reason_and_enabled_again(site: Site) -> None:
    put = site.compute.put
    assert put("/os-services/disable", WHICH)["service"] == {**WHICH, "status": "disabled"}
    why = {**WHICH, "disabled_reason": "new disks"}
    assert put("/os-services/disable-log-reason", why)["service"] == {**why, "status": "disabled"}
    (one,) = services(site, "host=host1")
    assert (one["status"], one["disabled_reason"]) == ("disabled", "new disks")
    assert put("/os-services/enable", WHICH)["service"]["status"] == "enabled"
    (one,) = services(site, "host=host1")
    assert (one["status"], one["disabled_reason"]) == ("enabled", None)


def test_a_service_is_declared_down_since_2_11(site: Site) -> None:
    put, down = site.compute.put, {**WHICH, "forced_down": True}
    assert put("/os-services/force-down", down, version="2.11")["service"] == down
    assert services(site, "host=host1")[0]["state"] == "down"
    put("/os-services/force-down", {**WHICH, "forced_down": "false"}, version="2.11")
    assert services(site, "host=host1")[0]["state"] == "up"
    site.refused(404, "PUT", "/os-services/force-down", WHICH, version="2.10")
    site.refused(400, "PUT", "/os-services/force-down", down, version="2.10")
    site.refused(400, "PUT", "/os-services/force-down", WHICH, version="2.11")


def test_what_cannot_be_done_to_a_service(site: Site) -> None:
    for wrong in ({**WHICH, "host": "x"}, {**WHICH, "binary": "nova-x"}):
        site.refused(404, "PUT", "/os-services/disable", wrong)
    site.refused(404, "PUT", "/os-services/explode", WHICH)
    site.refused(400, "PUT", "/os-services/disable", {"host": "host1"})
    assert "reason" in site.refused(400, "PUT", "/os-services/disable-log-reason", WHICH)
    site.refused(400, "PUT", "/os-services/enable", WHICH, version="2.53")


def test_since_2_53_a_service_is_changed_by_its_uuid(site: Site) -> None:
    body = {"status": "disabled", "disabled_reason": "new disks"}
    changed = site.compute.put(f"/os-services/{id_of(site)}", body, version="2.53")["service"]
    assert (changed["status"], changed["disabled_reason"]) == ("disabled", "new disks")
    assert set(changed) == {
        "id",
        "binary",
        "host",
        "zone",
        "status",
        "state",
        "updated_at",
        "disabled_reason",
        "forced_down",
    }


def test_what_is_said_of_a_service_by_its_uuid_is_checked(site: Site) -> None:
    id = id_of(site)

    def put(status: int, body: Any, path: str = f"/os-services/{id}") -> Any:
        return site.compute.call("PUT", path, body, version="2.53", status=status).json

    done = put(200, {"status": "disabled"})["service"]
    assert (done["status"], done["disabled_reason"]) == ("disabled", None)
    done = put(200, {"forced_down": True})["service"]
    assert (done["status"], done["state"], done["forced_down"]) == ("disabled", "down", True)
    done = put(200, {"status": "enabled", "forced_down": "false"})["service"]
    assert (done["status"], done["state"]) == ("enabled", "up")
    assert put(200, {})["service"] == done
    put(400, {"status": "enabled", "disabled_reason": "x"})
    put(400, {"disabled_reason": "x"})
    put(400, {"status": "gone"})
    put(400, {"host": "host1"})
    put(400, {"status": "enabled"}, "/os-services/12")
    put(404, {"status": "enabled"}, f"/os-services/{uuid4()}")
    wrong = put(400, {"status": "disabled"}, f"/os-services/{id_of(site, 'net1')}")
    assert "Only nova-compute" in wrong["badRequest"]["message"]


def test_a_service_with_servers_is_not_deleted(site: Site) -> None:
    site.running(availability_zone="nova:host1")
    path = f"/os-services/{id_of(site)}"
    assert "hosting instances" in site.refused(409, "DELETE", path, version="2.53")
    site.compute.delete(f"/os-services/{id_of(site, 'host2')}", version="2.53")
    assert {s["host"] for s in services(site)} == {"host1", "net1"}
    hypervisors = site.compute.get("/os-hypervisors")["hypervisors"]
    assert [host["hypervisor_hostname"] for host in hypervisors] == ["host1"]
    site.cloud.heartbeat()
    site.cloud.deliver()
    assert {s["host"] for s in services(site)} == {"host1", "host2", "net1"}


def test_services_that_are_not_there_are_not_deleted(site: Site) -> None:
    for id, version, status in (
        (uuid4(), "2.53", 404),
        ("12", "2.53", 400),
        ("x", "2.53", 400),
        ("999", "2.52", 404),
        (uuid4(), "2.52", 400),
    ):
        site.refused(status, "DELETE", f"/os-services/{id}", version=version)
    site.compute.delete(f"/os-services/{id_of(site, 'net1', '2.52')}", version="2.52")


def test_a_disabled_host_gets_nothing_from_that_moment(site: Site) -> None:
    site.running()  # the scheduler has a picture, and it is not a second old
    site.compute.put("/os-services/disable", WHICH)
    created = [site.create() for _ in range(4)]
    site.cloud.settle()
    assert {site.server(id)["OS-EXT-SRV-ATTR:host"] for id in created} == {"host2"}


# --- os-hosts ------------------------------------------------------------------------------------


def hosts(site: Site, query: str = "") -> list[Any]:
    return list(site.compute.get(f"/os-hosts?{query}")["hosts"])


def test_hosts_are_listed_by_zone_and_service(site: Site) -> None:
    every = hosts(site)
    assert every == [
        {"host_name": "host1", "service": "compute", "zone": "nova"},
        {"host_name": "host2", "service": "compute", "zone": "nova"},
        {"host_name": "net1", "service": "network", "zone": "internal"},
    ]
    assert hosts(site, "zone=internal") == hosts(site, "service=network") == every[2:]
    assert hosts(site, "zone=") == every and hosts(site, "zone=xxx") == []
    site.compute.put("/os-services/disable", WHICH)
    assert hosts(site, "zone=nova") == every[1:2]


def test_a_host_shows_what_each_project_has_on_it(site: Site) -> None:
    alice = site.person("alice")
    for _ in range(2):
        site.create(alice)
    site.running(availability_zone="nova:host1")
    shown = [row["resource"] for row in site.compute.get("/os-hosts/host1")["host"]]
    assert [row["project"] for row in shown[:3]] == ["(total)", "(used_now)", "(used_max)"]
    assert all(row["host"] == "host1" for row in shown)
    assert shown[0]["cpu"] == 64
    _, now, most, *projects = shown
    assert {name: now[name] for name in ("cpu", "memory_mb", "disk_gb")} == {
        name: sum(row[name] for row in projects) for name in ("cpu", "memory_mb", "disk_gb")
    }
    assert most["cpu"] == now["cpu"] >= 1
    empty = site.compute.get("/os-hosts/host2")["host"]
    assert len(empty) >= 3


def test_a_host_is_enabled_and_disabled(site: Site) -> None:
    path = "/os-hosts/host1"
    assert site.compute.put(path, {"status": "disable"}) == {"host": "host1", "status": "disabled"}
    assert services(site, "host=host1")[0]["status"] == "disabled"
    assert site.compute.put(path, {"status": "Enable"}) == {"host": "host1", "status": "enabled"}
    assert services(site, "host=host1")[0]["status"] == "enabled"
    for wrong in (
        {},
        {"status": None, "maintenance_mode": None},
        {"status": "invalid", "maintenance_mode": "enable"},
        {"status": "enable", "maintenance_mode": "invalid"},
        {"power": "enable"},
    ):
        site.refused(400, "PUT", path, wrong)
    site.refused(501, "PUT", path, {"maintenance_mode": "enable"})
    site.refused(404, "PUT", "/os-hosts/x", {"status": "enable", "maintenance_mode": "enable"})
    site.refused(404, "GET", "/os-hosts/x")


@pytest.mark.parametrize("deed", ["startup", "shutdown", "reboot"])
def test_no_hypervisor_of_ours_powers_its_host(site: Site, deed: str) -> None:
    site.refused(404, "GET", f"/os-hosts/x/{deed}")
    site.refused(501, "GET", f"/os-hosts/host1/{deed}")


def test_there_are_no_hosts_any_more_since_2_43(site: Site) -> None:
    for path in ("", "/host1", "/host1/reboot"):
        site.refused(404, "GET", f"/os-hosts{path}", version="2.43")


def test_a_member_sees_no_services_and_no_hosts(site: Site) -> None:
    token = site.person("alice").token
    for path in ("/os-services", "/os-hosts", "/os-hosts/host1", "/os-hosts/host1/reboot"):
        site.refused(403, "GET", path, token=token)
    site.refused(403, "PUT", "/os-services/disable", WHICH, token=token)
    site.refused(403, "PUT", "/os-hosts/host1", {"status": "enable"}, token=token)
    site.refused(403, "DELETE", f"/os-services/{uuid4()}", token=token, version="2.53")
