"""What the declarations of the APIs say, as text: sample of policy.yaml, tables of docs/api."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from nova_lite.api import FACADES, compute
from nova_lite.api.compute.versions import LATEST_SERVED, MICROVERSIONS, OLDEST_SERVED
from nova_lite.api.declare import FIRST, LATEST, PUBLIC, Api, Endpoint, Field, Version
from nova_lite.api.microversions import said
from nova_lite.api.placement.versions import MICROVERSIONS as OF_PLACEMENT
from nova_lite.api.rules import RULES

#: Of those facades that have some: the oldest microversion.
OLDEST = {each.service: each.oldest for each in (MICROVERSIONS, OF_PLACEMENT)}


def endpoints_of(facade: str) -> list[Endpoint]:
    app: Api = importlib.import_module(f"nova_lite.api.{facade}.app").factory({})
    return [
        e for of_path in app.endpoints.values() for of_verb in of_path.values() for e in of_verb
    ]


def _variants(endpoints: Iterable[Endpoint]) -> dict[str, list[Endpoint]]:
    """By method, path and action: what differs only in the microversions it is for."""
    found: dict[str, list[Endpoint]] = {}
    for each in endpoints:
        words = (each.method, each.path or "/", each.action and f"({each.action})")
        found.setdefault(" ".join(filter(None, words)), []).append(each)
    for several in found.values():
        several.sort(key=lambda each: each.since)
    return found


# --- policy.yaml ------------------------------------------------------------------------------


def policy_sample() -> str:
    return "\n".join(_policy_lines()) + "\n"


def _policy_lines() -> Iterator[str]:
    yield "# Who may do what.  What is commented out stands at its default."
    yield "# Roles imply each other: admin, manager, member, reader.  Above each rule stands what"
    yield "# asks it; one with nothing above it is asked in the middle of others."
    asked: dict[str, list[str]] = {}
    for facade in FACADES:
        for place, variants in _variants(endpoints_of(facade)).items():
            method, _, path = place.partition(" ")
            for rule in {each.policy for each in variants}:
                asked.setdefault(rule, []).append(f"# {method:6} /{facade}{path.rstrip('/')}")
    for name, default in RULES.items():
        yield from ("", *asked.get(name, ()))
        yield f'#"{name}": "{default}"'


# --- endpoints --------------------------------------------------------------------------------


def endpoint_table(facade: str) -> str:
    return "\n".join(_endpoint_lines(facade)) + "\n"


def _endpoint_lines(facade: str) -> Iterator[str]:
    oldest = OLDEST.get(facade)
    titles = ("Request", *(["Microversions"] if oldest else []), "Policy rule")
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    by_place = _variants(endpoints_of(facade))
    for place, variants in by_place.items():
        got = by_place.get(place.replace("HEAD ", "GET ", 1))
        if place.startswith("HEAD ") and got and got[0].policy == variants[0].policy:
            continue
        rules = dict.fromkeys(each.policy for each in variants)
        cells = (
            f"`{place}`",
            *([_spans(variants, oldest)] if oldest else []),
            ", ".join("everybody" if rule is PUBLIC else f"`{rule}`" for rule in rules),
        )
        yield f"| {' | '.join(cells)} |"


def _spans(variants: Iterable[Endpoint], oldest: Version) -> str:
    """'2.1-2.35, 2.90-'; what goes on in another variant is one span."""
    spans: list[tuple[Version, Version]] = []
    for each in variants:
        if spans and spans[-1][1] == LATEST:
            continue
        if spans and each.since <= after(spans[-1][1]):
            spans[-1] = (spans[-1][0], max(each.until, spans[-1][1]))
        else:
            spans.append((each.since, each.until))
    return "all" if spans == [(FIRST, LATEST)] else ", ".join(_span(*s, oldest) for s in spans)


def _span(since: Version, until: Version, oldest: Version) -> str:
    return f"{said(max(since, oldest))}-{'' if until == LATEST else said(until)}"


def after(version: Version) -> Version:
    return (version[0], version[1] + 1)


# --- microversions ----------------------------------------------------------------------------


def steps_table() -> str:
    """What each microversion of the compute API changes, as far as it is declared."""
    return "\n".join(_step_lines()) + "\n"


def _step_lines() -> Iterator[str]:
    changes = steps()
    yield from ("| Microversion | What changes |", "|---|---|")
    for version in sorted(changes):
        parts = (f"{what} {', '.join(of_what)}" for what, of_what in changes[version].items())
        yield f"| {said(version)} | {'; '.join(parts)} |"


def steps() -> dict[Version, dict[str, list[str]]]:
    """By microversion what happens to what: {(2, 9): {"servers show": ["`locked`"]}}."""
    found: dict[Version, dict[str, list[str]]] = {}

    def note(version: Version, what: str, of_what: str) -> None:
        if OLDEST_SERVED < version <= LATEST_SERVED:
            known = found.setdefault(version, {}).setdefault(what, [])
            if f"`{of_what}`" not in known:
                known.append(f"`{of_what}`")

    for place, variants in _variants(endpoints_of("compute")).items():
        for before, each in pairwise([None, *variants]):
            assert each is not None
            if before is None or each.since > after(before.until):
                note(each.since, "new:", place)
            else:
                for what in _differences(before, each):
                    note(each.since, what, place)
        if variants[-1].until < LATEST:
            note(after(variants[-1].until), "no more:", place)
    for word, tables in _tables().items():
        for fields in tables:
            for field in fields:
                note(field.since, f"{word} show", field.name)
                if field.until < LATEST:
                    note(after(field.until), f"{word} no longer show", field.name)
    for changes in found.values():
        _join(changes)
    return found


def _join(changes: dict[str, list[str]]) -> None:
    """What comes at the same step as it goes is another one from then on."""
    for gone in [what for what in changes if what.endswith(" no longer show")]:
        shown = gone.replace(" no longer", "")
        both = [key for key in changes[gone] if key in changes.get(shown, ())]
        if both:
            changes[f"{shown} another"] = both
        for what in (gone, shown):
            changes[what] = [key for key in changes.get(what, ()) if key not in both]
            if not changes[what]:
                del changes[what]


def _differences(before: Endpoint, each: Endpoint) -> Iterator[str]:
    """What may be said in one and not in the other, to be followed by what is asked."""
    same = True
    for old, new in ((before.body, each.body), (before.query, each.query)):
        if old is new:
            continue
        same = False
        if old is None:
            yield "no unknown parameters for"
            continue
        more, less = _names(new) - _names(old), _names(old) - _names(new)
        for word, names in (("", more), ("no ", less)):
            if names:
                yield f"{word}{', '.join(f'`{name}`' for name in sorted(names))} for"
        if not more and not less:
            yield "other values for"
    if same:
        yield "another answer of"


def _names(schema: Any, above: tuple[int, ...] = ()) -> set[str]:
    """All keys that a schema knows, however deep; it may contain itself."""
    if not isinstance(schema, Mapping) or id(schema) in above:
        return set()
    properties = schema.get("properties", {})
    inner = [*properties.values(), schema.get("items")]
    inner += [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    below = (_names(each, (*above, id(schema))) for each in inner)
    return set(properties).union(*below)


def _tables() -> dict[str, list[list[Field]]]:
    """The tables of fields of the compute API's views, by the module they are in."""
    found: dict[str, list[list[Field]]] = {}
    for info in pkgutil.iter_modules(compute.__path__):
        module = importlib.import_module(f"{compute.__name__}.{info.name}")
        word = info.name.removesuffix("_views").replace("_", " ")
        tables = [
            [field for field in value if isinstance(field, Field)]
            for value in vars(module).values()
            if isinstance(value, tuple)
        ]
        found.setdefault(word if word.endswith("s") else f"{word}s", []).extend(tables)
    return found
