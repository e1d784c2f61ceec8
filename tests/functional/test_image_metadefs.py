"""Metadata definitions through the image API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nova_lite.context import RequestContext
from nova_lite.domain.errors import Forbidden
from nova_lite.services.image.metadefs import RESOURCE_TYPES, Namespace
from tests.functional.image_site import ADMIN, ALICE, BOB, READER, ImageSite

HOME = "/v2/metadefs/namespaces"
KINDS = ("objects", "properties", "tags", "resource_types")
DISK_BUS = {
    "title": "Disk bus",
    "type": "string",
    "description": "How the guest talks to its disks.",
    "enum": ["virtio", "ide"],
    "operators": ["<or>"],
    "default": "virtio",
}
WHOLE: dict[str, Any] = {
    "namespace": "OS::Test::Hardware",
    "display_name": "Hardware",
    "description": "What a guest is made of.",
    "visibility": "public",
    "protected": False,
    "owner": "admin",
    "resource_type_associations": [
        {"name": "OS::Glance::Image", "prefix": "hw_"},
        {"name": "OS::Test::New"},
    ],
    "properties": {"disk_bus": DISK_BUS},
    "objects": [
        {
            "name": "Limits",
            "description": "How much of all.",
            "required": ["quota"],
            "properties": {"quota": {"title": "Quota", "type": "integer", "minimum": 1}},
        }
    ],
    "tags": [{"name": "old"}, {"name": "new"}],
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


def make(site: ImageSite, name: str = "ns", **more: Any) -> str:
    """A namespace; where it is."""
    site.json("POST", HOME, {"namespace": name, **more}, by=ADMIN)
    return f"{HOME}/{name}"


def without_times(document: Any) -> Any:
    if isinstance(document, dict):
        times = {"created_at", "updated_at"}
        return {k: without_times(v) for k, v in document.items() if k not in times}
    return [without_times(v) for v in document] if isinstance(document, list) else document


def names(site: ImageSite, query: str = "", by: Any = ADMIN) -> list[str]:
    return [n["namespace"] for n in site.json("GET", f"{HOME}{query}", by=by)["namespaces"]]


# --- namespaces -------------------------------------------------------------------------------


def test_a_namespace_is_made_whole_and_shown_whole(site: ImageSite) -> None:
    answer = site.call("POST", HOME, WHOLE, by=ADMIN, status=201)
    assert answer.headers["Location"].endswith(f"/image{HOME}/OS%3A%3ATest%3A%3AHardware")
    home = f"{HOME}/OS::Test::Hardware"
    shown = site.json("GET", home, by=READER)
    assert shown == answer.json
    assert shown["created_at"] == shown["updated_at"] == "2030-01-01T00:00:00Z"
    [limits] = WHOLE["objects"]
    assert without_times(shown) == {
        **WHOLE,
        "objects": [
            {
                **limits,
                "self": f"{home}/objects/Limits",
                "schema": "/v2/schemas/metadefs/object",
            }
        ],
        "tags": [{"name": "new"}, {"name": "old"}],
        "self": home,
        "schema": "/v2/schemas/metadefs/namespace",
    }


def test_what_a_namespace_does_not_have_it_does_not_show(site: ImageSite) -> None:
    home = make(site)
    assert without_times(site.json("GET", home, by=ADMIN)) == {
        "namespace": "ns",
        "visibility": "private",
        "protected": False,
        "owner": "admin",
        "self": home,
        "schema": "/v2/schemas/metadefs/namespace",
    }


def test_properties_have_their_prefix_when_asked_for_a_resource_type(site: ImageSite) -> None:
    site.call("POST", HOME, WHOLE, by=ADMIN, status=201)
    home = f"{HOME}/OS::Test::Hardware"
    shown = site.json("GET", f"{home}?resource_type=OS::Glance::Image")
    assert shown["properties"].keys() == {"hw_disk_bus"}
    assert shown["objects"][0]["properties"].keys() == {"hw_quota"}
    assert shown["objects"][0]["required"] == ["hw_quota"]
    for other in ("OS::Test::New", "OS::Nobody::Knows"):
        shown = site.json("GET", f"{home}?resource_type={other}")
        assert shown["properties"].keys() == {"disk_bus"}
    found = site.json("GET", f"{home}/properties/hw_disk_bus?resource_type=OS::Glance::Image")
    assert found["name"] == "disk_bus"
    for wrong in (
        "disk_bus?resource_type=OS::Glance::Image",
        "disk_bus?resource_type=OS::Test::New",
        "hw_disk_bus?resource_type=OS::Nobody::Knows",
    ):
        site.call("GET", f"{home}/properties/{wrong}", status=404)


def test_names_are_taken_but_once(site: ImageSite) -> None:
    make(site)
    other = make(site, "other")
    site.call("POST", HOME, {"namespace": "ns"}, by=ADMIN, status=409)
    site.call("PUT", other, {"namespace": "ns"}, by=ADMIN, status=409)
    assert site.json("GET", other, by=ADMIN)["namespace"] == "other"
    twice = {"namespace": "third", "tags": [{"name": "a"}, {"name": "a"}]}
    site.call("POST", HOME, twice, by=ADMIN, status=409)
    site.call("GET", f"{HOME}/third", by=ADMIN, status=404)


def test_a_change_says_all_of_a_namespace(site: ImageSite) -> None:
    site.call("POST", HOME, WHOLE, by=ADMIN, status=201)
    body = {"namespace": "renamed", "protected": True, "display_name": "New"}
    shown = site.json("PUT", f"{HOME}/OS::Test::Hardware", body, by=ADMIN)
    assert without_times(shown) == {
        **body,
        "visibility": "private",
        "owner": "admin",
        "self": f"{HOME}/renamed",
        "schema": "/v2/schemas/metadefs/namespace",
    }
    kept = site.json("GET", f"{HOME}/renamed", by=ADMIN)
    assert [tag["name"] for tag in kept["tags"]] == ["new", "old"]
    site.call("GET", f"{HOME}/OS::Test::Hardware", by=ADMIN, status=404)


def test_nothing_is_deleted_from_a_protected_namespace(site: ImageSite) -> None:
    site.call("POST", HOME, {**WHOLE, "protected": True}, by=ADMIN, status=201)
    home = f"{HOME}/OS::Test::Hardware"
    site.call("DELETE", home, by=ADMIN, status=403)
    for path in (
        "objects/Limits",
        "properties/disk_bus",
        "tags/old",
        "resource_types/OS::Test::New",
    ):
        site.call("DELETE", f"{home}/{path}", by=ADMIN, status=403)
    for kind in KINDS[:3]:
        site.call("DELETE", f"{home}/{kind}", by=ADMIN, status=403)
    site.json("PUT", home, {"namespace": "OS::Test::Hardware"}, by=ADMIN)
    site.call("DELETE", home, by=ADMIN, status=204)
    site.call("GET", home, by=ADMIN, status=404)
    make(site, "OS::Test::Hardware")
    assert "tags" not in site.json("GET", home, by=ADMIN), "nothing of the old one came back"


def test_a_list_of_namespaces_in_pages(site: ImageSite) -> None:
    for name in ("a", "c", "b"):
        make(site, name)
    assert names(site) == ["b", "c", "a"], "the newest first"
    assert names(site, "?sort_key=namespace&sort_dir=asc") == ["a", "b", "c"]
    for key in ("display_name", "protected", "visibility", "owner", "id", "updated_at"):
        assert sorted(names(site, f"?sort_key={key}")) == ["a", "b", "c"]
    query = "?sort_key=namespace&sort_dir=asc&limit=2"
    page = site.json("GET", f"{HOME}{query}", by=ADMIN)
    assert page["first"] == f"{HOME}{query}"
    assert page["schema"] == "/v2/schemas/metadefs/namespaces"
    assert [n["namespace"] for n in page["namespaces"]] == ["a", "b"]
    rest = site.json("GET", page["next"], by=ADMIN)
    assert [n["namespace"] for n in rest["namespaces"]] == ["c"]
    assert "next" not in rest
    site.call("GET", f"{HOME}?marker=nobody", by=ADMIN, status=404)
    for wrong in ("limit=-1", "limit=x", "sort_key=secret", "sort_dir=up", "visibility=shared"):
        site.call("GET", f"{HOME}?{wrong}", by=ADMIN, status=400)


def test_namespaces_by_visibility_and_resource_type(site: ImageSite) -> None:
    make(site, "images", resource_type_associations=[{"name": "OS::Glance::Image"}])
    make(site, "servers", resource_type_associations=[{"name": "OS::Nova::Server"}])
    make(site, "open", visibility="public")
    assert names(site, "?visibility=public") == ["open"]
    assert sorted(names(site, "?visibility=private")) == ["images", "servers"]
    assert names(site, "?resource_types=OS::Glance::Image,OS::X") == ["images"]
    both = names(site, "?resource_types=OS::Glance::Image,OS::Nova::Server")
    assert sorted(both) == ["images", "servers"]
    [found] = site.json("GET", f"{HOME}?resource_types=OS::Nova::Server", by=ADMIN)["namespaces"]
    assert [t["name"] for t in found["resource_type_associations"]] == ["OS::Nova::Server"]


# --- whose they are ---------------------------------------------------------------------------


def test_a_private_namespace_is_for_its_project(site: ImageSite) -> None:
    home = make(site, "reds", owner="red", tags=[{"name": "t"}])
    make(site, "open", visibility="public")
    assert names(site, by=ALICE) == ["open", "reds"]
    assert names(site, by=BOB) == ["open"]
    assert site.json("GET", f"{home}/tags/t", by=READER)["name"] == "t"
    for path in ("", *(f"/{kind}" for kind in KINDS), "/tags/t", "/objects/o", "/properties/p"):
        unknown = site.call("GET", f"{HOME}/nobodys{path}", by=BOB, status=404).json["message"]
        hidden = site.call("GET", f"{home}{path}", by=BOB, status=404).json["message"]
        assert hidden == unknown.replace("nobodys", "reds"), "the two look the same"


def test_only_administrators_write(site: ImageSite) -> None:
    home = make(site, "reds", owner="red", tags=[{"name": "t"}])
    for by in (ALICE, READER):
        site.call("POST", HOME, {"namespace": "mine"}, by=by, status=403)
        site.call("PUT", home, {"namespace": "reds"}, by=by, status=403)
        site.call("DELETE", home, by=by, status=403)
        site.call("POST", f"{home}/tags/x", by=by, status=403)
        site.call("DELETE", f"{home}/tags", by=by, status=403)
    site.call("GET", HOME, by=None, status=401)


def test_where_policy_lets_members_write_they_write_their_own(site: ImageSite) -> None:
    made = site.metadefs.create(ALICE, Namespace("reds", visibility="public"))
    assert made.namespace.owner == "red"
    with pytest.raises(Forbidden, match="another's"):
        site.metadefs.delete(BOB, "reds")
    with pytest.raises(Forbidden, match="another project"):
        site.metadefs.update(ALICE, "reds", Namespace("reds", owner="blue"))
    nowhere = RequestContext("req", "root", roles=ADMIN.roles, system_scope=True)
    with pytest.raises(Forbidden, match="scoped to a project"):
        site.metadefs.create(nowhere, Namespace("lost"))


# --- what is in them --------------------------------------------------------------------------


def test_objects_come_change_and_go(site: ImageSite) -> None:
    home = make(site)
    body = {"name": "cpu", "properties": {"cores": {"title": "Cores", "type": "integer"}}}
    made = site.json("POST", f"{home}/objects", body, by=ADMIN)
    assert without_times(made) == {
        **body,
        "required": [],
        "self": f"{home}/objects/cpu",
        "schema": "/v2/schemas/metadefs/object",
    }
    assert site.json("GET", f"{home}/objects/cpu", by=ADMIN) == made
    site.call("POST", f"{home}/objects", body, by=ADMIN, status=409)
    site.json("POST", f"{home}/objects", {"name": "disk"}, by=ADMIN)
    site.call("PUT", f"{home}/objects/cpu", {"name": "disk"}, by=ADMIN, status=409)
    new = {"name": "processor", "description": "It computes."}
    changed = site.json("PUT", f"{home}/objects/cpu", new, by=ADMIN)
    assert changed["name"] == "processor"
    assert changed["properties"] == {}, "a change says all of it"
    assert site.json("PUT", f"{home}/objects/processor", new, by=ADMIN)["name"] == "processor"
    listed = site.json("GET", f"{home}/objects", by=ADMIN)
    assert [o["name"] for o in listed["objects"]] == ["disk", "processor"], "the newest first"
    assert listed["schema"] == "/v2/schemas/metadefs/objects"
    query = "sort_key=name&sort_dir=asc&limit=1"
    [first] = site.json("GET", f"{home}/objects?{query}", by=ADMIN)["objects"]
    assert first["name"] == "disk"
    [second] = site.json("GET", f"{home}/objects?{query}&marker=disk", by=ADMIN)["objects"]
    assert second["name"] == "processor"
    site.call("GET", f"{home}/objects?marker=none", by=ADMIN, status=404)
    site.call("GET", f"{home}/objects?sort_key=document", by=ADMIN, status=400)
    site.call("DELETE", f"{home}/objects/disk", by=ADMIN, status=204)
    for method, sent in (("DELETE", None), ("GET", None), ("PUT", new)):
        site.call(method, f"{home}/objects/disk", sent, by=ADMIN, status=404)
    site.call("DELETE", f"{home}/objects", by=ADMIN, status=204)
    assert site.json("GET", f"{home}/objects", by=ADMIN)["objects"] == []


def test_properties_come_change_and_go(site: ImageSite) -> None:
    home = make(site)
    body = {"name": "disk_bus", **DISK_BUS}
    assert site.json("POST", f"{home}/properties", body, by=ADMIN) == body
    assert site.json("GET", f"{home}/properties/disk_bus", by=ADMIN) == body
    assert site.json("GET", f"{home}/properties", by=ADMIN) == {
        "properties": {"disk_bus": DISK_BUS}
    }
    site.call("POST", f"{home}/properties", body, by=ADMIN, status=409)
    new = {"name": "bus", "title": "Bus", "type": "string"}
    assert site.json("PUT", f"{home}/properties/disk_bus", new, by=ADMIN) == new
    site.call("GET", f"{home}/properties/disk_bus", by=ADMIN, status=404)
    site.call("DELETE", f"{home}/properties/bus", by=ADMIN, status=204)
    site.json("POST", f"{home}/properties", body, by=ADMIN)
    site.call("DELETE", f"{home}/properties", by=ADMIN, status=204)
    assert site.json("GET", f"{home}/properties", by=ADMIN) == {"properties": {}}


def test_tags_come_singly_and_by_the_dozen(site: ImageSite) -> None:
    home = make(site)

    def tags(query: str = "") -> list[str]:
        return [t["name"] for t in site.json("GET", f"{home}/tags{query}", by=ADMIN)["tags"]]

    made = site.json("POST", f"{home}/tags/one", by=ADMIN)
    assert made.keys() == {"name", "created_at", "updated_at"}
    site.call("POST", f"{home}/tags/one", by=ADMIN, status=409)
    site.call("POST", f"{home}/tags/{'x' * 81}", by=ADMIN, status=400)
    several = {"tags": [{"name": "a"}, {"name": "b"}]}
    assert site.json("POST", f"{home}/tags", several, by=ADMIN) == several
    assert sorted(tags()) == ["a", "b"], "they come instead of those that were"
    assert tags("?sort_key=name&sort_dir=asc&limit=1") == ["a"]
    append = {"HTTP_X_OPENSTACK_APPEND": "True"}
    more = {"tags": [{"name": "c"}]}
    site.json("POST", f"{home}/tags", more, by=ADMIN, environ=append)
    assert sorted(tags()) == ["a", "b", "c"]
    site.call("POST", f"{home}/tags", more, by=ADMIN, environ=append, status=409)
    twice = {"tags": [{"name": "z"}, {"name": "z"}]}
    site.call("POST", f"{home}/tags", twice, by=ADMIN, status=409)
    assert sorted(tags()) == ["a", "b", "c"], "all or none"
    assert site.json("PUT", f"{home}/tags/c", {"name": "d"}, by=ADMIN)["name"] == "d"
    site.call("PUT", f"{home}/tags/d", {"name": "a"}, by=ADMIN, status=409)
    site.call("DELETE", f"{home}/tags/d", by=ADMIN, status=204)
    site.call("GET", f"{home}/tags/d", by=ADMIN, status=404)
    site.call("DELETE", f"{home}/tags", by=ADMIN, status=204)
    assert tags() == []


def test_resource_types_are_known_from_the_beginning_and_learnt(site: ImageSite) -> None:
    site.metadefs.bootstrap()
    site.metadefs.bootstrap()

    def types() -> list[str]:
        found = site.json("GET", "/v2/metadefs/resource_types")["resource_types"]
        assert all(t.keys() == {"name", "created_at", "updated_at"} for t in found)
        return [t["name"] for t in found]

    assert types() == list(RESOURCE_TYPES)
    home = make(site)
    body = {"name": "OS::Test::New", "prefix": "p:", "properties_target": "image"}
    made = site.json("POST", f"{home}/resource_types", body, by=ADMIN)
    assert without_times(made) == body
    site.call("POST", f"{home}/resource_types", body, by=ADMIN, status=409)
    site.json("POST", f"{home}/resource_types", {"name": RESOURCE_TYPES[0]}, by=ADMIN)
    listed = site.json("GET", f"{home}/resource_types", by=ADMIN)["resource_type_associations"]
    assert listed[1] == made
    assert [t["name"] for t in listed] == [RESOURCE_TYPES[0], "OS::Test::New"]
    site.call("DELETE", f"{home}/resource_types/OS::Test::New", by=ADMIN, status=204)
    site.call("DELETE", f"{home}/resource_types/OS::Test::New", by=ADMIN, status=404)
    assert types() == [*RESOURCE_TYPES, "OS::Test::New"], "once known, it stays known"


# --- what is sent -----------------------------------------------------------------------------


def test_what_is_ours_to_say_is_refused_as_such(site: ImageSite) -> None:
    home = make(site)
    place: Any
    for place, body in (
        (HOME, {"namespace": "x", "self": "x"}),
        (HOME, {"namespace": "x", "created_at": "x"}),
        (f"{home}/objects", {"name": "x", "schema": "x"}),
        (f"{home}/properties", {"name": "x", "title": "x", "type": "string", "updated_at": ""}),
        (f"{home}/resource_types", {"name": "x", "created_at": "x"}),
        (f"{home}/tags", {"tags": [], "created_at": "x"}),
    ):
        answer = site.call("POST", place, body, by=ADMIN, status=403)
        assert "is read-only" in answer.json["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {}),
        ("", {"namespace": ""}),
        ("", {"namespace": "x" * 81}),
        ("", {"namespace": "x\n"}),
        ("", {"namespace": "x", "visibility": "shared"}),
        ("", {"namespace": "x", "color": "red"}),
        ("", {"namespace": "x", "properties": {"p": {"title": "no type"}}}),
        ("", {"namespace": "x", "properties": {"p" * 81: {"title": "t", "type": "string"}}}),
        ("", {"namespace": "x", "objects": [{"description": "no name"}]}),
        ("", {"namespace": "x", "tags": ["not an object"]}),
        ("/ns/objects", {"description": "no name"}),
        ("/ns/objects", {"name": "x", "required": ["a", "a"]}),
        ("/ns/objects", {"name": "x", "properties": {"p": {"title": "t", "type": "thing"}}}),
        ("/ns/properties", {"name": "x", "type": "string"}),
        ("/ns/properties", {"name": "x", "title": "x", "type": "string", "minLength": -1}),
        ("/ns/tags", {}),
        ("/ns/tags", {"tags": [{"name": "x", "color": "red"}]}),
        ("/ns/resource_types", {"prefix": "x"}),
    ],
)
def test_bodies_that_will_not_do(site: ImageSite, path: str, body: Any) -> None:
    make(site)
    site.call("POST", f"{HOME}{path}", body, by=ADMIN, status=400)
    assert names(site) == ["ns"]


def test_names_may_be_of_any_script(site: ImageSite) -> None:
    name = "\u202e\U0001f4a9 %s' OR 1=1 --"
    site.json("POST", HOME, {"namespace": name, "tags": [{"name": name}]}, by=ADMIN)
    [found] = site.json("GET", HOME, by=ADMIN)["namespaces"]
    assert found["namespace"] == name
    tags = site.json("GET", f"{HOME}/%E2%80%AE%F0%9F%92%A9 %25s' OR 1=1 --/tags", by=ADMIN)
    assert tags == {"tags": [{"name": name}]}
