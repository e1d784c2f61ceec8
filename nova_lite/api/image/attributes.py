"""Every attribute an image has, once: what clients see, may send, may change and can read about.

Any other name is a property of the user's own, and a string.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from nova_lite.api.declare import Field
from nova_lite.api.schema import Schema

Json = dict[str, Any]


@dataclass(frozen=True)
class Attribute:
    """`value` is how it is read off an image.  What is not `writable` only we can set."""

    name: str
    schema: Schema
    description: str
    value: Callable[[Any], Any]
    writable: bool = False


def _path(rest: str) -> Callable[[Any], str]:
    return lambda image: f"/v2/images/{image.id}{rest}"


def time_of(name: str) -> Callable[[Any], str]:
    def value(image: Any) -> str:
        moment: dt.datetime = getattr(image, name)
        return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    return value


def _nullable(kind: str, **more: Any) -> Schema:
    return {"type": ["null", kind], **more}


VISIBILITIES = ["community", "public", "private", "shared"]
DISK_FORMATS = [None, "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso"]
CONTAINER_FORMATS = [None, "ami", "ari", "aki", "bare", "ovf", "ova"]
STATUSES = [
    *("queued", "saving", "uploading", "importing", "active", "deactivated"),
    *("killed", "pending_delete", "deleted"),
]

# No NUL, which not every database can keep, and no control characters.
LINE = r"^[^\x00-\x1f\x7f]*\Z"
TAG = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": LINE}
NATURAL = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
PROPERTY = {"type": "string", "maxLength": 65535, "pattern": r"^[^\x00]*\Z"}
#: Quotes and backslashes would need a different spelling in each database's JSON paths.
PROPERTY_NAME = {"minLength": 1, "maxLength": 255, "pattern": r'^[^\x00-\x1f\x7f"\\]+\Z'}

ATTRIBUTES = (
    Attribute(
        "id",
        {
            "type": "string",
            "pattern": "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}"
            "-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$",
        },
        "An identifier for the image",
        lambda image: str(image.id),
        writable=True,
    ),
    Attribute(
        "name",
        _nullable("string", maxLength=255, pattern=LINE),
        "Descriptive name for the image",
        attrgetter("name"),
        writable=True,
    ),
    Attribute(
        "status", {"type": "string", "enum": STATUSES}, "Status of the image", attrgetter("status")
    ),
    Attribute(
        "visibility",
        {"type": "string", "enum": VISIBILITIES},
        "Scope of image accessibility",
        attrgetter("visibility"),
        writable=True,
    ),
    Attribute(
        "protected",
        {"type": "boolean"},
        "If true, image will not be deletable.",
        attrgetter("protected"),
        writable=True,
    ),
    Attribute(
        "os_hidden",
        {"type": "boolean"},
        "If true, image will not appear in default image list response.",
        attrgetter("os_hidden"),
        writable=True,
    ),
    Attribute(
        "checksum",
        _nullable("string", maxLength=32),
        "md5 hash of image contents.",
        attrgetter("checksum"),
    ),
    Attribute(
        "os_hash_algo",
        _nullable("string", maxLength=64),
        "Algorithm to calculate the os_hash_value",
        lambda image: image.os_hash_value and "sha512",
    ),
    Attribute(
        "os_hash_value",
        _nullable("string", maxLength=128),
        "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
        attrgetter("os_hash_value"),
    ),
    Attribute(
        "owner",
        _nullable("string", maxLength=64, pattern=LINE),
        "Owner of the image: a project",
        attrgetter("owner"),
        writable=True,
    ),
    Attribute("size", _nullable("integer"), "Size of image file in bytes", attrgetter("size")),
    Attribute(
        "virtual_size",
        _nullable("integer"),
        "Virtual size of image in bytes",
        attrgetter("virtual_size"),
    ),
    Attribute(
        "container_format",
        _nullable("string", enum=CONTAINER_FORMATS),
        "Format of the container",
        attrgetter("container_format"),
        writable=True,
    ),
    Attribute(
        "disk_format",
        _nullable("string", enum=DISK_FORMATS),
        "Format of the disk",
        attrgetter("disk_format"),
        writable=True,
    ),
    Attribute(
        "created_at",
        {"type": "string"},
        "Date and time of image registration",
        time_of("created_at"),
    ),
    Attribute(
        "updated_at",
        {"type": "string"},
        "Date and time of the last image modification",
        time_of("updated_at"),
    ),
    Attribute(
        "tags",
        {"type": "array", "items": TAG},
        "List of strings related to the image",
        attrgetter("tags"),
        writable=True,
    ),
    Attribute(
        "min_ram",
        NATURAL,
        "Amount of ram (in MB) required to boot image.",
        attrgetter("min_ram"),
        writable=True,
    ),
    Attribute(
        "min_disk",
        NATURAL,
        "Amount of disk space (in GB) required to boot image.",
        attrgetter("min_disk"),
        writable=True,
    ),
    Attribute("self", {"type": "string"}, "An image self url", _path("")),
    Attribute("file", {"type": "string"}, "An image file url", _path("/file")),
    Attribute(
        "schema", {"type": "string"}, "An image schema url", lambda image: "/v2/schemas/image"
    ),
)


def _joined(name: str) -> Callable[[Any], str | None]:
    def value(image: Any) -> str | None:
        words: list[str] | None = getattr(image, name)
        return None if words is None else ",".join(words)

    return value


FIELDS = tuple(Field(a.name, a.value) for a in ATTRIBUTES)
#: What is shown of an image only when there is something.
SOMETIMES = (
    Field("stores", lambda image: ",".join(image.stores or ()) or None),
    Field("os_glance_importing_to_stores", _joined("importing_to_stores")),
    Field("os_glance_failed_import", _joined("failed_import")),
)
WRITABLE = frozenset(a.name for a in ATTRIBUTES if a.writable)
READ_ONLY = frozenset(a.name for a in ATTRIBUTES) - WRITABLE | {"direct_url", "stores"}

#: Names that mean something to Glance, and so are nobody's property.  Where
#: the bytes are is not for clients to say: a location could be any file.
RESERVED = frozenset({"locations", "deleted", "deleted_at", "is_public"})
RESERVED_PREFIX = "os_glance_"

#: What may be sent.  Attributes that are not to be set are let through here:
#: that they may not is a matter of permission, and answered as such.
CREATE: Schema = {
    "type": "object",
    "properties": {
        **{a.name: a.schema for a in ATTRIBUTES if a.writable},
        **{name: {} for name in READ_ONLY | RESERVED},
    },
    "propertyNames": PROPERTY_NAME,
    "additionalProperties": PROPERTY,
}
