"""os-services: the worker processes, and taking them out of service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from nova_lite.api.compute.aggregates import HOSTNAME
from nova_lite.api.compute.common import precise
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import BOOLEAN, Schema, boolean, thing
from nova_lite.domain.errors import Invalid, NotFound

Json = dict[str, Any]
services = Resource("/v2.1/os-services")
UNTIL, SINCE = (2, 52), (2, 53)  # from 2.53 on a service is known, and changed, by its UUID

SERVICE = (
    Field("id", lambda service: service.number, until=UNTIL),
    Field("id", lambda service: str(service.id), since=SINCE),
    Field("binary", lambda service: service.role),
    Field("host", lambda service: service.host),
    Field("zone", lambda service: service.zone),
    Field("status", lambda service: "disabled" if service.disabled else "enabled"),
    Field("state", lambda service: "up" if service.up else "down"),
    Field("updated_at", lambda service: precise(service.last_seen_at)),
    Field("disabled_reason", lambda service: service.disabled_reason),
    Field("forced_down", lambda service: bool(service.forced_down), since=(2, 11)),
)
_WORD: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
WHICH = thing(("host", "binary"), host=HOSTNAME, binary=_WORD, disabled_reason=_WORD)
WHICH_2_11 = {**WHICH, "properties": {**WHICH["properties"], "forced_down": BOOLEAN}}
CHANGE_2_53 = thing(
    status={"enum": ["enabled", "disabled"]}, disabled_reason=_WORD, forced_down=BOOLEAN
)
QUERY_2_75 = thing(host={}, binary={})
LIST = "os_compute_api:os-services:list"
UPDATE = "os_compute_api:os-services:update"
DELETE = "os_compute_api:os-services:delete"


@services.on("GET", policy=LIST, until=(2, 74))
@services.on("GET", policy=LIST, since=(2, 75), query=QUERY_2_75)
def index(request: Request) -> Json:
    found = request.services.hosts.services(
        request.context,
        host=request.GET.get("host") or None,
        binary=request.GET.get("binary") or None,
    )
    return {"services": [render(SERVICE, service, request.version) for service in found]}


# --- until 2.52: a deed in the path, host and binary in the body ---------------------------------


def _enable(request: Request, body: Json) -> Json:
    return _set(request, body, "enabled", disabled=False, disabled_reason=None)


def _disable(request: Request, body: Json) -> Json:
    return _set(request, body, "disabled", disabled=True, disabled_reason=None)


def _disable_with_reason(request: Request, body: Json) -> Json:
    reason = body.get("disabled_reason")
    if reason is None:
        raise Invalid("Missing disabled reason field")
    answer = _set(request, body, "disabled", disabled=True, disabled_reason=reason)
    return {"service": {**answer["service"], "disabled_reason": reason}}


def _force_down(request: Request, body: Json) -> Json:
    if "forced_down" not in body:
        raise Invalid("Missing forced_down field")
    down = boolean(body["forced_down"])
    request.services.hosts.configure(
        request.context, body["host"], body["binary"], forced_down=down
    )
    return {"service": {"host": body["host"], "binary": body["binary"], "forced_down": down}}


Deed = Callable[[Request, Json], Json]
DEEDS: Mapping[str, Deed] = {
    "enable": _enable,
    "disable": _disable,
    "disable-log-reason": _disable_with_reason,
}
DEEDS_2_11: Mapping[str, Deed] = {**DEEDS, "force-down": _force_down}


def _set(request: Request, body: Json, status: str, **values: Any) -> Json:
    request.services.hosts.configure(request.context, body["host"], body["binary"], **values)
    return {"service": {"host": body["host"], "binary": body["binary"], "status": status}}


@services.on("PUT", "/{id}", policy=UPDATE, body=WHICH, until=(2, 10))
def do(request: Request, id: str, body: Json) -> Json:
    return _deed(DEEDS, id)(request, body)


@services.on("PUT", "/{id}", policy=UPDATE, body=WHICH_2_11, since=(2, 11), until=UNTIL)
def do_2_11(request: Request, id: str, body: Json) -> Json:
    return _deed(DEEDS_2_11, id)(request, body)


def _deed(deeds: Mapping[str, Deed], name: str) -> Deed:
    if name not in deeds:
        raise NotFound("Unknown action")
    return deeds[name]


@services.on("DELETE", "/{id}", policy=DELETE, status=204, until=UNTIL)
def delete_by_number(request: Request, id: str) -> None:
    if not id.isascii() or not id.isdecimal() or len(id) > 9:
        raise Invalid(f"Invalid input for field/attribute id. Value: {id}. It is not an integer.")
    request.services.hosts.remove(request.context, int(id))


# --- since 2.53: by its UUID ---------------------------------------------------------------------


@services.on("PUT", "/{id}", policy=UPDATE, body=CHANGE_2_53, since=SINCE)
def update(request: Request, id: str, body: Json) -> Json:
    values: Json = {}
    if "disabled_reason" in body and body.get("status") != "disabled":
        raise Invalid("Specifying disabled_reason requires that status is 'disabled'.")
    if "status" in body:
        disabled = body["status"] == "disabled"
        values = {"disabled": disabled, "disabled_reason": body.get("disabled_reason")}
    if "forced_down" in body:
        values["forced_down"] = boolean(body["forced_down"])
    changed = request.services.hosts.change(request.context, uuid(id), **values)
    return {"service": render(SERVICE, changed, request.version)}


@services.on("DELETE", "/{id}", policy=DELETE, status=204, since=SINCE)
def delete(request: Request, id: str) -> None:
    request.services.hosts.remove(request.context, uuid(id))


def uuid(id: str) -> UUID:
    """An id in a path, where what is no UUID is a bad request."""
    try:
        return UUID(id)
    except ValueError:
        raise Invalid(f"Invalid uuid {id}") from None
