"""The catalog: which APIs there are, and under which URL the asker finds them.

It is computed, never stored: the APIs are those of this release, and their
address is the one the client has just used.  Ids are derived from what they
name, so that they are the same on every controller and after every restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5

#: type, name, path.  The paths are those that clients complete best: compute
#: and identity with their version, image and network without.
SERVICES = (
    ("identity", "keystone", "/identity/v3"),
    ("compute", "nova", "/compute/v2.1"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
)
INTERFACES = ("public", "internal", "admin")
_NAMESPACE = UUID("5dbd2f4e-0f4a-4a52-9a5f-9f6c62fdd3a5")


@dataclass(frozen=True)
class Endpoint:
    id: str
    interface: str
    region: str
    url: str
    service_id: str


@dataclass(frozen=True)
class Entry:
    """One service with its endpoints."""

    id: str
    type: str
    name: str
    endpoints: tuple[Endpoint, ...]


def catalog(region: str, outside_url: str) -> tuple[Entry, ...]:
    """All services, for a client that knows us as `outside_url`."""
    return tuple(
        Entry(
            id := _id("service", type),
            type,
            name,
            tuple(
                Endpoint(
                    _id("endpoint", region, type, interface),
                    interface,
                    region,
                    outside_url + path,
                    id,
                )
                for interface in INTERFACES
            ),
        )
        for type, name, path in SERVICES
    )


def _id(*what: str) -> str:
    return uuid5(_NAMESPACE, "/".join(what)).hex
