"""/v2/metadefs: namespaces, and the resource types they can be for."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import webob

from nova_lite.api.declare import Request, Resource, answer
from nova_lite.api.image.metadef_entries import (
    HOME,
    definition,
    list_properties,
    list_resource_types,
    list_tags,
    page,
    show_object,
    stamped,
)
from nova_lite.api.image.metadef_schemas import NAMESPACE_BODY, Json, refuse_read_only
from nova_lite.domain.errors import Invalid
from nova_lite.services.image.metadefs import Definition, Described, MetadefKind, Namespace

NAMESPACES = Resource("/v2/metadefs")

OWN = ("namespace", "display_name", "description", "visibility", "protected", "owner")
VISIBILITIES = ("public", "private")


def shown(namespace: Any) -> Json:
    """What a namespace says of itself; what it does not say is left out."""
    own = {name: getattr(namespace, name) for name in OWN}
    return {
        **{name: value for name, value in own.items() if value is not None},
        "self": f"{HOME}/{namespace.namespace}",
        "schema": "/v2/schemas/metadefs/namespace",
        **stamped(namespace),
    }


def described(found: Described, prefix: str = "") -> Json:
    """A namespace with what is in it; `prefix` comes before the names of all properties."""
    name = found.namespace.namespace
    properties = list_properties(name, found.of(MetadefKind.PROPERTY))["properties"]
    parts = {
        "objects": [show_object(name, entry, prefix) for entry in found.of(MetadefKind.OBJECT)],
        "properties": {prefix + key: value for key, value in properties.items()},
        **list_tags(name, found.of(MetadefKind.TAG)),
        **list_resource_types(name, found.of(MetadefKind.RESOURCE_TYPE)),
    }
    return {**shown(found.namespace), **{key: part for key, part in parts.items() if part}}


@NAMESPACES.on("GET", "/namespaces", policy="get_metadef_namespaces")
def index(request: Request) -> Json:
    query = request.filters()
    visibility = query.get("visibility", [None])[-1]
    if visibility is not None and visibility not in VISIBILITIES:
        raise Invalid(f"Invalid visibility value: {visibility}")
    types = [name for name in query.get("resource_types", [""])[-1].split(",") if name]
    found, more = request.services.metadefs.list(
        request.context, page(request), visibility=visibility, resource_types=types
    )
    body: Json = {
        "namespaces": [described(one) for one in found],
        "first": _link(request, None),
        "schema": "/v2/schemas/metadefs/namespaces",
    }
    if more and found:
        body["next"] = _link(request, found[-1].namespace.namespace)
    return body


def _link(request: Request, marker: str | None) -> str:
    query = [(name, value) for name, value in request.GET.items() if name != "marker"]
    if marker is not None:
        query.append(("marker", marker))
    return HOME + (f"?{urlencode(query)}" if query else "")


@NAMESPACES.on(
    "POST", "/namespaces", policy="add_metadef_namespace", status=201, body=NAMESPACE_BODY
)
def create(request: Request, body: Json) -> webob.Response:
    refuse_read_only(body)
    found = request.services.metadefs.create(request.context, _namespace(body), _definitions(body))
    place = f"{request.outside_url}/image{HOME}/{quote(found.namespace.namespace)}"
    return answer(201, described(found), Location=place)


def _namespace(body: Json) -> Namespace:
    return Namespace(**{name: body[name] for name in OWN if name in body})


def _definitions(body: Json) -> list[Definition]:
    properties = [{**one, "name": name} for name, one in body.get("properties", {}).items()]
    parts = (
        (MetadefKind.RESOURCE_TYPE, body.get("resource_type_associations", ())),
        (MetadefKind.OBJECT, body.get("objects", ())),
        (MetadefKind.PROPERTY, properties),
        (MetadefKind.TAG, body.get("tags", ())),
    )
    return [definition(kind, one) for kind, several in parts for one in several]


@NAMESPACES.on("GET", "/namespaces/{namespace}", policy="get_metadef_namespace")
def show(request: Request, namespace: str) -> Json:
    found = request.services.metadefs.get(request.context, namespace)
    wanted = request.GET.get("resource_type")
    types = {entry.name: entry.document for entry in found.of(MetadefKind.RESOURCE_TYPE)}
    return described(found, types.get(wanted, {}).get("prefix", ""))


@NAMESPACES.on(
    "PUT", "/namespaces/{namespace}", policy="modify_metadef_namespace", body=NAMESPACE_BODY
)
def update(request: Request, namespace: str, body: Json) -> Json:
    refuse_read_only(body)
    return shown(request.services.metadefs.update(request.context, namespace, _namespace(body)))


@NAMESPACES.on("DELETE", "/namespaces/{namespace}", policy="delete_metadef_namespace", status=204)
def delete(request: Request, namespace: str) -> None:
    request.services.metadefs.delete(request.context, namespace)


@NAMESPACES.on("GET", "/resource_types", policy="list_metadef_resource_types")
def resource_types(request: Request) -> Json:
    found = request.services.metadefs.resource_types(request.context)
    return {"resource_types": [{"name": one.name, **stamped(one)} for one in found]}
