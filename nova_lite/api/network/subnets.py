"""/v2.0/subnets"""

from __future__ import annotations

from nova_lite.api import schema
from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import Attribute, Collection, Json, owner_of, uuid_of
from nova_lite.api.network.networks import NAME, PROJECT, stamp
from nova_lite.api.schema import boolean, thing
from nova_lite.domain.subnets import AUTO
from nova_lite.services.network.networks import NewSubnet

SUBNETS = Collection(
    "subnet",
    "subnets",
    (
        Attribute("id", lambda s: str(s.id), "id"),
        Attribute("name", lambda s: s.name, "name"),
        Attribute("description", lambda s: s.description, "description"),
        Attribute("tenant_id", lambda s: s.project_id, "project_id"),
        Attribute("project_id", lambda s: s.project_id, "project_id"),
        Attribute("network_id", lambda s: str(s.network_id), "network_id"),
        Attribute("ip_version", lambda s: s.ip_version, "ip_version"),
        Attribute("cidr", lambda s: s.cidr, "cidr"),
        Attribute("gateway_ip", lambda s: s.gateway_ip, "gateway_ip"),
        Attribute("enable_dhcp", lambda s: s.enable_dhcp, "enable_dhcp"),
        Attribute("allocation_pools", lambda s: s.pools, "pools"),
        Attribute("dns_nameservers", lambda s: s.dns_nameservers, "dns_nameservers"),
        Attribute("host_routes", lambda s: [], None),
        Attribute("ipv6_ra_mode", lambda s: None, None),
        Attribute("ipv6_address_mode", lambda s: None, None),
        Attribute("created_at", lambda s: stamp(s.created_at), "created_at"),
        Attribute("updated_at", lambda s: stamp(s.updated_at), "updated_at"),
    ),
)
ADDRESS: schema.Schema = {"type": "string", "maxLength": 64}
POOLS: schema.Schema = {
    "type": "array",
    "items": thing(("start", "end"), start=ADDRESS, end=ADDRESS),
    "maxItems": 100,
}
SERVERS: schema.Schema = {"type": "array", "items": ADDRESS, "maxItems": 100}
NO_ROUTES: schema.Schema = {"type": "array", "maxItems": 0}  # a gateway is all there is
GATEWAY: schema.Schema = {"type": ["string", "null"], "maxLength": 64}
CREATE = SUBNETS.body(
    thing(
        ("network_id", "cidr"),
        network_id=schema.UUID,
        cidr=ADDRESS,
        ip_version={"enum": [4, "4"]},
        name=NAME,
        description=schema.TEXT,
        tenant_id=PROJECT,
        project_id=PROJECT,
        gateway_ip=GATEWAY,
        enable_dhcp=schema.BOOLEAN,
        allocation_pools=POOLS,
        dns_nameservers=SERVERS,
        host_routes=NO_ROUTES,
    )
)
CHANGE = SUBNETS.change(
    thing(
        (),
        name=NAME,
        description=schema.TEXT,
        gateway_ip=GATEWAY,
        enable_dhcp=schema.BOOLEAN,
        allocation_pools=POOLS,
        dns_nameservers=SERVERS,
        host_routes=NO_ROUTES,
    )
)

subnets = Resource("/v2.0/subnets")


@subnets.on("GET", policy="get_subnet")
def index(request: Request) -> Json:
    services, context = request.services, request.context
    return SUBNETS.index(request, lambda listing: services.networks.subnets(context, listing))


@subnets.on("POST", policy="create_subnet", status=201, body=CREATE)
def create(request: Request, body: Json) -> Json:
    return SUBNETS.create(
        request,
        body,
        lambda wanted: request.services.networks.create_subnets(
            request.context, [_new(values) for values in wanted]
        ),
    )


def _new(values: Json) -> NewSubnet:
    return NewSubnet(
        network_id=uuid_of(values["network_id"], "network"),
        cidr=values["cidr"],
        project_id=owner_of(values),
        name=values.get("name", ""),
        description=values.get("description", ""),
        gateway_ip=values.get("gateway_ip", AUTO),
        enable_dhcp=boolean(values["enable_dhcp"]) if "enable_dhcp" in values else None,
        pools=values.get("allocation_pools"),
        dns_nameservers=values.get("dns_nameservers", ()),
    )


@subnets.on("GET", "/{id}", policy="get_subnet")
def show(request: Request, id: str) -> Json:
    found = request.services.networks.subnet(request.context, uuid_of(id, "subnet"))
    return {"subnet": SUBNETS.show(request, found)}


#: Attributes of a PUT, as the service calls them.
PLAIN = {
    "name": "name",
    "description": "description",
    "gateway_ip": "gateway_ip",
    "allocation_pools": "pools",
    "dns_nameservers": "dns_nameservers",
}


@subnets.on("PUT", "/{id}", policy="update_subnet", body=CHANGE)
def update(request: Request, id: str, body: Json) -> Json:
    values = body["subnet"]
    changes = {ours: values[name] for name, ours in PLAIN.items() if name in values}
    if "enable_dhcp" in values:
        changes["enable_dhcp"] = boolean(values["enable_dhcp"])
    changed = request.services.networks.update_subnet(
        request.context, uuid_of(id, "subnet"), **changes
    )
    return {"subnet": SUBNETS.show(request, changed)}


@subnets.on("DELETE", "/{id}", policy="delete_subnet", status=204)
def delete(request: Request, id: str) -> None:
    request.services.networks.delete_subnet(request.context, uuid_of(id, "subnet"))
