"""The compute API, v2.1: its resources, and how it words an error."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute import (
    aggregates,
    availability_zones,
    extensions,
    flavor_access,
    flavor_extra_specs,
    flavors,
    hypervisors,
    instance_actions,
    keypairs,
    limits,
    quota_sets,
    server_actions,
    server_addresses,
    server_metadata,
    server_tags,
    servers,
    services,
    versions,
)
from nova_lite.api.declare import Api

#: Within a resource, and here, the first path that fits is taken.
RESOURCES = (
    versions.versions,
    servers.servers,
    server_actions.actions,
    server_metadata.metadata,
    server_tags.tags,
    server_addresses.ips,
    instance_actions.actions,
    flavors.flavors,
    flavor_extra_specs.extra_specs,
    flavor_access.access,
    keypairs.keypairs,
    limits.limits,
    quota_sets.quota_sets,
    availability_zones.zones,
    services.services,
    hypervisors.hypervisors,
    aggregates.aggregates,
    extensions.extensions,
)
FAULTS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def fault(status: int, message: str) -> dict[str, Any]:
    return {FAULTS.get(status, "computeFault"): {"code": status, "message": message}}


def factory(_global: Any, **_local: str) -> Api:
    return Api(RESOURCES, fault=fault, negotiate=versions.arrive)
