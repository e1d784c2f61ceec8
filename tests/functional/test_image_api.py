"""The image API as its clients see it."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import jsonschema
import pytest

from nova_lite.api.image.patches import MEDIA_TYPE, OLD_MEDIA_TYPE
from nova_lite.services.image.data import signed_path, signed_upload_path
from tests.functional.image_site import (
    ADMIN,
    ALICE,
    BOB,
    KEY,
    RAW,
    READER,
    ImageSite,
    qemu_image,
)

GLANCE_KEYS = {
    "id", "name", "status", "visibility", "protected", "checksum", "os_hash_algo",
    "os_hash_value", "os_hidden", "owner", "min_disk", "min_ram", "size", "virtual_size",
    "disk_format", "container_format", "created_at", "updated_at", "tags", "self", "file",
    "schema",
}  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


def message(site: ImageSite, method: str, path: str, body: Any = None, **how: Any) -> str:
    """Why it was refused; in Glance's form."""
    response = site.call(method, path, body, **how)
    assert response.content_type == "application/json"
    assert response.json.keys() == {"message", "code", "title"}
    assert response.json["code"] == response.status
    return str(response.json["message"])


# --- documents --------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "status"), [("/", 300), ("", 300), ("/versions", 200)])
def test_the_versions_are_told_to_everybody(site: ImageSite, path: str, status: int) -> None:
    versions = site.json("GET", path, by=None, status=status)["versions"]
    link = {"rel": "self", "href": "http://localhost/image/v2/"}
    assert versions[0] == {"id": "v2.15", "status": "CURRENT", "links": [link]}
    assert [version["id"] for version in versions[1:]] == [f"v2.{n}" for n in range(13, -1, -1)]
    assert {version["status"] for version in versions[1:]} == {"SUPPORTED"}
    outside = {"nova_lite.public_endpoint": "https://cloud.example/"}
    document = site.json("GET", path, by=None, status=status, environ=outside)
    link = document["versions"][0]["links"][0]["href"]
    assert link == "https://cloud.example/image/v2/"


def test_the_schemas_describe_what_is_answered(site: ImageSite) -> None:
    schemas = {
        name: site.json("GET", f"/v2/schemas/{name}", by=None)
        for name in ("image", "images", "member", "members")
    }
    for name, schema in schemas.items():
        jsonschema.Draft4Validator.check_schema(schema)
        assert schema["name"] == name
    site.active(tags=["x"], os="linux")
    page = site.json("GET", "/v2/images")
    jsonschema.validate(page, schemas["images"])
    jsonschema.validate(page["images"][0], schemas["image"])
    assert schemas["image"]["properties"].keys() == GLANCE_KEYS
    read_only = {n for n, p in schemas["image"]["properties"].items() if p.get("readOnly")}
    assert {"status", "size", "checksum", "self", "file", "created_at"} <= read_only
    assert not {"name", "tags", "visibility", "min_ram"} & read_only


def test_what_is_not_there_is_said_in_json(site: ImageSite) -> None:
    assert "could not be found" in message(site, "GET", "/v2/nothing", status=404)
    assert "No image found with ID ubuntu" in message(site, "GET", "/v2/images/ubuntu", status=404)
    for method, path in (
        ("GET", ""), ("GET", "/file"), ("DELETE", ""), ("PUT", "/tags/x"), ("DELETE", "/tags/x"),
        ("POST", "/actions/deactivate"), ("POST", "/actions/reactivate"),
    ):  # fmt: skip
        for id in (uuid4(), "no-uuid"):
            message(site, method, f"/v2/images/{id}{path}", status=404)
    message(site, "PUT", "/v2/images", status=405)
    for method in ("GET", "DELETE"):
        message(site, method, "/v2/images/", status=404)


def test_without_a_token_there_is_nothing(site: ImageSite) -> None:
    id = site.active(by=ADMIN, visibility="public")
    for method, path in (("GET", ""), ("GET", f"/{id}"), ("GET", f"/{id}/file"), ("POST", "")):
        message(site, method, f"/v2/images{path}", {}, by=None, status=401)


# --- creating and showing -------------------------------------------------------------------------


def test_an_image_looks_as_glance_shows_it(site: ImageSite) -> None:
    response = site.call(
        "POST", "/v2/images", {**RAW, "tags": ["x"], "os_distro": "debian", "min_ram": 64},
        status=201,
    )  # fmt: skip
    image = response.json
    id = image["id"]
    assert response.headers["Location"] == f"http://localhost/image/v2/images/{id}"
    assert image == {
        "id": id,
        "name": "raw",
        "status": "queued",
        "visibility": "shared",
        "protected": False,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "os_hidden": False,
        "owner": "red",
        "min_disk": 0,
        "min_ram": 64,
        "size": None,
        "virtual_size": None,
        "disk_format": "raw",
        "container_format": "bare",
        "created_at": "2030-01-01T00:00:00Z",
        "updated_at": "2030-01-01T00:00:00Z",
        "tags": ["x"],
        "self": f"/v2/images/{id}",
        "file": f"/v2/images/{id}/file",
        "schema": "/v2/schemas/image",
        "os_distro": "debian",
    }
    site.call("PUT", f"/v2/images/{id}/file", data=b"data", status=204)
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["size"], image["virtual_size"]) == ("active", 4, 4)
    assert image["checksum"] == hashlib.md5(b"data").hexdigest()
    assert image["os_hash_algo"] == "sha512"
    assert image["os_hash_value"] == hashlib.sha512(b"data").hexdigest()


def test_a_client_may_choose_the_id(site: ImageSite) -> None:
    id = str(uuid4())
    assert site.create(id=id) == id
    assert "already exists" in message(site, "POST", "/v2/images", {"id": id}, status=409)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": 1}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"disk_format": "floppy"}, "disk_format"),
        ({"container_format": "tin"}, "container_format"),
        ({"visibility": "secret"}, "visibility"),
        ({"min_disk": -1}, "min_disk"),
        ({"min_ram": 2**31}, "min_ram"),
        ({"min_ram": "64"}, "min_ram"),
        ({"protected": "yes"}, "protected"),
        ({"tags": "x"}, "tags"),
        ({"tags": ["x" * 256]}, "tags"),
        ({"id": "mine"}, "id"),
        ({"os_distro": 7}, "os_distro"),
        ({"os_distro": "a\x00"}, "os_distro"),
        ({'a"b': "x"}, 'a"b'),
        ({"x" * 256: "x"}, "x" * 50),
        ([], "body"),
    ],
)
def test_a_bad_body_is_refused_by_the_name_of_its_field(
    site: ImageSite, body: Any, field: str
) -> None:
    assert field in message(site, "POST", "/v2/images", body, status=400)
    assert site.names() == []


@pytest.mark.parametrize(
    "name",
    ["status", "size", "checksum", "virtual_size", "created_at", "updated_at", "self", "file",
     "schema", "os_hash_value", "os_hash_algo", "direct_url", "locations", "deleted",
     "os_glance_stage_host"],
)  # fmt: skip
def test_what_is_ours_to_say_is_not_taken_from_clients(site: ImageSite, name: str) -> None:
    refused = message(site, "POST", "/v2/images", {name: "x"}, status=403)
    assert f"Attribute '{name}' is re" in refused
    id = site.create()
    for op in ("add", "replace", "remove"):
        step = {"op": op, "path": f"/{name}", "value": "x"}
        how = {"status": 403, "content_type": MEDIA_TYPE}
        assert name in message(site, "PATCH", f"/v2/images/{id}", [step], **how)


def test_readers_only_look(site: ImageSite) -> None:
    id = site.active()
    site.json("GET", "/v2/images", by=READER)
    site.json("GET", f"/v2/images/{id}", by=READER)
    assert site.call("GET", f"/v2/images/{id}/file", by=READER, status=200).body == b"data"
    for method, path, body in (
        ("POST", "", {}), ("DELETE", f"/{id}", None), ("PUT", f"/{id}/tags/x", None),
        ("PATCH", f"/{id}", []), ("POST", f"/{id}/actions/deactivate", None),
    ):  # fmt: skip
        refused = message(site, method, f"/v2/images{path}", body, by=READER, status=403)
        assert "Policy doesn't allow" in refused
    site.call("PUT", f"/v2/images/{id}/file", data=b"x", by=READER, status=403)


def test_only_administrators_publish(site: ImageSite) -> None:
    refused = message(site, "POST", "/v2/images", {"visibility": "public"}, status=403)
    assert "publicize_image" in refused
    id = site.create(by=ADMIN, visibility="public", name="p")
    assert site.names(by=BOB) == ["p"]
    mine = site.create()
    step = {"op": "replace", "path": "/visibility", "value": "public"}
    site.patch(mine, step, status=403)
    assert site.patch(mine, step, by=ADMIN)["visibility"] == "public"
    step["value"] = "community"
    assert site.patch(mine, step)["visibility"] == "community"
    message(site, "DELETE", f"/v2/images/{id}", status=403)


# --- lists --------------------------------------------------------------------------------


def test_a_list_is_filtered_as_glance_does(site: ImageSite) -> None:
    a = site.active(name="a", content=b"1", tags=["x"], os="linux")
    b = site.active(name="b,c", content=b"333", protected=True, tags=["x", "y"])
    site.create(name="hidden", os_hidden=True)
    site.create(name="in:x", disk_format="iso", min_disk=2)
    for query, expected in (
        ("", {"a", "b,c", "in:x"}),
        (f"id={a}", {"a"}),
        (f"id=in:{a},{b},nonsense", {"a", "b,c"}),
        ("id=nonsense", set()),
        ("name=a", {"a"}),
        ('name=in:a,"b,c"', {"a", "b,c"}),
        ("name=eq:in:x", {"in:x"}),
        ("name=A", set()),
        ("status=active", {"a", "b,c"}),
        ("status=in:active,queued", {"a", "b,c", "in:x"}),
        ("visibility=shared", {"a", "b,c", "in:x"}),
        ("visibility=private", set()),
        ("owner=red&tag=x&tag=y", {"b,c"}),
        ("owner=blue", set()),
        ("protected=true", {"b,c"}),
        ("protected=False", {"a", "in:x"}),
        ("disk_format=in:iso,qcow2", {"in:x"}),
        ("container_format=bare", {"a", "b,c", "in:x"}),
        ("size_min=2", {"b,c"}),
        ("size_max=2", {"a"}),
        ("size=3", {"b,c"}),
        ("min_disk=2", {"in:x"}),
        ("os=linux", {"a"}),
        ("os=bsd", set()),
        ("never%20heard=x", set()),
        ("os_hidden=true", {"hidden"}),
        ("created_at=gte:2030-01-01T00:00:00Z", {"a", "b,c", "in:x"}),
        ("created_at=gt:2030-01-01T00:00:00Z", set()),
        ("created_at=2030-01-01T00:00:00", {"a", "b,c", "in:x"}),
        ("created_at=neq:2030-01-01T00:00:00Z", set()),
        ("updated_at=lte:2030-01-01T01:00:00%2B01:00", {"a", "b,c", "in:x"}),
        ("updated_at=lt:2030-01-01&created_at=gt:2029-01-01", set()),
        ("member_status=all", {"a", "b,c", "in:x"}),
    ):
        assert set(site.names(query)) == expected, query


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("status=rotten", "status"),
        ("visibility=secret", "visibility"),
        ("protected=maybe", "protected"),
        ("os_hidden=1", "os_hidden"),
        ("size_min=-1", "size_min"),
        ("size_max=x", "size_max"),
        ("size_max=" + "9" * 30, "size_max"),
        ("min_ram=%C2%B2", "min_ram"),
        ("limit=-1", "limit"),
        ("created_at=gt:yesterday", "created_at"),
        ("updated_at=0001-01-01T00:00:00%2B14:00", "updated_at"),
        ("limit=x", "limit"),
        ("marker=x", "marker"),
        (f"marker={UUID(int=1)}", "marker"),
        ("member_status=x", "member_status"),
        ("name=a%00b", "NUL"),
        ('name=in:"a', "name"),
        ("a%22b=x", 'a"b'),
        ("sort=rank", "sort key: rank"),
        ("sort=name:up", "sort direction: up"),
        ("sort_key=rank", "sort key: rank"),
        ("sort_key=name&sort_dir=up", "sort direction: up"),
        ("sort_key=name&sort_dir=asc&sort_dir=desc", "Number of sort dirs"),
        ("sort=name&sort_key=name", "cannot be combined"),
    ],
)
def test_a_bad_query_is_refused_by_name(site: ImageSite, query: str, why: str) -> None:
    site.create()
    assert why in message(site, "GET", f"/v2/images?{query}", status=400)


def test_lists_are_sorted_in_both_syntaxes(site: ImageSite) -> None:
    for name, size in (("b", 1), ("a", 2), ("c", 1)):
        site.active(name=name, content=b"x" * size)
    for query, expected in (
        ("", "cab"),
        ("sort=name:asc", "abc"),
        ("sort=name", "cba"),
        ("sort=size:asc,name:desc", "cba"),
        ("sort_key=name&sort_dir=asc", "abc"),
        ("sort_key=size&sort_key=name&sort_dir=desc", "acb"),
        ("sort_key=size&sort_key=name&sort_dir=asc&sort_dir=desc", "cba"),
    ):
        assert "".join(site.names(query)) == expected, query


def test_a_list_is_read_page_by_page(site: ImageSite) -> None:
    for name in "abcde":
        site.create(name=name)
    path, names = "/v2/images?limit=2&sort=name:asc&tag=&name=in:a,b,c,d,e".replace("&tag=", ""), ""
    pages = 0
    while path:
        page = site.json("GET", path)
        names += "".join(image["name"] for image in page["images"])
        assert page["first"] == "/v2/images?limit=2&sort=name%3Aasc&name=in%3Aa%2Cb%2Cc%2Cd%2Ce"
        assert page["schema"] == "/v2/schemas/images"
        path, pages = page.get("next"), pages + 1
    assert (names, pages) == ("abcde", 3)
    assert site.json("GET", "/v2/images?limit=0") == {
        "images": [], "first": "/v2/images?limit=0", "schema": "/v2/schemas/images",
    }  # fmt: skip
    assert site.json("GET", "/v2/images")["first"] == "/v2/images"


# --- changing --------------------------------------------------------------------------------


def test_a_patch_changes_attributes_properties_and_tags(site: ImageSite) -> None:
    properties: dict[str, Any] = {"old": "1", "a/b~c": "2"}
    id = site.create(**properties)
    image = site.patch(
        id,
        {"op": "replace", "path": "/name", "value": "new"},
        {"op": "add", "path": "/os", "value": "linux"},
        {"op": "replace", "path": "/a~1b~0c", "value": "3"},
        {"op": "remove", "path": "/old"},
        {"op": "add", "path": "/tags/0", "value": "x"},
        {"op": "add", "path": "/tags/-", "value": "y"},
        {"op": "remove", "path": "/tags/0"},
        {"op": "replace", "path": "/min_disk", "value": 3},
    )
    assert (image["name"], image["os"], image["a/b~c"]) == ("new", "linux", "3")
    assert "old" not in image
    assert (image["tags"], image["min_disk"]) == (["y"], 3)
    assert site.json("GET", f"/v2/images/{id}") == image


@pytest.mark.parametrize(
    ("step", "status", "why"),
    [
        ({"op": "replace", "path": "/id", "value": str(uuid4())}, 403, "'id' is read-only"),
        ({"op": "remove", "path": "/name"}, 403, "may not be removed"),
        ({"op": "replace", "path": "/nothing", "value": "x"}, 409, "does not exist"),
        ({"op": "remove", "path": "/nothing"}, 409, "does not exist"),
        ({"op": "remove", "path": "/tags/0"}, 409, "no tag"),
        ({"op": "replace", "path": "/owner", "value": "blue"}, 403, "another project"),
        ({"op": "replace", "path": "/owner", "value": None}, 400, "owner"),
        ({"op": "add", "path": "/name/0", "value": "x"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": "/tags/0/1", "value": "x"}, 400, "Invalid JSON pointer"),
        ({"op": "add", "path": "/tags/0", "value": 1}, 400, "tags"),
        ({"op": "add", "path": "name", "value": "x"}, 400, "path"),
        ({"op": "move", "path": "/name", "from": "/x"}, 400, "1.op"),
        ({"op": "add", "path": "/name"}, 400, 'requires a member named "value"'),
        ({"op": "replace", "path": "/min_ram", "value": "x"}, 400, "min_ram"),
        ({"op": "replace", "path": "/disk_format", "value": "floppy"}, 400, "disk_format"),
        ({"op": "add", "path": "/os", "value": 1}, 400, "os"),
        ({"op": "add", "path": "/", "value": "x"}, 400, ""),
    ],
)
def test_a_patch_that_will_not_do_changes_nothing(
    site: ImageSite, step: dict[str, Any], status: int, why: str
) -> None:
    id = site.create()
    before = site.json("GET", f"/v2/images/{id}")
    steps = [{"op": "replace", "path": "/min_disk", "value": 9}, step]
    how = {"status": status, "content_type": MEDIA_TYPE}
    assert why in message(site, "PATCH", f"/v2/images/{id}", steps, **how)
    assert site.json("GET", f"/v2/images/{id}") == before


def test_the_older_form_of_a_patch_is_understood(site: ImageSite) -> None:
    id = site.create(old="1")
    how: dict[str, Any] = {"content_type": OLD_MEDIA_TYPE}
    steps = ({"replace": "/name", "value": "n"}, {"add": "/os", "value": "x"}, {"remove": "/old"})
    image = site.patch(id, *steps, **how)
    assert (image["name"], image["os"], "old" in image) == ("n", "x", False)
    for wrong in ({"value": "x"}, {"add": "/a", "remove": "/a"}, {"op": "add", "path": "/a"}):
        site.patch(id, wrong, status=400, **how)
    assert (
        "reserved"
        in site.patch(id, {"add": "/os_glance_x", "value": "y"}, status=403, **how)["message"]
    )


def test_patches_come_as_patches(site: ImageSite) -> None:
    refused = message(site, "PATCH", f"/v2/images/{site.create()}", [], status=415)
    assert MEDIA_TYPE in refused


def test_formats_are_fixed_once_there_is_data(site: ImageSite) -> None:
    step = {"op": "replace", "path": "/disk_format", "value": "qcow2"}
    assert site.patch(site.create(), step)["disk_format"] == "qcow2"
    assert "queued" in site.patch(site.active(), step, status=403)["message"]


def test_tags_come_and_go(site: ImageSite) -> None:
    id = site.create()
    for _ in range(2):
        site.call("PUT", f"/v2/images/{id}/tags/gr%C3%BCn", status=204)
    assert site.json("GET", f"/v2/images/{id}")["tags"] == ["grün"]
    assert site.names("tag=gr%C3%BCn") == ["raw"]
    site.call("DELETE", f"/v2/images/{id}/tags/gr%C3%BCn", status=204)
    message(site, "DELETE", f"/v2/images/{id}/tags/gr%C3%BCn", status=404)
    assert "tag" in message(site, "PUT", f"/v2/images/{id}/tags/{'x' * 256}", status=400)


def test_deactivating_takes_an_image_out_of_use(site: ImageSite) -> None:
    id = site.active()
    site.call("POST", f"/v2/images/{id}/actions/deactivate", status=204)
    assert site.json("GET", f"/v2/images/{id}")["status"] == "deactivated"
    assert "deactivated" in message(site, "GET", f"/v2/images/{id}/file", status=403)
    assert site.call("GET", f"/v2/images/{id}/file", by=ADMIN, status=200).body == b"data"
    site.call("POST", f"/v2/images/{id}/actions/reactivate", status=204)
    assert site.call("GET", f"/v2/images/{id}/file", status=200).body == b"data"
    queued = site.create()
    message(site, "POST", f"/v2/images/{queued}/actions/deactivate", status=403)


# --- data --------------------------------------------------------------------------------


def test_data_comes_back_as_it_went(site: ImageSite) -> None:
    content = bytes(range(256)) * 10_000
    id = site.active(content=content)
    response = site.call("GET", f"/v2/images/{id}/file", status=200)
    assert response.body == content
    assert response.content_type == "application/octet-stream"
    assert response.content_length == len(content)
    assert response.headers["Content-MD5"] == hashlib.md5(content).hexdigest()


def test_a_server_may_send_the_file_in_its_own_way(site: ImageSite) -> None:
    id = site.active(content=b"data")
    given = []

    def wrapper(file: io.BufferedReader, size: int) -> list[bytes]:
        given.append(file)
        with file:
            return [b"sent: " + file.read()[:0], b""]

    environ = {"wsgi.file_wrapper": wrapper}
    site.call("GET", f"/v2/images/{id}/file", status=200, environ=environ)
    assert len(given) == 1


def test_while_there_is_no_data_the_answer_is_empty(site: ImageSite) -> None:
    response = site.call("GET", f"/v2/images/{site.create()}/file", status=204)
    assert response.body == b""


def test_data_has_to_come_as_bytes(site: ImageSite) -> None:
    id = site.create()
    for content_type in ("application/json", "text/plain", "multipart/form-data"):
        refused = message(
            site, "PUT", f"/v2/images/{id}/file", data=b"x", content_type=content_type, status=415
        )
        assert "application/octet-stream" in refused
    assert site.files() == []


def test_data_of_unknown_length_could_be_half_an_image(site: ImageSite) -> None:
    """A server that does not know the length cannot tell a client's end from the body's."""
    path = f"/v2/images/{site.create()}/file"
    environ = {
        "wsgi.input": io.BytesIO(b"half"),
        "wsgi.input_terminated": True,
        "CONTENT_LENGTH": "",
    }
    assert "Content-Length" in message(site, "PUT", path, data=b"", environ=environ, status=411)
    for announced in ("x", "-1", "9" * 30):
        environ["HTTP_X_OPENSTACK_IMAGE_SIZE"] = announced
        message(site, "PUT", path, data=b"", environ=environ, status=400)
    environ["HTTP_X_OPENSTACK_IMAGE_SIZE"] = "8"
    refused = message(site, "PUT", path, data=b"", environ=environ, status=400)
    assert "4 bytes came, 8 were announced" in refused
    assert site.files() == []
    environ |= {"wsgi.input": io.BytesIO(b"whole"), "HTTP_X_OPENSTACK_IMAGE_SIZE": "5"}
    site.call("PUT", path, data=b"", environ=environ, status=204)


def test_nothing_at_all_is_data_where_that_is_what_was_said(site: ImageSite) -> None:
    """Clients in scripts, which find no terminal, send what is on their standard input."""
    id = site.active(content=b"")
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["size"]) == ("active", 0)
    assert image["checksum"] == hashlib.md5(b"").hexdigest()
    assert site.call("GET", f"/v2/images/{id}/file", status=200).body == b""
    path = f"/v2/images/{site.create(disk_format='qcow2')}/file"
    assert "looks like raw" in message(site, "PUT", path, data=b"", status=400)


def test_a_client_that_hangs_up_leaves_nothing(site: ImageSite) -> None:
    id = site.create()
    environ = {
        "wsgi.input": io.BytesIO(b"half"),
        "CONTENT_LENGTH": "8",
        "webob.is_body_seekable": 0,
    }
    refused = message(site, "PUT", f"/v2/images/{id}/file", data=b"", environ=environ, status=400)
    assert "broke off" in refused
    assert site.json("GET", f"/v2/images/{id}")["status"] == "queued"
    assert site.files() == []


def test_a_cloud_has_room_for_images_up_to_a_size(site: ImageSite) -> None:
    id = site.create()
    too_much = bytes((20 << 20) + 1)
    assert "at most" in message(site, "PUT", f"/v2/images/{id}/file", data=too_much, status=413)
    assert site.files() == []


def test_a_protected_image_is_kept(site: ImageSite) -> None:
    id = site.active(protected=True)
    assert "protected" in message(site, "DELETE", f"/v2/images/{id}", status=403)
    site.patch(id, {"op": "replace", "path": "/protected", "value": False})
    assert site.files() == [id]
    site.call("DELETE", f"/v2/images/{id}", status=204)
    assert site.files() == []
    message(site, "GET", f"/v2/images/{id}", status=404)
    message(site, "GET", f"/v2/images/{id}/file", status=404)


def test_a_part_of_the_data(site: ImageSite) -> None:
    id = site.active(content=b"0123456789")

    def part(asked: str, status: int = 206) -> Any:
        return site.call(
            "GET", f"/v2/images/{id}/file", status=status, environ={"HTTP_RANGE": asked}
        )

    for asked, body, content_range in (
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=5-99", b"56789", "bytes 5-9/10"),
    ):
        answer = part(asked)
        assert (answer.body, answer.headers["Content-Range"]) == (body, content_range)
        assert answer.content_length == len(body)
    for asked in ("bytes=10-", "bytes=5-2", "bytes=1-2,4-5", "bytes", "seconds=1-2"):
        assert part(asked, 416).json["code"].startswith("416")
    queued = site.create()
    site.call("GET", f"/v2/images/{queued}/file", status=204, environ={"HTTP_RANGE": "bytes=0-"})


def test_an_announced_size_has_to_be_right(site: ImageSite) -> None:
    id = site.create()
    environ = {"HTTP_X_OPENSTACK_IMAGE_SIZE": "5"}
    refused = message(
        site, "PUT", f"/v2/images/{id}/file", data=b"data", environ=environ, status=400
    )
    assert "not 5" in refused
    environ = {"HTTP_X_OPENSTACK_IMAGE_SIZE": "4"}
    site.call("PUT", f"/v2/images/{id}/file", data=b"data", environ=environ, status=204)


# --- signed links --------------------------------------------------------------------------------


def test_a_worker_reads_an_image_without_a_token(
    site: ImageSite, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    id = UUID(site.active())
    expires = int(site.time.timestamp()) + 60
    path = signed_path(KEY, id, expires)
    assert site.call("GET", path, by=None, status=200).body == b"data"
    assert path.rpartition("=")[2] not in caplog.text
    other = UUID(site.active())
    for wrong in (
        path.replace(str(id), str(other)),
        path.replace(f"expires={expires}", f"expires={expires + 1}"),
        path.replace(f"expires={expires}", "expires=never"),
        path[:-1] + ("0" if path[-1] != "0" else "1"),
        f"/v2/images/{id}/file?signature=",
        signed_path(b"another key", id, expires),
    ):
        # A token does not make up for a bad signature.
        for by in (None, ALICE, ADMIN):
            message(site, "GET", wrong, by=by, status=403)
    site.time += dt.timedelta(minutes=2)
    message(site, "GET", path, by=None, status=403)


def test_a_worker_uploads_an_image_without_a_token_as_often_as_it_likes(site: ImageSite) -> None:
    id = UUID(site.create())
    expires = int(site.time.timestamp()) + 60
    path = signed_upload_path(KEY, id, expires) + "&disk_format=raw"
    read = signed_path(KEY, id, expires)
    for wrong in (read, path.replace(str(id), site.create()), path.replace("&disk", "0&disk")):
        for by in (None, ADMIN):
            message(site, "PUT", wrong, data=b"data", by=by, status=403)
    message(site, "GET", path, by=None, status=403)
    message(site, "PUT", f"/v2/images/{id}/file", data=b"data", by=None, status=401)
    for _ in range(2):
        site.call("PUT", path, data=b"data", by=None, status=204)
    assert site.json("GET", f"/v2/images/{id}")["status"] == "active"
    site.call("DELETE", f"/v2/images/{id}", status=204)
    message(site, "PUT", path, data=b"data", by=None, status=404)
    site.time += dt.timedelta(minutes=2)
    message(site, "PUT", path, data=b"data", by=None, status=403)


def upload_path(site: ImageSite, id: str) -> str:
    return signed_upload_path(KEY, UUID(id), int(site.time.timestamp()) + 60)


@pytest.mark.parametrize("brought", ["raw", "qcow2"])
@pytest.mark.parametrize(
    "before",
    [
        {"disk_format": None, "container_format": None},
        {"disk_format": "raw", "container_format": None},
        {"disk_format": "qcow2", "container_format": "bare"},
        {"disk_format": "vmdk", "container_format": "ova"},
    ],
)
def test_an_image_becomes_what_the_worker_says_it_brings(
    site: ImageSite, tmp_path: Path, before: dict[str, Any], brought: str
) -> None:
    id = site.create(**before)
    copy = {"raw": bytes(1 << 20), "qcow2": qemu_image(tmp_path, "qcow2")}
    path = f"{upload_path(site, id)}&disk_format={brought}"
    other = "raw" if brought == "qcow2" else "qcow2"
    answer = site.call("PUT", path, data=copy[other], by=None)
    assert (answer.status_int, "looks like" in answer.text) == (400, True)
    site.call("PUT", path, data=copy[brought], by=None, status=204)
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["disk_format"], image["container_format"]) == (brought, "bare")
    assert (image["status"], image["virtual_size"]) == ("active", 1 << 20)


def test_a_worker_brings_raw_or_qcow2_and_nothing_else(site: ImageSite) -> None:
    id = site.create(disk_format="vmdk", container_format="ovf")
    path = upload_path(site, id)
    for word in ("", "&disk_format=", "&disk_format=vmdk", "&disk_format=RAW", "&disk_format=iso"):
        told = message(site, "PUT", path + word, data=b"data", by=None, status=400)
        assert "disk_format has to be one of qcow2, raw" in told
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["disk_format"]) == ("queued", "vmdk")
    assert image["container_format"] == "ovf"


def test_of_two_copies_that_a_worker_brings_the_first_one_stays(
    site: ImageSite, tmp_path: Path
) -> None:
    """Its guest wrote on; and the disk may even be of another format by then."""
    id = site.create(disk_format=None, container_format=None)
    path = upload_path(site, id)
    site.call("PUT", f"{path}&disk_format=raw", data=b"first", by=None, status=204)
    first = site.json("GET", f"/v2/images/{id}")
    for deactivated in (False, True):
        if deactivated:
            site.call("POST", f"/v2/images/{id}/actions/deactivate", status=204, by=ADMIN)
            first = site.json("GET", f"/v2/images/{id}")

        def read(*_: int) -> bytes:
            raise AssertionError("nobody is to read what is not wanted")

        for disk_format in ("raw", "qcow2"):
            unread = {"wsgi.input": SimpleNamespace(read=read), "CONTENT_LENGTH": "6"}
            again = f"{path}&disk_format={disk_format}"
            how: dict[str, Any] = {"content_type": "application/octet-stream", "environ": unread}
            site.call("PUT", again, by=None, status=204, **how)
        assert site.json("GET", f"/v2/images/{id}") == first
    assert site.call("GET", f"/v2/images/{id}/file", by=ADMIN).body == b"first"


def test_a_worker_brings_nothing_to_an_image_that_its_owner_is_filling(site: ImageSite) -> None:
    id = site.create(disk_format="qcow2")
    site.call("PUT", f"/v2/images/{id}/stage", data=b"staged", status=204)
    path = f"{upload_path(site, id)}&disk_format=raw"
    message(site, "PUT", path, data=b"data", by=None, status=409)
    image = site.json("GET", f"/v2/images/{id}")
    assert (image["status"], image["disk_format"]) == ("uploading", "qcow2")


def test_a_real_image_goes_in_and_comes_out(site: ImageSite, tmp_path: Path) -> None:
    file = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "100M"], check=True)
    id = site.active(content=file.read_bytes(), disk_format="qcow2")
    assert site.json("GET", f"/v2/images/{id}")["virtual_size"] == 100 << 20
    (tmp_path / "copy").write_bytes(site.call("GET", f"/v2/images/{id}/file").body)
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", str(tmp_path / "copy")], check=True)
