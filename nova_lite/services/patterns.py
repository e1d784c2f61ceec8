"""Filters by a regular expression, without such an engine at a tenant's disposal.

Nova hands a filter by name to the database as a regular expression.  What
clients use of that is anchors, literals, `.`, character classes, and `*`, `+`,
`?` behind one of these.  So much is understood: as a LIKE where that can say
it, else as an expression that is built anew of those parts and can only repeat
so often, and cost so much.  Anything else is looked for as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import sqlalchemy as sa

MOST_REPEATS = 3  # each multiplies what a mismatch costs by the length of the text

_PART = re.compile(
    r"""
      \\(?P<kind>[dws])
    | \\(?P<escaped>[^A-Za-z0-9])
    | (?P<any>\.)
    | \[(?P<class>\^?(?:[\w\s.,:;@/_]|\\[\w\]\\.-]|(?<=\w)-(?=\w)|-(?=\]))+)\]
    | (?P<literal>[^\\\[\](){}|*+?.^$])
    """,
    re.VERBOSE,
)
_KINDS = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \t\r\n"}


@dataclass(frozen=True)
class _Part:
    text: str  # a literal character, or what is between the brackets of a class; "" for any
    kind: str  # literal, class, any
    repeats: str  # "", *, + or ?


def matches(column: sa.ColumnElement[str], pattern: str) -> sa.ColumnElement[bool]:
    """Whether the text of `column` has somewhere what `pattern` says."""
    starts, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    core = pattern[starts : len(pattern) - ends]
    parts = _parts(core)
    if parts is None:
        return _like(column, literally(core), starts, ends)
    if all(part.kind != "class" and (part.kind, part.repeats) in _LIKE for part in parts):
        said = "".join(
            literally(part.text) if part.kind == "literal" else _LIKE[part.kind, part.repeats]
            for part in parts
        )
        return _like(column, said, starts, ends)
    return column.regexp_match("^" * starts + "".join(map(_again, parts)) + "$" * ends)


_LIKE = {("literal", ""): "", ("any", ""): "_", ("any", "*"): "%", ("any", "+"): "_%"}


def _parts(core: str) -> list[_Part] | None:
    """What an expression is made of; None when it is beyond us, or would cost too much."""
    found: list[_Part] = []
    at = 0
    while at < len(core):
        match = _PART.match(core, at)
        if match is None:
            return None
        at = match.end()
        repeats = core[at] if at < len(core) and core[at] in "*+?" else ""
        at += len(repeats)
        if match["kind"]:
            found.append(_Part(_KINDS[match["kind"]], "class", repeats))
        elif match["class"]:
            found.append(_Part(match["class"], "class", repeats))
        elif match["any"]:
            found.append(_Part("", "any", repeats))
        else:
            found.append(_Part(match["escaped"] or match["literal"], "literal", repeats))
    costly = sum(part.repeats in ("*", "+") for part in found)
    return found if costly <= MOST_REPEATS else None


def _again(part: _Part) -> str:
    """The part in words that every database reads alike."""
    if part.kind == "class":
        return f"[{part.text}]{part.repeats}"
    if part.kind == "any":
        return f".{part.repeats}"
    plain = part.text if part.text.isalnum() or ord(part.text) > 127 else f"\\{part.text}"
    return plain + part.repeats


def _like(
    column: sa.ColumnElement[str], said: str, starts: bool, ends: bool
) -> sa.ColumnElement[bool]:
    return column.like(("" if starts else "%") + said + ("" if ends else "%"), escape="|")


def literally(text: str) -> str:
    """`text` for a LIKE whose escape is |."""
    return re.sub(r"([%_|])", r"|\1", text)
