"""/v2.0/networks"""

from __future__ import annotations

from typing import Any

from nova_lite.api import schema
from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import (
    Attribute,
    Collection,
    Json,
    check_settable,
    owner_of,
    uuid_of,
)
from nova_lite.api.schema import boolean
from nova_lite.services.network.networks import NewNetwork

NETWORKS = Collection(
    "network",
    "networks",
    (
        Attribute("id", lambda n: str(n.id), "id"),
        Attribute("name", lambda n: n.name, "name"),
        Attribute("description", lambda n: n.description, "description"),
        Attribute("tenant_id", lambda n: n.project_id, "project_id"),
        Attribute("project_id", lambda n: n.project_id, "project_id"),
        Attribute("admin_state_up", lambda n: n.admin_state_up, "admin_state_up"),
        Attribute("status", lambda n: n.status, "status"),
        Attribute("shared", lambda n: n.shared, "shared"),
        Attribute("mtu", lambda n: n.mtu, "mtu"),
        Attribute(
            "port_security_enabled", lambda n: n.port_security_enabled, "port_security_enabled"
        ),
        Attribute("subnets", lambda n: [str(id) for id in n.subnets], "subnets"),
        Attribute("router:external", lambda n: n.external, "external"),
        Attribute(
            "provider:network_type",
            lambda n: n.mode,
            "mode",
            policy="get_network:provider:network_type",
        ),
        Attribute(
            "provider:physical_network",
            lambda n: n.physical_network,
            "physical_network",
            policy="get_network:provider:physical_network",
        ),
        Attribute(
            "provider:segmentation_id",
            lambda n: None,
            None,
            policy="get_network:provider:segmentation_id",
        ),
        Attribute("created_at", lambda n: stamp(n.created_at), "created_at"),
        Attribute("updated_at", lambda n: stamp(n.updated_at), "updated_at"),
    ),
)
UP: schema.Schema = {"enum": [True, "true", "True", "1", 1]}  # nothing here can be switched off
NO: schema.Schema = {"enum": [False, "false", "False", "0", 0]}
NAME: schema.Schema = schema.TEXT
PROJECT: schema.Schema = {"type": "string", "minLength": 1, "maxLength": 64}
INTERFACE: schema.Schema = {
    "type": ["string", "null"],
    "pattern": r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}\Z",
}
MODE: schema.Schema = {"enum": ["flat", "flatdhcp", None]}
SETTABLE: dict[str, schema.Schema] = {
    "name": NAME,
    "description": schema.TEXT,
    "admin_state_up": UP,
    "shared": schema.BOOLEAN,
    "port_security_enabled": schema.BOOLEAN,
    "router:external": NO,
}

CREATE = NETWORKS.body(
    {
        "type": "object",
        "properties": {
            **SETTABLE,
            "tenant_id": PROJECT,
            "project_id": PROJECT,
            "provider:network_type": MODE,
            "provider:physical_network": INTERFACE,
            "provider:segmentation_id": schema.NONE,
        },
        "additionalProperties": False,
    }
)
CHANGE = NETWORKS.change({"type": "object", "properties": SETTABLE, "additionalProperties": False})

networks = Resource("/v2.0/networks")


def stamp(moment: Any) -> str:
    """A time as Neutron writes it: whole seconds, UTC."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


@networks.on("GET", policy="get_network")
def index(request: Request) -> Json:
    services, context = request.services, request.context
    return NETWORKS.index(request, lambda listing: services.networks.networks(context, listing))


@networks.on("POST", policy="create_network", status=201, body=CREATE)
def create(request: Request, body: Json) -> Json:
    return NETWORKS.create(
        request,
        body,
        lambda wanted: request.services.networks.create_networks(
            request.context, [_new(values) for values in wanted]
        ),
    )


def _new(values: Json) -> NewNetwork:
    return NewNetwork(
        project_id=owner_of(values),
        name=values.get("name", ""),
        description=values.get("description", ""),
        shared=boolean(values.get("shared", False)),
        port_security_enabled=boolean(values.get("port_security_enabled", True)),
        mode=values.get("provider:network_type"),
        physical_network=values.get("provider:physical_network"),
    )


@networks.on("GET", "/{id}", policy="get_network")
def show(request: Request, id: str) -> Json:
    found = request.services.networks.network(request.context, uuid_of(id, "network"))
    return {"network": NETWORKS.show(request, found)}


@networks.on("PUT", "/{id}", policy="update_network", body=CHANGE)
def update(request: Request, id: str, body: Json) -> Json:
    values = body["network"]
    check_settable(request, "update_network", values)
    changes = {name: values[name] for name in ("name", "description") if name in values}
    for name in ("shared", "port_security_enabled"):
        if name in values:
            changes[name] = boolean(values[name])
    changed = request.services.networks.update_network(
        request.context, uuid_of(id, "network"), **changes
    )
    return {"network": NETWORKS.show(request, changed)}


@networks.on("DELETE", "/{id}", policy="delete_network", status=204)
def delete(request: Request, id: str) -> None:
    request.services.networks.delete_network(request.context, uuid_of(id, "network"))
