"""The compute API, v2.1: its resources, and how it words an error."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute import (
    aggregates,
    audit_log,
    availability_zones,
    consoles,
    extensions,
    external_events,
    flavor_access,
    flavor_extra_specs,
    flavors,
    floating_ip_proxy,
    gone,
    hosts,
    hypervisors,
    image_metadata,
    image_proxy,
    instance_actions,
    interfaces,
    keypairs,
    limits,
    migrations,
    network_proxy,
    quota_class_sets,
    quota_sets,
    security_group_proxy,
    server_actions,
    server_addresses,
    server_diagnostics,
    server_disks,
    server_groups,
    server_metadata,
    server_moves,
    server_network,
    server_tags,
    servers,
    services,
    usage,
    versions,
)
from nova_lite.api.declare import Api

#: Within a resource, and here, the first path that fits is taken.
RESOURCES = (
    versions.versions,
    servers.servers,
    server_actions.actions,
    server_moves.actions,
    server_disks.actions,
    server_network.actions,
    consoles.actions,
    server_metadata.metadata,
    server_tags.tags,
    server_addresses.ips,
    server_diagnostics.diagnostics,
    server_diagnostics.topology,
    server_diagnostics.password,
    server_network.groups,
    interfaces.interfaces,
    consoles.consoles,
    consoles.tokens,
    migrations.moves,
    migrations.migrations,
    instance_actions.actions,
    flavors.flavors,
    flavor_extra_specs.extra_specs,
    flavor_access.access,
    keypairs.keypairs,
    limits.limits,
    quota_sets.quota_sets,
    quota_class_sets.quota_class_sets,
    availability_zones.zones,
    services.services,
    hypervisors.hypervisors,
    hosts.hosts,
    aggregates.aggregates,
    server_groups.groups,
    extensions.extensions,
    usage.usage,
    external_events.events,
    audit_log.audit_log,
    image_proxy.images,
    image_metadata.metadata,
    gone.gone,
    network_proxy.networks,
    network_proxy.tenant_networks,
    floating_ip_proxy.pools,
    floating_ip_proxy.floating_ips,
    security_group_proxy.groups,
    security_group_proxy.rules,
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
