"""The documents that clients read first are true of what is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.functional.image_site import ADMIN, ImageSite
from tests.functional.test_image_metadefs import HOME, WHOLE

NAMES = {
    "image": "image",
    "images": "images",
    "member": "member",
    "members": "members",
    "task": "task",
    "tasks": "tasks",
    "metadefs/namespace": "namespace",
    "metadefs/namespaces": "namespaces",
    "metadefs/object": "object",
    "metadefs/objects": "objects",
    "metadefs/property": "property",
    "metadefs/properties": "properties",
    "metadefs/tag": "tag",
    "metadefs/tags": "tags",
    "metadefs/resource_type": "resource_type_association",
    "metadefs/resource_types": "resource_type_associations",
}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[ImageSite]:
    site = ImageSite(tmp_path)
    yield site
    site.database.close()


def schema(site: ImageSite, path: str) -> Any:
    document = site.json("GET", f"/v2/schemas/{path}")
    jsonschema.Draft7Validator.check_schema(document)
    return document


@pytest.mark.parametrize("path", NAMES)
def test_each_is_a_schema_under_its_name(site: ImageSite, path: str) -> None:
    document = schema(site, path)
    assert document["name"] == NAMES[path]
    if path.endswith("s"):
        assert document["properties"].keys() >= {NAMES[path], "schema"}
        assert {"rel": "describedby", "href": "{schema}"} in document["links"]


def test_there_are_no_others(site: ImageSite) -> None:
    for path in ("", "/nothing", "/metadefs", "/metadefs/nothing"):
        site.call("GET", f"/v2/schemas{path}", status=404)
    site.call("POST", "/v2/schemas/image", {}, status=405)


def test_images_are_as_their_schemas_say(site: ImageSite) -> None:
    id = site.active(os_distro="plan9", tags=["a"])
    image = site.json("GET", f"/v2/images/{id}")
    jsonschema.validate(image, schema(site, "image"))
    jsonschema.validate(site.json("GET", "/v2/images"), schema(site, "images"))


def test_members_and_tasks_are_as_their_schemas_say(site: ImageSite) -> None:
    id = site.create()
    site.json("POST", f"/v2/images/{id}/members", {"member": "blue"}, status=200)
    members = site.json("GET", f"/v2/images/{id}/members")
    jsonschema.validate(members, schema(site, "members"))
    closed = {**schema(site, "member"), "additionalProperties": False}
    jsonschema.validate(members["members"][0], closed)
    site.call("PUT", f"/v2/images/{id}/stage", data=b"data", status=204)
    site.call("POST", f"/v2/images/{id}/import", {"method": {"name": "glance-direct"}}, status=202)
    closed = {**schema(site, "task"), "additionalProperties": False}
    for _ in range(2):
        tasks = site.json("GET", "/v2/tasks", by=ADMIN)
        jsonschema.validate(tasks, {**schema(site, "tasks"), "additionalProperties": False})
        for task in tasks["tasks"]:
            shown = site.json("GET", f"/v2/tasks/{task['id']}", by=ADMIN)
            jsonschema.validate(shown, closed)
        site.services.image_imports.run_all()
    assert shown["status"] == "success"


def test_a_client_patches_by_the_schema_alone(site: ImageSite) -> None:
    """As glanceclient does: it sends what differs, unless the schema says that it is not to."""
    document = schema(site, "image")
    id = site.active()
    image = site.json("GET", f"/v2/images/{id}")
    new = {**image, "name": "renamed", "min_disk": 3, "os_distro": "plan9", "tags": ["t"]}
    jsonschema.validate(new, document)
    steps = [
        {"op": "replace" if name in image else "add", "path": f"/{name}", "value": value}
        for name, value in new.items()
        if value != image.get(name)
    ]
    patched = site.patch(id, *steps)
    assert {**patched, "updated_at": None} == {**new, "updated_at": None}
    for name in image:
        if document["properties"].get(name, {}).get("readOnly"):
            site.patch(id, {"op": "replace", "path": f"/{name}", "value": "x"}, status=403)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**image, "disk_format": "wrong"}, document)


def test_definitions_are_as_their_schemas_say(site: ImageSite) -> None:
    made = site.json("POST", HOME, WHOLE, by=ADMIN)
    home = f"{HOME}/{made['namespace']}"
    for path, kind in (
        (HOME, "namespaces"),
        (f"{home}/objects", "objects"),
        (f"{home}/objects/Limits", "object"),
        (f"{home}/properties", "properties"),
        (f"{home}/properties/disk_bus", "property"),
        (f"{home}/tags", "tags"),
        (f"{home}/tags/old", "tag"),
        (f"{home}/resource_types", "resource_types"),
    ):
        jsonschema.validate(site.json("GET", path, by=ADMIN), schema(site, f"metadefs/{kind}"))
    [one, _] = site.json("GET", f"{home}/resource_types", by=ADMIN)["resource_type_associations"]
    jsonschema.validate(one, schema(site, "metadefs/resource_type"))


def test_a_body_its_schema_lets_through_is_taken(site: ImageSite) -> None:
    """And what the schema does not know is refused: Horizon makes its forms of it."""
    document = schema(site, "metadefs/namespace")
    body = {n: WHOLE[n] for n in document["properties"] if n in WHOLE}
    jsonschema.validate(body, document)
    site.call("POST", HOME, body, by=ADMIN, status=201)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**body, "color": "red"}, document)
