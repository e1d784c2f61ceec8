"""flavors/{id}/os-extra_specs: what else schedulers and hypervisors should know of a flavor."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import Schema, one
from nova_lite.domain.errors import Invalid, NotFound
from nova_lite.domain.extra_specs import check

Json = dict[str, Any]
extra_specs = Resource("/v2.1/flavors/{id}/os-extra_specs")
POLICY = "os_compute_api:os-flavor-extra-specs:"
LONGEST = 255
SPECS: Schema = {
    "type": "object",
    "patternProperties": {
        r"^[a-zA-Z0-9_:. -]{1,255}\Z": {"type": ["string", "number"], "maxLength": LONGEST},
    },
    "additionalProperties": False,
}
ALL = one("extra_specs", SPECS)
ITEM = {**SPECS, "minProperties": 1, "maxProperties": 1}


@extra_specs.on("GET", policy=POLICY + "index")
def index(request: Request, id: str) -> Json:
    return {"extra_specs": request.services.flavors.get(request.context, id).extra_specs}


@extra_specs.on("POST", policy=POLICY + "create", body=ALL, until=(2, 85))
def add(request: Request, id: str, body: Json) -> Json:
    return {"extra_specs": _set(request, id, body["extra_specs"])}


@extra_specs.on("POST", policy=POLICY + "create", body=ALL, since=(2, 86))
def add_checked(request: Request, id: str, body: Json) -> Json:
    return {"extra_specs": _set(request, id, _checked(body["extra_specs"]))}


@extra_specs.on("GET", "/{key}", policy=POLICY + "show")
def show(request: Request, id: str, key: str) -> Json:
    found = index(request, id)["extra_specs"]
    if key not in found:
        raise NotFound(f"Flavor {id} has no extra specs with key {key}.")
    return {key: found[key]}


@extra_specs.on("PUT", "/{key}", policy=POLICY + "update", body=ITEM, until=(2, 85))
def update(request: Request, id: str, key: str, body: Json) -> Json:
    return _set(request, id, _about(key, body))


@extra_specs.on("PUT", "/{key}", policy=POLICY + "update", body=ITEM, since=(2, 86))
def update_checked(request: Request, id: str, key: str, body: Json) -> Json:
    return _set(request, id, _checked(_about(key, body)))


@extra_specs.on("DELETE", "/{key}", policy=POLICY + "delete")
def delete(request: Request, id: str, key: str) -> None:
    request.services.flavors.remove_extra_spec(request.context, id, key)


def _about(key: str, body: Json) -> Json:
    if key not in body:
        raise Invalid("Request body and URI mismatch")
    return body


def _checked(specs: Json) -> Json:
    for name, value in specs.items():
        check(name, str(value))
    return specs


def _set(request: Request, id: str, specs: Json) -> Json:
    """A number is kept as the text that it was."""
    words = {name: str(value) for name, value in specs.items()}
    for name, value in words.items():
        if len(value) > LONGEST:
            raise Invalid(f"extra_specs.{name}: it has more than {LONGEST} characters.")
    request.services.flavors.set_extra_specs(request.context, id, words)
    return words
