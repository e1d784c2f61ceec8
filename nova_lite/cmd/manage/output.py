"""How answers are printed: a table for people, JSON and bare values for programs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click

Row = Mapping[str, Any]

FORMATS = click.Choice(["table", "json", "value"])
format_option: Callable[[Any], Any] = click.option(
    "-f",
    "--format",
    "format",
    type=FORMATS,
    default="table",
    show_default=True,
    help="value: fields with spaces between them, one thing per line.",
)


def show_list(format: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Things of one kind.  `columns` are keys of `rows`, and name the columns."""
    rows = list(rows)
    if format == "json":
        _json([{column: row[column] for column in columns} for row in rows])
    elif format == "value":
        for row in rows:
            click.echo(" ".join(_word(row[column]) for column in columns))
    else:
        _table(list(columns), [[_word(row[column]) for column in columns] for row in rows])


def show_one(format: str, thing: Row) -> None:
    """One thing, a field per line."""
    if format == "json":
        _json(thing)
    elif format == "value":
        for value in thing.values():
            click.echo(_word(value))
    else:
        _table(["field", "value"], [[name, _word(value)] for name, value in thing.items()])


def fields(thing: Any, names: Iterable[str]) -> dict[str, Any]:
    """These attributes of a model or row."""
    return {name: getattr(thing, name) for name in names}


def _json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return str(value)


def _word(value: Any) -> str:
    """A field on one line; what a terminal would obey is shown, not obeyed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_word, value)) or "-"
    if isinstance(value, Mapping):
        value = json.dumps(value, default=_plain)
    text = str(_plain(value))
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text) or "-"


def _table(head: list[str], rows: list[list[str]]) -> None:
    """Columns as wide as they must be; no frames, so that it can be cut and sorted."""
    lines = [[column.upper().replace("_", " ") for column in head], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        padded = (word.ljust(width) for word, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())
