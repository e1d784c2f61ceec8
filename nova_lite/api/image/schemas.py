"""The JSON schemas that clients read before they talk of images."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import PUBLIC, Request, Resource
from nova_lite.api.image import metadef_schemas
from nova_lite.api.image.attributes import ATTRIBUTES, Json

SCHEMAS = Resource("/v2/schemas")


def _links(**links: str) -> list[dict[str, str]]:
    return [{"rel": rel, "href": "{" + key + "}"} for rel, key in links.items()]


def _several(name: str, one: Json) -> Json:
    """The schema of one page of a list of `one`."""
    string = {"type": "string"}
    properties: Json = {name: {"type": "array", "items": one}, "schema": string}
    if name in ("images", "tasks"):  # they come in pages
        properties |= {"first": string, "next": string}
        return _document(name, properties, _links(first="first", next="next", describedby="schema"))
    return _document(name, properties, _links(describedby="schema"))


def _document(name: str, properties: Json, links: Any = None, **more: Any) -> Json:
    return {"name": name, "properties": properties, **({"links": links} if links else {}), **more}


IMAGE = _document(
    "image",
    {
        a.name: {
            **a.schema,
            "description": a.description,
            **({} if a.writable else {"readOnly": True}),
        }
        for a in ATTRIBUTES
    },
    _links(self="self", enclosure="file", describedby="schema"),
    additionalProperties={"type": "string"},
)
MEMBER = _document(
    "member",
    {
        "created_at": {"type": "string", "description": "Date and time of image member creation"},
        "image_id": {"type": "string", "description": "An identifier for the image"},
        "member_id": {"type": "string", "description": "An identifier for the image member"},
        "status": {
            "type": "string",
            "enum": ["pending", "accepted", "rejected"],
            "description": "The status of this image member",
        },
        "updated_at": {"type": "string", "description": "Date and time of last modification"},
        "schema": {"type": "string", "readOnly": True},
    },
)
TASK = _document(
    "task",
    {
        name: {**schema, "description": description}
        for name, schema, description in (
            ("id", {"type": "string"}, "An identifier for the task"),
            ("type", {"type": "string"}, "What is to be done, such as import"),
            (
                "status",
                {"type": "string", "enum": ["pending", "processing", "success", "failure"]},
                "How far it is",
            ),
            ("input", {"type": ["null", "object"]}, "What was asked for"),
            ("result", {"type": ["null", "object"]}, "What came of it, when it succeeded"),
            ("owner", {"type": "string"}, "The project it belongs to"),
            ("message", {"type": ["null", "string"]}, "Why it failed, if it did"),
            ("image_id", {"type": ["null", "string"]}, "The image it is about"),
            ("request_id", {"type": ["null", "string"]}, "The request that asked for it"),
            ("user_id", {"type": ["null", "string"]}, "Who asked for it"),
            ("expires_at", {"type": ["null", "string"]}, "When it will be forgotten"),
            ("created_at", {"type": "string"}, "Date and time of its creation"),
            ("updated_at", {"type": "string"}, "Date and time of its last change"),
            ("self", {"type": "string", "readOnly": True}, "Where it is"),
            ("schema", {"type": "string", "readOnly": True}, "Where this is"),
        )
    },
)
DOCUMENTS = {
    "image": IMAGE,
    "images": _several("images", IMAGE),
    "member": MEMBER,
    "members": _several("members", MEMBER),
    "task": TASK,
    "tasks": _several("tasks", TASK),
    **{f"metadefs/{name}": document for name, document in metadef_schemas.DOCUMENTS.items()},
}


def _serve(name: str) -> None:
    @SCHEMAS.on("GET", f"/{name}", policy=PUBLIC)
    def show(request: Request) -> Json:
        return DOCUMENTS[name]


for _name in DOCUMENTS:
    _serve(_name)
