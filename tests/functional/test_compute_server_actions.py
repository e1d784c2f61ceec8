"""What one asks of a server by its name: power, locks, deletion and what is asked of its guest."""

from __future__ import annotations

from pathlib import Path

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.states import PowerState
from tests.functional.compute_site import Site, by, done, refused


def test_a_server_is_paused_suspended_and_stopped_and_comes_back(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    for away, status, back in (
        ("pause", "PAUSED", "unpause"),
        ("suspend", "SUSPENDED", "resume"),
        ("os-stop", "SHUTOFF", "os-start"),
    ):
        assert done(site, id, away, **by(alice)) == status
        assert "Cannot" in refused(site, 409, id, away)
        assert done(site, id, back, **by(alice)) == "ACTIVE"
        assert "Cannot" in refused(site, 409, id, back)


def test_what_is_not_there_cannot_be_asked_for_anything(site: Site) -> None:
    nobody, bodies = (
        "8f6e2f8a-0c39-4d4e-9d1f-6ee2f8a3a1aa",
        {
            "changePassword": {"adminPass": "x"},
            "createImage": {"name": "x"},
            "createBackup": {"name": "x", "backup_type": "d", "rotation": 1},
            "reboot": {"type": "SOFT"},
            "rebuild": {"imageRef": site.image_id},
            "resize": {"flavorRef": "small"},
            "os-resetState": {"state": "error"},
            "os-getConsoleOutput": {},
            "os-getVNCConsole": {"type": "novnc"},
            "os-migrateLive": {"host": None, "block_migration": True, "disk_over_commit": False},
            "evacuate": {"onSharedStorage": False},
            "addFixedIp": {"networkId": site.network_id},
            "removeFixedIp": {"address": "10.0.0.2"},
            "addSecurityGroup": {"name": "default"},
            "removeSecurityGroup": {"name": "default"},
        },
    )
    plain = (
        "os-start os-stop pause unpause suspend resume lock unlock forceDelete restore rescue "
        "unrescue shelve shelveOffload unshelve confirmResize revertResize migrate "
        "injectNetworkInfo"
    )
    for action, value in {**bodies, **dict.fromkeys(plain.split())}.items():
        assert "could not be found" in refused(site, 404, nobody, action, value), action
        assert "could not be found" in refused(site, 404, "no-uuid", action, value), action


def test_an_action_exists_in_its_microversions_only(site: Site) -> None:
    id = site.running()
    for action, value, version in (
        ("trigger_crash_dump", None, "2.16"),
        ("addFixedIp", {"networkId": site.network_id}, "2.44"),
        ("os-getVNCConsole", {"type": "novnc"}, "2.6"),
    ):
        refused(site, 404, id, action, value, version=version)
    assert "no such action" in refused(site, 400, id, "fly", {}, version="2.96")


def test_a_soft_reboot_needs_a_guest_that_runs_and_a_hard_one_does_not(site: Site) -> None:
    id = site.running()
    assert done(site, id, "os-stop") == "SHUTOFF"
    assert "vm_state stopped" in refused(site, 409, id, "reboot", {"type": "SOFT"})
    assert done(site, id, "reboot", {"type": "HARD"}) == "ACTIVE"
    assert done(site, id, "reboot", {"type": "SOFT"}) == "ACTIVE"


def test_a_locked_server_is_left_alone_by_all_but_administrators(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    site.act(id, "lock", {"locked_reason": "hands off"}, version="2.73", **by(alice))
    assert site.server(id, "2.73")["locked_reason"] == "hands off"
    for action, value in (
        ("os-stop", None),
        ("pause", None),
        ("reboot", {"type": "HARD"}),
        ("resize", {"flavorRef": "small"}),
        ("rebuild", {"imageRef": site.image_id}),
        ("createImage", {"name": "x"}),
        ("shelve", None),
        ("rescue", None),
        ("changePassword", {"adminPass": "x"}),
        ("addSecurityGroup", {"name": "default"}),
        ("forceDelete", None),
    ):
        assert "is locked" in refused(site, 409, id, action, value, **by(alice)), action
    site.refused(409, "DELETE", f"/servers/{id}", **by(alice))
    site.refused(
        409, "POST", f"/servers/{id}/os-interface", {"interfaceAttachment": {}}, **by(alice)
    )
    assert done(site, id, "os-stop") == "SHUTOFF"
    site.act(id, "unlock", **by(alice))
    unlocked = site.server(id, "2.73")
    assert (unlocked["locked"], unlocked["locked_reason"]) == (False, None)
    assert done(site, id, "os-start", **by(alice)) == "ACTIVE"
    for wrong in ({"locked_reason": ""}, {"reason": "x"}, "x"):
        refused(site, 400, id, "lock", wrong, version="2.73")


def test_a_deleted_server_can_be_had_back_for_a_while(tmp_path: Path) -> None:
    site = Site(tmp_path, **{"compute.reclaim_instance_interval": 600})
    alice = site.person("alice")
    id = site.running(alice)
    assert "vm_state active" in refused(site, 409, id, "restore")
    site.compute.delete(f"/servers/{id}", **by(alice))
    site.cloud.settle()
    kept = site.server(id)
    assert (kept["status"], kept["OS-EXT-STS:power_state"]) == ("SOFT_DELETED", 4)
    assert kept["addresses"]
    assert done(site, id, "restore", **by(alice)) == "ACTIVE"
    assert site.server(id)["OS-SRV-USG:terminated_at"] is None

    site.compute.delete(f"/servers/{id}", **by(alice))
    site.cloud.settle()
    site.compute.delete(f"/servers/{id}", **by(alice))
    site.cloud.settle()
    site.refused(404, "GET", f"/servers/{id}")

    forced, later = site.running(alice), site.running(alice)
    site.act(forced, "forceDelete", **by(alice))
    site.compute.delete(f"/servers/{forced}", **by(alice))  # that is under way already
    site.compute.delete(f"/servers/{later}", **by(alice))
    unborn = site.create(alice)
    site.compute.delete(f"/servers/{unborn}", **by(alice))
    site.cloud.settle()
    for gone in (forced, unborn):
        site.refused(404, "GET", f"/servers/{gone}")
    assert site.server(later)["status"] == "SOFT_DELETED"
    site.cloud.pass_time(700, every=60)
    site.cloud.settle()
    site.refused(404, "GET", f"/servers/{later}")
    assert not site.cloud.guests() and not site.cloud.leftovers()
    site.cloud.close()


def test_the_agent_in_a_guest_sets_a_password(site: Site) -> None:
    id = site.running()
    host = site.cloud.hosts[site.server(id)["OS-EXT-SRV-ATTR:host"]].machine
    site.act(id, "changePassword", {"adminPass": "s3cret"})
    (guest,) = host.listing()
    assert guest.password == "root:s3cret"
    host.broken["set_password"] = HypervisorError("no agent answers")
    assert "no agent" in refused(site, 409, id, "changePassword", {"adminPass": "x"})
    done(site, id, "os-stop")
    assert "no guest that runs" in refused(site, 409, id, "changePassword", {"adminPass": "x"})
    refused(site, 400, id, "changePassword", {"adminPass": 1})


def test_a_guest_is_interrupted_for_a_dump(site: Site) -> None:
    id = site.running()
    site.act(id, "trigger_crash_dump", version="2.17")
    (guest,) = site.cloud.hosts[site.server(id)["OS-EXT-SRV-ATTR:host"]].machine.listing()
    assert guest.interrupts == 1 and guest.power_state is PowerState.RUNNING
    done(site, id, "os-stop")
    refused(site, 409, id, "trigger_crash_dump", version="2.17")


def test_only_administrators_say_what_state_a_server_is_in(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    refused(site, 403, id, "os-resetState", {"state": "error"}, **by(alice))
    for wrong in ("deleted", 1, None):
        refused(site, 400, id, "os-resetState", {"state": wrong})
    site.act(id, "os-resetState", {"state": "error"})
    assert site.server(id)["status"] == "ERROR"
    site.act(id, "os-resetState", {"state": "active"})
    assert site.server(id)["status"] == "ACTIVE"


def test_the_password_that_a_guest_left_is_shown_and_forgotten(site: Site) -> None:
    id = site.running()
    assert site.compute.get(f"/servers/{id}/os-server-password") == {"password": ""}
    site.cloud.services.instances.update(
        site.cloud.admin, site.cloud.instances()[0].id, password="RU5DUllQVEVE"
    )
    shown = site.compute.get(f"/servers/{id}/os-server-password")
    assert shown == {"password": "RU5DUllQVEVE"}
    site.compute.delete(f"/servers/{id}/os-server-password")
    assert site.compute.get(f"/servers/{id}/os-server-password") == {"password": ""}


def test_a_guest_says_what_it_uses(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    old = site.compute.get(f"/servers/{id}/diagnostics", version="2.47")
    assert {"memory", "cpu0_time", "vda_read", "vda_errors", "vnet0_rx_packets"} < set(old)
    new = site.compute.get(f"/servers/{id}/diagnostics", version="2.48")
    assert (new["state"], new["driver"], new["num_cpus"]) == ("running", "libvirt", 1)
    assert new["memory_details"] == {"maximum": 64, "used": 0}
    assert set(new["disk_details"][0]) == {
        "read_bytes",
        "read_requests",
        "write_bytes",
        "write_requests",
        "errors_count",
    }
    assert new["nic_details"][0]["mac_address"].startswith("fa:16:3e")
    site.refused(403, "GET", f"/servers/{id}/diagnostics", **by(alice))
    done(site, id, "os-stop")
    site.refused(409, "GET", f"/servers/{id}/diagnostics")


def test_no_guest_has_numa_nodes(site: Site) -> None:
    id = site.running()
    shown = site.compute.get(f"/servers/{id}/topology", version="2.78")
    assert shown == {"nodes": [], "pagesize_kb": None}
    site.refused(404, "GET", f"/servers/{id}/topology", version="2.77")


# --- the journal ----------------------------------------------------------------------------


def test_the_journal_is_read_in_pages_and_spans_of_time(site: Site) -> None:
    id = site.running()
    path = f"/servers/{id}/os-instance-actions"
    for action in ("os-stop", "os-start"):
        site.cloud.pass_time(60)
        done(site, id, action)
    everything = site.compute.get(path, version="2.58")["instanceActions"]
    assert [one["action"] for one in everything] == ["start", "stop", "create"]
    first = site.compute.get(f"{path}?limit=2", version="2.58")
    assert [one["action"] for one in first["instanceActions"]] == ["start", "stop"]
    (link,) = first["links"]
    assert link["rel"] == "next"
    rest = site.compute.get(f"{path}?{link['href'].partition('?')[2]}", version="2.58")
    assert [one["action"] for one in rest["instanceActions"]] == ["create"]
    stopped = everything[1]["updated_at"]
    for query, actions in (
        (f"changes-since={stopped}Z", ["start", "stop"]),
        (f"changes-before={stopped}Z", ["stop", "create"]),
    ):
        shown = site.compute.get(f"{path}?{query}", version="2.66")
        assert [one["action"] for one in shown["instanceActions"]] == actions
    for version, query in (
        ("2.58", "changes-before=2030-01-01T00:00:00Z"),
        ("2.58", "marker=req-unheard-of"),
        ("2.58", "limit=x"),
        ("2.66", "changes-since=yesterday"),
        ("2.66", "changes-since=2031-01-01&changes-before=2030-01-01"),
    ):
        site.refused(400, "GET", f"{path}?{query}", version=version)


def test_what_an_action_tells_depends_on_who_asks_and_when(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    host = site.server(id)["OS-EXT-SRV-ATTR:host"]
    site.cloud.hosts[host].machine.broken["power"] = HypervisorError("no power")
    site.act(id, "pause")
    site.cloud.settle()
    path = f"/servers/{id}/os-instance-actions"
    request = site.compute.get(path)["instanceActions"][0]["request_id"]

    def event(version: str, **how: str) -> dict[str, object] | None:
        action = site.compute.get(f"{path}/{request}", version=version, **how)["instanceAction"]
        assert ("updated_at" in action) == (version >= "2.58")
        return dict(action["events"][0]) if "events" in action else None

    for_all = {"event", "start_time", "finish_time", "result"}
    assert event("2.50", **by(alice)) is None
    assert set(event("2.51", **by(alice)) or ()) == for_all
    assert set(event("2.62", **by(alice)) or ()) == for_all | {"hostId"}
    assert set(event("2.84", **by(alice)) or ()) == for_all | {"hostId"}
    admins = event("2.84") or {}
    assert set(admins) == for_all | {"hostId", "host", "traceback", "details"}
    assert (admins["host"], admins["result"]) == (host, "Error")
    assert "no power" in str(admins["details"])
