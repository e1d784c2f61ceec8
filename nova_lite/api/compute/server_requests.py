"""What clients may say of a new server, and what it means.

The requests changed shape with microversions: each is a table of what came and
went at which step, and every shape is a schema made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from nova_lite.api import policy
from nova_lite.api.compute.common import address_of
from nova_lite.api.declare import FIRST, LATEST, Request, Version
from nova_lite.api.schema import ANY, BOOLEAN, NAME, Schema, boolean, thing
from nova_lite.api.schema import UUID as UUID_SCHEMA
from nova_lite.domain.errors import Invalid
from nova_lite.services.compute.instance_references import NetworkRequest
from nova_lite.services.compute.instances import MAX_TAGS, NewInstance

Json = dict[str, Any]

ADDRESS: Schema = {"type": "string", "maxLength": 64}
COUNT: Schema = {"type": ["integer", "string"], "pattern": r"^[0-9]{1,4}\Z", "minimum": 1}
MOST_AT_ONCE = 1000
DISK_CONFIG: Schema = {"enum": ["AUTO", "MANUAL"]}
DESCRIPTION: Schema = {
    "type": ["string", "null"],
    "maxLength": 255,
    "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f]*\Z",
}
BASE64 = r"^(?:[A-Za-z0-9+/\s]{4,})*[A-Za-z0-9+/=\s]*\Z"
USER_DATA: Schema = {"type": ["string", "null"], "maxLength": 65535}
#: A DNS label, and several of them.
LABEL = r"^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\Z"
LABELS = r"^[a-zA-Z0-9-._]*[a-zA-Z0-9]\Z"
TAG: Schema = {"type": "string", "minLength": 1, "maxLength": 60, "pattern": r"^[^,/]*\Z"}
METADATA: Schema = {
    "type": "object",
    "patternProperties": {
        r"^[a-zA-Z0-9_:. -]{1,255}\Z": {"type": "string", "maxLength": 255},
    },
    "additionalProperties": False,
}
NETWORK = thing(uuid=UUID_SCHEMA, fixed_ip=ADDRESS, port={"anyOf": [UUID_SCHEMA, {"type": "null"}]})
TAGGED_NETWORK = {**NETWORK, "properties": {**NETWORK["properties"], "tag": TAG}}
VOLUME_TYPE: Schema = {"type": ["string", "null"], "maxLength": 255}
NETWORKS: Schema = {"type": "array", "items": NETWORK, "maxItems": 64}
BLOCK_DEVICE = thing(
    more=False,
    source_type={"enum": ["volume", "image", "snapshot", "blank"]},
    destination_type={"enum": ["local", "volume"]},
    uuid={"type": "string", "maxLength": 255},
    boot_index={"type": ["integer", "string", "null"], "pattern": r"^-?[0-9]{1,3}\Z"},
    delete_on_termination=BOOLEAN,
    device_name={"type": ["string", "null"], "maxLength": 255},
    device_type={"type": ["string", "null"], "maxLength": 255},
    disk_bus={"type": ["string", "null"], "maxLength": 255},
    guest_format={"type": ["string", "null"], "maxLength": 255},
    no_device=ANY,
    volume_size={"type": ["integer", "string", "null"], "pattern": r"^[0-9]{1,9}\Z"},
)
_HINT: Schema = {
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"], "maxLength": 1024},
        {"type": "array", "maxItems": 100, "items": {"type": "string", "maxLength": 255}},
    ]
}
_SERVERS: Schema = {
    "anyOf": [UUID_SCHEMA, {"type": "array", "maxItems": 100, "items": UUID_SCHEMA}]
}
HINTS: Schema = {
    "type": "object",
    "maxProperties": 50,
    "properties": {
        "group": UUID_SCHEMA,
        "same_host": _SERVERS,
        "different_host": _SERVERS,
        "build_near_host_ip": {"type": "string", "maxLength": 64},
        "cidr": {"type": "string", "pattern": r"^/[0-9]{1,3}\Z"},
        "query": {"anyOf": [{"type": "string", "maxLength": 4096}, {"type": ["array", "object"]}]},
    },
    "additionalProperties": _HINT,
}

_SERVER: dict[str, Schema] = {
    "name": NAME,
    "imageRef": {"anyOf": [UUID_SCHEMA, {"enum": [""]}]},
    "flavorRef": {"type": ["string", "integer"], "minLength": 1, "maxLength": 255},
    "adminPass": {"type": "string", "maxLength": 255},
    "metadata": METADATA,
    "networks": NETWORKS,
    "OS-DCF:diskConfig": DISK_CONFIG,
    "accessIPv4": ADDRESS,
    "accessIPv6": ADDRESS,
    "availability_zone": {"type": "string", "minLength": 1, "maxLength": 255},
    "block_device_mapping": {"type": "array"},
    "block_device_mapping_v2": {"type": "array", "items": BLOCK_DEVICE, "maxItems": 64},
    "config_drive": BOOLEAN,
    "key_name": {"type": ["string", "null"], "minLength": 1, "maxLength": 255},
    "min_count": COUNT,
    "max_count": COUNT,
    "return_reservation_id": BOOLEAN,
    "security_groups": {
        "type": "array",
        "items": thing(
            ("name",), more=True, name={"type": "string", "minLength": 1, "maxLength": 255}
        ),
        "maxItems": 64,
    },
    "user_data": USER_DATA,
}


TAGS: Schema = {"type": "array", "items": TAG, "maxItems": MAX_TAGS}
PERSONALITY: Schema = {
    "type": "array",
    "items": thing(
        ("path", "contents"),
        path={"type": "string", "minLength": 1},
        contents={"type": "string", "pattern": BASE64},
    ),
}
CERTIFICATES: Schema = {
    "type": ["array", "null"],
    "minItems": 1,
    "maxItems": 50,
    "uniqueItems": True,
    "items": {"type": "string", "minLength": 1, "maxLength": 255},
}
HOSTNAME: Schema = {"type": "string", "minLength": 2, "maxLength": 63, "pattern": LABEL}
FULL_HOSTNAME: Schema = {"type": "string", "minLength": 2, "maxLength": 255, "pattern": LABELS}
HOST: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\w.-]+\Z"}

#: What changed in the body of a request, step by step: keys that came, keys that went (None).
Steps = Sequence[tuple[Version, Mapping[str, Schema | None]]]
_ANY_NETWORKS: Schema = {"anyOf": [NETWORKS, {"enum": ["auto", "none"]}]}
_TAGGED_NETWORKS: Schema = {"type": "array", "items": TAGGED_NETWORK, "maxItems": 64}
_TAGGED: Schema = {"anyOf": [_TAGGED_NETWORKS, {"enum": ["auto", "none"]}]}


def _devices(**more: Schema) -> Schema:
    item = {**BLOCK_DEVICE, "properties": {**BLOCK_DEVICE["properties"], **more}}
    return {"type": "array", "items": item, "maxItems": 64}


CREATE_STEPS: Steps = (
    (FIRST, {**_SERVER, "personality": PERSONALITY}),
    ((2, 19), {"description": DESCRIPTION}),
    ((2, 32), {"networks": _TAGGED_NETWORKS, "block_device_mapping_v2": _devices(tag=TAG)}),
    ((2, 33), {"block_device_mapping_v2": _devices()}),
    ((2, 37), {"networks": _ANY_NETWORKS}),
    ((2, 42), {"networks": _TAGGED, "block_device_mapping_v2": _devices(tag=TAG)}),
    ((2, 52), {"tags": TAGS}),
    ((2, 57), {"personality": None}),
    ((2, 63), {"trusted_image_certificates": CERTIFICATES}),
    ((2, 67), {"block_device_mapping_v2": _devices(tag=TAG, volume_type=VOLUME_TYPE)}),
    ((2, 74), {"host": HOST, "hypervisor_hostname": HOST}),
    ((2, 90), {"hostname": HOSTNAME}),
    ((2, 94), {"hostname": FULL_HOSTNAME}),
)
UPDATE_STEPS: Steps = (
    (
        FIRST,
        {
            "name": NAME,
            "accessIPv4": ADDRESS,
            "accessIPv6": ADDRESS,
            "OS-DCF:diskConfig": DISK_CONFIG,
        },
    ),
    ((2, 19), {"description": DESCRIPTION}),
    ((2, 90), {"hostname": HOSTNAME}),
    ((2, 94), {"hostname": FULL_HOSTNAME}),
)
REBUILD_STEPS: Steps = (
    (
        FIRST,
        {
            "imageRef": UUID_SCHEMA,
            "name": NAME,
            "adminPass": {"type": "string", "maxLength": 255},
            "metadata": METADATA,
            "preserve_ephemeral": BOOLEAN,
            "OS-DCF:diskConfig": DISK_CONFIG,
            "accessIPv4": ADDRESS,
            "accessIPv6": ADDRESS,
            "personality": PERSONALITY,
        },
    ),
    ((2, 19), {"description": DESCRIPTION}),
    ((2, 54), {"key_name": {"type": ["string", "null"], "minLength": 1, "maxLength": 255}}),
    ((2, 57), {"personality": None, "user_data": USER_DATA}),
    ((2, 63), {"trusted_image_certificates": CERTIFICATES}),
    ((2, 90), {"hostname": HOSTNAME}),
    ((2, 93), {"reimage_boot_volume": BOOLEAN}),
    ((2, 94), {"hostname": FULL_HOSTNAME}),
)


def shapes(
    steps: Steps, required: Sequence[str] = (), later: Mapping[Version, str] = MappingProxyType({})
) -> Iterator[tuple[Version, Version, Schema]]:
    """The schema of the inner object at each step: since, until, schema.

    `later` names keys that became required.
    """
    known: dict[str, Schema] = {}
    for i, (since, changed) in enumerate(steps):
        known = {key: schema for key, schema in {**known, **changed}.items() if schema is not None}
        until = steps[i + 1][0] if i + 1 < len(steps) else LATEST
        last = until if until == LATEST else (until[0], until[1] - 1)
        needed = [*required, *(key for version, key in later.items() if version <= since)]
        yield since, last, thing(tuple(needed), more=False, **known)


def create_body(server: Schema) -> Schema:
    """The hints are beside the server, in one spelling or the other."""
    hints = {"os:scheduler_hints": HINTS, "OS-SCH-HNT:scheduler_hints": HINTS}
    return thing(("server",), more=False, server=server, **hints)


def new_instance(request: Request, body: Json) -> NewInstance:
    """Raises Invalid for what is understood but not served, Forbidden for an administrator's."""
    server: Json = body["server"]
    _refuse(server)
    at_least, at_most = _counts(server)
    zone, host = _placement(request, server)
    networks = _networks(server)
    if at_most > 1 and any(getattr(wanted, "address", None) for wanted in networks):
        raise Invalid("max_count cannot be greater than 1 if a fixed_ip is specified.")
    return NewInstance(
        name=server["name"],
        flavor_id=str(server["flavorRef"]).rsplit("/", 1)[-1],  # an id, or a URL that ends in one
        image_id=_image(server),
        networks=networks,
        security_groups=[group["name"] for group in server.get("security_groups", ())],
        key_name=server.get("key_name"),
        user_data=server.get("user_data"),
        properties=server.get("metadata", {}),
        description=server.get("description"),
        tags=server.get("tags", ()),
        hostname=server.get("hostname"),
        zone=zone,
        host=host,
        config_drive=boolean(server.get("config_drive", False)),
        files=server.get("personality", ()),
        hints=body.get("os:scheduler_hints") or body.get("OS-SCH-HNT:scheduler_hints") or {},
        access_ip_v4=address_of("accessIPv4", server.get("accessIPv4"), 4),
        access_ip_v6=address_of("accessIPv6", server.get("accessIPv6"), 6),
        auto_disk_config=server.get("OS-DCF:diskConfig") == "AUTO",
        min_count=at_least,
        max_count=at_most,
    )


def changes(server: Json) -> Json:
    """An update in the words of the service; only what was said."""
    found: Json = {}
    for name, attribute in (
        ("name", "display_name"),
        ("description", "description"),
        ("hostname", "hostname"),
    ):
        if name in server:
            found[attribute] = server[name]
    for name, attribute, version in (
        ("accessIPv4", "access_ip_v4", 4),
        ("accessIPv6", "access_ip_v6", 6),
    ):
        if name in server:
            found[attribute] = address_of(name, server[name], version)
    if "OS-DCF:diskConfig" in server:
        found["auto_disk_config"] = server["OS-DCF:diskConfig"] == "AUTO"
    return found


def security_groups(server: Json) -> list[Json]:
    return [{"name": group["name"]} for group in server.get("security_groups", ())] or [
        {"name": "default"}
    ]


def _refuse(server: Json) -> None:
    """What this cloud knows but does not have: said, rather than left out in silence."""
    if server.get("block_device_mapping"):
        raise Invalid("block_device_mapping: servers boot from images; there are no volumes.")


def _counts(server: Json) -> tuple[int, int]:
    at_least = int(server.get("min_count", 1))
    at_most = int(server.get("max_count", at_least))
    if not 1 <= at_least <= at_most:
        raise Invalid("min_count must be at least 1 and not more than max_count.")
    if at_most > MOST_AT_ONCE:
        raise Invalid(f"max_count: one request may create {MOST_AT_ONCE} servers at most.")
    return at_least, at_most


def _placement(request: Request, server: Json) -> tuple[str | None, str | None]:
    """Zone and host, from `zone`, or an administrator's `zone:host` or `zone:host:node`."""
    words = server.get("availability_zone", "").split(":")
    if len(words) > 3 or len(words) == 3 and words[2] not in ("", words[1]):
        raise Invalid("Invalid availability_zone: it is ZONE, ZONE:HOST or ZONE:HOST:NODE.")
    zone, host = words[0] or None, words[1] or None if len(words) > 1 else None
    rule = "os_compute_api:servers:create:forced_host"
    if host is not None:
        policy.require(rule, request)
    return zone, host


def _networks(server: Json) -> list[NetworkRequest] | str:
    wanted = server.get("networks") or "any"
    if isinstance(wanted, str):
        return wanted
    return [_network(i, network) for i, network in enumerate(wanted)]


def _network(i: int, network: Json) -> NetworkRequest:
    if network.get("port"):
        if network.get("fixed_ip"):
            raise Invalid(f"networks.{i}.fixed_ip: the port {network['port']} has its addresses.")
        return NetworkRequest(None, port=UUID(network["port"]), tag=network.get("tag"))
    if "uuid" not in network:
        raise Invalid(f"networks.{i}: it needs the uuid of a network, or a port.")
    fixed_ip = address_of(f"networks.{i}.fixed_ip", network.get("fixed_ip"))
    return NetworkRequest(UUID(network["uuid"]), fixed_ip, tag=network.get("tag"))


def _image(server: Json) -> UUID:
    """The image, from `imageRef` or from a block device that says the same in more words."""
    image = server.get("imageRef") or None
    for i, device in enumerate(server.get("block_device_mapping_v2", ())):
        where = f"block_device_mapping_v2.{i}"
        root = device.get("boot_index") in (0, "0", None)
        if device.get("source_type") != "image" or not root:
            raise Invalid(f"{where}: only a root disk from an image is served.")
        if device.get("destination_type", "local") != "local":
            raise Invalid(f"{where}: servers boot from local disks; there are no volumes.")
        if image is not None and device.get("uuid") != image:
            raise Invalid(f"{where}.uuid: it is not the image of imageRef.")
        image = device.get("uuid")
    try:
        return UUID(image or "")
    except ValueError:
        raise Invalid("Invalid imageRef provided: a server boots from an image.") from None
