"""What the resources of this facade share: links, pages, and reading words of the query."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from nova_lite.api.declare import Field, Request, Version
from nova_lite.domain.errors import Invalid, NotFound

ABSENT = object()
"""What a Field's value returns when this one thing does not have that key."""


class Links:
    """The URLs of one collection as the client of `request` sees them."""

    def __init__(self, request: Request, collection: str) -> None:
        outside = request.outside_url
        self.self = f"{outside}/compute/v2.1/{collection}/"
        self.bookmark = f"{outside}/compute/{collection}/"

    def of(self, id: object) -> list[dict[str, str]]:
        return [
            {"rel": "self", "href": f"{self.self}{id}"},
            {"rel": "bookmark", "href": f"{self.bookmark}{id}"},
        ]


@dataclass(frozen=True)
class Page:
    limit: int
    marker: str | None


def page_of(request: Request) -> Page:
    """`limit` and `marker` of the query; a limit beyond the largest page is that page."""
    largest, limit = request.services.instances.page_size, request.GET.get("limit")
    length = largest if limit is None else min(whole_number("limit", limit), largest)
    return Page(length, request.GET.get("marker"))


def next_link(request: Request, path: str, page: Page, markers: Sequence[object]) -> dict[str, Any]:
    """`<collection>_links`, where there may be another page."""
    if not markers or len(markers) < page.limit:
        return {}
    query = [(name, value) for name, value in request.GET.items() if name != "marker"]
    href = (
        f"{request.outside_url}/compute/v2.1{path}?{urlencode([*query, ('marker', markers[-1])])}"
    )
    collection = path.split("/")[1].removeprefix("os-")
    return {f"{collection}_links": [{"rel": "next", "href": href}]}


def whole_number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise Invalid(f"Invalid input for query parameters {name}. Value: {text}.")
    return int(text)


def flag(name: str, text: str) -> bool:
    """A boolean of the query, in any of the words OpenStack knows."""
    word = text.strip().lower()
    if word in ("1", "t", "true", "on", "y", "yes"):
        return True
    if word in ("0", "f", "false", "off", "n", "no"):
        return False
    raise Invalid(f"Invalid input for query parameters {name}. Value: {text}.")


def moment(name: str, text: str) -> dt.datetime:
    """A time of the query, in ISO 8601; UTC where it does not say."""
    try:
        # A plus sign that was not quoted has arrived as a blank.
        time = dt.datetime.fromisoformat(text.replace(" ", "+") if "T" in text else text)
        return (time if time.tzinfo else time.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        raise Invalid(f"Invalid input for query parameters {name}. Value: {text}.") from None


def span(said: Mapping[str, str]) -> tuple[dt.datetime | None, dt.datetime | None]:
    """`changes-since` and `changes-before`.  Raises Invalid where one is no time, or time flies
    backwards."""
    since, before = (
        moment(name, said[name]) if name in said else None
        for name in ("changes-since", "changes-before")
    )
    if since is not None and before is not None and since > before:
        raise Invalid("The value of changes-since must be less than or equal to changes-before.")
    return since, before


def uuid_of(what: str, id: str) -> UUID:
    """An id in a path.  One that is no UUID names nothing."""
    try:
        return UUID(id)
    except ValueError:
        raise NotFound(f"{what} {id} could not be found.") from None


def address_of(name: str, text: str | None, version: int | None = None) -> str | None:
    """An address in its usual spelling, or None for none.  Raises Invalid, naming the field."""
    if not text:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        address = None
    if address is None or version not in (None, address.version):
        raise Invalid(f"Invalid input for field/attribute {name}. Value: {text}.")
    return str(address)


def iso(time: dt.datetime) -> str:
    """2030-01-01T00:00:00Z"""
    return f"{time.isoformat()[:19]}Z"


def precise(time: dt.datetime | None) -> str | None:
    """2030-01-01T00:00:00.000000, as Nova writes some times."""
    return None if time is None else time.isoformat(timespec="microseconds")[:26]


@lru_cache(maxsize=1000)
def at(fields: tuple[Field, ...], version: Version) -> tuple[Field, ...]:
    """The fields an answer has at `version`: asked once for a whole list."""
    return tuple(field for field in fields if field.since <= version <= field.until)


def render_all(
    fields: tuple[Field, ...], things: Iterable[Any], version: Version
) -> list[dict[str, Any]]:
    chosen = [(field.name, field.value) for field in at(fields, version)]
    return [
        {name: value for name, of in chosen if (value := of(thing)) is not ABSENT}
        for thing in things
    ]
