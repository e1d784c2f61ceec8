"""JSON patches (RFC 6902) of images: as far as Glance takes them, add, replace and remove."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nova_lite.api.image.asked import UnsupportedMediaType
from nova_lite.api.image.attributes import (
    CREATE,
    READ_ONLY,
    RESERVED,
    RESERVED_PREFIX,
    TAG,
)
from nova_lite.api.schema import Schema, thing, validate
from nova_lite.domain.errors import Forbidden, Invalid
from nova_lite.services.image.images import Change

MEDIA_TYPE = "application/openstack-images-v2.1-json-patch"
OLD_MEDIA_TYPE = "application/openstack-images-v2.0-json-patch"

OPERATIONS = ("add", "replace", "remove")
PATH: Schema = {"type": "string", "pattern": r"^/.*\Z", "maxLength": 1024}
MOST = 512  # steps
PATCH: Schema = {
    "type": "array",
    "maxItems": MOST,
    "items": {
        "type": "object",
        "properties": {"op": {"enum": list(OPERATIONS)}, "path": PATH, "value": {}},
        "required": ["op", "path"],
        "additionalProperties": False,
    },
}
#: The operation is the name of the path: {"add": "/name", "value": "x"}.
OLD_PATCH: Schema = {
    "type": "array",
    "maxItems": MOST,
    "items": {
        "type": "object",
        "properties": {**dict.fromkeys(OPERATIONS, PATH), "value": {}},
        "oneOf": [{"required": [operation]} for operation in OPERATIONS],
        "additionalProperties": False,
    },
}
ONE_TAG = thing(tags=TAG)


def refuse_reserved(name: str) -> None:
    """Raise Forbidden for names that are not for clients to set."""
    if name in READ_ONLY:
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if name in RESERVED or name.startswith(RESERVED_PREFIX):
        raise Forbidden(f"Attribute '{name}' is reserved.")


def changes(media_type: str, body: Any) -> list[Change]:
    """Raises Invalid for values that will not do, Forbidden for names that may not be set."""
    if media_type not in FORMS:
        raise UnsupportedMediaType(f"Send the changes as {MEDIA_TYPE}.")
    schema, plain = FORMS[media_type]
    validate(schema, body)
    return [_change(plain(step)) for step in body]


def _renamed(step: dict[str, Any]) -> dict[str, Any]:
    (operation,) = step.keys() & set(OPERATIONS)
    return {"op": operation, "path": step[operation], **step}


#: What may be sent, by media type, and how its steps become those of RFC 6902.
FORMS: Mapping[str, tuple[Schema, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    MEDIA_TYPE: (PATCH, lambda step: step),
    OLD_MEDIA_TYPE: (OLD_PATCH, _renamed),
}


def _change(step: dict[str, Any]) -> Change:
    op = step["op"]
    name, *rest = [
        part.replace("~1", "/").replace("~0", "~") for part in step["path"][1:].split("/")
    ]
    refuse_reserved(name)
    if name == "id":
        raise Forbidden("Attribute 'id' is read-only.")
    if rest and (name != "tags" or len(rest) > 1):
        raise Invalid(f"Invalid JSON pointer for this resource: '{step['path']}'")
    if op == "remove":
        return Change(op, name, index=rest[0] if rest else None)
    if "value" not in step:
        raise Invalid(f'Operation "{op}" requires a member named "value".')
    validate(ONE_TAG if rest else CREATE, {name: step["value"]})
    return Change(op, name, step["value"], rest[0] if rest else None)
