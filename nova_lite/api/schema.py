"""Checking what clients send: JSON schema, compiled on first use, and its shared fragments."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import fastjsonschema

from nova_lite.domain.errors import Invalid

Schema = Mapping[str, Any]

LONGEST = 300  # characters of what a message repeats of names
SECRET = re.compile(r"pass|secret|token|credential|user_?data|private_?key", re.IGNORECASE)
"""Fields whose values are not repeated."""

_compiled: dict[int, tuple[Schema, Callable[[Any], Any]]] = {}
_lock = threading.Lock()


def validate(schema: Schema, value: Any, what: str = "body") -> None:
    """Raise Invalid, naming the field, what it held unless that is secret, and why not that."""
    check = _compiled.get(id(schema))
    if check is None:
        with _lock:
            # The schema is kept beside its check, so that its id stays its own.
            check = schema, fastjsonschema.compile(dict(schema), use_default=False)
            _compiled[id(schema)] = check
    try:
        check[1](value)
    except fastjsonschema.JsonSchemaValueException as error:
        raise Invalid(_said(error, what)) from None


def _said(error: fastjsonschema.JsonSchemaValueException, what: str) -> str:
    """What is wrong where, without repeating what may be a secret.

    Of an object only the names are shown, of a list nothing: a password may be
    anywhere in it.
    """
    path = [str(part) for part in error.path[1:]]
    field = ".".join(path)[:LONGEST] or what
    reason = error.message.removeprefix(error.name or "").strip()[:LONGEST]
    if isinstance(error.value, list) or SECRET.search(field):
        shown = ""
    else:
        value = error.value
        shown = f"an object of {', '.join(value)}" if isinstance(value, dict) else repr(value)
        shown = f" Value: {shown if len(shown) <= 100 else shown[:97] + '...'}."
    return f"Invalid input for field/attribute {field}.{shown} It {reason}."


def known_of(schema: Schema, value: Any) -> Any:
    """`value` without what `schema` would refuse only because nobody knows its name."""
    if isinstance(value, list) and "items" in schema:
        return [known_of(schema["items"], item) for item in value]
    if not isinstance(value, dict):
        return value
    named = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    return {
        name: known_of(named.get(name, {}), inner)
        for name, inner in value.items()
        if schema.get("additionalProperties", True)
        or name in named
        or any(re.search(pattern, name) for pattern in patterns)
    }


def one(name: str, schema: Schema) -> Schema:
    """A body with exactly one key, as OpenStack wraps everything."""
    return {
        "type": "object",
        "properties": {name: schema},
        "required": [name],
        "additionalProperties": False,
    }


def thing(required: tuple[str, ...] = (), /, *, more: bool = False, **properties: Schema) -> Schema:
    """An object with these properties, and no others unless `more`."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": more,
    }


# Printable, not only blanks, no control characters.
NAME = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^(?! )[^\x00-\x1f\x7f]+(?<! )\Z",
}
TEXT = {"type": "string", "maxLength": 255, "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f]*\Z"}
UUID = {
    "type": "string",
    "pattern": r"^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\Z",
}
BOOLEAN = {"enum": [True, False, "true", "false", "True", "False", "1", "0", 1, 0]}
NONE = {"type": "null"}
ANY: Schema = {}


def boolean(value: object) -> bool:
    """What a value that passed BOOLEAN means."""
    return str(value).lower() in ("true", "1")
