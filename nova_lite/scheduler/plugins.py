"""Plug-ins of this package: looked up by name in an entry-point group."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import entry_points
from typing import Any


class Unknown(ValueError):
    """The configuration names a plug-in that is not installed, or more than one is."""


def find(group: str, name: str, *, also: Iterable[str] = ()) -> Any:
    """The object entry point `name` of `group` stands for.

    `also` are names the caller knows without looking here; they only help the
    message of the error.  Raises `Unknown`, and what the import raises.
    """
    offered = entry_points(group=group)
    found = {entry.value: entry for entry in offered if entry.name == name}
    if not found:
        there = ", ".join(sorted({*also, *offered.names})) or "none at all"
        raise Unknown(f"There is no {name!r} in {group}; there are: {there}")
    if len(found) > 1:
        # Which one came first would depend on the order of sys.path.
        raise Unknown(f"{name!r} in {group} is ambiguous: {', '.join(sorted(found))}")
    (entry,) = found.values()
    return entry.load()
