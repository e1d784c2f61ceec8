"""What hostile images and clients try, by the numbers of the catalogue of attacks.

What only the workers can withstand is tried in tests/unit/images and tests/real.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID, uuid4

import pytest

from nova_lite.api.image.patches import MEDIA_TYPE
from nova_lite.services.image.data import signed_path
from tests.functional.image_site import ALICE, BOB, KEY, ImageSite, qemu_image

DESCRIPTOR = b"""# Disk DescriptorFile
version=1
CID=12345678
parentCID=ffffffff
createType="monolithicFlat"
RW 20480 FLAT "/etc/passwd" 0
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


def refused(site: ImageSite, content: bytes, why: str, **image: Any) -> None:
    """Refused with a reason; nothing is kept, and the image waits for something better."""
    id = site.create(**image)
    answer = site.call("PUT", f"/v2/images/{id}/file", data=content, status=400)
    assert why in answer.json["message"]
    assert site.json("GET", f"/v2/images/{id}")["status"] == "queued"
    assert site.files() == []
    site.call("GET", f"/v2/images/{id}/file", status=204)


def test_a1_a_backing_file(site: ImageSite, tmp_path: Path) -> None:
    arguments = ("-u", "-b", "/etc/passwd", "-F", "raw")
    refused(site, qemu_image(tmp_path, "qcow2", *arguments), "backing_file", disk_format="qcow2")


def test_a2_an_external_data_file(site: ImageSite, tmp_path: Path) -> None:
    content = qemu_image(tmp_path, "qcow2", "-o", f"data_file={tmp_path}/data")
    refused(site, content, "data_file", disk_format="qcow2")


@pytest.mark.parametrize(
    ("disk_format", "qemu", "kind"),
    [("vmdk", "vmdk", "parent"), ("vdi", "vdi", "whole"), ("vhd", "vpc", "whole")],
)
def test_a1_a_parent_in_other_formats(
    site: ImageSite, tmp_path: Path, disk_format: str, qemu: str, kind: str
) -> None:
    base = tmp_path / "base"
    base.write_bytes(qemu_image(tmp_path, qemu))
    if qemu == "vmdk":
        content = qemu_image(tmp_path, qemu, "-b", str(base), "-F", qemu, "-u")
    else:
        difference = bytearray(base.read_bytes())
        struct.pack_into(
            *{"vdi": ("<I", difference, 0x4C, 4), "vpc": (">I", difference, 60, 4)}[qemu]
        )
        content = bytes(difference)
    refused(site, content, kind, disk_format=disk_format)


@pytest.mark.parametrize("declared", ["raw", "qcow2", "iso", "vmdk"])
def test_a3_a_flat_vmdk(site: ImageSite, tmp_path: Path, declared: str) -> None:
    sparse = bytearray(qemu_image(tmp_path, "vmdk", "-o", "subformat=monolithicSparse"))
    place = sparse.index(b"monolithicSparse")
    sparse[place : place + 16] = b'monolithicFlat"\n'
    why = "descriptor" if declared == "vmdk" else "looks like"
    refused(site, bytes(sparse), why, disk_format=declared)
    for text in (DESCRIPTOR, DESCRIPTOR.ljust(1024, b"\0"), b"\n#" + DESCRIPTOR + bytes(99_999)):
        refused(site, text, "look", disk_format=declared)


def test_a24_what_nobody_can_look_into_cannot_even_be_declared(site: ImageSite) -> None:
    for disk_format in ("ploop", "qed", "luks", "gpt", "parallels", "file"):
        body = {"disk_format": disk_format, "container_format": "bare"}
        answer = site.call("POST", "/v2/images", body, status=400)
        assert "disk_format" in answer.json["message"]


@pytest.mark.parametrize("actual", ["qcow2", "vmdk", "vdi", "vpc", "vhdx", "qed", "luks"])
def test_a4_a_container_declared_raw(site: ImageSite, tmp_path: Path, actual: str) -> None:
    luks = b"LUKS\xba\xbe\x00\x01".ljust(100_000, b"\0")
    content = luks if actual == "luks" else qemu_image(tmp_path, actual)
    for declared in ("raw", "iso"):
        refused(site, content, "looks like", disk_format=declared)
    for declared in ("aki", "ari", "ami"):
        refused(site, content, "looks like", disk_format=declared, container_format=declared)
    for declared in {"qcow2", "vmdk", "vdi", "vhdx"} - {actual}:
        refused(site, content, "looks like", disk_format=declared)


@pytest.mark.parametrize("declared", ["qcow2", "vmdk", "vdi", "vhd", "vhdx"])
def test_a4_bytes_declared_a_container(site: ImageSite, declared: str) -> None:
    refused(site, bytes(100_000), f"declared {declared} but looks like raw", disk_format=declared)


def test_a10_a_disk_of_a_pebibyte_in_some_kilobytes(site: ImageSite, tmp_path: Path) -> None:
    content = qemu_image(tmp_path, "qcow2", "-o", "cluster_size=2M", size="1000T")
    assert len(content) < 10 << 20
    refused(site, content, "claims a disk of 1099511627776000 bytes", disk_format="qcow2")
    vdi = bytearray(qemu_image(tmp_path, "vdi"))
    struct.pack_into("<Q", vdi, 0x170, 1 << 60)
    refused(site, bytes(vdi), "claims a disk of 1152921504606846976 bytes", disk_format="vdi")


def test_a11_a_compressed_bomb_is_kept_as_it_came(site: ImageSite, tmp_path: Path) -> None:
    """Nothing here unpacks it; and how large it would become is known, and told."""
    plain, bomb = tmp_path / "plain", tmp_path / "bomb"
    plain.write_bytes(b"\x07" * (16 << 20))
    command = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", str(plain), str(bomb)]
    subprocess.run(command, check=True)
    content = bomb.read_bytes()
    assert len(content) < 1 << 20
    id = site.active(content=content, disk_format="qcow2")
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["size"], image["virtual_size"]) == (len(content), 16 << 20)
    assert (site.directory / id).stat().st_size == len(content)


def test_a11_a_body_that_is_packed_is_not_unpacked(site: ImageSite) -> None:
    id, packed = site.create(), gzip.compress(bytes(30 << 20))
    environ = {"HTTP_CONTENT_ENCODING": "gzip"}
    site.call("PUT", f"/v2/images/{id}/file", data=packed, environ=environ, status=204)
    assert site.json("GET", f"/v2/images/{id}")["size"] == len(packed)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "filesystem:///etc/passwd", "http://127.0.0.1/", "/run/x.sock"]
)
def test_a15_a_location_of_the_clients_choice(site: ImageSite, url: str) -> None:
    location = [{"url": url, "metadata": {}}]
    site.call("POST", "/v2/images", {"locations": location}, status=403)
    id = site.create()
    for path, value in (("/locations", location), ("/locations/-", location[0])):
        for op in ("add", "replace"):
            site.patch(id, {"op": op, "path": path, "value": value}, status=403)
    for name in ("direct_url", "file"):
        site.call("POST", "/v2/images", {name: url}, status=403)
        site.patch(id, {"op": "add", "path": f"/{name}", "value": url}, status=403)
    assert site.json("GET", f"/v2/images/{id}")["status"] == "queued"
    assert site.files() == []


def test_a17_other_bytes_for_an_active_image(site: ImageSite) -> None:
    id = site.active(content=b"good")
    before = site.json("GET", f"/v2/images/{id}")
    for status in ("queued", "saving", "active"):
        site.patch(id, {"op": "replace", "path": "/status", "value": status}, status=403)
    for name in ("checksum", "os_hash_value", "size"):
        site.patch(id, {"op": "replace", "path": f"/{name}", "value": "0"}, status=403)
    site.call("PUT", f"/v2/images/{id}/file", data=b"evil", status=409)
    site.call("POST", f"/v2/images/{id}/actions/deactivate", status=204)
    site.call("PUT", f"/v2/images/{id}/file", data=b"evil", status=409)
    site.call("POST", f"/v2/images/{id}/actions/reactivate", status=204)
    after = site.json("GET", f"/v2/images/{id}")
    assert {**after, "updated_at": None} == {**before, "updated_at": None}
    assert site.call("GET", f"/v2/images/{id}/file").body == b"good"
    # Nor does its id become free for another.
    site.call("DELETE", f"/v2/images/{id}", status=204)
    site.call("POST", "/v2/images", {"id": id}, by=BOB, status=409)
    site.call("PUT", f"/v2/images/{id}/file", data=b"evil", status=404)


def test_a18_whoever_has_a_link_to_an_image_that_was_taken_back_has_nothing(
    site: ImageSite,
) -> None:
    id = site.active()
    link = signed_path(KEY, UUID(id), int(site.time.timestamp()) + 60)
    assert site.call("GET", link, by=None, status=200).body == b"data"
    site.call("POST", f"/v2/images/{id}/actions/deactivate", status=204)
    site.call("GET", link, by=None, status=404)
    site.call("GET", f"/v2/images/{id}/file", status=403)
    site.call("POST", f"/v2/images/{id}/actions/reactivate", status=204)
    assert site.call("GET", link, by=None, status=200).body == b"data"
    site.call("DELETE", f"/v2/images/{id}", status=204)
    site.call("GET", link, by=None, status=404)


class Endless(io.RawIOBase):
    """A client that goes on sending."""

    def __init__(self) -> None:
        self.begun, self.deleted, self.sent_after = threading.Event(), threading.Event(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        if self.deleted.is_set():
            self.sent_after += 1
        elif self.begun.is_set():
            assert self.deleted.wait(10)
        self.begun.set()
        return len(buffer)


def test_a19_deleting_an_image_while_it_is_uploaded(site: ImageSite) -> None:
    id, client = site.create(), Endless()
    environ = {"wsgi.input": client, "CONTENT_LENGTH": str(20 << 20), "webob.is_body_seekable": 0}
    answers = []

    def upload() -> None:
        path = f"/v2/images/{id}/file"
        answers.append(site.call("PUT", path, data=b"", environ=environ))

    thread = threading.Thread(target=upload)
    thread.start()
    assert client.begun.wait(10)
    site.call("DELETE", f"/v2/images/{id}", status=204)
    client.deleted.set()
    thread.join()
    assert answers[0].status_int == 404
    assert "deleted while" in answers[0].json["message"]
    assert client.sent_after < 1000, "what came later was not read"
    assert site.files() == []
    assert site.names() == []


def test_a22_what_is_kept_is_for_nobody_else_on_the_machine(site: ImageSite) -> None:
    id = site.active()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in site.directory.rglob("*")}
    assert modes[site.directory / "incoming"] == 0o700
    assert modes[site.directory / id] & stat.S_IRWXO == 0
    assert stat.S_IMODE(site.directory.stat().st_mode) & stat.S_IRWXO == 0


def test_a24_two_formats_in_one(site: ImageSite, tmp_path: Path) -> None:
    qcow2 = bytearray(qemu_image(tmp_path, "qcow2").ljust(40_000, b"\0"))
    cd = bytearray(qcow2)
    cd[32769:32774] = b"CD001"
    disk = bytearray(qcow2)
    disk[510:512] = b"\x55\xaa"
    for content in (cd, disk):
        for declared in ("qcow2", "raw", "iso"):
            refused(site, bytes(content), "looks like", disk_format=declared)


def test_a24_an_encrypted_qcow2(site: ImageSite, tmp_path: Path) -> None:
    content = bytearray(qemu_image(tmp_path, "qcow2"))
    struct.pack_into(">I", content, 32, 2)  # crypt_method LUKS
    refused(site, bytes(content), "encrypted", disk_format="qcow2")


def test_a25_properties_are_words_and_steer_nothing_of_ours(site: ImageSite) -> None:
    """What a guest is made of knows nothing of them; here they are only kept."""
    steering: dict[str, Any] = {
        "os_command_line": "init=/bin/sh",
        "hw_firmware_path": "/etc/passwd",
    }
    shown = site.json("GET", f"/v2/images/{site.create(**steering)}")
    assert {name: shown[name] for name in steering} == steering
    reserved: tuple[tuple[str, Any], ...] = (
        ("os_glance_import_task", "x"),
        ("os_glance_", "x"),
        ("status", "active"),
        ("locations", []),
        ("deleted", True),
    )
    for name, value in reserved:
        site.call("POST", "/v2/images", {name: value}, status=403)
    for no_word in ({"a": "b"}, ["x"], 1, True, None):
        site.call("POST", "/v2/images", {"hw_disk_bus": no_word}, status=400)


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\nb", "a\r\nSet-Cookie: x", "\x1b[31m", "a\x7f", "x" * 256]
)
def test_names_that_would_forge_lines_or_end_them(site: ImageSite, text: str) -> None:
    for body in ({"name": text}, {"tags": [text]}, {text: "property"}):
        site.call("POST", "/v2/images", body, status=400)
    id = site.create()
    for path, value in (("/name", text), ("/tags", [text]), (f"/{text}", "property")):
        site.patch(id, {"op": "add", "path": path, "value": value}, status=400)
    site.call("PUT", f"/v2/images/{id}/tags/{quote(text)}", status=(404 if "\0" in text else 400))
    site.call("GET", f"/v2/images?{urlencode({text: 'x'})}", status=400)
    assert site.json("GET", f"/v2/images/{id}")["tags"] == []


@pytest.mark.parametrize(
    "text", ["\u202egnp.exe", "\U0001f4a9" * 200, "%s' OR 1=1 --", "<script>", "../../etc/passwd"]
)
def test_names_that_are_only_odd_come_back_as_they_went(site: ImageSite, text: str) -> None:
    id = site.create(name=text, tags=[text], os_distro=text)
    shown = site.json("GET", f"/v2/images/{id}")
    assert (shown["name"], shown["tags"], shown["os_distro"]) == (text, [text], text)
    for query in ({"name": text}, {"tag": text}, {"os_distro": text}):
        assert site.names(urlencode(query)) == [text]
    assert site.files() == [], "no file has a name of theirs"


def test_others_images_do_not_exist(site: ImageSite) -> None:
    id = site.active(by=ALICE)
    patch = [{"op": "replace", "path": "/name", "value": "mine"}]
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("GET", "", {}),
        ("GET", "/file", {}),
        ("DELETE", "", {}),
        ("PUT", "/tags/x", {}),
        ("PATCH", "", {"body": patch, "content_type": MEDIA_TYPE}),
        ("POST", "/actions/deactivate", {}),
        ("PUT", "/file", {"data": b"evil"}),
    )
    for method, path, how in calls:
        answers = [
            site.call(method, f"/v2/images/{i}{path}", by=BOB, status=404, **how)
            for i in (id, uuid4())
        ]
        messages = [answer.json["message"][:20] for answer in answers]
        assert messages[0] == messages[1], "the two look the same"
    assert site.call("GET", f"/v2/images/{id}/file").body == b"data"
