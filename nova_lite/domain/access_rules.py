"""What may be asked with an application credential: requests by service, path and method.

The patterns are Keystone's: in a path, `*` and `{any name}` stand for one part
between slashes, `**` for any number of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

METHODS = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT")


@dataclass(frozen=True, slots=True)
class AccessRule:
    service: str  # its type in the catalog
    path: str
    method: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on its way to a service, with its path as that service knows it."""

    service: str
    path: str
    method: str


#: Whether a token is worth anything can be asked with every token.
ALWAYS = AccessRule("identity", "/v3/auth/tokens", "GET")


def permitted(rules: Iterable[AccessRule], asked: Asked) -> bool:
    """Whether one of the rules is about what is asked."""
    return any(
        (rule.service, rule.method) == (asked.service, asked.method)
        and matches(rule.path, asked.path)
        for rule in (*rules, ALWAYS)
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """A character that the path goes on with, or (`loops`) any number of such."""

    accepts: Callable[[str], bool]
    loops: bool = False


def matches(pattern: str, path: str) -> bool:
    """Whether the whole path is as the pattern says.

    All ways to read the pattern are followed at once: tenants write patterns,
    and a regular expression can be made to take for ever.
    """
    steps = _steps(pattern)
    at = _beside(steps, {0})
    for character in path:
        at = _beside(
            steps,
            {
                here if steps[here].loops else here + 1
                for here in at
                if here < len(steps) and steps[here].accepts(character)
            },
        )
        if not at:
            return False
    return len(steps) in at


def _beside(steps: Sequence[_Step], at: set[int]) -> set[int]:
    """These places, and those behind what need not happen at all."""
    found = set()
    for here in at:
        found.add(here)
        while here < len(steps) and steps[here].loops:
            here += 1
            found.add(here)
    return found


@lru_cache(maxsize=1000)
def _steps(pattern: str) -> tuple[_Step, ...]:
    return tuple(step for part in _PARTS.findall(pattern) for step in _meaning(part))


_PARTS = re.compile(r"\*\*|\*|\{[^}]*\}|.", re.DOTALL)


def _meaning(part: str) -> tuple[_Step, ...]:
    if part == "**":
        return (_Step(lambda _: True, loops=True),)
    if part == "*" or len(part) > 1:
        return (_Step(_in_part), _Step(_in_part, loops=True))
    return (_Step(part.__eq__),)


def _in_part(character: str) -> bool:
    return character != "/"
