"""Servers as the clients of the compute API see them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from nova_lite.domain.specs import Role
from tests.functional.compute_site import FLAVOR, Site

ADDRESS = "OS-EXT-IPS-MAC:mac_addr"


# --- creating ---------------------------------------------------------------------------------


def test_a_server_is_promised_at_once_and_active_soon(site: Site) -> None:
    answer = site.ask(metadata={"a": "b"}, description="mine")
    server = answer.json["server"]
    assert answer.status_int == 202
    assert set(server) == {"id", "links", "OS-DCF:diskConfig", "security_groups", "adminPass"}
    assert answer.headers["Location"] == server["links"][0]["href"]
    assert server["links"][0]["href"].endswith(f"/compute/v2.1/servers/{server['id']}")
    building = site.server(server["id"])
    assert (building["status"], building["OS-EXT-STS:task_state"]) == ("BUILD", "scheduling")
    assert building["hostId"] == "" and building["host_status"] == ""

    site.cloud.settle()
    active = site.server(server["id"])
    assert active["status"] == "ACTIVE" and active["OS-EXT-STS:power_state"] == 1
    assert active["OS-EXT-SRV-ATTR:host"] in site.cloud.hosts and active["host_status"] == "UP"
    assert active["metadata"] == {"a": "b"} and active["description"] == "mine"
    assert active["addresses"]["net"][0]["addr"] == "10.0.0.2"
    assert active["addresses"]["net"][0][ADDRESS].startswith("fa:16:3e:")
    assert active["image"]["id"] == site.image_id and active["flavor"]["id"] == FLAVOR
    assert len(active["hostId"]) == 56
    assert "fault" not in active


def test_the_owner_does_not_see_what_is_for_administrators(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    mine = site.server(id, by=alice)
    assert mine["status"] == "ACTIVE"
    assert not [key for key in mine if key.startswith("OS-EXT-SRV-ATTR") or key == "host_status"]


def test_what_changed_with_each_microversion(site: Site) -> None:
    id = site.running()
    first, last = site.server(id, "2.1"), site.server(id, "2.37")
    since = {
        (2, 3): {
            f"OS-EXT-SRV-ATTR:{name}"
            for name in (
                "reservation_id",
                "launch_index",
                "hostname",
                "kernel_id",
                "ramdisk_id",
                "root_device_name",
                "user_data",
            )
        },
        (2, 9): {"locked"},
        (2, 16): {"host_status"},
        (2, 19): {"description"},
        (2, 26): {"tags"},
    }
    expected = set(first)
    for minor in range(1, 38):
        expected |= since.get((2, minor), set())
        assert set(site.server(id, f"2.{minor}")) == expected
    assert set(last) - set(first) == set().union(*since.values())


def test_several_servers_of_one_request_share_a_reservation(site: Site) -> None:
    answer = site.ask(min_count="2", max_count=3, return_reservation_id=True)
    reservation = answer.json["reservation_id"]
    site.cloud.settle()
    found = site.compute.get(f"/servers/detail?reservation_id={reservation}")["servers"]
    assert sorted(s["name"] for s in found) == ["server-1", "server-2", "server-3"]
    assert {s["status"] for s in found} == {"ACTIVE"}


def test_a_key_and_user_data_go_with_it(site: Site) -> None:
    site.compute.post("/os-keypairs", {"keypair": {"name": "key"}})
    data = base64.b64encode(b"#!/bin/sh\n").decode()
    server = site.server(site.create(key_name="key", user_data=data))
    assert server["key_name"] == "key" and server["OS-EXT-SRV-ATTR:user_data"] == data
    listed = site.compute.get("/servers/detail", version="2.3")["servers"]
    assert listed[0]["OS-EXT-SRV-ATTR:user_data"] == data


def test_the_form_the_openstack_client_sends_is_understood(site: Site) -> None:
    """The image as a block device, too; counts always; a URL for a flavor."""
    device = {
        "uuid": site.image_id,
        "boot_index": 0,
        "source_type": "image",
        "destination_type": "local",
        "delete_on_termination": True,
    }
    for image in (site.image_id, "", None):
        more: Any = {
            "OS-DCF:diskConfig": "AUTO",
            "accessIPv4": "192.0.2.1",
            "accessIPv6": "2001:DB8::1",
        }
        answer = site.ask(
            imageRef=image,
            flavorRef=f"http://cloud/flavors/{FLAVOR}",
            block_device_mapping_v2=[device],
            min_count=1,
            max_count=1,
            security_groups=[{"name": "default"}],
            config_drive=False,
            **more,
        )
        server = answer.json["server"]
        assert server["security_groups"] == [{"name": "default"}]
        shown = site.server(server["id"])
        assert shown["OS-DCF:diskConfig"] == "AUTO"
        assert (shown["accessIPv4"], shown["accessIPv6"]) == ("192.0.2.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": ""}, "server.name"),
        ({"name": " blank"}, "server.name"),
        ({"name": "line\nfeed"}, "server.name"),
        ({"name": "x" * 256}, "server.name"),
        ({"name": None}, "name"),
        ({"flavorRef": None}, "flavorRef"),
        ({"flavorRef": "nonesuch"}, "Flavor nonesuch could not be found"),
        ({"imageRef": "nonesuch"}, "imageRef"),
        ({"imageRef": None}, "imageRef"),
        ({"imageRef": str(uuid4())}, "could not be found"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"metadata": {"k" * 256: "v"}}, "metadata"),
        ({"user_data": "!"}, "base 64"),
        ({"key_name": "nonesuch"}, "key_name"),
        ({"networks": None}, "networks"),
        ({"networks": "some"}, "networks"),
        ({"networks": [{"fixed_ip": "10.0.0.9"}]}, "networks.0"),
        ({"networks": [{"port": "no port"}]}, "networks"),
        ({"networks": [{"port": str(uuid4())}]}, "Port"),
        ({"networks": [{"uuid": str(uuid4())}]}, "could not be found"),
        ({"networks": [{"uuid": str(uuid4()), "fixed_ip": "10.0.0"}]}, "networks.0.fixed_ip"),
        ({"networks": [{"uuid": "NET", "fixed_ip": "192.0.2.1"}]}, "not a valid IP"),
        ({"networks": [{"uuid": "NET", "fixed_ip": "10.0.0.9"}], "max_count": 2}, "fixed_ip"),
        ({"min_count": 0}, "min_count"),
        ({"min_count": "0"}, "min_count"),
        ({"min_count": 3, "max_count": 2}, "max_count"),
        ({"max_count": 1001}, "max_count"),
        ({"security_groups": [{"name": "web"}]}, "Security group web"),
        ({"personality": [{"path": "/etc/motd", "contents": "!"}]}, "personality"),
        ({"block_device_mapping": [{"device_name": "vda"}]}, "block_device_mapping"),
        (
            {"block_device_mapping_v2": [{"source_type": "volume", "boot_index": 0}]},
            "block_device_mapping_v2.0",
        ),
        (
            {
                "block_device_mapping_v2": [
                    {"source_type": "image", "destination_type": "volume", "boot_index": 0}
                ]
            },
            "there are no volumes",
        ),
        (
            {
                "block_device_mapping_v2": [
                    {"source_type": "image", "uuid": str(uuid4()), "boot_index": 0}
                ]
            },
            "not the image of imageRef",
        ),
        ({"config_drive": "maybe"}, "config_drive"),
        ({"accessIPv4": "2001:db8::1"}, "accessIPv4"),
        ({"availability_zone": "mars"}, "availability zone is not available"),
        ({"availability_zone": "nova:nonesuch"}, "Compute host nonesuch"),
        ({"availability_zone": "nova:host1:host2"}, "availability_zone"),
        ({"OS-EXT-SRV-ATTR:host": "host1"}, "OS-EXT-SRV-ATTR:host"),
    ],
)
def test_what_cannot_be_is_refused_by_name(site: Site, values: dict[str, Any], said: str) -> None:
    for network in values.get("networks") or ():
        if isinstance(network, dict) and network.get("uuid") == "NET":
            network["uuid"] = site.network_id
    answer = site.ask(**values)
    assert answer.status_int == 400
    assert said in answer.json["badRequest"]["message"]


def test_networks_may_be_left_to_the_cloud(site: Site) -> None:
    auto = site.running(networks="auto")
    assert list(site.server(auto)["addresses"]) == ["net"]
    none = site.running(networks="none")
    assert site.server(none)["addresses"] == {}
    old = site.create(version="2.36", networks=None)
    site.cloud.settle()
    assert list(site.server(old)["addresses"]) == ["net"]
    said = site.ask(version="2.36", networks="auto")
    assert said.status_int == 400 and "networks" in said.json["badRequest"]["message"]


def test_an_address_may_be_asked_for(site: Site) -> None:
    id = site.running(networks=[{"uuid": site.network_id, "fixed_ip": "10.0.3.4"}])
    assert site.server(id)["addresses"]["net"][0]["addr"] == "10.0.3.4"


def test_only_an_administrator_names_the_host(site: Site) -> None:
    id = site.running(availability_zone="nova:host2:host2")
    assert site.server(id)["OS-EXT-SRV-ATTR:host"] == "host2"
    alice = site.person("alice")
    assert site.ask(alice, availability_zone="nova:host2").status_int == 403
    assert site.ask(alice, availability_zone="nova").status_int == 202


def test_scheduler_hints_are_bounded_and_unknown_ones_passed_over(site: Site) -> None:
    server = {"name": "s", "imageRef": site.image_id, "flavorRef": FLAVOR, "networks": "auto"}
    body = {"server": server, "os:scheduler_hints": {"foo": "bar", "same_host": [str(uuid4())]}}
    site.compute.call("POST", "/servers", body, version="2.37", status=202)
    for hints in ({"foo": {"deep": 1}}, {"same_host": [str(uuid4())] * 101}, {"query": "x" * 5000}):
        body = {"server": server, "os:scheduler_hints": hints}
        assert "hints" in site.refused(400, "POST", "/servers", body, version="2.37")


def test_the_quota_is_a_403_that_names_what_is_too_much(tmp_path: Path) -> None:
    site = Site(tmp_path, **{"quota.instances": 2, "quota.metadata_items": 1})
    alice = site.person("alice")
    site.create(alice, max_count=5)
    answer = site.ask(alice)
    assert answer.status_int == 403
    assert "Quota exceeded for instances" in answer.json["forbidden"]["message"]
    answer = site.ask(site.person("bob"), metadata={"a": "1", "b": "2"})
    assert answer.status_int == 403
    site.cloud.close()


def test_a_private_flavor_is_for_those_it_was_given_to(site: Site) -> None:
    site.flavor("secret", **{"os-flavor-access:is_public": False})
    alice = site.person("alice")
    assert site.ask(alice, flavorRef="secret").status_int == 400
    access = {"addTenantAccess": {"tenant": alice.project}}
    site.compute.post("/flavors/secret/action", access)
    assert site.ask(alice, flavorRef="secret").status_int == 202


def test_no_valid_host_is_told_to_the_owner_and_in_full_to_an_administrator(site: Site) -> None:
    site.flavor("huge", ram=10_000_000)
    alice = site.person("alice")
    site.cloud.services.quotas.limits = {**site.cloud.services.quotas.limits, "ram": -1}
    id = site.create(alice, flavorRef="huge")
    site.cloud.settle()
    mine, full = site.server(id, by=alice), site.server(id)
    assert mine["status"] == "ERROR" and "progress" not in mine
    assert "No valid host" in mine["fault"]["message"] and "details" not in mine["fault"]
    assert "host1: RamFilter" in full["fault"]["details"]


# --- looking ----------------------------------------------------------------------------------


def test_what_is_anothers_is_not_there(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    id = site.create(alice)
    for server in (id, str(uuid4()), "no-uuid"):
        assert "could not be found" in site.refused(
            404, "GET", f"/servers/{server}", token=bob.token
        )
        for method, path in (
            ("DELETE", ""),
            ("GET", "/metadata"),
            ("GET", "/ips"),
            ("GET", "/os-instance-actions"),
        ):
            site.refused(404, method, f"/servers/{server}{path}", token=bob.token)
        site.refused(404, "POST", f"/servers/{server}/action", {"os-stop": None}, token=bob.token)
    assert site.compute.get("/servers", token=bob.token)["servers"] == []
    assert site.server(id)["tenant_id"] == alice.project


def test_a_reader_may_look_and_no_more(site: Site) -> None:
    alice = site.person("alice")
    ron = site.person("ron", "reader", alice)
    id = site.running(alice)
    assert site.server(id, by=ron)["id"] == id
    assert site.ask(ron).status_int == 403
    site.act(id, "os-stop", status=403, token=ron.token)
    site.refused(403, "DELETE", f"/servers/{id}", token=ron.token)


def names(site: Site, query: str, version: str = "2.37", **how: Any) -> list[str]:
    found = site.compute.get(f"/servers/detail?{query}", version=version, **how)["servers"]
    return [server["name"] for server in found]


def test_lists_are_narrowed_by_what_is_asked(site: Site) -> None:
    site.running(name="web-1", availability_zone="nova:host1")
    stopped = site.running(name="web-2", availability_zone="nova:host2")
    site.act(stopped, "os-stop")
    site.cloud.settle()
    address = site.server(stopped)["addresses"]["net"][0]["addr"]
    assert names(site, "") == ["web-2", "web-1"]
    assert names(site, "name=web-1") == names(site, "name=%5Eweb-1$") == ["web-1"]
    assert names(site, "name=%25") == []
    assert names(site, "status=shutoff") == names(site, "host=host2") == ["web-2"]
    assert names(site, "status=ACTIVE&status=SHUTOFF") == ["web-2", "web-1"]
    assert names(site, "status=REBOOT") == names(site, "status=nonsense") == []
    assert names(site, "vm_state=active") == names(site, "node=host1") == ["web-1"]
    assert names(site, f"ip={address}") == ["web-2"]
    assert names(site, f"ip6=%5E{address}$", version="2.5") == ["web-2"]
    assert names(site, f"image={site.image_id}&flavor={FLAVOR}") == ["web-2", "web-1"]
    assert names(site, "image=nonesuch") == names(site, "flavor=nonesuch") == []
    assert names(site, f"uuid={stopped}") == ["web-2"] and names(site, "uuid=x") == []
    assert names(site, "task_state=spawning") == []
    assert names(site, "hostname=web-1") == ["web-1"]
    assert names(site, "launch_index=0&availability_zone=nova") == ["web-2", "web-1"]
    assert names(site, "changes-since=2000-01-01T00:00:00Z") == ["web-2", "web-1"]
    assert names(site, "changes-since=2999-01-01T00:00:00%2B01:00") == []
    assert names(site, "nonsense=1") == ["web-2", "web-1"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=-1",
        "limit=x",
        "marker=x",
        "marker=00000000-0000-4000-8000-000000000000",
        "changes-since=yesterday",
        "all_tenants=perhaps",
        "deleted=perhaps",
        "sort_key=password",
        "sort_dir=sideways",
    ],
)
def test_a_query_that_cannot_be_is_a_bad_request(site: Site, query: str) -> None:
    assert query.split("=")[0] in site.refused(400, "GET", f"/servers?{query}")


def test_lists_are_paged_in_any_order(site: Site) -> None:
    for name in "bdac":
        site.create(name=name)
    site.cloud.settle()
    for query, order in (
        ("", "cadb"),
        ("sort_key=display_name", "dcba"),
        ("sort_key=display_name&sort_dir=asc", "abcd"),
        ("sort_dir=asc", "bdac"),
        ("sort_key=key_name&sort_key=display_name&sort_dir=asc", "abcd"),
        ("sort_key=image_ref&sort_key=launched_at&sort_key=uuid", None),
    ):
        seen: list[str] = []
        path = f"/servers?limit=1&{query}"
        while path:
            page = site.compute.get(path)
            seen += [server["name"] for server in page["servers"]]
            (link,) = page.get("servers_links", [{"href": ""}])
            path = link["href"].removeprefix("http://localhost/compute/v2.1")
        assert sorted(seen) == list("abcd")
        assert order is None or seen == list(order)
    assert site.compute.get("/servers?limit=0") == {"servers": []}
    assert "servers_links" not in site.compute.get("/servers?limit=5")
    assert (
        "/servers/detail?limit=2&marker="
        in (site.compute.get("/servers/detail?limit=2")["servers_links"][0]["href"])
    )


def test_administrators_see_all_projects_and_what_was_deleted(site: Site) -> None:
    alice = site.person("alice")
    gone = site.running(alice, name="gone")
    site.compute.delete(f"/servers/{gone}", token=alice.token)
    site.cloud.settle()
    site.refused(404, "GET", f"/servers/{gone}")
    site.create(alice, name="hers")
    assert names(site, "") == []
    assert names(site, "all_tenants=1") == names(site, "all_tenants") == ["hers"]
    # Naming a project is not asking for all of them.
    assert names(site, f"project_id={alice.project}") == []
    assert names(site, f"tenant_id={alice.project}&all_tenants=1&name=er") == ["hers"]
    assert names(site, "all_tenants=0") == []
    assert names(site, "all_tenants=1&ip=10.") == []
    for query in ("deleted=True&all_tenants=1", "status=deleted&all_tenants=1"):
        assert names(site, query) == ["gone"]
    assert names(site, "changes-since=2000-01-01&all_tenants=1") == ["hers", "gone"]

    mine: Any = {"token": alice.token}
    assert names(site, "deleted=True&host=nonesuch&project_id=x", **mine) == ["hers"]
    for query in ("all_tenants=1", "status=deleted"):
        site.refused(403, "GET", f"/servers?{query}", token=alice.token)
        site.refused(403, "GET", f"/servers/detail?{query}", token=alice.token)
    assert names(site, "ip6=fe80", version="2.4", **mine) == ["hers"]
    assert names(site, "ip6=fe80", version="2.5", **mine) == []


def test_another_projects_server_is_no_marker(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    hers = site.create(alice)
    site.refused(400, "GET", f"/servers?marker={hers}", token=bob.token)
    assert site.compute.get(f"/servers?marker={hers}", token=alice.token)["servers"] == []


# --- changing ---------------------------------------------------------------------------------


def test_a_server_can_be_renamed_and_described(site: Site) -> None:
    id = site.running()
    changes = {
        "name": "new",
        "description": "why",
        "accessIPv4": "192.0.2.7",
        "accessIPv6": "",
        "OS-DCF:diskConfig": "AUTO",
    }
    answer = site.compute.put(f"/servers/{id}", {"server": changes}, version="2.19")["server"]
    assert answer["name"] == "new" and answer["description"] == "why"
    assert set(answer["addresses"]["net"][0]) == {"version", "addr"}
    assert not [key for key in answer if key.startswith("OS-EXT")]
    shown = site.server(id)
    assert shown["accessIPv4"] == "192.0.2.7" and shown["accessIPv6"] == ""
    assert shown["OS-DCF:diskConfig"] == "AUTO"
    site.compute.put(f"/servers/{id}", {"server": {"accessIPv4": ""}})
    assert site.server(id)["accessIPv4"] == "" and site.server(id)["name"] == "new"
    body = {"server": {"description": "too early"}}
    assert "description" in site.refused(400, "PUT", f"/servers/{id}", body, version="2.18")


def test_a_server_is_stopped_started_and_rebooted(site: Site) -> None:
    id = site.running()
    site.act(id, "os-stop")
    assert "task_state powering-off" in site.refused(
        409, "POST", f"/servers/{id}/action", {"os-stop": None}
    )
    site.cloud.settle()
    assert site.server(id)["status"] == "SHUTOFF"
    assert "vm_state stopped" in site.refused(
        409, "POST", f"/servers/{id}/action", {"os-stop": None}
    )
    site.act(id, "os-start")
    site.cloud.settle()
    for kind, status in (("SOFT", "REBOOT"), ("hard", "HARD_REBOOT")):
        site.act(id, "reboot", {"type": kind})
        assert site.server(id)["status"] == status
        assert names(site, f"status={status}") == ["server"]
        site.cloud.settle()
        assert site.server(id)["status"] == "ACTIVE"
    site.refused(400, "POST", f"/servers/{id}/action", {"reboot": {"type": "WILD"}})


def test_a_server_is_deleted_and_asked_twice_is_asked_once(site: Site) -> None:
    id = site.running()
    for _ in range(2):
        assert site.compute.call("DELETE", f"/servers/{id}", status=204).body == b""
    other = site.running()
    site.act(other, "forceDelete")
    site.cloud.settle()
    site.refused(404, "DELETE", f"/servers/{id}")
    assert site.cloud.leftovers() == [] and site.cloud.guests() == {}


def test_a_locked_server_stays_as_it_is(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    hers: Any = {"token": alice.token}
    site.act(id, "lock", **hers)
    assert site.server(id)["locked"] is True
    for method, path, body in (
        ("DELETE", "", None),
        ("POST", "/action", {"os-stop": None}),
        ("POST", "/metadata", {"metadata": {"a": "b"}}),
        ("DELETE", "/metadata/a", None),
    ):
        assert "locked" in site.refused(409, method, f"/servers/{id}{path}", body, **hers)
    site.act(id, "unlock", **hers)
    site.act(id, "os-stop", **hers)
    site.cloud.settle()

    site.act(id, "lock")
    site.act(id, "lock", **hers)
    site.act(id, "unlock", status=403, **hers)
    site.act(id, "os-start")
    site.act(id, "unlock")
    assert site.server(id)["locked"] is False


def test_an_administrator_resets_a_state_and_what_was_under_way_is_given_up(site: Site) -> None:
    id = site.create()
    site.act(id, "os-resetState", {"state": "error"})
    site.cloud.settle()
    server = site.server(id)
    assert server["status"] == "ERROR" and server["OS-EXT-STS:task_state"] is None
    (action,) = site.compute.get(f"/servers/{id}/os-instance-actions")["instanceActions"]
    assert "reset the state" in action["message"]
    site.act(id, "os-resetState", {"state": "active"})
    assert site.server(id)["status"] == "ACTIVE"
    site.act(id, "os-resetState", {"state": "rescued"}, status=400)
    alice = site.person("alice")
    site.act(id, "os-resetState", {"state": "error"}, status=403, token=alice.token)
    site.compute.delete(f"/servers/{id}")
    site.cloud.settle()
    assert site.cloud.leftovers() == []


def test_the_console_log_is_what_the_guest_wrote(site: Site) -> None:
    id = site.running()
    whole = site.act(id, "os-getConsoleOutput", {}, status=200).json["output"]
    assert "login:" in whole
    assert site.act(id, "os-getConsoleOutput", {"length": -1}, status=200).json["output"] == whole
    two = site.act(id, "os-getConsoleOutput", {"length": "2"}, status=200).json["output"]
    assert two == "\n".join(whole.split("\n")[-2:])
    assert site.act(id, "os-getConsoleOutput", {"length": 0}, status=200).json["output"] == ""
    site.act(id, "os-getConsoleOutput", {"length": "all"}, status=400)
    host = site.server(id)["OS-EXT-SRV-ATTR:host"]
    site.cloud.kill(Role.COMPUTE, host)
    said = site.refused(409, "POST", f"/servers/{id}/action", {"os-getConsoleOutput": {}})
    assert "did not answer" in said
    building = site.create()
    said = site.refused(409, "POST", f"/servers/{building}/action", {"os-getConsoleOutput": {}})
    assert "not ready" in said


# --- what hangs on a server -------------------------------------------------------------------


def test_metadata_is_added_replaced_and_removed(tmp_path: Path) -> None:
    site = Site(tmp_path, **{"quota.metadata_items": 3})
    id = site.create(metadata={"a": "1"})
    path = f"/servers/{id}/metadata"
    api = site.compute
    assert api.post(path, {"metadata": {"b": "2"}}) == {"metadata": {"a": "1", "b": "2"}}
    assert api.put(path, {"metadata": {"c": "3"}}) == {"metadata": {"c": "3"}}
    assert api.put(f"{path}/d", {"meta": {"d": "4"}}) == {"meta": {"d": "4"}}
    assert api.get(f"{path}/d") == {"meta": {"d": "4"}}
    assert api.get(path) == {"metadata": {"c": "3", "d": "4"}}
    api.delete(f"{path}/c")
    assert api.get(path) == {"metadata": {"d": "4"}}
    site.refused(404, "GET", f"{path}/c")
    site.refused(404, "DELETE", f"{path}/c")
    site.refused(400, "PUT", f"{path}/x", {"meta": {"y": "z"}})
    site.refused(400, "PUT", f"{path}/x", {"meta": {}})
    site.refused(400, "POST", path, {"metadata": {"": "v"}})
    many = {str(i): "v" for i in range(3)}
    assert "items exceeds 3" in site.refused(403, "POST", path, {"metadata": many})
    assert api.put(path, {"metadata": many})["metadata"] == many
    site.cloud.close()


def test_tags_find_servers(site: Site) -> None:
    ids = {name: site.create(name=name) for name in ("none", "red", "both")}
    v: Any = {"version": "2.26"}
    path = f"/servers/{ids['both']}/tags"
    assert site.compute.put(path, {"tags": ["red", "blue", "red"]}, **v)["tags"] == ["red", "blue"]
    answer = site.compute.call("PUT", f"/servers/{ids['red']}/tags/red", status=201, **v)
    assert answer.headers["Location"].endswith(f"/servers/{ids['red']}/tags/red")
    site.compute.call("PUT", f"/servers/{ids['red']}/tags/red", status=204, **v)
    assert names(site, "tags=red") == ["both", "red"]
    assert names(site, "tags=red,blue") == ["both"]
    assert names(site, "tags-any=blue,green") == ["both"]
    assert names(site, "not-tags=red,blue") == ["red", "none"]
    assert names(site, "not-tags-any=red,blue") == ["none"]
    assert names(site, "tags=re%25") == [] and names(site, "tags=%22") == []
    assert names(site, "tags=red", version="2.25") == ["both", "red", "none"]
    assert site.server(ids["both"])["tags"] == ["red", "blue"]

    site.compute.call("GET", f"{path}/blue", status=204, **v)
    site.compute.delete(f"{path}/blue", **v)
    site.refused(404, "GET", f"{path}/blue", **v)
    site.refused(404, "DELETE", f"{path}/blue", **v)
    site.compute.delete(path, **v)
    assert site.compute.get(path, **v) == {"tags": []}
    site.refused(404, "GET", path, version="2.25")
    for tags in (["a,b"], [""], ["x" * 61], ["a/b"], list("abcdefghijklmnopqrstuvwxyz" * 2)):
        site.refused(400, "PUT", path, {"tags": tags}, **v)
    site.refused(400, "PUT", f"{path}/a,b", None, **v)
    site.compute.put(path, {"tags": [str(i) for i in range(50)]}, **v)
    assert "limit 50" in site.refused(400, "PUT", f"{path}/more", None, **v)


def test_addresses_by_network(site: Site) -> None:
    id = site.running()
    address = [{"version": 4, "addr": "10.0.0.2"}]
    assert site.compute.get(f"/servers/{id}/ips") == {"addresses": {"net": address}}
    assert site.compute.get(f"/servers/{id}/ips/net") == {"net": address}
    site.refused(404, "GET", f"/servers/{id}/ips/other")


def test_the_journal_shows_each_step_with_its_times(site: Site) -> None:
    alice = site.person("alice")
    answer = site.ask(alice)
    id = answer.json["server"]["id"]
    path = f"/servers/{id}/os-instance-actions"
    request_id = answer.headers["x-openstack-request-id"]
    under_way = site.compute.get(f"{path}/{request_id}")["instanceAction"]["events"]
    assert [(e["event"], e["result"], e["finish_time"]) for e in under_way] == [
        ("place", None, None)
    ]
    site.cloud.settle()
    action = site.compute.get(f"{path}/{request_id}")["instanceAction"]
    assert action["action"] == "create" and action["message"] is None
    assert (action["instance_uuid"], action["project_id"]) == (id, alice.project)
    steps = [(event["event"], event["result"]) for event in action["events"]]
    assert steps == [(s, "Success") for s in ("place", "addresses", "wire", "spawn")]
    assert all(e["start_time"] <= e["finish_time"] for e in action["events"])
    mine = site.compute.get(f"{path}/{request_id}", token=alice.token)["instanceAction"]
    assert "events" not in mine
    site.refused(404, "GET", f"{path}/req-nonesuch")


def test_the_journal_shows_what_is_being_undone(site: Site) -> None:
    def break_spawn(message: Any) -> list[Any]:
        return [] if getattr(message, "verb", "") == "guest.remove" else [message]

    for host in site.cloud.hosts.values():
        host.machine.broken["ensure"] = RuntimeError("the disk is on fire")
    site.cloud.bus.faults = break_spawn
    id = site.create()
    site.cloud.deliver()
    path = f"/servers/{id}/os-instance-actions"
    (action,) = site.compute.get(path)["instanceActions"]
    events = site.compute.get(f"{path}/{action['request_id']}")["instanceAction"]["events"]
    assert events[-2]["event"] == "spawn" and events[-2]["result"] == "Error"
    assert events[-1]["event"] == "undo spawn" and events[-1]["finish_time"] is None


def test_the_journal_outlives_the_server_since_2_21(site: Site) -> None:
    id = site.running()
    site.compute.delete(f"/servers/{id}")
    site.cloud.settle()
    path = f"/servers/{id}/os-instance-actions"
    site.refused(404, "GET", path, version="2.20")
    actions = site.compute.get(path, version="2.21")["instanceActions"]
    assert [action["action"] for action in actions] == ["delete", "create"]
    request_id = actions[0]["request_id"]
    site.refused(404, "GET", f"{path}/{request_id}", version="2.20")
    assert site.compute.get(f"{path}/{request_id}", version="2.21")["instanceAction"]["events"]


def test_a_host_that_is_down_or_disabled_shows_in_host_status(site: Site) -> None:
    id = site.running()
    host = site.server(id)["OS-EXT-SRV-ATTR:host"]
    which = {"host": host, "binary": "nova-compute"}
    site.compute.put("/os-services/disable", which)
    assert site.server(id)["host_status"] == "MAINTENANCE"
    site.compute.put("/os-services/enable", which)
    site.cloud.kill(Role.COMPUTE, host)
    site.cloud.pass_time(60)
    assert site.server(id)["host_status"] == "DOWN"
