"""What metadata definitions look like: as clients may send them, and can read about them.

The documents that clients read are made of the same parts that bodies are
checked with, so that neither says what is not true of the other.
"""

from __future__ import annotations

from typing import Any

from nova_lite.api.image.attributes import LINE
from nova_lite.api.schema import Schema
from nova_lite.domain.errors import Forbidden

Json = dict[str, Any]

#: What only we can set.
READ_ONLY: dict[str, Json] = {
    "created_at": {
        "type": "string",
        "format": "date-time",
        "description": "Date and time of its creation",
        "readOnly": True,
    },
    "updated_at": {
        "type": "string",
        "format": "date-time",
        "description": "Date and time of its last modification",
        "readOnly": True,
    },
}
LINKS: dict[str, Json] = {
    "self": {"type": "string", "readOnly": True},
    "schema": {"type": "string", "readOnly": True},
}

NAME = {"type": "string", "minLength": 1, "maxLength": 80, "pattern": LINE}
WORDS = {"type": "string", "maxLength": 65535}
NATURAL = {"type": "integer", "minimum": 0}
NAMES = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}
TYPE = {"enum": ["array", "boolean", "integer", "number", "object", "string"]}

#: One property: a JSON schema itself, but for a few words that user interfaces like.
PROPERTY: dict[str, Schema] = {
    "name": NAME,
    "title": WORDS,
    "description": WORDS,
    "operators": {"type": "array", "items": {"type": "string"}},
    "type": TYPE,
    "required": NAMES,
    "minimum": {"type": "number"},
    "maximum": {"type": "number"},
    "maxLength": NATURAL,
    "minLength": NATURAL,
    "pattern": {"type": "string", "maxLength": 1024},
    "enum": {"type": "array"},
    "readonly": {"type": "boolean"},
    "default": {},
    "items": {
        "type": "object",
        "properties": {"type": TYPE, "enum": {"type": "array"}},
        "additionalProperties": False,
    },
    "maxItems": NATURAL,
    "minItems": NATURAL,
    "uniqueItems": {"type": "boolean"},
    "additionalItems": {"type": "boolean"},
}


def _closed(properties: dict[str, Schema], *required: str) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


#: Several properties, by their names.
PROPERTIES: Json = {
    "type": "object",
    "propertyNames": {"minLength": 1, "maxLength": 80, "pattern": LINE},
    "additionalProperties": _closed(PROPERTY, "title", "type"),
}
OBJECT: dict[str, Schema] = {
    "name": NAME,
    "description": WORDS,
    "required": NAMES,
    "properties": PROPERTIES,
}
RESOURCE_TYPE: dict[str, Schema] = {
    "name": {
        **NAME,
        "description": "Name of the type of resource; where orchestration has one, that name.",
    },
    "prefix": {
        **NAME,
        "minLength": 0,
        "description": "What names of properties begin with on resources of this type, with the "
        "separator (such as a colon) at its end.",
    },
    "properties_target": {
        **NAME,
        "minLength": 0,
        "description": "Which properties of the resource are meant, where it has more than one "
        "sort; a volume for example has its own and its image's.",
    },
}
TAG: dict[str, Schema] = {"name": NAME}
NAMESPACE: dict[str, Schema] = {
    "namespace": {**NAME, "description": "The unique name of the namespace"},
    "display_name": {
        **NAME,
        "minLength": 0,
        "description": "A friendly name, for user interfaces",
    },
    "description": {"type": "string", "maxLength": 500, "description": "A friendly description"},
    "visibility": {
        "type": "string",
        "enum": ["public", "private"],
        "description": "Who can see it: everybody, or its project",
    },
    "protected": {"type": "boolean", "description": "If true, it cannot be deleted."},
    "owner": {**NAME, "maxLength": 255, "description": "Owner of the namespace: a project"},
}


def _whole_namespace(times: dict[str, Json], links: dict[str, Json]) -> dict[str, Schema]:
    """A namespace and what is in it; `times` and `links` are what is ours to set."""

    def several(properties: dict[str, Schema]) -> Json:
        return {"type": "array", "items": _closed(properties, "name")}

    return {
        **NAMESPACE,
        "resource_type_associations": several({**RESOURCE_TYPE, **times}),
        "properties": PROPERTIES,
        "objects": several({**OBJECT, **times, **links}),
        "tags": several(TAG),
    }


# --- bodies -----------------------------------------------------------------------------------


def _body(properties: dict[str, Schema], *required: str, links: bool = False) -> Json:
    """What may be sent.  What is ours to set is let through, to be refused as not permitted."""
    ours = READ_ONLY | (LINKS if links else {})
    return _closed({**properties, **{name: {} for name in ours}}, *required)


NAMESPACE_BODY = _body(_whole_namespace({}, {}), "namespace", links=True)
OBJECT_BODY = _body(OBJECT, "name", links=True)
PROPERTY_BODY = _body(PROPERTY, "name", "title", "type")
RESOURCE_TYPE_BODY = _body(RESOURCE_TYPE, "name")
TAG_BODY = _body(TAG, "name")
TAGS_BODY = _body({"tags": {"type": "array", "items": _closed(TAG, "name")}}, "tags")


def refuse_read_only(body: Json) -> None:
    for name in body.keys() & (READ_ONLY | LINKS):
        raise Forbidden(f"Attribute '{name}' is read-only.")


# --- documents --------------------------------------------------------------------------------


def _document(name: str, properties: dict[str, Schema], *required: str) -> Json:
    return {"name": name, **_closed(properties, *required)}


def _collection(name: str, several: Json) -> Json:
    string = {"type": "string"}
    links = {"first": "first", "next": "next", "describedby": "schema"}
    return {
        "name": name,
        "properties": {name: several, "first": string, "next": string, "schema": string},
        "links": [{"rel": rel, "href": "{" + key + "}"} for rel, key in links.items()],
    }


def _both(word: str, one: Json, plural: str) -> dict[str, Json]:
    """The document of one, and of a list of them; `word` and with an s are where they are."""
    several = {"type": "array", "items": one}
    return {word: one, f"{word}s": _collection(plural, several)}


_PROPERTY = _document("property", PROPERTY, "title", "type", "name")

#: By what comes after /v2/schemas/metadefs/.
DOCUMENTS: dict[str, Json] = {
    **_both(
        "namespace",
        _document(
            "namespace",
            {**_whole_namespace(READ_ONLY, LINKS), **READ_ONLY, **LINKS},
            "namespace",
        ),
        "namespaces",
    ),
    **_both(
        "resource_type",
        _document("resource_type_association", {**RESOURCE_TYPE, **READ_ONLY}, "name"),
        "resource_type_associations",
    ),
    **_both("object", _document("object", {**OBJECT, **READ_ONLY, **LINKS}, "name"), "objects"),
    **_both("tag", _document("tag", {**TAG, **READ_ONLY}, "name"), "tags"),
    "property": _PROPERTY,
    "properties": _collection("properties", PROPERTIES),
}
