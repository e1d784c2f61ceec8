"""Unified limits of images, by Glance's names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_lite.context import RequestContext
from tests.functional.image_site import ADMIN, BOB, ImageSite

MIB = bytes(1 << 20)
COPY = {"method": {"name": "copy-image"}, "all_stores": True}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


def staged(site: ImageSite, content: bytes) -> str:
    id = site.create()
    site.call("PUT", f"/v2/images/{id}/stage", data=content, status=204)
    return id


def import_staged(site: ImageSite, id: str) -> None:
    site.call("POST", f"/v2/images/{id}/import", {"method": {"name": "glance-direct"}}, status=202)
    site.services.image_imports.run_all()


def test_how_many_images(site: ImageSite) -> None:
    site.limits["image_count_total"] = 1
    first = site.create()
    refused = site.call("POST", "/v2/images", {}, status=413)
    assert "image_count_total" in refused.json["message"]
    site.create(by=BOB)
    site.call("DELETE", f"/v2/images/{first}", status=204)
    site.create()


def test_how_many_at_once(site: ImageSite) -> None:
    site.limits["image_count_uploading"] = 1
    first, second = staged(site, b"x"), site.create()
    for path in ("stage", "file"):
        site.call("PUT", f"/v2/images/{second}/{path}", data=b"x", status=413)
    assert site.json("GET", f"/v2/images/{second}")["status"] == "queued"
    import_staged(site, first)
    site.call("PUT", f"/v2/images/{second}/file", data=b"x", status=204)
    for id, status in ((first, 202), (second, 413)):
        site.call("POST", f"/v2/images/{id}/import", COPY, by=ADMIN, status=status)


def test_how_much_is_kept(site: ImageSite) -> None:
    """How large an image will be is not known before: who is below the limit may begin."""
    site.limits["image_size_total"] = 1
    first, _, third = site.active(content=MIB), site.active(content=MIB), site.create()
    site.call("PUT", f"/v2/images/{third}/file", data=b"x", status=413)
    site.call("DELETE", f"/v2/images/{first}", status=204)
    site.call("PUT", f"/v2/images/{third}/file", data=b"x", status=204)
    other = site.active(by=BOB, content=MIB)
    site.call("POST", f"/v2/images/{other}/import", COPY, by=ADMIN, status=413)


def test_how_much_is_staged(site: ImageSite) -> None:
    site.limits["image_stage_total"] = 1
    first, _, third = staged(site, MIB), staged(site, MIB), site.create()
    site.call("PUT", f"/v2/images/{third}/stage", data=b"x", status=413)
    used = site.json("GET", "/v2/info/usage")["usage"]
    assert used["image_stage_total"] == {"limit": 1, "usage": 2}
    assert used["image_count_total"] == {"limit": -1, "usage": 3}
    assert used["image_count_uploading"] == {"limit": -1, "usage": 2}
    nowhere = RequestContext("req-n", "nobody", roles=frozenset({"reader"}))
    site.call("GET", "/v2/info/usage", by=nowhere, status=403)
    site.active(content=b"x")
    import_staged(site, first)
    site.call("PUT", f"/v2/images/{third}/stage", data=b"x", status=204)


def test_what_is_used_of_each_limit_can_be_asked(site: ImageSite) -> None:
    site.limits["image_size_total"] = 5
    site.active(content=MIB)
    usage = site.json("GET", "/v2/info/usage")["usage"]
    assert usage["image_size_total"] == {"usage": 1, "limit": 5}
    assert usage["image_count_total"] == {"usage": 1, "limit": -1}
    assert set(usage) == {
        "image_size_total",
        "image_stage_total",
        "image_count_total",
        "image_count_uploading",
    }
