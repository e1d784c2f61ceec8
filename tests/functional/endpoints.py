"""Every endpoint of every facade, as the declarations have it, and a way to call each."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
from paste.deploy import loadapp

from nova_lite.api import FACADES
from nova_lite.api.compute.versions import MICROVERSIONS
from nova_lite.api.declare import FIRST, LATEST, Api, Endpoint
from nova_lite.api.microversions import said as said
from nova_lite.api.placement.versions import MICROVERSIONS as OF_PLACEMENT
from nova_lite.api.schema import Schema

PASTE = Path(__file__).parents[2] / "api-paste.ini"
#: Of those facades that have some: the newest microversion.
NEWEST = {each.service: each.latest for each in (MICROVERSIONS, OF_PLACEMENT)}


@dataclass(frozen=True)
class Declared:
    """An endpoint and the facade it belongs to."""

    facade: str
    endpoint: Endpoint

    @property
    def template(self) -> str:
        return f"/{self.facade}{self.endpoint.path}"

    @property
    def versions(self) -> str:
        """The microversions it is for; empty for all."""
        since, until = self.endpoint.since, self.endpoint.until
        if (since, until) == (FIRST, LATEST):
            return ""
        return f"{'' if since == FIRST else said(since)}-{'' if until == LATEST else said(until)}"

    @property
    def version(self) -> str | None:
        """The newest microversion that has it."""
        newest = NEWEST.get(self.facade)
        return said(min(self.endpoint.until, newest)) if newest else None

    @property
    def name(self) -> str:
        endpoint = self.endpoint
        words = (endpoint.method, self.template, endpoint.action, self.versions)
        return " ".join(word for word in words if word)

    def path(self, known: Mapping[str, str], otherwise: str) -> str:
        """Where it is; `known` has a member of each collection, `otherwise` is in no other."""
        parts = self.template.split("/")
        for i, part in enumerate(parts):
            if part.startswith("{"):
                parts[i] = known.get(parts[i - 1], otherwise)
        return "/".join(parts)

    def body(self) -> Any:
        """The least that its schema lets through; None when it wants no body."""
        endpoint = self.endpoint
        if endpoint.body is not None:
            return example(endpoint.body)
        return {} if endpoint.method in ("POST", "PUT", "PATCH") and not endpoint.raw else None


def apps() -> dict[str, Api]:
    return {name: loadapp(f"config:{PASTE}", name=f"{name}_app") for name in FACADES}


def declared() -> Iterator[Declared]:
    for facade, app in apps().items():
        for methods in app.endpoints.values():
            for endpoint in (e for several in methods.values() for e in several):
                yield Declared(facade, endpoint)


@functools.lru_cache
def _texts() -> tuple[str, ...]:
    """One of these fits every pattern there is."""
    return (
        "thing",
        "11111111-2222-4333-8444-555555555555",
        "10",
        "10.77.0.0/24",
        "10.77.0.1",
        "fa:16:3e:00:00:01",
        "/name",
        "nova-compute",
        "aGVsbG8=",
        "a" * 40,
    )


def example(schema: Schema) -> Any:
    """A small value that `schema` lets through.  Raises AssertionError when none is found."""
    for candidate in _candidates(schema):
        if jsonschema.Draft7Validator(dict(schema)).is_valid(candidate):
            return candidate
    raise AssertionError(f"nothing comes to mind for {schema}")


def _candidates(schema: Schema) -> Iterator[Any]:
    yield from schema.get("enum", ())
    for inner in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _candidates({**schema, "anyOf": (), "oneOf": (), **inner})
    kinds = schema.get("type", ("object", "string"))
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind == "object":
            properties = schema.get("properties", {})
            yield {name: example(properties.get(name, {})) for name in schema.get("required", ())}
            for name, inner in properties.items():
                yield {name: example(inner)}
            for inner in schema.get("patternProperties", {}).values():
                yield {"thing": example(inner)}
        elif kind == "array":
            yield [example(schema.get("items", {}))] * schema.get("minItems", 0)
            yield [example(schema.get("items", {}))]
        elif kind == "string":
            yield from _texts()
        elif kind in ("integer", "number"):
            yield schema.get("minimum", 1)
            yield from (1, schema.get("maximum", 1))
        else:
            yield {"boolean": True, "null": None}[kind]


#: What nobody expects where something else is wanted.
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1 << 31,
    1 << 63,
    1.5,
    1e300,
    "",
    " ",
    "0",
    "-1",
    "99999999999",
    "\x00",
    "a\r\nb",
    "\U0001f4a9",
    "\u202e",
    "%s' OR 1=1 --",
    "../../etc/passwd",
    "x" * 70_000,
    [],
    [None],
    {},
    {"": ""},
    json.loads("[" * 200 + "]" * 200),
)


def spoiled(schema: Schema) -> Iterator[Any]:
    """Values that fit `schema` but for one thing in them, which is odd."""
    yield from ODD
    for inner in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from spoiled(inner)
    if "properties" in schema or "patternProperties" in schema:
        good = example(schema)
        properties = {**schema.get("properties", {}), "thing": {}}
        for inner in schema.get("patternProperties", {}).values():
            properties["thing"] = inner
        for name, inner in properties.items():
            for odd in spoiled(inner):
                yield {**good, name: odd}
    if "items" in schema:
        for odd in spoiled(schema["items"]):
            yield [odd]
