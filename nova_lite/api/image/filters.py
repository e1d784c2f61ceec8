"""The query of a list of images, in Glance's words."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from nova_lite.api.image.attributes import PROPERTY_NAME, VISIBILITIES
from nova_lite.api.schema import Schema, validate
from nova_lite.domain.errors import Invalid
from nova_lite.services.image.lists import OPERATORS, SORTABLE, Filters

Query = Mapping[str, list[str]]


def _words(text: str) -> list[str]:
    """One word, or with "in:" several, in quotes where they hold a comma."""
    operator, colon, rest = text.partition(":")
    if colon and operator == "in":
        rows = list(csv.reader([rest], escapechar="\\", strict=True))
        return [word for row in rows for word in row]
    return [rest if colon and operator == "eq" else text]


def _boolean(text: str) -> list[bool]:
    if text.lower() not in ("true", "false"):
        raise ValueError("it has to be true or false")
    return [text.lower() == "true"]


def _natural(text: str) -> list[int]:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ValueError("it has to be a number that is not negative")
    return [int(text)]


def _ids(text: str) -> list[UUID]:
    """Those that are ids; no image has any other."""
    found = []
    for word in _words(text):
        try:
            found.append(UUID(word))
        except ValueError:
            continue
    return found


def _time(text: str) -> tuple[str, dt.datetime]:
    """An operator, by default "eq", and a time."""
    operator, colon, rest = text.partition(":")
    if not colon or operator not in OPERATORS:
        operator, rest = "eq", text
    try:
        # In a query a plus that is not quoted is a blank.
        moment = dt.datetime.fromisoformat(rest.replace(" ", "+"))
    except ValueError:
        raise ValueError("it has to be a time like gt:2030-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return operator, moment.astimezone(dt.UTC).replace(microsecond=0)


def _one_of(*words: str) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        if text not in words:
            raise ValueError(f"it has to be one of {', '.join(words)}")
        return [text]

    return parse


#: Parameters that compare one column, and how their values are read.
EQUAL: dict[str, Callable[[str], list[Any]]] = {
    "name": _words,
    "status": _words,
    "owner": _words,
    "disk_format": _words,
    "container_format": _words,
    "checksum": _words,
    "os_hash_value": _words,
    "protected": _boolean,
    "min_disk": _natural,
    "min_ram": _natural,
    "size": _natural,
}
OTHERS: dict[str, Callable[[str], list[Any]]] = {
    "id": _ids,
    "visibility": _one_of(*VISIBILITIES, "all"),
    "os_hidden": _boolean,
    "size_min": _natural,
    "size_max": _natural,
    "limit": _natural,
    "member_status": _one_of("pending", "accepted", "rejected", "all"),
}
TIMES = ("created_at", "updated_at")
PAGING = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir"})
KNOWN = EQUAL.keys() | OTHERS.keys() | PAGING | {"tag", *TIMES}
DIRECTIONS = {"asc": False, "desc": True}
NAMES: Schema = {"type": "object", "propertyNames": PROPERTY_NAME}


def _read(query: Query, parsers: Mapping[str, Callable[[str], list[Any]]]) -> dict[str, Any]:
    """The last value of each parameter, parsed.  Raises Invalid, naming it."""
    found = {}
    for name in query.keys() & parsers.keys():
        try:
            found[name] = parsers[name](query[name][-1])
        except (ValueError, csv.Error) as error:
            raise Invalid(f"Invalid value for parameter {name}: {error}.") from None
    return found


def _read_time(name: str, text: str) -> tuple[str, dt.datetime]:
    try:
        return _time(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Invalid value for parameter {name}: {error}.") from None


def filters(query: Query) -> Filters:
    """Raises Invalid.  Parameters nobody knows are properties to look for."""
    if any("\x00" in value for values in query.values() for value in values):
        raise Invalid("A parameter must not contain NUL.")
    given = _read(query, OTHERS)
    properties = {name: values[-1] for name, values in query.items() if name not in KNOWN}
    validate(NAMES, properties, "query")

    def one(name: str, default: Any = None) -> Any:
        return given[name][0] if name in given else default

    return Filters(
        ids=given.get("id"),
        equal=_read(query, EQUAL),
        times=[(name, *_read_time(name, text)) for name in TIMES for text in query.get(name, ())],
        tags=query.get("tag", ()),
        properties=properties,
        size_min=one("size_min"),
        size_max=one("size_max"),
        visibility=one("visibility"),
        member_status=one("member_status", "accepted"),
        os_hidden=one("os_hidden", False),
    )


def limit(query: Query, default: int) -> int:
    """Raises Invalid."""
    return int(
        _read({name: query[name] for name in query.keys() & {"limit"}}, OTHERS).get(
            "limit", [default]
        )[0]
    )


def marker(query: Query) -> UUID | None:
    """Raises Invalid."""
    text = query.get("marker", [""])[-1]
    try:
        return UUID(text) if text else None
    except ValueError:
        raise Invalid(f"marker [{text}] not found") from None


def order(query: Query) -> list[tuple[str, bool]]:
    """Sort keys, and whether each is descending: sort=KEY[:DIR],... or sort_key and sort_dir.

    Raises Invalid.
    """
    keys, directions = query.get("sort_key", []), query.get("sort_dir", [])
    if "sort" in query:
        if keys or directions:
            raise Invalid("Old and new sorting syntax cannot be combined.")
        pairs = [part.strip().partition(":") for part in query["sort"][-1].split(",")]
        keys, directions = [p[0] for p in pairs], [p[2] or "desc" for p in pairs]
    keys, directions = keys or ["created_at"], directions or ["desc"]
    if len(directions) == 1:
        directions = directions * len(keys)
    if len(directions) != len(keys):
        raise Invalid("Number of sort dirs does not match the number of sort keys.")
    for key in keys:
        if key not in SORTABLE:
            raise Invalid(f"Invalid sort key: {key}. It must be one of {', '.join(SORTABLE)}.")
    for direction in directions:
        if direction not in DIRECTIONS:
            raise Invalid(f"Invalid sort direction: {direction}. It must be asc or desc.")
    return [(key, DIRECTIONS[word]) for key, word in zip(keys, directions, strict=True)]
