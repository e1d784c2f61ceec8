"""/v2/metadefs/namespaces/{namespace}/...: what is in a namespace.

Objects, properties, tags and resource types differ in their words and in what
can be done with them; the table FAMILIES says both, and all else is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.image import filters
from nova_lite.api.image.attributes import time_of
from nova_lite.api.image.metadef_schemas import (
    OBJECT_BODY,
    PROPERTY_BODY,
    RESOURCE_TYPE_BODY,
    TAG_BODY,
    TAGS_BODY,
    Json,
    refuse_read_only,
)
from nova_lite.api.schema import Schema, validate
from nova_lite.domain.errors import Invalid, NotFound
from nova_lite.services.image.metadefs import Definition, MetadefKind, Page

ENTRIES = Resource("/v2/metadefs/namespaces")
HOME = "/v2/metadefs/namespaces"


# --- words ------------------------------------------------------------------------------------


TIMES = tuple(Field(name, time_of(name)) for name in ("created_at", "updated_at"))


def stamped(thing: Any) -> Json:
    return render(TIMES, thing)


def page(request: Request) -> Page:
    """Raises Invalid."""
    query = request.filters()
    direction = query.get("sort_dir", ["desc"])[-1]
    if direction not in ("asc", "desc"):
        raise Invalid(f"Invalid sort direction: {direction}")
    return Page(
        limit=filters.limit(query, request.services.metadefs.max_limit),
        marker=query.get("marker", [None])[-1],
        sort_key=query.get("sort_key", ["created_at"])[-1],
        descending=direction == "desc",
    )


def show_object(namespace: str, entry: Any, prefix: str = "") -> Json:
    document = entry.document
    properties = document.get("properties", {})
    return {
        "name": entry.name,
        **document,
        "required": [prefix + name for name in document.get("required", ())],
        "properties": {prefix + name: one for name, one in properties.items()},
        "self": f"{HOME}/{namespace}/objects/{entry.name}",
        "schema": "/v2/schemas/metadefs/object",
        **stamped(entry),
    }


def show_property(namespace: str, entry: Any) -> Json:
    return {"name": entry.name, **entry.document}


def show_tag(namespace: str, entry: Any) -> Json:
    return {"name": entry.name, **stamped(entry)}


def show_resource_type(namespace: str, entry: Any) -> Json:
    return {"name": entry.name, **entry.document, **stamped(entry)}


def list_objects(namespace: str, entries: Sequence[Any]) -> Json:
    shown = [show_object(namespace, entry) for entry in entries]
    return {"objects": shown, "schema": "/v2/schemas/metadefs/objects"}


def list_properties(namespace: str, entries: Sequence[Any]) -> Json:
    return {"properties": {entry.name: entry.document for entry in entries}}


def list_tags(namespace: str, entries: Sequence[Any]) -> Json:
    return {"tags": [{"name": entry.name} for entry in entries]}


def list_resource_types(namespace: str, entries: Sequence[Any]) -> Json:
    shown = [show_resource_type(namespace, entry) for entry in entries]
    return {"resource_type_associations": shown}


def definition(kind: MetadefKind, body: Json) -> Definition:
    return Definition(kind, body["name"], {k: v for k, v in body.items() if k != "name"})


# --- families ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Family:
    """One kind of entry; `rules` are the deeds (of DEEDS) it knows, each with its policy."""

    kind: MetadefKind
    plural: str
    body: Schema
    show: Callable[[str, Any], Json]
    list: Callable[[str, Sequence[Any]], Json]
    rules: Mapping[str, str]
    paged: bool = False


FAMILIES = (
    Family(
        MetadefKind.OBJECT,
        "objects",
        OBJECT_BODY,
        show_object,
        list_objects,
        {
            "index": "get_metadef_objects",
            "create": "add_metadef_object",
            "show": "get_metadef_object",
            "update": "modify_metadef_object",
            "delete": "delete_metadef_object",
            "clear": "delete_metadef_object",
        },
        paged=True,
    ),
    Family(
        MetadefKind.PROPERTY,
        "properties",
        PROPERTY_BODY,
        show_property,
        list_properties,
        {
            "index": "get_metadef_properties",
            "create": "add_metadef_property",
            "show": "get_metadef_property",
            "update": "modify_metadef_property",
            "delete": "remove_metadef_property",
            "clear": "remove_metadef_property",
        },
    ),
    Family(
        MetadefKind.TAG,
        "tags",
        TAG_BODY,
        show_tag,
        list_tags,
        {
            "index": "get_metadef_tags",
            "create_named": "add_metadef_tag",
            "show": "get_metadef_tag",
            "update": "modify_metadef_tag",
            "delete": "delete_metadef_tag",
            "clear": "delete_metadef_tags",
        },
        paged=True,
    ),
    Family(
        MetadefKind.RESOURCE_TYPE,
        "resource_types",
        RESOURCE_TYPE_BODY,
        show_resource_type,
        list_resource_types,
        {
            "index": "get_metadef_resource_type",
            "create": "add_metadef_resource_type_association",
            "delete": "remove_metadef_resource_type_association",
        },
    ),
)


def index(family: Family, request: Request, namespace: str) -> Json:
    part = page(request) if family.paged else None
    found = request.services.metadefs.entries(request.context, namespace, family.kind, part)
    return family.list(namespace, found)


def create(family: Family, request: Request, namespace: str, body: Json) -> Json:
    refuse_read_only(body)
    new = definition(family.kind, body)
    [made] = request.services.metadefs.add(request.context, namespace, [new])
    return family.show(namespace, made)


def create_named(family: Family, request: Request, namespace: str, name: str) -> Json:
    validate(family.body, {"name": name})
    return create(family, request, namespace, {"name": name})


def show(family: Family, request: Request, namespace: str, name: str) -> Json:
    resource_type = request.GET.get("resource_type")
    if family.kind is MetadefKind.PROPERTY and resource_type:
        name = _short(request, namespace, name, resource_type)
    found = request.services.metadefs.entry(request.context, namespace, family.kind, name)
    return family.show(namespace, found)


def _short(request: Request, namespace: str, name: str, resource_type: str) -> str:
    """The name of a property without the prefix it has on resources of this type."""
    association = request.services.metadefs.entry(
        request.context, namespace, MetadefKind.RESOURCE_TYPE, resource_type
    )
    prefix = association.document.get("prefix")
    if not prefix or not name.startswith(prefix):
        raise NotFound(f"Property {name} does not start with {prefix!r}, as on {resource_type}.")
    return name.removeprefix(prefix)


def update(family: Family, request: Request, namespace: str, name: str, body: Json) -> Json:
    refuse_read_only(body)
    new = definition(family.kind, body)
    changed = request.services.metadefs.replace(request.context, namespace, name, new)
    return family.show(namespace, changed)


def delete(family: Family, request: Request, namespace: str, name: str) -> None:
    request.services.metadefs.remove(request.context, namespace, family.kind, name)


def clear(family: Family, request: Request, namespace: str) -> None:
    request.services.metadefs.clear(request.context, namespace, family.kind)


@dataclass(frozen=True)
class Deed:
    """What can be done with entries: where, how, and by what code."""

    method: str
    path: str
    handler: Callable[..., Any]
    status: int = 200
    has_body: bool = False


DEEDS = {
    "index": Deed("GET", "", index),
    "create": Deed("POST", "", create, status=201, has_body=True),
    "create_named": Deed("POST", "/{name}", create_named, status=201),
    "show": Deed("GET", "/{name}", show),
    "update": Deed("PUT", "/{name}", update, has_body=True),
    "delete": Deed("DELETE", "/{name}", delete, status=204),
    "clear": Deed("DELETE", "", clear, status=204),
}


def _declare(family: Family) -> None:
    for name, rule in family.rules.items():
        deed = DEEDS[name]
        ENTRIES.on(
            deed.method,
            f"/{{namespace}}/{family.plural}{deed.path}",
            policy=rule,
            status=deed.status,
            body=family.body if deed.has_body else None,
        )(partial(deed.handler, family))


for _family in FAMILIES:
    _declare(_family)


# Tags are the only ones that come by the dozen.
@ENTRIES.on("POST", "/{namespace}/tags", policy="add_metadef_tags", status=201, body=TAGS_BODY)
def create_tags(request: Request, namespace: str, body: Json) -> Json:
    refuse_read_only(body)
    append = request.headers.get("X-OpenStack-Append", "").strip().lower()
    made = request.services.metadefs.add(
        request.context,
        namespace,
        [definition(MetadefKind.TAG, tag) for tag in body["tags"]],
        instead=None if append in ("true", "1", "yes", "on", "t", "y") else MetadefKind.TAG,
    )
    return list_tags(namespace, made)
