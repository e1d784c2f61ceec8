"""Other flavors and other hosts: resize, migration, evacuation, and the record of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import Command
from nova_lite.db.models import Allocation
from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Role
from tests.functional.compute_site import Site, by, done, refused

HOST = "OS-EXT-SRV-ATTR:host"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    site.flavor("large", ram=128, vcpus=2, disk=2)
    yield site
    site.cloud.close()


def rooms(site: Site) -> dict[str, tuple[int, int]]:
    """Memory and disk that are promised, by host."""
    with site.cloud.database.read() as session:
        rows = session.execute(sa.select(Allocation.host, Allocation.memory_mb, Allocation.disk_gb))
        return {host: (memory, disk) for host, memory, disk in rows}


def migrations(site: Site, query: str = "", version: str = "2.80", **how: str) -> list[Any]:
    return list(site.compute.get(f"/os-migrations{query}", version=version, **how)["migrations"])


# --- resize ---------------------------------------------------------------------------------


def test_a_resized_server_keeps_room_on_both_sides_until_it_is_confirmed(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    source = site.server(id)[HOST]
    site.act(id, "resize", {"flavorRef": "large"}, **by(alice))
    assert site.server(id)["status"] == "RESIZE"
    site.cloud.settle()
    resized = site.server(id, "2.47")
    assert resized["status"] == "VERIFY_RESIZE" and resized["flavor"]["original_name"] == "large"
    assert max(rooms(site).values()) == (128, 2)
    if resized[HOST] != source:
        assert rooms(site)[source] == (64, 1)
    site.act(id, "confirmResize", status=204, **by(alice))
    site.cloud.settle()
    assert site.server(id)["status"] == "ACTIVE" and site.server(id)["flavor"]["id"] == "large"
    assert rooms(site) == {resized[HOST]: (128, 2)}
    (guest,) = (g for h in site.cloud.hosts.values() for g in h.machine.listing())
    assert guest.memory_mb == 128
    (record,) = migrations(site)
    assert (record["migration_type"], record["status"]) == ("resize", "confirmed")


def test_a_reverted_resize_gives_the_old_flavor_back_even_if_it_is_sold_no_more(
    site: Site,
) -> None:
    site.flavor("old", ram=96)
    id = site.running(flavorRef="old")
    home = site.server(id)[HOST]
    site.compute.call("DELETE", "/flavors/old", status=202)
    assert done(site, id, "resize", {"flavorRef": "large"}) == "VERIFY_RESIZE"
    assert done(site, id, "revertResize") == "ACTIVE"
    back = site.server(id)
    assert (back["flavor"]["id"], back[HOST]) == ("old", home)
    assert rooms(site) == {home: (96, 1)}
    assert [m["status"] for m in migrations(site)] == ["reverted"]


def test_a_server_that_was_off_is_off_after_its_resize(site: Site) -> None:
    id = site.running()
    done(site, id, "os-stop")
    assert done(site, id, "resize", {"flavorRef": "large"}) == "VERIFY_RESIZE"
    site.act(id, "confirmResize", status=204)
    site.cloud.settle()
    assert site.server(id)["status"] == "SHUTOFF"


def test_a_resize_that_cannot_be_is_refused_at_once(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice, flavorRef="large")
    site.flavor("huge", ram=52_000)
    site.flavor("wide", vcpus=21, disk=2)
    site.flavor("zero", disk=0)
    for flavor, status, said in (
        ("large", 400, "must change flavor"),
        ("none", 400, "could not be found"),
        ("", 400, "flavorRef"),
        (None, 400, "flavorRef"),
        ("small", 400, "too small"),
        ("zero", 400, "zero disk"),
        ("wide", 403, "cores"),
    ):
        body = {"flavorRef": flavor}
        assert said in refused(site, status, id, "resize", body, **by(alice)), flavor
    site.compute.call("PUT", "/flavors/huge", {"flavor": {"description": "x"}}, version="2.55")
    assert "zero" not in refused(site, 400, id, "resize", {"flavorRef": "huge"}, **by(alice))
    refused(site, 409, id, "confirmResize")
    refused(site, 409, id, "revertResize")
    assert site.server(id)["status"] == "ACTIVE"


def test_a_resize_also_says_how_the_disk_is_to_be_used(site: Site) -> None:
    id = site.running()
    site.act(id, "resize", {"flavorRef": "large", "OS-DCF:diskConfig": "AUTO"})
    assert site.server(id)["OS-DCF:diskConfig"] == "AUTO"


def test_an_image_that_needs_memory_keeps_its_server_from_a_small_flavor(site: Site) -> None:
    image = site.cloud.image.post(
        "/v2/images",
        {"name": "needy", "disk_format": "raw", "container_format": "bare", "min_ram": 100},
    )["id"]
    site.cloud.image.call("PUT", f"/v2/images/{image}/file", data=bytes(512), status=204)
    id = site.running(imageRef=image, flavorRef="large")
    site.flavor("tiny", ram=80, disk=3)
    assert "memory is too small" in refused(site, 400, id, "resize", {"flavorRef": "tiny"})


def test_flavors_whose_disk_is_their_images_can_be_exchanged(site: Site) -> None:
    site.flavor("bare-1", disk=0)
    site.flavor("bare-2", disk=0, ram=128)
    id = site.running(flavorRef="bare-1")
    before = max(rooms(site).values())
    assert done(site, id, "resize", {"flavorRef": "bare-2"}) == "VERIFY_RESIZE"
    assert max(rooms(site).values()) == (128, before[1])


def test_a_state_that_was_reset_in_the_middle_of_a_resize_does_not_get_in_the_way(
    site: Site,
) -> None:
    site.flavor("larger", ram=256, vcpus=2, disk=3)
    id = site.running()
    assert done(site, id, "resize", {"flavorRef": "large"}) == "VERIFY_RESIZE"
    site.act(id, "os-resetState", {"state": "active"})
    assert done(site, id, "resize", {"flavorRef": "larger"}) == "VERIFY_RESIZE"
    site.act(id, "confirmResize", status=204)
    site.cloud.settle()
    server = site.server(id)
    assert server["status"] == "ACTIVE" and rooms(site) == {server[HOST]: (256, 3)}
    assert len(site.cloud.guests()) == 1


# --- migration ------------------------------------------------------------------------------


def test_a_server_moves_off_to_another_host(site: Site) -> None:
    manager, member = site.person("manuel", "manager"), site.person("mia")
    id = site.running(manager)
    source = site.server(id)[HOST]
    refused(site, 403, site.running(member), "migrate", **by(member))
    refused(site, 403, id, "migrate", {"host": "host1"}, version="2.56", **by(manager))
    assert done(site, id, "migrate", **by(manager)) == "VERIFY_RESIZE"
    site.act(id, "confirmResize", status=204, **by(manager))
    site.cloud.settle()
    assert site.server(id)[HOST] != source
    mine = migrations(site, **by(manager))
    assert [m["instance_uuid"] for m in mine] == [id]
    assert mine[0]["source_compute"] is None and mine[0]["dest_host"] is None
    assert mine[0]["old_instance_type_id"] == mine[0]["new_instance_type_id"]


def test_an_administrator_says_where_a_server_goes(site: Site) -> None:
    id = site.running()
    source = site.server(id)[HOST]
    (other,) = set(site.cloud.hosts) - {source}
    for value, said in (({"host": source}, "already"), ({"host": "host9"}, "could not be found")):
        assert said in refused(site, 400, id, "migrate", value, version="2.56")
    refused(site, 400, id, "migrate", {"where": "there"}, version="2.56")
    assert done(site, id, "migrate", {"host": other}, version="2.56") == "VERIFY_RESIZE"
    assert site.server(id)[HOST] == other
    assert done(site, id, "revertResize") == "ACTIVE"
    assert site.server(id)[HOST] == source


def test_a_suspended_server_is_not_moved(site: Site) -> None:
    id = site.running()
    done(site, id, "suspend")
    refused(site, 409, id, "migrate")
    live = {"host": None, "block_migration": False, "disk_over_commit": False}
    refused(site, 409, id, "os-migrateLive", live)


@pytest.mark.parametrize("state", ["ACTIVE", "PAUSED"])
def test_a_live_migration_keeps_the_guest_as_it_is(site: Site, state: str) -> None:
    id = site.running()
    if state == "PAUSED":
        done(site, id, "pause")
    source = site.server(id)[HOST]
    (before,) = site.cloud.hosts[source].machine.listing()
    auto = {"host": None, "block_migration": "auto"}
    site.act(id, "os-migrateLive", auto, version="2.25")
    assert site.server(id)["status"] == "MIGRATING"
    site.cloud.settle()
    assert site.server(id)["status"] == state
    moved = site.server(id)[HOST]
    assert moved != source and list(rooms(site)) == [moved]
    (after,) = site.cloud.hosts[moved].machine.listing()
    assert (after.boots, after.power_state) == (before.boots, before.power_state)
    assert not site.cloud.hosts[source].machine.guests
    assert [m["status"] for m in migrations(site)] == ["completed"]


def test_each_microversion_has_its_words_for_a_live_migration(site: Site) -> None:
    id = site.running()
    source = site.server(id)[HOST]
    for version, value in (
        ("2.24", {"host": None, "block_migration": "auto", "disk_over_commit": False}),
        ("2.24", {"host": None, "block_migration": True}),
        ("2.25", {"host": None, "block_migration": True, "disk_over_commit": False}),
        ("2.29", {"host": None, "block_migration": True, "force": True}),
        ("2.30", {"host": None, "block_migration": True, "force": True}),
        ("2.68", {"host": "host1", "block_migration": True, "force": True}),
        ("2.68", {"block_migration": True}),
        ("2.68", {"host": source, "block_migration": "auto"}),
        ("2.68", {"host": "host9", "block_migration": "auto"}),
    ):
        refused(site, 400, id, "os-migrateLive", value, version=version)
    assert site.server(id)["status"] == "ACTIVE"
    (other,) = set(site.cloud.hosts) - {source}
    forced = {"host": other, "block_migration": False, "force": True}
    assert done(site, id, "os-migrateLive", forced, version="2.30") == "ACTIVE"
    assert site.server(id)[HOST] == other


def test_a_live_migration_that_failed_leaves_the_guest_where_it_was(site: Site) -> None:
    id = site.running()
    source = site.server(id)[HOST]
    site.cloud.hosts[source].machine.broken["migrate"] = HypervisorError("the line is cut")
    auto = {"host": None, "block_migration": "auto"}
    assert done(site, id, "os-migrateLive", auto, version="2.25") == "ACTIVE"
    assert site.server(id)[HOST] == source and not site.cloud.leftovers()
    assert [m["status"] for m in migrations(site)] == ["error"]


# --- what is under way ------------------------------------------------------------------------


def under_way(site: Site) -> tuple[str, Any]:
    """A server that is to be moved, and the record of that."""
    id = site.running()
    site.act(id, "os-migrateLive", {"host": None, "block_migration": "auto"}, version="2.25")
    # The worker does not hear of it yet.
    site.cloud.bus.faults = lambda message: [] if isinstance(message, Command) else [message]
    site.cloud.deliver()
    site.cloud.bus.faults = lambda message: [message]
    (move,) = site.compute.get(f"/servers/{id}/migrations", version="2.80")["migrations"]
    return id, move


def test_a_live_migration_is_shown_while_it_is_under_way(site: Site) -> None:
    id, move = under_way(site)
    path = f"/servers/{id}/migrations"
    assert (move["server_uuid"], move["status"]) == (id, "running")
    for name in (move["id"], move["uuid"]):
        shown = site.compute.get(f"{path}/{name}", version="2.80")["migration"]
        assert shown == move
    (listed,) = migrations(site)
    assert listed["links"][0]["href"].endswith(f"{path}/{move['id']}")
    (old,) = site.compute.get(path, version="2.23")["migrations"]
    assert not {"uuid", "user_id", "project_id"} & set(old)
    site.compute.call(
        "POST", f"{path}/{move['id']}/action", {"force_complete": None}, status=202, version="2.22"
    )
    site.cloud.settle()
    assert site.compute.get(path, version="2.80")["migrations"] == []
    site.refused(404, "GET", f"{path}/{move['id']}", version="2.80")
    for method, where, body in (
        ("POST", f"{path}/{move['id']}/action", {"force_complete": None}),
        ("DELETE", f"{path}/{move['id']}", None),
    ):
        assert "completed" in site.refused(400, method, where, body, version="2.80")
    assert "links" not in migrations(site)[0]


def test_a_live_migration_can_be_called_off_before_it_begins(site: Site) -> None:
    id, move = under_way(site)
    source = site.server(id)[HOST]
    site.compute.call(
        "DELETE", f"/servers/{id}/migrations/{move['uuid']}", status=202, version="2.24"
    )
    site.cloud.settle()
    assert (site.server(id)["status"], site.server(id)[HOST]) == ("ACTIVE", source)
    assert [m["status"] for m in migrations(site)] == ["cancelled"]
    assert not site.cloud.leftovers() and list(rooms(site)) == [source]
    site.refused(404, "DELETE", f"/servers/{id}/migrations/999", version="2.24")
    site.refused(404, "GET", f"/servers/{id}/migrations", version="2.22")


# --- the record -------------------------------------------------------------------------------


def test_the_record_is_narrowed_and_paged(site: Site) -> None:
    first, second = site.running(), site.running()
    site.cloud.pass_time(60)
    moved: dict[str, Any] = {}
    for id in (first, second):
        done(site, id, "migrate")
        moved[id] = migrations(site, f"?instance_uuid={id}")[0]
        site.cloud.pass_time(60)
    site.act(first, "confirmResize", status=204)
    site.cloud.settle()
    newest, oldest = migrations(site)
    assert (newest["instance_uuid"], oldest["instance_uuid"]) == (second, first)
    for query, ids in (
        ("?status=confirmed", [first]),
        ("?migration_type=resize", []),
        ("?migration_type=migration", [second, first]),
        (f"?host={newest['dest_compute']}&instance_uuid={second}", [second]),
        (f"?source_compute={newest['source_compute']}&instance_uuid={second}", [second]),
        ("?host=host9", []),
        (f"?changes-since={newest['created_at']}Z", [second, first]),
        (f"?changes-before={newest['updated_at']}Z", [second]),
        (f"?project_id={site.cloud.admin.project_id}&limit=1", [second]),
        (f"?marker={newest['uuid']}", [first]),
        ("?project_id=other", []),
    ):
        assert [m["instance_uuid"] for m in migrations(site, query)] == ids, query
    page = site.compute.get("/os-migrations?limit=1", version="2.59")
    assert f"marker={newest['uuid']}" in page["migrations_links"][0]["href"]
    for query in (
        f"marker={site.network_id}",
        "marker=x",
        "changes-since=then",
        "unheard=of",
        "changes-since=2031-01-01&changes-before=2030-01-01",
    ):
        site.refused(400, "GET", f"/os-migrations?{query}", version="2.66")
    assert len(migrations(site, "?unheard=of", version="2.58")) == 2
    mia, manuel = site.person("mia"), site.person("manuel", "manager")
    site.refused(403, "GET", "/os-migrations", **by(mia))
    assert migrations(site, **by(manuel)) == []
    query = f"?project_id={site.cloud.admin.project_id}"
    site.refused(403, "GET", f"/os-migrations{query}", version="2.80", **by(manuel))


def test_what_the_record_says_grew_with_the_microversions(site: Site) -> None:
    done(site, site.running(), "migrate")
    first = set(migrations(site, version="2.1")[0])
    assert {"source_compute", "dest_host", "old_instance_type_id", "instance_uuid"} < first
    for version, more in (
        ("2.23", {"migration_type"}),
        ("2.59", {"migration_type", "uuid"}),
        ("2.80", {"migration_type", "uuid", "user_id", "project_id"}),
    ):
        assert set(migrations(site, version=version)[0]) == first | more


# --- evacuation -------------------------------------------------------------------------------


def lost(site: Site, id: str) -> str:
    """The host of a server, which is down now."""
    host = str(site.server(id)[HOST])
    site.cloud.kill(Role.COMPUTE, host)
    site.cloud.pass_time(60)
    return host


def test_a_server_rises_again_elsewhere_when_its_host_is_down(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    body = {"onSharedStorage": False}
    assert "still in use" in refused(site, 400, id, "evacuate", body)
    host = lost(site, id)
    refused(site, 403, id, "evacuate", body, **by(alice))
    assert "same one" in refused(site, 400, id, "evacuate", {**body, "host": host})
    assert "not found" in refused(site, 404, id, "evacuate", {**body, "host": "host9"})
    answer = site.act(id, "evacuate", {**body, "adminPass": "secret"}, status=200)
    assert answer.json == {"adminPass": "secret"}
    site.cloud.settle()
    server = site.server(id)
    assert server["status"] == "ACTIVE" and server[HOST] != host
    assert list(rooms(site)) == [server[HOST]]
    assert [m["status"] for m in migrations(site)] == ["done"]
    site.cloud.start_missing()
    site.cloud.pass_time(60)
    assert [where for where, _ in site.cloud.guests()] == [server[HOST]]


def test_each_microversion_has_its_words_for_an_evacuation(site: Site) -> None:
    id = site.running()
    host = lost(site, id)
    (other,) = set(site.cloud.hosts) - {host}
    for version, value in (
        ("2.13", {}),
        ("2.14", {"onSharedStorage": False}),
        ("2.28", {"host": other, "force": True}),
        ("2.29", {"force": True}),
        ("2.68", {"host": other, "force": True}),
    ):
        refused(site, 400, id, "evacuate", value, version=version)
    assert site.act(id, "evacuate", {"host": other}, status=200, version="2.95").body == b""
    site.cloud.settle()
    assert (site.server(id)["status"], site.server(id)[HOST]) == ("SHUTOFF", other)
