"""/v2.0/security-group-rules"""

from __future__ import annotations

from nova_lite.api import schema
from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import Attribute, Collection, Json, owner_of, uuid_of
from nova_lite.api.network.networks import PROJECT, stamp
from nova_lite.api.schema import thing
from nova_lite.domain import security_rules
from nova_lite.domain.errors import Invalid
from nova_lite.services.network.security_groups import NewRule

RULES = Collection(
    "security_group_rule",
    "security_group_rules",
    (
        Attribute("id", lambda r: str(r.id), "id"),
        Attribute("tenant_id", lambda r: r.project_id, "project_id"),
        Attribute("project_id", lambda r: r.project_id, "project_id"),
        Attribute("security_group_id", lambda r: str(r.group_id), "group_id"),
        Attribute("direction", lambda r: r.direction, "direction"),
        Attribute("ethertype", lambda r: r.ethertype, "ethertype"),
        Attribute("protocol", lambda r: r.protocol, "protocol"),
        Attribute("port_range_min", lambda r: r.port_range_min, "port_range_min"),
        Attribute("port_range_max", lambda r: r.port_range_max, "port_range_max"),
        Attribute("remote_ip_prefix", lambda r: r.remote_ip_prefix, "remote_ip_prefix"),
        Attribute("normalized_cidr", lambda r: r.normalized_cidr, None),
        Attribute(
            "remote_group_id",
            lambda r: r.remote_group_id and str(r.remote_group_id),
            "remote_group_id",
        ),
        Attribute("description", lambda r: r.description, "description"),
        Attribute("created_at", lambda r: stamp(r.created_at), "created_at"),
        Attribute("updated_at", lambda r: stamp(r.updated_at), "updated_at"),
    ),
    path="security-group-rules",
)
ETHERTYPES = {version.lower(): version for version in security_rules.VERSIONS.values()}
# What numbers and names may be is said by the domain, in words that clients look for.
NUMBER: schema.Schema = {"type": ["integer", "string", "null"], "maxLength": 16}
ID: schema.Schema = {"type": ["string", "null"], "maxLength": 64}
CREATE = RULES.body(
    thing(
        ("security_group_id", "direction"),
        security_group_id={"type": "string", "maxLength": 64},
        direction={"enum": [security_rules.INGRESS, security_rules.EGRESS]},
        ethertype={"type": ["string", "null"], "maxLength": 16},
        protocol=NUMBER,
        port_range_min=NUMBER,
        port_range_max=NUMBER,
        remote_ip_prefix={"type": ["string", "null"], "maxLength": 64},
        remote_group_id=ID,
        description=schema.TEXT,
        tenant_id=PROJECT,
        project_id=PROJECT,
    )
)

rules = Resource("/v2.0/security-group-rules")


@rules.on("GET", policy="get_security_group_rule")
def index(request: Request) -> Json:
    services, context = request.services, request.context
    return RULES.index(request, lambda listing: services.security_groups.rules(context, listing))


@rules.on("POST", policy="create_security_group_rule", status=201, body=CREATE)
def create(request: Request, body: Json) -> Json:
    return RULES.create(
        request,
        body,
        lambda wanted: request.services.security_groups.create_rules(
            request.context, [_new(values) for values in wanted]
        ),
    )


def _new(values: Json) -> NewRule:
    ethertype = values.get("ethertype") or security_rules.IPV4
    if ethertype.lower() not in ETHERTYPES:
        raise Invalid(f"Invalid input for ethertype. '{ethertype}' is neither IPv4 nor IPv6.")
    remote = values.get("remote_group_id")
    return NewRule(
        uuid_of(values["security_group_id"], "security group"),
        security_rules.rule(
            values["direction"],
            ETHERTYPES[ethertype.lower()],
            values.get("protocol"),
            values.get("port_range_min"),
            values.get("port_range_max"),
            values.get("remote_ip_prefix"),
            uuid_of(remote, "security group") if remote else None,
        ),
        values.get("description", ""),
        owner_of(values),
    )


@rules.on("GET", "/{id}", policy="get_security_group_rule")
def show(request: Request, id: str) -> Json:
    found = request.services.security_groups.rule(
        request.context, uuid_of(id, "security group rule")
    )
    return {"security_group_rule": RULES.show(request, found)}


@rules.on("DELETE", "/{id}", policy="delete_security_group_rule", status=204)
def delete(request: Request, id: str) -> None:
    request.services.security_groups.delete_rule(
        request.context, uuid_of(id, "security group rule")
    )
