"""servers/{id}/os-interface: the ports that are plugged into a server."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import address_of, render_all, uuid_of
from nova_lite.api.compute.server_requests import ADDRESS, TAG
from nova_lite.api.declare import FIRST, LATEST, Field, Request, Resource
from nova_lite.api.schema import UUID as ID
from nova_lite.api.schema import Schema, one, thing
from nova_lite.domain.errors import Invalid
from nova_lite.services.compute.instance_references import NetworkRequest

Json = dict[str, Any]
interfaces = Resource("/v2.1/servers/{id}/os-interface")
POLICY = "os_compute_api:os-attach-interfaces:"

INTERFACE = (
    Field("port_state", lambda i: i.status),
    Field(
        "fixed_ips",
        lambda i: [
            {"subnet_id": str(subnet), "ip_address": address} for subnet, address in i.addresses
        ],
    ),
    Field("port_id", lambda i: str(i.port_id)),
    Field("net_id", lambda i: str(i.network_id)),
    Field("mac_addr", lambda i: i.mac),
    Field("tag", lambda i: i.tag, since=(2, 70)),
)
_ATTACHMENT: dict[str, Schema] = {
    "port_id": ID,
    "net_id": ID,
    "fixed_ips": {
        "type": "array",
        "minItems": 1,
        "maxItems": 1,
        "items": thing(("ip_address",), ip_address=ADDRESS),
    },
}


@interfaces.on("GET", policy=POLICY + "list")
def index(request: Request, id: str) -> Json:
    found = request.services.interfaces.list(request.context, uuid_of("Instance", id))
    return {"interfaceAttachments": render_all(INTERFACE, found, request.version)}


@interfaces.on("GET", "/{port}", policy=POLICY + "show")
def show(request: Request, id: str, port: str) -> Json:
    found = request.services.interfaces.get(
        request.context, uuid_of("Instance", id), uuid_of("Port", port)
    )
    return {"interfaceAttachment": render_all(INTERFACE, [found], request.version)[0]}


def create(request: Request, id: str, body: Json) -> Json:
    wanted = body["interfaceAttachment"]
    made = request.services.interfaces.attach(
        request.context, uuid_of("Instance", id), _wanted(wanted), wanted.get("tag")
    )
    return {"interfaceAttachment": render_all(INTERFACE, [made], request.version)[0]}


for _since, _until, _more in ((FIRST, (2, 48), {}), ((2, 49), LATEST, {"tag": TAG})):
    interfaces.on(
        "POST",
        policy=POLICY + "create",
        body=one("interfaceAttachment", thing(more=False, **_ATTACHMENT, **_more)),
        since=_since,
        until=_until,
    )(create)


@interfaces.on("DELETE", "/{port}", policy=POLICY + "delete", status=202)
def delete(request: Request, id: str, port: str) -> None:
    request.services.interfaces.detach(
        request.context, uuid_of("Instance", id), uuid_of("Port", port)
    )


def _wanted(wanted: Json) -> NetworkRequest | None:
    port, network = wanted.get("port_id"), wanted.get("net_id")
    if port and network:
        raise Invalid("Must not input both network_id and port_id")
    if port:
        if "fixed_ips" in wanted:
            raise Invalid(f"fixed_ips: the port {port} has its addresses.")
        return NetworkRequest(None, port=UUID(port))
    address = None
    for fixed in wanted.get("fixed_ips", ()):
        if not network:
            raise Invalid("Must input network_id when request IP address")
        address = address_of("fixed_ips.0.ip_address", fixed["ip_address"])
    return NetworkRequest(UUID(network), address) if network else None
