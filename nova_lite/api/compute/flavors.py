"""flavors: what servers can be bought as."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import Links, flag, next_link, page_of, whole_number
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import BOOLEAN, NAME, Schema, boolean, one, thing
from nova_lite.domain.errors import Invalid
from nova_lite.services.flavors import NewFlavor

Json = dict[str, Any]
flavors = Resource("/v2.1/flavors")
LARGEST = 2**31 - 1

SUMMARY = (
    Field("id", lambda shown: shown[0].flavorid),
    Field("name", lambda shown: shown[0].name),
    Field("links", lambda shown: shown[1].of(shown[0].flavorid)),
)
DETAILS = (
    *SUMMARY,
    Field("ram", lambda shown: shown[0].memory_mb),
    Field("vcpus", lambda shown: shown[0].vcpus),
    Field("disk", lambda shown: shown[0].root_gb),
    Field("OS-FLV-EXT-DATA:ephemeral", lambda shown: shown[0].ephemeral_gb),
    Field("swap", lambda shown: shown[0].swap_mb or ""),
    Field("rxtx_factor", lambda shown: shown[0].rxtx_factor),
    Field("OS-FLV-DISABLED:disabled", lambda shown: shown[0].disabled),
    Field("os-flavor-access:is_public", lambda shown: shown[0].is_public),
)


def _amount(least: int) -> Schema:
    return {
        "type": ["integer", "string"],
        "pattern": r"^[0-9]{1,10}\Z",
        "minimum": least,
        "maximum": LARGEST,
    }


CREATE = one(
    "flavor",
    thing(
        ("name", "ram", "vcpus", "disk"),
        more=False,
        name=NAME,
        id={
            "type": ["string", "integer", "null"],
            "minLength": 1,
            "maxLength": 255,
            "pattern": r"^(?! )[a-zA-Z0-9. _-]+(?<! )\Z",
            "minimum": 0,
        },
        ram=_amount(1),
        vcpus=_amount(1),
        disk=_amount(0),
        swap=_amount(0),
        rxtx_factor={
            "type": ["number", "string"],
            "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})?\Z",
            "minimum": 0,
            "maximum": LARGEST,
        },
        **{"OS-FLV-EXT-DATA:ephemeral": _amount(0), "os-flavor-access:is_public": BOOLEAN},
    ),
)


@flavors.on("GET", policy="os_compute_api:flavors:index")
def index(request: Request) -> Json:
    return _list(request, "/flavors", SUMMARY)


@flavors.on("GET", "/detail", policy="os_compute_api:flavors:index")
def detail(request: Request) -> Json:
    return _list(request, "/flavors/detail", DETAILS)


@flavors.on("GET", "/{id}", policy="os_compute_api:flavors:show")
def show(request: Request, id: str) -> Json:
    return _one(request, request.services.flavors.get(request.context, id))


@flavors.on("POST", policy="os_compute_api:os-flavor-manage:create", body=CREATE)
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
    )
    return _one(request, request.services.flavors.create(request.context, new))


@flavors.on("DELETE", "/{id}", policy="os_compute_api:os-flavor-manage:delete", status=202)
def delete(request: Request, id: str) -> None:
    request.services.flavors.delete(request.context, id)


def _one(request: Request, flavor: Any) -> Json:
    return {"flavor": render(DETAILS, (flavor, Links(request, "flavors")), request.version)}


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
    links = Links(request, "flavors")
    return {
        "flavors": [render(fields, (flavor, links), request.version) for flavor in found],
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
