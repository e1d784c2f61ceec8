"""The resources that quotas are about: their names, in which microversions they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from nova_lite.api.compute.common import at
from nova_lite.api.declare import LATEST, Field, Version
from nova_lite.api.schema import BOOLEAN, Schema, one, thing
from nova_lite.domain.errors import Invalid

NETWORK = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
GROUPS = ("server_groups", "server_group_members")
ALWAYS = ("instances", "cores", "ram", "key_pairs", "metadata_items")


def _named(names: Sequence[str], **versions: Any) -> tuple[Field, ...]:
    return tuple(Field(name, itemgetter(name), **versions) for name in names)


PROJECT = (
    *_named((*ALWAYS, *GROUPS)),
    *_named(NETWORK, until=(2, 35)),
    *_named(FILES, until=(2, 56)),
)
CLASS = (
    *_named(ALWAYS),
    *_named(GROUPS, since=(2, 50)),
    *_named(NETWORK, until=(2, 49)),
    *_named(FILES, until=(2, 56)),
)
LIMIT: Schema = {
    "type": ["integer", "string"],
    "pattern": r"^(-1|[0-9]{1,10})\Z",
    "minimum": -1,
    "maximum": 0x7FFFFFFF,
}


def changes(fields: tuple[Field, ...], wrapper: str, version: Version, **others: Schema) -> Schema:
    """A body that sets limits, as it was at `version`."""
    names = {field.name for field in at(fields, version)}
    limits = dict.fromkeys(sorted(names), LIMIT)
    return one(wrapper, thing(more=False, **limits, **others))


def steps(
    fields: tuple[Field, ...], wrapper: str, *starts: Version, **others: Schema
) -> list[dict[str, Any]]:
    """What to declare of an endpoint that sets limits, whose body changed at each of `starts`."""
    ends = [(major, minor - 1) for major, minor in starts[1:]]
    return [
        {"body": changes(fields, wrapper, start, **others), "since": start, "until": end}
        for start, end in zip(starts, [*ends, LATEST], strict=True)
    ]


def limits_of(body: Mapping[str, Any]) -> dict[str, int]:
    """The limits in it, of which the schema saw only the digits."""
    limits = {name: int(value) for name, value in body.items() if name != "force"}
    for name, value in limits.items():
        if value > LIMIT["maximum"]:
            raise Invalid(f"Invalid input for field/attribute {name}. Value: {value}.")
    return limits


FORCE = {"force": BOOLEAN}
