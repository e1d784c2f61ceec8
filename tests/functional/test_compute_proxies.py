"""What the compute API showed of images and networks before they had APIs, and what is gone."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.api.compute.gone import PATHS
from nova_lite.db.models import Image, ImageStatus
from nova_lite.testing.cloud import Facade
from tests.functional.compute_site import Person, Site

Json = dict[str, Any]
NOTHING = "00000000-0000-0000-0000-000000000000"


def image(site: Site, name: str, by: Person | None = None, data: bool = True, **more: Any) -> str:
    api = Facade(site.cloud, "/image/v2")
    how: Json = {"token": by.token if by else None}
    body = {"name": name, "disk_format": "raw", "container_format": "bare", **more}
    id: str = api.post("/images", body, **how)["id"]
    if data:
        api.call("PUT", f"/images/{id}/file", data=bytes(512), status=204, **how)
    return id


def names(site: Site, query: str = "", detail: str = "", **how: Any) -> list[str]:
    found = site.compute.get(f"/images{detail}?{query}", **how)["images"]
    return sorted(image["name"] for image in found)


# --- images ---------------------------------------------------------------------------------------


def test_an_image_is_shown_in_the_old_words(site: Site) -> None:
    server = str(uuid4())
    more: Json = {"min_ram": 64, "min_disk": 1, "instance_uuid": server, "auto_disk_config": "True"}
    id = image(site, "snap", **more)
    shown = site.compute.get(f"/images/{id}", version="2.35")["image"]
    assert set(shown) == {
        *("id", "name", "links", "status", "progress", "created", "updated"),
        *("minDisk", "minRam", "metadata", "server"),
        *("OS-EXT-IMG-SIZE:size", "OS-DCF:diskConfig"),
    }
    assert (shown["status"], shown["progress"], shown["name"]) == ("ACTIVE", 100, "snap")
    assert (shown["minDisk"], shown["minRam"], shown["OS-EXT-IMG-SIZE:size"]) == (1, 64, 512)
    assert shown["server"]["id"] == server and len(shown["server"]["links"]) == 2
    assert shown["OS-DCF:diskConfig"] == "AUTO"
    assert shown["metadata"] == {"instance_uuid": server, "auto_disk_config": "True"}
    assert [link["rel"] for link in shown["links"]] == ["self", "bookmark", "alternate"]
    assert shown in site.compute.get("/images/detail")["images"]
    brief = {name: shown[name] for name in ("id", "name", "links")}
    assert brief in site.compute.get("/images")["images"]
    assert Facade(site.cloud, "").get(shown["links"][2]["href"].partition("localhost")[2])
    for path in ("/images", "/images/detail", f"/images/{id}"):
        site.refused(404, "GET", path, version="2.36")


@pytest.mark.parametrize(
    ("status", "word", "progress"),
    [
        (ImageStatus.QUEUED, "SAVING", 25),
        (ImageStatus.SAVING, "SAVING", 50),
        (ImageStatus.KILLED, "ERROR", 0),
        (ImageStatus.DEACTIVATED, "UNKNOWN", 0),
    ],
)
def test_a_status_is_one_of_the_old_words(
    site: Site, status: ImageStatus, word: str, progress: int
) -> None:
    id = image(site, "x", data=False)
    with site.cloud.database.write() as session:
        session.execute(sa.update(Image).where(Image.id == UUID(id)).values(status=status))
    shown = site.compute.get(f"/images/{id}")["image"]
    assert (shown["status"], shown["progress"]) == (word, progress)
    assert names(site, f"status={word}") == ([] if word == "UNKNOWN" else ["x"])
    assert "server" not in shown and "OS-DCF:diskConfig" not in shown


def test_images_are_narrowed_and_paged(site: Site) -> None:
    server = site.create()
    image(site, "a", min_ram=64)
    image(site, "b", image_type="snapshot", instance_uuid=server)
    image(site, "c", data=False, color="red")
    for detail in ("", "/detail"):
        assert names(site, "", detail) == ["a", "b", "c", "image"]
        assert names(site, "name=a", detail) == ["a"]
        assert names(site, "status=active", detail) == ["a", "b", "image"]
        assert names(site, "status=SAVING", detail) == ["c"]
        assert names(site, "minRam=64", detail) == ["a"]
        assert names(site, "minDisk=7", detail) == []
        assert names(site, "type=snapshot", detail) == ["b"]
        assert names(site, f"server={server}", detail) == ["b"]
        assert names(site, "property-color=red", detail) == ["c"]
        for link in site.server(server)["links"]:
            assert names(site, f"server={quote(link['href'])}", detail) == ["b"]
        seen: list[str] = []
        path = f"/images{detail}?limit=3"
        while path:
            page = site.compute.get(path)
            seen += [each["name"] for each in page["images"]]
            (link,) = page.get("images_links", [{"href": ""}])
            path = link["href"].removeprefix("http://localhost/compute/v2.1")
        assert sorted(seen) == ["a", "b", "c", "image"]
    site.cloud.clock.pass_seconds(10)
    image(site, "late")
    created = site.compute.get("/images/detail?name=late")["images"][0]["created"]
    assert names(site, f"changes-since={created}") == ["late"]
    for query in ("marker=x", f"marker={NOTHING}", "changes-since=x", "minRam=x", "limit=x"):
        site.refused(400, "GET", f"/images?{query}")


def test_images_are_those_one_may_see_and_delete_what_is_ones_own(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    id = image(site, "hers", alice)
    assert names(site, token=alice.token) == ["hers", "image"]
    assert names(site, token=bob.token) == ["image"]
    for method in ("GET", "DELETE"):
        site.refused(404, method, f"/images/{id}", token=bob.token)
        for odd in (NOTHING, "no-uuid", f"{id}1", "-1"):
            site.refused(404, method, f"/images/{odd}")
    site.refused(403, "DELETE", f"/images/{site.image_id}", token=bob.token)
    site.refused(404, "DELETE", f"/images/{id}", token=alice.token, version="2.36")
    site.compute.delete(f"/images/{id}", token=alice.token)
    site.refused(404, "GET", f"/images/{id}", token=alice.token)


def test_what_is_said_of_an_image_can_be_changed_until_2_38(site: Site) -> None:
    alice, bob = site.person("alice"), site.person("bob")
    path, api = f"/images/{image(site, 'hers', alice)}/metadata", site.compute
    how: Json = {"token": alice.token, "version": "2.38"}
    old = {"os_version": "value1", "os_distro": "value2"}
    assert api.put(path, {"metadata": old}, **how) == {"metadata": old}
    assert api.get(path, **how) == {"metadata": old}
    more = {"os_version": "alt1", "architecture": "value3"}
    assert api.post(path, {"metadata": more}, **how) == {"metadata": {**old, **more}}
    assert api.put(path, {"metadata": more}, **how) == {"metadata": more}
    assert api.get(f"{path}/architecture", **how) == {"meta": {"architecture": "value3"}}
    one = {"meta": {"architecture": "x86_64"}}
    assert api.put(f"{path}/architecture", one, **how) == one
    api.delete(f"{path}/os_version", **how)
    assert api.get(path, **how) == {"metadata": one["meta"]}
    for method in ("GET", "DELETE"):
        site.refused(404, method, f"{path}/os_version", **how)
    site.refused(400, "PUT", f"{path}/other", one, **how)
    for name in ("", "x" * 256, "status", "locations", "os_glance_x"):
        site.refused(400, "POST", path, {"metadata": {name: "1"}}, **how)
    site.refused(404, "POST", path, {"metadata": {}}, **how | {"token": bob.token})
    public = f"/images/{site.image_id}/metadata"
    site.refused(403, "POST", public, {"metadata": {"a": "b"}}, **how)
    nowhere = f"/images/{NOTHING}/metadata"
    for method, where, body in (
        ("GET", nowhere, None),
        ("PUT", nowhere, {"metadata": old}),
        ("POST", nowhere, {"metadata": old}),
        ("GET", f"{nowhere}/a", None),
        ("PUT", f"{nowhere}/architecture", one),
        ("DELETE", f"{nowhere}/a", None),
    ):
        site.refused(404, method, where, body, **how)
    site.refused(404, "GET", path, token=alice.token, version="2.39")


# --- networks -------------------------------------------------------------------------------------


def test_networks_are_shown_in_the_old_words(site: Site) -> None:
    alice = site.person("alice")
    how: Json = {"token": alice.token, "version": "2.35"}
    (listed,) = site.compute.get("/os-networks", **how)["networks"]
    assert (listed["id"], listed["label"]) == (site.network_id, "net")
    assert (listed["cidr"], listed["netmask"]) == ("10.0.0.0/16", "255.255.0.0")
    assert (listed["gateway"], listed["broadcast"]) == ("10.0.0.1", "10.0.255.255")
    assert listed["dns1"] is None and listed["cidr_v6"] is None
    path = f"/os-networks/{site.network_id}"
    assert site.compute.get(path, **how) == {"network": listed}
    brief = {name: listed[name] for name in ("id", "label", "cidr")}
    assert site.compute.get("/os-tenant-networks", **how) == {"networks": [brief]}
    path = f"/os-tenant-networks/{site.network_id}"
    assert site.compute.get(path, **how) == {"network": brief}
    for kind in ("os-networks", "os-tenant-networks"):
        for odd in (NOTHING, "no-uuid"):
            site.refused(404, "GET", f"/{kind}/{odd}", **how)
        site.refused(404, "GET", f"/{kind}", version="2.36")
        site.refused(404, "GET", f"/{kind}/{site.network_id}", version="2.36")


def test_a_network_without_subnet_and_one_with_name_servers(site: Site) -> None:
    api = Facade(site.cloud, "/network/v2.0")
    bare = api.post("/networks", {"network": {"name": "bare"}})["network"]["id"]
    shown = site.compute.get(f"/os-networks/{bare}")["network"]
    assert shown["label"] == "bare"
    assert {shown[name] for name in shown.keys() - {"id", "label"}} == {None}
    subnet = {"network_id": bare, "cidr": "10.9.0.0/24", "ip_version": 4}
    api.post("/subnets", {"subnet": {**subnet, "dns_nameservers": ["9.9.9.9", "1.1.1.1"]}})
    shown = site.compute.get(f"/os-networks/{bare}")["network"]
    assert (shown["dns1"], shown["dns2"]) == ("9.9.9.9", "1.1.1.1")
    labels = [network["label"] for network in site.compute.get("/os-networks")["networks"]]
    assert sorted(labels) == ["bare", "net"]
    stranger = site.person("bob")
    site.refused(404, "GET", f"/os-networks/{bare}", token=stranger.token)


def test_where_there_are_no_networks_there_are_none(site: Site) -> None:
    Facade(site.cloud, "/network/v2.0").delete(f"/networks/{site.network_id}")
    assert site.compute.get("/os-networks") == {"networks": []}


def test_there_are_no_floating_addresses(site: Site) -> None:
    how: Json = {"version": "2.35"}
    assert site.compute.get("/os-floating-ip-pools", **how) == {"floating_ip_pools": []}
    assert site.compute.get("/os-floating-ips", **how) == {"floating_ips": []}
    said = site.refused(404, "POST", "/os-floating-ips", {"pool": "public"}, **how)
    assert said == "Floating IP pool public not found."
    site.refused(404, "POST", "/os-floating-ips", {}, **how)
    for method in ("GET", "DELETE"):
        site.refused(404, method, f"/os-floating-ips/{NOTHING}", **how)
    site.refused(404, "GET", "/os-floating-ips", version="2.36")


# --- what is gone, and the names of what is there ---------------------------------------------


def test_what_was_removed_says_that_it_is_gone(site: Site) -> None:
    token = site.person("alice").token
    for path, methods in PATHS.items():
        where = path.replace("{id}", "1").replace("{domain}", "d").replace("{console}", "2")
        for method in methods.split():
            for version in ("2.1", "2.96"):
                said = site.refused(410, method, where, {}, version=version, token=token)
                assert "no longer available" in said
            assert site.compute.call(method, where, token="").status_int == 401


def test_the_parts_of_the_api_have_names(site: Site) -> None:
    found = site.compute.get("/extensions")["extensions"]
    assert {"Hosts", "Keypairs", "Networks"} <= {each["name"] for each in found}
    for each in found:
        assert set(each) == {"alias", "name", "description", "namespace", "updated", "links"}
        assert site.compute.get(f"/extensions/{each['alias']}") == {"extension": each}
    assert site.compute.get("/extensions/os-consoles")["extension"]["name"] == "Consoles"
    site.refused(404, "GET", "/extensions/os-nonesuch")
