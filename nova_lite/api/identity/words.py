"""What all resources of this API have in common: links, lists, filters, shapes of values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from nova_lite.api.declare import Field, Request, render
from nova_lite.api.schema import NONE, Schema, one
from nova_lite.domain.errors import Invalid
from nova_lite.services.identity.collection import WAYS, Wanted, is_yes
from nova_lite.services.identity.projects import MOST_TAGS

#: Printable, and not only blanks; those around it are taken off.
LABEL: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*\Z",
}
ID: Schema = {"type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[a-zA-Z0-9-]+\Z"}
DESCRIPTION: Schema = {
    "type": ["string", "null"],
    "maxLength": 4096,
    "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f]*\Z",
}
FLAG: Schema = {"type": "boolean"}
#: The option of what is not to be changed or deleted by mistake; None takes it away.
IMMUTABLE: Schema = {
    "type": "object",
    "properties": {"immutable": {"type": ["boolean", "null"]}},
    "additionalProperties": False,
}
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[^,/]*\Z"}
TAGS: Schema = {"type": "array", "items": TAG, "maxItems": MOST_TAGS, "uniqueItems": True}
OR_NULL = {"anyOf": [ID, NONE]}


def shape(
    name: str, properties: Mapping[str, Schema], *required: str, more: bool = False
) -> Schema:
    """A body with one thing that has these properties and no others unless `more`."""
    return one(
        name,
        {
            "type": "object",
            "properties": properties,
            "required": list(required),
            "additionalProperties": more,
        },
    )


def url(request: Request, *path: str) -> str:
    """Where the client finds that."""
    return "/".join((request.outside_url, "identity/v3", *path))


def member(request: Request, fields: Iterable[Field], collection: str, one: Any) -> dict[str, Any]:
    """One thing of a collection, with a link to itself."""
    return {**render(fields, one), "links": {"self": url(request, collection, one.id)}}


def listing(
    request: Request, name: str, members: Iterable[Any], *, more: bool = False
) -> dict[str, Any]:
    """A list, and with `more` where the next page of it is."""
    found, here = list(members), url(request, request.path_info[4:])
    links = {"next": None, "self": here, "previous": None}
    if not more:
        return {name: found, "links": links}
    query = {**request.GET, **({"marker": found[-1]["id"]} if found else {})}
    links["next"] = f"{here}?{urlencode(query)}"
    return {name: found, "links": links, "truncated": True}


def wanted(request: Request, *filters: str) -> Wanted:
    """What the query asks of a list that can be filtered so; the rest of it is ignored.

    Raises Invalid for a limit that is no number.
    """
    found = {
        name: value
        for name, value in request.GET.items()
        if name.partition("__")[0] in filters and name.partition("__")[2] in WAYS
    }
    limit = request.GET.get("limit")
    if limit and not (limit.isdecimal() and len(limit) < 10):
        raise Invalid("Invalid input for field/attribute limit. It is not a number.")
    return Wanted(found, int(limit or 0) or None, request.GET.get("marker") or None)


def flag(request: Request, name: str) -> bool | None:
    """A yes or no of the query, where the bare name is a yes; None when it is not there."""
    said = request.GET.get(name)
    return None if said is None else is_yes(said)


def asked(request: Request, name: str) -> bool:
    """Whether the query says yes to that."""
    return bool(flag(request, name))


def texts(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of the names that the body has."""
    return {name: body[name] for name in names if name in body}


def moment(time: dt.datetime) -> str:
    """A time in UTC as Keystone writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


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

    def text(self, longest: int = 4096) -> str:
        """Raises Invalid for what is no string, or one longer than that, or with NUL in it."""
        if not isinstance(self.value, str) or len(self.value) > longest or "\0" in self.value:
            raise Invalid(f"Invalid input for field/attribute {self.path}. It is no proper string.")
        return self.value

    def _below(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name
