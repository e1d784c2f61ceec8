"""Looking at a server's screen: by the action of old, and by remote-consoles."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import Schema, one, thing
from nova_lite.domain.errors import Invalid

Json = dict[str, Any]
actions = Resource("/v2.1/servers")
consoles = Resource("/v2.1/servers/{id}/remote-consoles")
tokens = Resource("/v2.1/os-console-auth-tokens")

#: Protocol -> the types of consoles that speak it.
TYPES = {
    "vnc": ("novnc",),
    "spice": ("spice-html5",),
    "rdp": ("rdp-html5",),
    "serial": ("serial",),
    "mks": ("webmks",),
}
#: The actions of old, each with what it may be asked for.
ACTIONS = {
    "os-getVNCConsole": "vnc",
    "os-getSPICEConsole": "spice",
    "os-getRDPConsole": "rdp",
    "os-getSerialConsole": "serial",
}


def _body(protocols: tuple[str, ...]) -> Schema:
    types = [kind for protocol in protocols for kind in TYPES[protocol]]
    shape = thing(("protocol", "type"), protocol={"enum": [*protocols]}, type={"enum": types})
    return one("remote_console", shape)


def create(request: Request, id: str, body: Json) -> Json:
    wanted = body["remote_console"]
    protocol, kind = wanted["protocol"], wanted["type"]
    if kind not in TYPES[protocol]:
        raise Invalid(f"Unavailable console type {kind} for protocol {protocol}.")
    url = _url(request, id, kind)
    return {"remote_console": {"protocol": protocol, "type": kind, "url": url}}


def _url(request: Request, id: str, kind: str) -> str:
    return request.services.guests.console(request.context, uuid_of("Instance", id), kind)


_OLD = tuple(protocol for protocol in TYPES if protocol != "mks")
consoles.on(
    "POST",
    policy="os_compute_api:os-remote-consoles",
    body=_body(_OLD),
    since=(2, 6),
    until=(2, 7),
)(create)
consoles.on(
    "POST", policy="os_compute_api:os-remote-consoles", body=_body(tuple(TYPES)), since=(2, 8)
)(create)


def _action(name: str, protocol: str) -> None:
    def act(request: Request, id: str, body: Json) -> Json:
        kind = body[name]["type"]
        return {"console": {"type": kind, "url": _url(request, id, kind)}}

    actions.action(
        name,
        policy="os_compute_api:os-remote-consoles",
        status=200,
        body=one(name, thing(("type",), type={"enum": [*TYPES[protocol]]})),
        until=(2, 5),
    )(act)


for _name, _protocol in ACTIONS.items():
    _action(_name, _protocol)


@tokens.on("GET", "/{token}", policy="os_compute_api:os-console-auth-tokens", since=(2, 31))
def show(request: Request, token: str) -> Json:
    known = request.services.guests.console_of(request.context, token)
    return {
        "console": {
            "instance_uuid": str(known.instance_id),
            "host": known.host,
            "port": known.port,
            "internal_access_path": known.path,
        }
    }
