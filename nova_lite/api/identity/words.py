"""What all resources of this API have in common: links, lists, filters, shapes of values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nova_lite.api.declare import Field, Request, render
from nova_lite.api.schema import NONE, Schema, one
from nova_lite.domain.errors import Invalid

ID: Schema = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[a-zA-Z0-9-]+\Z"}
DESCRIPTION: Schema = {
    "type": ["string", "null"],
    "maxLength": 4096,
    "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f]*\Z",
}
FLAG: Schema = {"type": "boolean"}
#: Options and tags of Keystone that are not served: it may be said that there are none.
NO_OPTIONS: Schema = {"type": "object", "maxProperties": 0}
NO_TAGS: Schema = {"type": "array", "maxItems": 0}
OR_NULL = {"anyOf": [ID, NONE]}


def shape(name: str, properties: Mapping[str, Schema], *required: str) -> Schema:
    """A body with one thing that has these properties and no others."""
    return one(
        name,
        {
            "type": "object",
            "properties": properties,
            "required": list(required),
            "additionalProperties": False,
        },
    )


def url(request: Request, *path: str) -> str:
    """Where the client finds that."""
    return "/".join((request.outside_url, "identity/v3", *path))


def member(request: Request, fields: Iterable[Field], collection: str, one: Any) -> dict[str, Any]:
    """One thing of a collection, with a link to itself."""
    return {**render(fields, one), "links": {"self": url(request, collection, one.id)}}


def listing(request: Request, name: str, members: Iterable[Any]) -> dict[str, Any]:
    """A list as a whole: Keystone knows no pages."""
    links = {"next": None, "self": url(request, request.path_info[4:]), "previous": None}
    return {name: list(members), "links": links}


def flag(request: Request, name: str) -> bool | None:
    """A yes or no of the query, where the bare name is a yes; None when it is not there."""
    said = request.GET.get(name)
    return None if said is None else said.lower() not in ("0", "false")


def texts(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of the names that the body has."""
    return {name: body[name] for name in names if name in body}


class At:
    """A place in a body, for what must be read without repeating it in an error.

    A schema's message shows the value that will not do; here that may be a password.
    """

    def __init__(self, value: Any, path: str = "") -> None:
        self.value, self.path = value, path

    def __truediv__(self, name: str) -> At:
        """What is under `name`; raises Invalid when this is no object that has it."""
        found = self.get(name)
        if found is None:
            raise Invalid(f"Invalid input for field/attribute {self._below(name)}. It is missing.")
        return found

    def get(self, name: str) -> At | None:
        if not isinstance(self.value, dict):
            raise Invalid(f"Invalid input for field/attribute {self.path or 'body'}. No object.")
        value = self.value.get(name)
        return None if value is None else At(value, self._below(name))

    def text(self) -> str:
        if not isinstance(self.value, str) or len(self.value) > 4096 or "\0" in self.value:
            raise Invalid(f"Invalid input for field/attribute {self.path}. It is no proper string.")
        return self.value

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
