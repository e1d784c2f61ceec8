"""What a server's disks are made from, and what is made from them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Image
from nova_lite.domain.errors import HypervisorError
from nova_lite.virt.fake import FakeGuest
from tests.functional.compute_site import Site, by, done, refused

HOST = "OS-EXT-SRV-ATTR:host"


def an_image(site: Site, data: bytes = bytes(2048), **values: Any) -> str:
    """Another image to boot from."""
    named = {"name": "other", "disk_format": "raw", "container_format": "bare", **values}
    id: str = site.cloud.image.post("/v2/images", {**named, "visibility": "public"})["id"]
    if data:
        site.cloud.image.call("PUT", f"/v2/images/{id}/file", data=data, status=204)
    return id


def image(site: Site, id: str, **how: str) -> dict[str, Any]:
    return dict(site.cloud.image.get(f"/v2/images/{id}", **how))


def images_named(site: Site, name: str) -> list[Any]:
    return list(site.cloud.image.get(f"/v2/images?name={name}")["images"])


def guest(site: Site) -> FakeGuest:
    """The only one there is."""
    (found,) = (g for host in site.cloud.hosts.values() for g in host.machine.listing())
    return found


# --- rebuild --------------------------------------------------------------------------------


def test_a_rebuilt_server_has_new_disks_of_the_other_image(site: Site) -> None:
    alice, other = site.person("alice"), an_image(site)
    id = site.running(
        alice, metadata={"old": "1"}, personality=[{"path": "/a", "contents": "YQ=="}]
    )
    before = site.server(id)
    generation = guest(site).disk_generation
    wanted = {
        "imageRef": other,
        "name": "anew",
        "metadata": {"new": "2"},
        "adminPass": "secret",
        "accessIPv4": "192.0.2.7",
        "OS-DCF:diskConfig": "AUTO",
        "description": "better",
    }
    answer = site.act(id, "rebuild", wanted, version="2.19", **by(alice))
    said = answer.json["server"]
    assert answer.headers["Location"].endswith(f"/compute/v2.1/servers/{id}")
    assert (said["status"], said["image"]["id"], said["adminPass"]) == ("REBUILD", other, "secret")
    assert (said["name"], said["description"]) == ("anew", "better")
    assert said["addresses"]["net"][0] == {"version": 4, "addr": "10.0.0.2"}
    site.cloud.settle()
    after = site.server(id)
    assert (after["status"], after["image"]["id"], after["name"]) == ("ACTIVE", other, "anew")
    assert (after["metadata"], after["accessIPv4"]) == ({"new": "2"}, "192.0.2.7")
    assert after["OS-DCF:diskConfig"] == "AUTO"
    assert after["addresses"] == before["addresses"]
    assert guest(site).disk_generation == generation + 1
    assert guest(site).disks == (f"vda {other}",)
    assert site.cloud.instances()[0].files == []


def test_a_server_that_is_off_or_broken_is_rebuilt_too(site: Site) -> None:
    alice, other = site.person("alice"), an_image(site)
    id = site.running(alice)
    done(site, id, "os-stop")
    assert done(site, id, "rebuild", {"imageRef": other}) == "SHUTOFF"
    assert site.server(id)["image"]["id"] == other
    site.act(id, "os-resetState", {"state": "error"})
    assert done(site, id, "rebuild", {"imageRef": site.image_id}, **by(alice)) == "ACTIVE"


def test_what_else_a_rebuild_changes_came_with_microversions(site: Site) -> None:
    data = base64.b64encode(b"#cloud-config").decode()
    site.compute.post("/os-keypairs", {"keypair": {"name": "key"}})
    id = site.running()
    body = {"imageRef": site.image_id, "key_name": "key", "user_data": data, "hostname": "anew"}
    answer = site.act(id, "rebuild", body, version="2.90")
    said = answer.json["server"]
    assert (said["key_name"], said["user_data"]) == ("key", data)
    site.cloud.settle()
    shown = site.server(id, "2.96")
    assert (shown["key_name"], shown["OS-EXT-SRV-ATTR:hostname"]) == ("key", "anew")
    assert shown["OS-EXT-SRV-ATTR:user_data"] == data
    nothing = {"imageRef": site.image_id, "key_name": None, "user_data": None}
    assert done(site, id, "rebuild", nothing, version="2.57") == "ACTIVE"
    shown = site.server(id)
    assert (shown["key_name"], shown["OS-EXT-SRV-ATTR:user_data"]) == (None, None)
    for version, key in (("2.53", "key_name"), ("2.56", "user_data"), ("2.89", "hostname")):
        refused(site, 400, id, "rebuild", {**body, key: "x"}, version=version)


def test_a_rebuild_that_cannot_be_is_refused_at_once(site: Site) -> None:
    id = site.running()
    queued, large = an_image(site, data=b""), an_image(site, min_disk=5)
    for value in (
        {},
        {"imageRef": "x"},
        {"imageRef": "8f6e2f8a-0c39-4d4e-9d1f-6ee2f8a3a1aa"},
        {"imageRef": queued},
        {"imageRef": large},
        {"imageRef": site.image_id, "name": ""},
        {"imageRef": site.image_id, "accessIPv4": "x"},
        {"imageRef": site.image_id, "preserve_ephemeral": True},
        {"imageRef": site.image_id, "key_name": "unheard of"},
        {"imageRef": site.image_id, "user_data": "%"},
        {"imageRef": site.image_id, "trusted_image_certificates": ["x"]},
    ):
        refused(site, 400, id, "rebuild", value, version="2.63")
    many = {f"k{i}": "v" for i in range(129)}
    refused(site, 403, id, "rebuild", {"imageRef": site.image_id, "metadata": many})
    files = [{"path": f"/{i}", "contents": "YQ=="} for i in range(6)]
    refused(site, 403, id, "rebuild", {"imageRef": site.image_id, "personality": files})
    done(site, id, "rescue", status=200)
    refused(site, 409, id, "rebuild", {"imageRef": site.image_id})


# --- rescue ---------------------------------------------------------------------------------


def test_a_rescued_server_starts_from_another_disk_with_its_own_beside_it(site: Site) -> None:
    alice, other = site.person("alice"), an_image(site)
    id = site.running(alice)
    answer = site.act(id, "rescue", {"adminPass": "secret"}, status=200, **by(alice))
    assert answer.json == {"adminPass": "secret"}
    site.cloud.settle()
    assert site.server(id)["status"] == "RESCUE"
    assert guest(site).disks == (f"vda {site.image_id}", f"vdr {site.image_id}")
    refused(site, 409, id, "reboot", {"type": "HARD"})
    refused(site, 409, id, "rescue")
    assert done(site, id, "unrescue", **by(alice)) == "ACTIVE"
    assert guest(site).disks == (f"vda {site.image_id}",)
    refused(site, 409, id, "unrescue")
    generated = site.act(id, "rescue", {"rescue_image_ref": other}, status=200).json
    assert generated["adminPass"]
    site.cloud.settle()
    assert guest(site).disks[1] == f"vdr {other}"


def test_a_rescue_that_cannot_be_is_refused_at_once(site: Site) -> None:
    id, queued = site.running(), an_image(site, data=b"")
    for value in ({"rescue_image_ref": "x"}, {"rescue_image_ref": queued}, {"image": "x"}, "x"):
        refused(site, 400, id, "rescue", value)
    done(site, id, "pause")
    refused(site, 409, id, "rescue")
    site.cloud.services.instances.update(
        site.cloud.admin, site.cloud.instances()[0].id, image_id=None
    )
    done(site, id, "unpause")
    assert "no image" in refused(site, 400, id, "rescue")


# --- images of it ---------------------------------------------------------------------------


def test_an_image_of_a_server_can_be_booted_like_its_own(site: Site) -> None:
    alice = site.person("alice")
    base = an_image(site, min_ram=32, hw_disk_bus="virtio", img_signature="x", os_distro="debian")
    id = site.running(alice, imageRef=base)
    wanted = {"name": "₡opy", "metadata": {"mine": "yes", "image_type": "test"}}
    answer = site.act(id, "createImage", wanted, **by(alice))
    assert answer.body == b""
    made = answer.headers["Location"].rpartition("/")[2]
    assert answer.headers["Location"].endswith(f"/image/v2/images/{made}")
    queued = image(site, made, **by(alice))
    assert (queued["status"], queued["name"], queued["visibility"]) == ("queued", "₡opy", "private")
    assert site.server(id)["OS-EXT-STS:task_state"] == "image_snapshot_pending"
    refused(site, 409, id, "createImage", {"name": "second"})
    site.cloud.settle()
    copy = image(site, made, **by(alice))
    assert (copy["status"], copy["disk_format"], copy["container_format"]) == (
        "active",
        "raw",
        "bare",
    )
    assert (copy["min_ram"], copy["min_disk"]) == (32, 1)
    for name, value in {
        "base_image_ref": base,
        "instance_uuid": id,
        "image_type": "test",
        "mine": "yes",
        "hw_disk_bus": "virtio",
        "os_distro": "debian",
    }.items():
        assert copy[name] == value
    assert "img_signature" not in copy
    assert site.server(id)["status"] == "ACTIVE"
    site.running(alice, imageRef=made)


def test_since_2_45_the_image_is_told_in_the_body(site: Site) -> None:
    id = site.running()
    answer = site.act(id, "createImage", {"name": "copy"}, version="2.45")
    assert "Location" not in answer.headers
    site.cloud.settle()
    assert image(site, answer.json["image_id"])["status"] == "active"


def test_an_image_that_nobody_could_fill_is_gone(site: Site) -> None:
    id = site.running()
    site.cloud.hosts[site.server(id)[HOST]].machine.broken["snapshot"] = HypervisorError("no disk")
    made = site.act(id, "createImage", {"name": "copy"}, version="2.45").json["image_id"]
    site.cloud.settle()
    site.cloud.image.call("GET", f"/v2/images/{made}", status=404)
    assert site.server(id)["status"] == "ACTIVE"


def test_an_image_is_of_the_format_that_its_worker_brings(site: Site) -> None:
    id = site.running()
    made = site.act(id, "createImage", {"name": "copy"}, version="2.45").json["image_id"]
    with site.cloud.database.write() as session:
        # As if its server came from one of these.
        session.execute(sa.update(Image).where(Image.name == "copy").values(disk_format="qcow2"))
    site.cloud.settle()
    assert image(site, made)["disk_format"] == "raw"


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"name": ""},
        {"name": "a" * 256},
        {"name": "x", "metadata": {"": ""}},
        {"name": "x", "metadata": {"a" * 256: "b"}},
        {"name": "x", "metadata": {"a": 1}},
    ],
    ids=str,
)
def test_an_image_is_asked_for_by_a_name_and_texts(site: Site, value: object) -> None:
    refused(site, 400, site.running(), "createImage", value)


def test_an_image_beyond_the_quota_is_forbidden(site: Site) -> None:
    id = site.running()
    many = {f"k{i}": "v" for i in range(129)}
    refused(site, 403, id, "createImage", {"name": "x", "metadata": many})
    mine = {f"k{i}": "v" for i in range(126)}
    assert "properties" in refused(site, 403, id, "createImage", {"name": "x", "metadata": mine})
    assert site.server(id)["OS-EXT-STS:task_state"] is None


def test_of_the_backups_of_a_kind_the_newest_are_kept(site: Site) -> None:
    id = site.running()

    def backup(name: str, **values: Any) -> Any:
        wanted = {"name": name, "backup_type": "daily", "rotation": 2, **values}
        answer = site.act(id, "createBackup", wanted)
        site.cloud.settle()
        site.cloud.pass_time(60)
        return answer

    for name in ("one", "two", "three"):
        backup(name)
    backup("weekly", backup_type="weekly", rotation="1")
    kept = site.cloud.image.get(
        "/v2/images?image_type=backup&backup_type=daily&sort=created_at:asc"
    )
    assert [i["name"] for i in kept["images"]] == ["two", "three"]
    assert {i["instance_uuid"] for i in kept["images"]} == {id}
    assert len(images_named(site, "weekly")) == 1
    answer = backup("none", rotation=0)
    assert "Location" not in answer.headers
    kept = site.cloud.image.get("/v2/images?image_type=backup&backup_type=daily")
    assert kept["images"] == []
    told = site.act(
        id, "createBackup", {"name": "x", "backup_type": "d", "rotation": 1}, version="2.45"
    )
    assert set(told.json) == {"image_id"}


def test_a_backup_needs_a_kind_and_a_number(site: Site) -> None:
    id = site.running()
    good = {"name": "x", "backup_type": "daily", "rotation": 1}
    for name, value in (("rotation", -1), ("rotation", "many"), ("name", "")):
        refused(site, 400, id, "createBackup", {**good, name: value})
    for name in good:
        rest = {key: value for key, value in good.items() if key != name}
        refused(site, 400, id, "createBackup", rest)


# --- shelves --------------------------------------------------------------------------------


def test_a_shelved_server_gives_its_host_back_and_comes_again(site: Site) -> None:
    alice = site.person("alice")
    id = site.running(alice)
    before = site.server(id)
    assert done(site, id, "shelve", **by(alice)) == "SHELVED_OFFLOADED"
    shelved = site.server(id)
    assert shelved[HOST] is None and shelved["addresses"] == before["addresses"]
    assert not site.cloud.guests()
    (kept,) = images_named(site, "server-shelved")
    assert (kept["owner"], kept["visibility"]) == (alice.project, "private")
    refused(site, 409, id, "shelve")
    refused(site, 409, id, "os-start")
    assert done(site, id, "unshelve", **by(alice)) == "ACTIVE"
    assert guest(site).disks == (f"vda {kept['id']}",)
    assert images_named(site, "server-shelved") == []
    assert site.server(id)["addresses"] == before["addresses"]
    assert site.server(id)["image"]["id"] == site.image_id
    refused(site, 409, id, "unshelve")


def test_one_that_keeps_its_place_is_offloaded_when_an_administrator_says_so(
    tmp_path: Path,
) -> None:
    site = Site(tmp_path, **{"compute.shelved_offload_time": -1})
    alice = site.person("alice")
    id = site.running(alice)
    refused(site, 409, id, "shelveOffload")
    assert done(site, id, "shelve", **by(alice)) == "SHELVED"
    assert site.server(id)[HOST]
    zone = {"availability_zone": "nova"}
    assert "has one" in refused(site, 409, id, "unshelve", zone, version="2.77", **by(alice))
    assert done(site, id, "unshelve", **by(alice)) == "ACTIVE"
    assert guest(site).boots == 2 and guest(site).disk_generation == 0
    done(site, id, "shelve")
    refused(site, 403, id, "shelveOffload", **by(alice))
    assert done(site, id, "shelveOffload") == "SHELVED_OFFLOADED"
    assert not site.cloud.guests()
    site.compute.delete(f"/servers/{id}")
    site.cloud.settle()
    assert images_named(site, "server-shelved") == [] and not site.cloud.leftovers()
    site.cloud.close()


def test_an_offloaded_server_can_be_told_where_to_come_back(site: Site) -> None:
    alice = site.person("alice")
    other = site.compute.post(
        "/os-aggregates", {"aggregate": {"name": "far", "availability_zone": "far"}}
    )["aggregate"]["id"]
    site.compute.post(f"/os-aggregates/{other}/action", {"add_host": {"host": "host2"}})
    id = site.running(alice)
    done(site, id, "shelve")
    far = {"availability_zone": "far"}
    for version, value in (
        ("2.77", {}),
        ("2.77", {"availability_zone": None}),
        ("2.77", {"availability_zone": "nowhere"}),
        ("2.77", {"host": "host1"}),
        ("2.91", {}),
        ("2.91", {"host": "host9"}),
        ("2.91", {"zone": "far"}),
    ):
        refused(site, 400, id, "unshelve", value, version=version)
    refused(site, 403, id, "unshelve", {"host": "host1"}, version="2.91", **by(alice))
    near = {**far, "host": "host1"}
    assert "not in the" in refused(site, 409, id, "unshelve", near, version="2.91")
    assert done(site, id, "unshelve", far, version="2.77", **by(alice)) == "ACTIVE"
    assert site.server(id)[HOST] == "host2"
    assert site.server(id, "2.96")["pinned_availability_zone"] == "far"
    done(site, id, "shelve")
    free = {"availability_zone": None, "host": "host1"}
    assert done(site, id, "unshelve", free, version="2.91") == "ACTIVE"
    assert site.server(id)[HOST] == "host1"
    assert site.server(id, "2.96")["pinned_availability_zone"] is None
