"""Lists of images mean the same on every database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines import Database
from tests.functional.image_site import ImageSite

pytestmark = pytest.mark.real


@pytest.fixture(params=["mariadb", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ImageSite]:
    engine = request.getfixturevalue(request.param)
    assert isinstance(engine, Database)
    site = ImageSite(tmp_path, engine.fresh_database())
    yield site
    site.database.close()


def test_filters_find_what_they_find_on_sqlite(site: ImageSite) -> None:
    site.active(name="a", tags=["x", "gr\u00fcn"], os="linux")
    properties: dict[str, Any] = {"a/b:c.d e": "1"}
    site.active(name="b", tags=['y\\"%'], **properties)
    site.create(name="c", tags=["X"], os="Linux")
    for query, expected in (
        ("tag=x", {"a"}),
        ("tag=X", {"c"}),
        ("tag=gr%C3%BCn&tag=x", {"a"}),
        ("tag=y", set()),
        ("tag=y%5C%22%25", {"b"}),
        ("os=linux", {"a"}),
        ("a/b:c.d%20e=1", {"b"}),
        ("os=", set()),
        ("status=in:active,saving", {"a", "b"}),
    ):
        assert set(site.names(query)) == expected, query


@pytest.mark.parametrize("key", ["id", "name", "status", "size", "created_at", "disk_format"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_put_together_are_the_whole(site: ImageSite, key: str, direction: str) -> None:
    for name, content in (("b", b"22"), ("a", b"1"), ("a", b"22")):
        site.active(name=name, content=content)
    for body in ({}, {"name": "a"}, {"name": "A", "disk_format": "iso"}, {}):
        site.json("POST", "/v2/images", body)
    order = f"sort={key}:{direction}"
    whole = [image["id"] for image in site.json("GET", f"/v2/images?{order}")["images"]]
    assert len(set(whole)) == 7
    path, paged = f"/v2/images?{order}&limit=2", []
    while path:
        page = site.json("GET", path)
        paged += [image["id"] for image in page["images"]]
        path = page.get("next", "")
    assert paged == whole


def test_changes_uploads_and_deletions_work(site: ImageSite) -> None:
    id = site.create(tags=["x"])
    site.call("POST", "/v2/images", {"id": id}, status=409)
    site.patch(id, {"op": "add", "path": "/os", "value": "linux"})
    site.call("PUT", f"/v2/images/{id}/tags/y", status=204)
    site.call("PUT", f"/v2/images/{id}/file", data=b"data", status=204)
    site.call("PUT", f"/v2/images/{id}/file", data=b"evil", status=409)
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["tags"], image["os"]) == ("active", ["x", "y"], "linux")
    refused = site.create(disk_format="qcow2")
    site.call("PUT", f"/v2/images/{refused}/file", data=b"data", status=400)
    assert site.json("GET", f"/v2/images/{refused}")["status"] == "queued"
    site.call("DELETE", f"/v2/images/{id}", status=204)
    site.data.clean()
    assert site.names() == ["raw"]
    assert site.files() == []
