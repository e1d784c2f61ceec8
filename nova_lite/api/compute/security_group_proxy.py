"""Security groups as the compute API showed them until 2.35: of rules only what comes in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import flag, whole_number
from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import TEXT, Schema, one, thing
from nova_lite.domain import security_rules
from nova_lite.domain.errors import Conflict, Invalid
from nova_lite.domain.security_rules import INGRESS, IPV4, IPV6, WITH_PORTS
from nova_lite.services.listing import Listing
from nova_lite.services.network.security_groups import NewGroup, NewRule, ShownGroup, ShownRule

Json = dict[str, Any]
groups = Resource("/v2.1/os-security-groups")
rules = Resource("/v2.1/os-security-group-rules")
POLICY = "os_compute_api:os-security-groups:"
UNTIL = (2, 35)
PROTOCOLS = ("tcp", "udp", "icmp")
EVERYBODY = {IPV4: "0.0.0.0/0", IPV6: "::/0"}
WORDS: Schema = {**TEXT, "type": ["string", "null"]}
PORT: Schema = {"type": ["integer", "string", "null"], "maxLength": 16}
GROUP = one("security_group", thing(("name",), name=TEXT, description=WORDS))
RULE = one(
    "security_group_rule",
    thing(
        ("parent_group_id",),
        parent_group_id={"type": ["string", "integer"]},
        group_id={"type": ["string", "integer", "null"]},
        ip_protocol=WORDS,
        from_port=PORT,
        to_port=PORT,
        cidr=WORDS,
    ),
)


@groups.on("GET", policy=POLICY + "get", until=UNTIL)
def index(request: Request) -> Json:
    every = request.context.is_admin and _all_projects(request)
    project = request.context.project_id
    filters = {} if every else {"project_id": [project or ""]}
    listing = Listing(filters, sort=[("project_id", False), ("name", False)])
    found = request.services.security_groups.groups(request.context, listing).things
    start, limit = _number(request, "offset", 0), _number(request, "limit", len(found))
    return {"security_groups": groups_shown(request, found[start : start + limit])}


@groups.on("POST", policy=POLICY + "create", body=GROUP, until=UNTIL)
def create(request: Request, body: Json) -> Json:
    with _refusals():
        made = request.services.security_groups.create_groups(
            request.context, [NewGroup(**_said(body))]
        )
    return {"security_group": groups_shown(request, made)[0]}


@groups.on("GET", "/{id}", policy=POLICY + "show", until=UNTIL)
def show(request: Request, id: str) -> Json:
    found = request.services.security_groups.group(request.context, _id(id))
    return {"security_group": groups_shown(request, [found])[0]}


@groups.on("PUT", "/{id}", policy=POLICY + "update", body=GROUP, until=UNTIL)
def update(request: Request, id: str, body: Json) -> Json:
    with _refusals():
        changed = request.services.security_groups.update_group(
            request.context, _id(id), **_said(body)
        )
    return {"security_group": groups_shown(request, [changed])[0]}


@groups.on("DELETE", "/{id}", policy=POLICY + "delete", status=202, until=UNTIL)
def delete(request: Request, id: str) -> None:
    with _refusals():
        request.services.security_groups.delete_group(request.context, _id(id))


@rules.on("POST", policy=POLICY + "rule:create", body=RULE, until=UNTIL)
def add_rule(request: Request, body: Json) -> Json:
    said = body["security_group_rule"]
    new = NewRule(_id(said["parent_group_id"]), _rule(said))
    with _refusals():
        made = request.services.security_groups.create_rules(request.context, [new])
    return {"security_group_rule": _rules_shown(request, made)[0]}


@rules.on("DELETE", "/{id}", policy=POLICY + "rule:delete", status=202, until=UNTIL)
def remove_rule(request: Request, id: str) -> None:
    request.services.security_groups.delete_rule(request.context, _id(id))


# --- what comes in ------------------------------------------------------------------------------


def _all_projects(request: Request) -> bool:
    said = request.GET.getall("all_tenants")
    return bool(said) and (said[-1] == "" or flag("all_tenants", said[-1]))


def _number(request: Request, name: str, default: int) -> int:
    said = request.GET.getall(name)
    return whole_number(name, said[-1]) if said else default


def _id(id: str | int) -> UUID:
    try:
        return UUID(str(id))
    except ValueError:
        raise Invalid("Security group id should be uuid") from None


def _said(body: Json) -> dict[str, str]:
    group = body["security_group"]
    said = {"name": group["name"]}
    if group.get("description") is not None:
        said["description"] = group["description"]
    return said


def _rule(said: Json) -> security_rules.Rule:
    """A rule for what comes in.  Raises Invalid where it says too little, or nonsense."""
    group, protocol = said.get("group_id"), said.get("ip_protocol")
    low, high = _port(said, "from_port"), _port(said, "to_port")
    if protocol is None and (group is None or (low, high) != (None, None)):
        raise Invalid("Not enough parameters to build a valid rule.")
    if protocol is not None and protocol.lower() not in PROTOCOLS:
        raise Invalid(f"Invalid IP protocol {protocol}.")
    cidr = None if group is not None else said.get("cidr") or EVERYBODY[IPV4]
    return security_rules.rule(
        INGRESS,
        IPV6 if ":" in (cidr or "") else IPV4,
        protocol,
        low,
        high,
        cidr,
        None if group is None else _id(group),
    )


def _port(said: Json, name: str) -> int | None:
    """A port, or an ICMP type or code; here -1 is any."""
    value = said.get(name)
    try:
        number = None if value is None else int(value)
    except ValueError:
        raise Invalid(f"Invalid input for {name}: '{value}' is no number.") from None
    return None if number == -1 else number


@contextmanager
def _refusals() -> Iterator[None]:
    """Inside, what does not go is a bad request, as it was before there was a network API."""
    try:
        yield
    except Conflict as error:
        raise Invalid(str(error)) from None


# --- what goes out ------------------------------------------------------------------------------


def groups_shown(request: Request, found: Sequence[ShownGroup]) -> list[Json]:
    incoming = [[r for r in group.rules if r.direction == INGRESS] for group in found]
    shown = iter(_rules_shown(request, [rule for each in incoming for rule in each]))
    return [
        {
            "id": str(group.id),
            "name": group.name,
            "description": group.description,
            "tenant_id": group.project_id,
            "rules": [next(shown) for _ in each],
        }
        for group, each in zip(found, incoming, strict=True)
    ]


def _rules_shown(request: Request, found: Sequence[ShownRule]) -> list[Json]:
    named = {rule.remote_group_id for rule in found if rule.remote_group_id is not None}
    owners = request.services.security_groups.owners(named) if named else {}
    return [_rule_shown(rule, owners) for rule in found]


def _rule_shown(rule: ShownRule, owners: dict[UUID, tuple[str, str]]) -> Json:
    low, high = rule.port_range_min, rule.port_range_max
    protocol = security_rules.number(rule.protocol, rule.ethertype)
    if protocol is not None and low is None and high is None:
        low, high = (1, security_rules.HIGHEST_PORT) if protocol in WITH_PORTS else (-1, -1)
    group, cidr = {}, {}
    if rule.remote_group_id is None:
        cidr = {"cidr": rule.remote_ip_prefix or EVERYBODY[rule.ethertype]}
    elif rule.remote_group_id in owners:
        project_id, name = owners[rule.remote_group_id]
        group = {"tenant_id": project_id, "name": name}
    return {
        "id": str(rule.id),
        "parent_group_id": str(rule.group_id),
        "ip_protocol": rule.protocol,
        "from_port": low,
        "to_port": high,
        "group": group,
        "ip_range": cidr,
    }
