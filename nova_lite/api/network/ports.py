"""/v2.0/ports"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from nova_lite.api import schema
from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import Attribute, Collection, Json, owner_of, uuid_of
from nova_lite.api.network.networks import NAME, PROJECT, UP, stamp
from nova_lite.api.schema import boolean, thing
from nova_lite.services.network.networks import NewPort

PORTS = Collection(
    "port",
    "ports",
    (
        Attribute("id", lambda p: str(p.id), "id"),
        Attribute("name", lambda p: p.name, "name"),
        Attribute("description", lambda p: p.description, "description"),
        Attribute("tenant_id", lambda p: p.project_id, "project_id"),
        Attribute("project_id", lambda p: p.project_id, "project_id"),
        Attribute("network_id", lambda p: str(p.network_id), "network_id"),
        Attribute("mac_address", lambda p: p.mac, "mac"),
        Attribute(
            "fixed_ips",
            lambda p: [{"subnet_id": str(id), "ip_address": at} for id, at in p.fixed_ips],
            "fixed_ips",
        ),
        Attribute("device_id", lambda p: p.device_id, "device_id"),
        Attribute("device_owner", lambda p: p.device_owner, "device_owner"),
        Attribute("admin_state_up", lambda p: p.admin_state_up, "admin_state_up"),
        Attribute(
            "security_groups", lambda p: [str(id) for id in p.security_groups], "security_groups"
        ),
        Attribute(
            "port_security_enabled", lambda p: p.port_security_enabled, "port_security_enabled"
        ),
        Attribute("status", lambda p: p.status, "status"),
        Attribute("created_at", lambda p: stamp(p.created_at), "created_at"),
        Attribute("updated_at", lambda p: stamp(p.updated_at), "updated_at"),
    ),
)
# One of its own hardware: no multicast address.
MAC: schema.Schema = {
    "type": "string",
    "pattern": r"^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}\Z",
    "not": {"enum": ["00:00:00:00:00:00"]},
}
FIXED_IPS: schema.Schema = {
    "type": "array",
    "items": thing((), subnet_id=schema.UUID, ip_address={"type": "string", "maxLength": 64}),
    "maxItems": 5,
}
GROUPS: schema.Schema = {"type": ["array", "null"], "items": schema.UUID, "maxItems": 64}
# Which instance a port belongs to is what the instance says.  Who could write
# it here could hang a port on the server of somebody else.
NOBODY: schema.Schema = {"enum": [""]}
CREATE = PORTS.body(
    thing(
        ("network_id",),
        network_id=schema.UUID,
        name=NAME,
        description=schema.TEXT,
        tenant_id=PROJECT,
        project_id=PROJECT,
        admin_state_up=UP,
        mac_address=MAC,
        fixed_ips=FIXED_IPS,
        security_groups=GROUPS,
        port_security_enabled=schema.BOOLEAN,
        device_id=NOBODY,
        device_owner=NOBODY,
    )
)
CHANGE = PORTS.change(
    thing(
        (),
        name=NAME,
        description=schema.TEXT,
        admin_state_up=UP,
        fixed_ips=FIXED_IPS,
        security_groups=GROUPS,
        port_security_enabled=schema.BOOLEAN,
    )
)

SECURED = "port_security_enabled"

ports = Resource("/v2.0/ports")


@ports.on("GET", policy="get_port")
def index(request: Request) -> Json:
    services, context = request.services, request.context
    return PORTS.index(request, lambda listing: services.networks.ports(context, listing))


@ports.on("POST", policy="create_port", status=201, body=CREATE)
def create(request: Request, body: Json) -> Json:
    return PORTS.create(
        request,
        body,
        lambda wanted: request.services.networks.create_ports(
            request.context, [_new(values) for values in wanted]
        ),
    )


def _new(values: Json) -> NewPort:
    return NewPort(
        network_id=uuid_of(values["network_id"], "network"),
        project_id=owner_of(values),
        name=values.get("name", ""),
        description=values.get("description", ""),
        mac=values.get("mac_address"),
        fixed_ips=_fixed_ips(values["fixed_ips"]) if "fixed_ips" in values else None,
        security_groups=_groups(values),
        port_security_enabled=_secured(values),
    )


def _groups(values: Json) -> list[UUID] | None:
    """Those that are named; None where nothing was said, [] where there are to be none."""
    if "security_groups" not in values:
        return None
    return [uuid_of(group, "security group") for group in values["security_groups"] or ()]


def _secured(values: Json) -> bool | None:
    return boolean(values[SECURED]) if SECURED in values else None


def _fixed_ips(wanted: Sequence[Json]) -> list[tuple[UUID | None, str | None]]:
    return [
        (
            uuid_of(each["subnet_id"], "subnet") if "subnet_id" in each else None,
            each.get("ip_address"),
        )
        for each in wanted
    ]


@ports.on("GET", "/{id}", policy="get_port")
def show(request: Request, id: str) -> Json:
    found = request.services.networks.port(request.context, uuid_of(id, "port"))
    return {"port": PORTS.show(request, found)}


@ports.on("PUT", "/{id}", policy="update_port", body=CHANGE)
def update(request: Request, id: str, body: Json) -> Json:
    values = body["port"]
    changes = {name: values[name] for name in ("name", "description") if name in values}
    changed = request.services.networks.update_port(
        request.context,
        uuid_of(id, "port"),
        fixed_ips=_fixed_ips(values["fixed_ips"]) if "fixed_ips" in values else None,
        security_groups=_groups(values),
        secured=_secured(values),
        **changes,
    )
    return {"port": PORTS.show(request, changed)}


@ports.on("DELETE", "/{id}", policy="delete_port", status=204)
def delete(request: Request, id: str) -> None:
    request.services.networks.delete_port(request.context, uuid_of(id, "port"))
