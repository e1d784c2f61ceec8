"""Sharing images with other projects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_lite.context import RequestContext
from tests.functional.image_site import ADMIN, ALICE, BOB, MEMBER, READER, ImageSite

CAROL = RequestContext("req-d", "carol", project_id="green", roles=MEMBER)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


def share(site: ImageSite, id: str, member: str = "blue") -> None:
    site.json("POST", f"/v2/images/{id}/members", {"member": member}, status=200)


def test_a_member_is_asked_and_accepts(site: ImageSite) -> None:
    id = site.active(name="x")
    path = f"/v2/images/{id}/members"
    asked = site.json("POST", path, {"member": "blue"}, status=200)
    assert asked == {
        "member_id": "blue",
        "image_id": id,
        "status": "pending",
        "created_at": "2030-01-01T00:00:00Z",
        "updated_at": "2030-01-01T00:00:00Z",
        "schema": "/v2/schemas/member",
    }
    assert site.json("GET", f"/v2/images/{id}", by=BOB)["name"] == "x"
    assert site.call("GET", f"/v2/images/{id}/file", by=BOB, status=200).body == b"data"
    assert site.names(by=BOB) == []
    assert site.names("visibility=shared&member_status=pending", by=BOB) == ["x"]
    assert site.names("member_status=all", by=BOB) == ["x"]
    answered = site.json("PUT", f"{path}/blue", {"status": "accepted"}, by=BOB)
    assert answered["status"] == "accepted"
    assert site.names(by=BOB) == ["x"]
    assert site.names("visibility=shared", by=BOB) == ["x"]
    assert site.names("member_status=rejected", by=BOB) == []
    site.json("PUT", f"{path}/blue", {"status": "rejected"}, by=BOB)
    assert site.names(by=BOB) == []
    assert site.json("GET", f"{path}/blue", by=READER)["status"] == "rejected"
    site.call("DELETE", f"{path}/blue", status=204)
    site.call("GET", f"/v2/images/{id}", by=BOB, status=404)
    site.call("DELETE", f"{path}/blue", status=404)


def test_the_project_sees_all_members_and_a_member_itself(site: ImageSite) -> None:
    id = site.create()
    share(site, id, "blue")
    share(site, id, "green")
    path = f"/v2/images/{id}/members"

    def members(by: RequestContext) -> list[str]:
        answer = site.json("GET", path, by=by)
        assert answer["schema"] == "/v2/schemas/members"
        return [member["member_id"] for member in answer["members"]]

    assert members(ALICE) == members(ADMIN) == ["blue", "green"]
    assert members(CAROL) == ["green"]
    site.call("GET", f"{path}/blue", by=CAROL, status=404)
    stranger = RequestContext("req-e", "eve", project_id="black", roles=MEMBER)
    for tail in ("", "/blue"):
        site.call("GET", path + tail, by=stranger, status=404)


def test_only_a_member_answers_and_only_the_project_shares(site: ImageSite) -> None:
    id = site.create()
    share(site, id)
    path = f"/v2/images/{id}/members"
    site.call("PUT", f"{path}/blue", {"status": "accepted"}, status=403)
    site.call("PUT", f"{path}/blue", {"status": "perhaps"}, by=BOB, status=400)
    site.call("PUT", f"{path}/green", {"status": "accepted"}, by=CAROL, status=404)
    site.call("PUT", f"{path}/green", {"status": "accepted"}, by=BOB, status=404)
    site.call("POST", path, {"member": "green"}, by=BOB, status=403)
    site.call("POST", path, {"member": "green"}, by=CAROL, status=404)
    site.call("POST", path, {"member": "green"}, by=READER, status=403)
    site.call("DELETE", f"{path}/blue", by=BOB, status=403)
    site.call("PATCH", f"/v2/images/{id}", [], by=BOB, status=415)
    site.call("DELETE", f"/v2/images/{id}", by=BOB, status=403)
    site.call("PUT", f"{path}/blue", {"status": "accepted"}, by=ADMIN, status=200)


def test_a_member_is_added_once_and_not_without_end(site: ImageSite) -> None:
    id = site.create()
    path = f"/v2/images/{id}/members"
    share(site, id)
    site.call("POST", path, {"member": "blue"}, status=409)
    for body in ({}, {"member": ""}, {"member": 7}, {"member": "x" * 65}):
        site.call("POST", path, body, status=400)
    for number in range(4):
        share(site, id, f"p{number}")
    assert "at most 5" in site.call("POST", path, {"member": "more"}, status=413).text


@pytest.mark.parametrize("visibility", ["private", "community"])
def test_only_shared_images_have_members(site: ImageSite, visibility: str) -> None:
    id = site.create()
    share(site, id)
    site.json("PUT", f"/v2/images/{id}/members/blue", {"status": "accepted"}, by=BOB)
    site.patch(id, {"op": "replace", "path": "/visibility", "value": visibility})
    path = f"/v2/images/{id}/members"
    for method, tail, body in (
        ("GET", "", None), ("GET", "/blue", None), ("POST", "", {"member": "green"}),
        ("DELETE", "/blue", None), ("PUT", "/blue", {"status": "accepted"}),
    ):  # fmt: skip
        site.call(method, path + tail, body, status=403)
    assert site.names(by=BOB) == []
    site.call("GET", f"/v2/images/{id}", by=BOB, status=404 if visibility == "private" else 200)


def test_members_go_with_their_image(site: ImageSite) -> None:
    id = site.create()
    share(site, id)
    site.call("DELETE", f"/v2/images/{id}", status=204)
    for tail in ("", "/blue"):
        site.call("GET", f"/v2/images/{id}/members{tail}", status=404)
