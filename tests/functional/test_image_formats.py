"""What is declared is what the bytes are: every format that is served, by the public door."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from nova_lite.domain.errors import ImageUnacceptable
from nova_lite.domain.specs import ImageSource
from nova_lite.images.cache import ImageCache
from nova_lite.images.looking import Looks
from tests.functional.image_site import ImageSite, qemu_image

MIB = 1 << 20
#: Per disk format what qemu-img calls it; None for plain bytes.
DISKS: dict[str, tuple[str, ...] | None] = {
    "raw": None,
    "iso": None,
    "qcow2": ("qcow2",),
    "vmdk": ("vmdk", "-o", "subformat=streamOptimized"),
    "vdi": ("vdi",),
    "vhd": ("vpc", "-o", "force_size=on"),
    "vhdx": ("vhdx",),
}
EC2 = ("aki", "ari", "ami")
CONTAINERS = ("bare", "ovf", "ova")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


def disk(path: Path, disk_format: str) -> bytes:
    made = DISKS[disk_format]
    if made is not None:
        return qemu_image(path, *made)
    signature = b"CD001" if disk_format == "iso" else bytes(5)
    return bytes(0x8001) + signature + bytes(MIB - 0x8006)


def archive() -> bytes:
    return b"disk.ovf".ljust(257, b"\0") + b"ustar".ljust(10_000, b"\0")


def test_the_schema_says_which_formats_there_are(site: ImageSite) -> None:
    properties = site.json("GET", "/v2/schemas/image")["properties"]
    assert set(properties["disk_format"]["enum"]) == {None, *DISKS, *EC2}
    assert set(properties["container_format"]["enum"]) == {None, *CONTAINERS, *EC2}
    for name in ("disk_format", "container_format"):
        for wrong in ("wrong", "", 1, ["raw"]):
            answer = site.call("POST", "/v2/images", {name: wrong}, status=400)
            assert name in answer.json["message"]


@pytest.mark.parametrize("disk_format", DISKS)
def test_a_good_disk_is_taken_and_its_size_told(
    site: ImageSite, tmp_path: Path, disk_format: str
) -> None:
    content = disk(tmp_path, disk_format)
    id = site.active(content=content, disk_format=disk_format)
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["virtual_size"]) == ("active", MIB)
    assert site.call("GET", f"/v2/images/{id}/file").body == content


@pytest.mark.parametrize("declared", DISKS)
def test_a_disk_of_another_format_is_refused(
    site: ImageSite, tmp_path: Path, declared: str
) -> None:
    id = site.create(disk_format=declared)
    for actual in DISKS.keys() - {declared}:
        content = disk(tmp_path, actual)
        answer = site.call("PUT", f"/v2/images/{id}/file", data=content, status=400)
        assert f"declared {declared} but looks like" in answer.json["message"]
        assert site.json("GET", f"/v2/images/{id}")["status"] == "queued"
    site.call("PUT", f"/v2/images/{id}/file", data=disk(tmp_path, declared), status=204)


@pytest.mark.parametrize("declared", ["raw", "qcow2", "vmdk"])
def test_what_is_imported_is_looked_at_as_well(
    site: ImageSite, tmp_path: Path, declared: str
) -> None:
    id = site.create(disk_format=declared)
    for actual, status in (("vdi", "queued"), (declared, "active")):
        content = disk(tmp_path, actual)
        site.call("PUT", f"/v2/images/{id}/stage", data=content, status=204)
        body = {"method": {"name": "glance-direct"}}
        site.call("POST", f"/v2/images/{id}/import", body, status=202)
        site.services.image_imports.run_all()
        assert site.json("GET", f"/v2/images/{id}")["status"] == status
        task = site.json("GET", f"/v2/images/{id}/tasks")["tasks"][-1]
        wrong = f"declared {declared} but looks like vdi"
        assert (wrong in task["message"]) == (status == "queued")


def test_an_archive_is_an_archive_whatever_its_disks_are(site: ImageSite, tmp_path: Path) -> None:
    id = site.create(disk_format="vmdk", container_format="ova")
    path = f"/v2/images/{id}/file"
    answer = site.call("PUT", path, data=disk(tmp_path, "vmdk"), status=400)
    assert "declared ova but looks like vmdk" in answer.json["message"]
    site.call("PUT", path, data=archive(), status=204)
    assert site.json("GET", f"/v2/images/{id}")["status"] == "active"


@pytest.mark.parametrize("format", EC2)
def test_kernels_ramdisks_and_machine_images_are_plain_bytes(
    site: ImageSite, tmp_path: Path, format: str
) -> None:
    for container_format in (format, "bare"):
        site.active(disk_format=format, container_format=container_format)
        id = site.create(disk_format=format, container_format=container_format)
        content = disk(tmp_path, "qcow2")
        answer = site.call("PUT", f"/v2/images/{id}/file", data=content, status=400)
        assert f"declared {format} but looks like qcow2" in answer.json["message"]


# --- where uploads are not looked at --------------------------------------------------------------


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path, must_match=False)
    yield site
    site.database.close()


def must_be_refused(site: ImageSite, id: str, directory: Path) -> None:
    """Who makes disks of images, and who only says he would, look for themselves."""
    image = site.json("GET", f"/v2/images/{id}")
    content = site.call("GET", f"/v2/images/{id}/file").body
    source = ImageSource(
        UUID(id), "http://api/image", image["disk_format"], image["size"], image["os_hash_value"]
    )
    cache = ImageCache(directory / "cache", lambda url: iter([content]))
    for use in (cache.path, Looks(lambda url: iter([content])).look):
        with pytest.raises(ImageUnacceptable):
            use(source)
    assert list((directory / "cache").iterdir()) == []


@pytest.mark.parametrize("declared", ["raw", "qcow2", "vmdk", "iso"])
def test_a_site_may_keep_what_is_not_what_it_says_and_its_hosts_refuse_it(
    trusting: ImageSite, tmp_path: Path, declared: str
) -> None:
    content = disk(tmp_path, "vdi")
    id = trusting.active(content=content, disk_format=declared)
    image = trusting.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["size"]) == ("active", len(content))
    assert image["virtual_size"] is None, "nobody knows"
    assert trusting.call("GET", f"/v2/images/{id}/file").body == content
    must_be_refused(trusting, id, tmp_path)


def test_such_a_site_keeps_what_is_not_safe_and_its_hosts_refuse_it(
    trusting: ImageSite, tmp_path: Path
) -> None:
    backed = qemu_image(tmp_path, "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd")
    must_be_refused(trusting, trusting.active(content=backed, disk_format="qcow2"), tmp_path)


def test_such_a_site_imports_it_as_well(trusting: ImageSite, tmp_path: Path) -> None:
    id, content = trusting.create(disk_format="qcow2"), disk(tmp_path, "vdi")
    trusting.call("PUT", f"/v2/images/{id}/stage", data=content, status=204)
    body = {"method": {"name": "glance-direct"}, "all_stores": True}
    trusting.call("POST", f"/v2/images/{id}/import", body, status=202)
    trusting.services.image_imports.run_all()
    image = trusting.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["stores"]) == ("active", "file,reserve")
    assert image["virtual_size"] is None
    must_be_refused(trusting, id, tmp_path)


def test_what_is_as_it_says_is_told_of_as_ever(trusting: ImageSite, tmp_path: Path) -> None:
    for disk_format in ("raw", "qcow2"):
        id = trusting.active(content=disk(tmp_path, disk_format), disk_format=disk_format)
        assert trusting.json("GET", f"/v2/images/{id}")["virtual_size"] == MIB
