"""flavors: what servers can be bought as."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nova_lite.api import policy
from nova_lite.api.compute.common import (
    ABSENT,
    Links,
    flag,
    next_link,
    page_of,
    render_all,
    whole_number,
)
from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.schema import BOOLEAN, NAME, Schema, boolean, one, thing
from nova_lite.domain.errors import Invalid
from nova_lite.services.compute.flavors import NewFlavor

Json = dict[str, Any]
flavors = Resource("/v2.1/flavors")
LARGEST = 2**31 - 1
EXTRA_SPECS = "os_compute_api:os-flavor-extra-specs:index"


class Shown(NamedTuple):
    flavor: Any
    links: Links
    specs: bool  # whether who asks may see its extra specs


SUMMARY = (
    Field("id", lambda shown: shown.flavor.flavorid),
    Field("name", lambda shown: shown.flavor.name),
    Field("links", lambda shown: shown.links.of(shown.flavor.flavorid)),
    Field("description", lambda shown: shown.flavor.description, since=(2, 55)),
)
DETAILS = (
    *SUMMARY,
    Field("ram", lambda shown: shown.flavor.memory_mb),
    Field("vcpus", lambda shown: shown.flavor.vcpus),
    Field("disk", lambda shown: shown.flavor.root_gb),
    Field("OS-FLV-EXT-DATA:ephemeral", lambda shown: shown.flavor.ephemeral_gb),
    Field("swap", lambda shown: shown.flavor.swap_mb or "", until=(2, 74)),
    Field("swap", lambda shown: shown.flavor.swap_mb, since=(2, 75)),
    Field("rxtx_factor", lambda shown: shown.flavor.rxtx_factor),
    Field("OS-FLV-DISABLED:disabled", lambda shown: shown.flavor.disabled),
    Field("os-flavor-access:is_public", lambda shown: shown.flavor.is_public),
    Field(
        "extra_specs",
        lambda shown: shown.flavor.extra_specs if shown.specs else ABSENT,
        since=(2, 61),
    ),
)


def _amount(least: int) -> Schema:
    return {
        "type": ["integer", "string"],
        "pattern": r"^[0-9]{1,10}\Z",
        "minimum": least,
        "maximum": LARGEST,
    }


_NEW: dict[str, Schema] = {
    "name": NAME,
    "id": {
        "type": ["string", "integer", "null"],
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^(?! )[a-zA-Z0-9. _-]+(?<! )\Z",
        "minimum": 0,
    },
    "ram": _amount(1),
    "vcpus": _amount(1),
    "disk": _amount(0),
    "swap": _amount(0),
    "rxtx_factor": {
        "type": ["number", "string"],
        "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?\Z",
        "minimum": 0,
        "maximum": LARGEST,
    },
    "OS-FLV-EXT-DATA:ephemeral": _amount(0),
    "os-flavor-access:is_public": BOOLEAN,
}
_NEEDED = ("name", "ram", "vcpus", "disk")
DESCRIPTION: Schema = {
    "type": ["string", "null"],
    "maxLength": 65535,
    "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f]*\Z",
}
CREATE = one("flavor", thing(_NEEDED, more=False, **_NEW))
CREATE_2_55 = one("flavor", thing(_NEEDED, more=False, **_NEW, description=DESCRIPTION))
UPDATE = one("flavor", thing(("description",), description=DESCRIPTION))
QUERY_2_75 = thing(
    limit={}, marker={}, is_public={}, minRam={}, minDisk={}, sort_key={}, sort_dir={}
)
MANAGE = "os_compute_api:os-flavor-manage:"
LIST = "os_compute_api:flavors:index"


@flavors.on("GET", policy=LIST, until=(2, 74))
@flavors.on("GET", policy=LIST, since=(2, 75), query=QUERY_2_75)
def index(request: Request) -> Json:
    return _list(request, "/flavors", SUMMARY)


@flavors.on("GET", "/detail", policy=LIST, until=(2, 74))
@flavors.on("GET", "/detail", policy=LIST, since=(2, 75), query=QUERY_2_75)
def detail(request: Request) -> Json:
    return _list(request, "/flavors/detail", DETAILS)


@flavors.on("GET", "/{id}", policy="os_compute_api:flavors:show")
def show(request: Request, id: str) -> Json:
    return _one(request, request.services.flavors.get(request.context, id))


@flavors.on("POST", policy=MANAGE + "create", body=CREATE, until=(2, 54))
@flavors.on("POST", policy=MANAGE + "create", body=CREATE_2_55, since=(2, 55))
def create(request: Request, body: Json) -> Json:
    flavor: Json = body["flavor"]
    id = flavor.get("id")
    new = NewFlavor(
        name=flavor["name"],
        memory_mb=_number(flavor, "ram", 1),
        vcpus=_number(flavor, "vcpus", 1),
        root_gb=_number(flavor, "disk"),
        ephemeral_gb=_number(flavor, "OS-FLV-EXT-DATA:ephemeral"),
        swap_mb=_number(flavor, "swap"),
        rxtx_factor=float(flavor.get("rxtx_factor", 1)),
        is_public=boolean(flavor.get("os-flavor-access:is_public", True)),
        flavorid=None if id in (None, "auto") else str(id),
        description=flavor.get("description"),
    )
    return _one(request, request.services.flavors.create(request.context, new))


@flavors.on("PUT", "/{id}", policy=MANAGE + "update", body=UPDATE, since=(2, 55))
def update(request: Request, id: str, body: Json) -> Json:
    description = body["flavor"]["description"]
    return _one(request, request.services.flavors.describe(request.context, id, description))


@flavors.on("DELETE", "/{id}", policy=MANAGE + "delete", status=202)
def delete(request: Request, id: str) -> None:
    request.services.flavors.delete(request.context, id)


def _one(request: Request, flavor: Any) -> Json:
    return {"flavor": _shown(request, DETAILS, [flavor])[0]}


def _shown(request: Request, fields: tuple[Field, ...], found: Sequence[Any]) -> list[Json]:
    links, specs = Links(request, "flavors"), policy.allows(EXTRA_SPECS, request)
    return render_all(fields, [Shown(flavor, links, specs) for flavor in found], request.version)


def _list(request: Request, path: str, fields: tuple[Field, ...]) -> Json:
    page, query = page_of(request), request.GET
    direction = query.get("sort_dir", "asc")
    if direction not in ("asc", "desc"):
        raise Invalid(f"Invalid input for query parameters sort_dir. Value: {direction}.")
    found = request.services.flavors.list(
        request.context,
        is_public=_is_public(query.get("is_public")),
        min_ram=whole_number("minRam", query.get("minRam", "0")),
        min_disk=whole_number("minDisk", query.get("minDisk", "0")),
        sort_key=query.get("sort_key", "flavorid"),
        descending=direction == "desc",
        limit=page.limit,
        marker=page.marker,
    )
    return {
        "flavors": _shown(request, fields, found),
        **next_link(request, path, page, [flavor.flavorid for flavor in found]),
    }


def _is_public(text: str | None) -> bool | None:
    """None, said as a word, is both; not said it is those that are public."""
    if text is None:
        return True
    return None if text.lower() == "none" else flag("is_public", text)


def _number(flavor: Json, name: str, least: int = 0) -> int:
    """A number that may have come as a string, of which the schema saw only the digits."""
    value = int(flavor.get(name, least))
    if not least <= value <= LARGEST:
        raise Invalid(f"Invalid input for field/attribute {name}. Value: {value}.")
    return value
