"""What clients may say of a new server, and what it means.

The request changed shape with microversions; each shape is a schema, made
here from the keys it has beyond the first.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nova_lite.api import policy
from nova_lite.api.compute.common import address_of
from nova_lite.api.declare import Request
from nova_lite.api.schema import ANY, BOOLEAN, NAME, Schema, boolean, thing
from nova_lite.api.schema import UUID as UUID_SCHEMA
from nova_lite.domain.errors import Forbidden, Invalid
from nova_lite.services.instances import NetworkRequest, NewInstance

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
METADATA: Schema = {
    "type": "object",
    "patternProperties": {
        r"^[a-zA-Z0-9_:. -]{1,255}\Z": {"type": "string", "maxLength": 255},
    },
    "additionalProperties": False,
}
NETWORK = thing(uuid=UUID_SCHEMA, fixed_ip=ADDRESS, port={"type": ["string", "null"]})
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
HINTS: Schema = {"type": "object", "maxProperties": 50, "additionalProperties": _HINT}

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
    "personality": {"type": "array"},
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
    "user_data": {"type": ["string", "null"], "maxLength": 65535},
}


def _body(*required: str, **more: Schema) -> Schema:
    server = thing(("name", "flavorRef", *required), more=False, **{**_SERVER, **more})
    hints = {"os:scheduler_hints": HINTS, "OS-SCH-HNT:scheduler_hints": HINTS}
    return thing(("server",), more=False, server=server, **hints)


CREATE = _body()
CREATE_2_19 = _body(description=DESCRIPTION)
CREATE_2_37 = _body(
    "networks",
    description=DESCRIPTION,
    networks={"anyOf": [NETWORKS, {"enum": ["auto", "none"]}]},
)
UPDATE = thing(
    name=NAME,
    accessIPv4=ADDRESS,
    accessIPv6=ADDRESS,
    more=False,
    **{"OS-DCF:diskConfig": DISK_CONFIG},
)
UPDATE_2_19 = {**UPDATE, "properties": {**UPDATE["properties"], "description": DESCRIPTION}}


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
        key_name=server.get("key_name"),
        user_data=server.get("user_data"),
        properties=server.get("metadata", {}),
        description=server.get("description"),
        zone=zone,
        host=host,
        access_ip_v4=address_of("accessIPv4", server.get("accessIPv4"), 4),
        access_ip_v6=address_of("accessIPv6", server.get("accessIPv6"), 6),
        auto_disk_config=server.get("OS-DCF:diskConfig") == "AUTO",
        min_count=at_least,
        max_count=at_most,
    )


def changes(server: Json) -> Json:
    """An update in the words of the service; only what was said."""
    found: Json = {}
    for name, attribute in (("name", "display_name"), ("description", "description")):
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
    if server.get("personality"):
        raise Invalid("personality: files are not put into guests; user_data can do it.")
    if server.get("block_device_mapping"):
        raise Invalid("block_device_mapping: servers boot from images; there are no volumes.")
    if boolean(server.get("config_drive", False)):
        raise Invalid("config_drive: guests get the metadata service instead of a drive.")
    for group in security_groups(server):
        if group["name"] != "default":
            raise Invalid(f"Security group {group['name']} not found.")


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
    if host is not None and not policy.allows(rule, request):
        raise Forbidden(f"Policy doesn't allow {rule} to be performed.")
    return zone, host


def _networks(server: Json) -> list[NetworkRequest] | str:
    wanted = server.get("networks") or "any"
    if isinstance(wanted, str):
        return wanted
    return [_network(i, network) for i, network in enumerate(wanted)]


def _network(i: int, network: Json) -> NetworkRequest:
    if network.get("port"):
        raise Invalid(
            f"networks.{i}.port: say uuid and fixed_ip; the port is made with the server."
        )
    if "uuid" not in network:
        raise Invalid(f"networks.{i}: it needs the uuid of a network.")
    fixed_ip = address_of(f"networks.{i}.fixed_ip", network.get("fixed_ip"))
    return NetworkRequest(UUID(network["uuid"]), fixed_ip)


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
