"""os-services: the worker processes, and taking them out of service."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import precise
from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.schema import BOOLEAN, Schema, boolean, thing

Json = dict[str, Any]
services = Resource("/v2.1/os-services")
UNTIL = (2, 52)  # from 2.53 on a service is changed by its UUID

SERVICE = (
    Field("id", lambda service: service.number),
    Field("binary", lambda service: service.role),
    Field("host", lambda service: service.host),
    Field("zone", lambda service: service.zone),
    Field("status", lambda service: "disabled" if service.disabled else "enabled"),
    Field("state", lambda service: "up" if service.up else "down"),
    Field("updated_at", lambda service: precise(service.last_seen_at)),
    Field("disabled_reason", lambda service: service.disabled_reason),
    Field("forced_down", lambda service: service.forced_down, since=(2, 11)),
)
_WORD: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
WHICH = thing(("host", "binary"), host=_WORD, binary=_WORD)
WHY = thing(("host", "binary", "disabled_reason"), host=_WORD, binary=_WORD, disabled_reason=_WORD)
DOWN = thing(
    ("host", "binary", "forced_down"),
    host=_WORD,
    binary=_WORD,
    forced_down=BOOLEAN,
)
UPDATE = "os_compute_api:os-services:update"


@services.on("GET", policy="os_compute_api:os-services:list")
def index(request: Request) -> Json:
    found = request.services.hosts.services(
        request.context, host=request.GET.get("host"), binary=request.GET.get("binary")
    )
    return {"services": [render(SERVICE, service, request.version) for service in found]}


@services.on("PUT", "/enable", policy=UPDATE, body=WHICH, until=UNTIL)
def enable(request: Request, body: Json) -> Json:
    return _set(request, body, "enabled", disabled=False, disabled_reason=None)


@services.on("PUT", "/disable", policy=UPDATE, body=WHICH, until=UNTIL)
def disable(request: Request, body: Json) -> Json:
    return _set(request, body, "disabled", disabled=True, disabled_reason=None)


@services.on("PUT", "/disable-log-reason", policy=UPDATE, body=WHY, until=UNTIL)
def disable_with_reason(request: Request, body: Json) -> Json:
    reason = body["disabled_reason"]
    answer = _set(request, body, "disabled", disabled=True, disabled_reason=reason)
    return {"service": {**answer["service"], "disabled_reason": reason}}


@services.on("PUT", "/force-down", policy=UPDATE, body=DOWN, since=(2, 11), until=UNTIL)
def force_down(request: Request, body: Json) -> Json:
    down = boolean(body["forced_down"])
    request.services.hosts.configure(
        request.context, body["host"], body["binary"], forced_down=down
    )
    return {"service": {"host": body["host"], "binary": body["binary"], "forced_down": down}}


def _set(request: Request, body: Json, status: str, **values: Any) -> Json:
    request.services.hosts.configure(request.context, body["host"], body["binary"], **values)
    return {"service": {"host": body["host"], "binary": body["binary"], "status": status}}
