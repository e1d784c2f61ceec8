"""What the compute API had once: 410, so that nobody looks for a mistake of his own."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.domain.errors import Gone

gone = Resource("/v2.1")
POLICY = "os_compute_api:gone"

#: Path -> what could be done there.
PATHS = {
    "/os-agents": "GET POST",
    "/os-agents/{id}": "PUT DELETE",
    "/os-baremetal-nodes": "GET POST",
    "/os-baremetal-nodes/{id}": "GET DELETE",
    "/os-baremetal-nodes/{id}/action": "POST",
    "/os-cells": "GET POST",
    "/os-cells/{id}": "GET PUT DELETE",
    "/os-cells/{id}/capacities": "GET",
    "/os-certificates": "POST",
    "/os-certificates/{id}": "GET",
    "/os-cloudpipe": "GET POST",
    "/os-cloudpipe/{id}": "PUT",
    "/os-fixed-ips/{id}": "GET",
    "/os-fixed-ips/{id}/action": "POST",
    "/os-floating-ip-dns": "GET",
    "/os-floating-ip-dns/{domain}": "PUT DELETE",
    "/os-floating-ip-dns/{domain}/entries/{id}": "GET PUT DELETE",
    "/os-floating-ips-bulk": "GET POST",
    "/os-floating-ips-bulk/{id}": "GET PUT",
    "/os-fping": "GET",
    "/os-fping/{id}": "GET",
    "/os-security-group-default-rules": "GET POST",
    "/os-security-group-default-rules/{id}": "GET DELETE",
    "/servers/{id}/consoles": "GET POST",
    "/servers/{id}/consoles/{console}": "GET DELETE",
    "/servers/{id}/os-virtual-interfaces": "GET",
    # Of networks only the looking is left.
    "/os-networks": "POST",
    "/os-networks/add": "POST",
    "/os-networks/{id}": "DELETE",
    "/os-networks/{id}/action": "POST",
    "/os-tenant-networks": "POST",
    "/os-tenant-networks/{id}": "DELETE",
}


def refuse(request: Request, **_words: Any) -> None:
    raise Gone("This resource is no longer available. No forwarding address is given.")


for _path, _methods in PATHS.items():
    for _method in _methods.split():
        gone.on(_method, _path, policy=POLICY)(refuse)
