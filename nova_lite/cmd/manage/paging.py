"""Whole lists from services that answer in pages, and the one thing in them that is meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nova_lite.domain.errors import Conflict, NotFound


def pages(page: Callable[[Any], Sequence[Any]]) -> Iterator[Any]:
    """All things; `page` gets the last thing of the page before, at first None."""
    found = page(None)
    while found:
        yield from found
        found = page(found[-1])


def by_id_or_name(kind: str, word: str, things: Iterable[Any], *, id: str = "id") -> Any:
    """The thing whose id is `word`, or else the only one of this name.

    Raises NotFound, and Conflict when several have the name.
    """
    things = list(things)
    same_id = [thing for thing in things if str(getattr(thing, id)) == word]
    found = same_id or [thing for thing in things if thing.name == word]
    if not found:
        raise NotFound(f"There is no {kind} {word!r}.")
    if len(found) > 1:
        ids = ", ".join(str(getattr(thing, id)) for thing in found)
        raise Conflict(f"There are several {kind}s named {word!r}; say which: {ids}")
    return found[0]
