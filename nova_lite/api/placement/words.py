"""What the resources of this facade share: how the query says what is wanted, and answers.

See OpenStack's Placement API reference: "Resource providers", "Allocation candidates".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

from nova_lite.api.declare import FIRST, LATEST, Handler, Request, Resource, Version
from nova_lite.api.schema import Schema, thing
from nova_lite.domain.errors import Invalid, NotFound
from nova_lite.services.compute.providers import CLASSES

Json = dict[str, Any]

GENERATION = 0
"""Guards what two clients write; here nobody writes, so nothing ever is of another."""


def _list_of(item: str) -> str:
    return rf"{item}(?:,{item})*"


_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_TRAIT = r"[A-Z0-9_]{1,255}"


def text(pattern: str, *, several: bool = False) -> Schema:
    """A parameter; said once, unless it may be said several times."""
    schema = {"type": "array", "items": {"type": "string", "pattern": rf"^(?:{pattern})\Z"}}
    return schema if several else {**schema, "maxItems": 1}


ANYTHING = text(r"(?s:.{1,255})")
ID = text(_UUID)
RESOURCES = text(_list_of(r"[A-Z0-9_]{1,255}:[1-9][0-9]{0,9}"))
TRAITS = text(_list_of(_TRAIT))
TRAITS_OR_NOT = text(_list_of(f"!?{_TRAIT}"))
MEMBER_OF = text(f"{_UUID}|in:{_list_of(_UUID)}")
MEMBER_OF_ALL = text(f"{_UUID}|in:{_list_of(_UUID)}", several=True)
LIMIT = text("[1-9][0-9]{0,8}")

Parameter = tuple[str, Version, Schema]
"""A name, or a regular expression of names, from when it is known, and what it may say."""


def declare(
    resource: Resource,
    path: str,
    parameters: Sequence[Parameter],
    *,
    policy: str,
    since: Version = FIRST,
    required: Sequence[str] = (),
) -> Callable[[Handler], Handler]:
    """A GET whose query grows with the microversions: one endpoint for each set of names."""

    def note(handler: Handler) -> Handler:
        for start, until, query in _queries(parameters, since):
            schema = {**query, "required": list(required)}
            resource.on("GET", path, policy=policy, since=start, until=until, query=schema)(handler)
        return handler

    return note


def _queries(
    parameters: Sequence[Parameter], since: Version
) -> Iterator[tuple[Version, Version, Schema]]:
    steps = sorted({max(each[1], since) for each in parameters} | {since})
    for start, following in pairwise([*steps, LATEST]):
        known = {name: schema for name, at, schema in parameters if at <= start}
        until = LATEST if following == LATEST else (following[0], following[1] - 1)
        patterns = {f"^{name}$": known.pop(name) for name in [*known] if not name.isidentifier()}
        yield start, until, {**thing(), "properties": known, "patternProperties": patterns}


def uuid_of(id: str, what: str = "resource provider") -> UUID:
    """Raises NotFound for what no `what` can be called."""
    if not re.fullmatch(_UUID, id):
        raise NotFound(f"No {what} with uuid {id} found")
    return UUID(id)


def amounts(said: str) -> dict[str, int]:
    """`VCPU:1,DISK_GB:5`.  Raises Invalid for a class that nobody has."""
    found: dict[str, int] = {}
    for part in said.split(","):
        name, _, amount = part.partition(":")
        if name not in CLASSES:
            raise Invalid(f"Invalid resource class in resources parameter: {name}")
        found[name] = found.get(name, 0) + int(amount)
    return found


def traits(said: str) -> tuple[frozenset[str], frozenset[str]]:
    """Those that are required, and those that are forbidden."""
    words = said.split(",") if said else []
    return (
        frozenset(word for word in words if not word.startswith("!")),
        frozenset(word[1:] for word in words if word.startswith("!")),
    )


def member_of(said: Sequence[str]) -> tuple[frozenset[UUID], ...]:
    return tuple(frozenset(UUID(id) for id in each.removeprefix("in:").split(",")) for each in said)


def all_of(request: Request, word: str) -> Mapping[str, list[str]]:
    """The parameters called `word`, or that and the number of a group of its own."""
    return {
        name: values
        for name, values in request.filters().items()
        if re.fullmatch(rf"{word}[0-9]*", name)
    }
