"""What this endpoint is: the versions it speaks, and the resources of v2.0."""

from __future__ import annotations

from nova_lite.api.declare import PUBLIC, Request, Resource
from nova_lite.api.network.collection import Json

RESOURCES = {
    "network": "networks",
    "subnet": "subnets",
    "port": "ports",
    "security_group": "security-groups",
    "security_group_rule": "security-group-rules",
    "network_ip_availability": "network-ip-availabilities",
    "extension": "extensions",
    "quota": "quotas",
    "agent": "agents",
    "availability_zone": "availability_zones",
}

versions = Resource("")


def _link(request: Request, path: str) -> list[Json]:
    return [{"rel": "self", "href": f"{request.outside_url}/network/v2.0/{path}"}]


@versions.on("GET", policy=PUBLIC)
def index(request: Request) -> Json:
    return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": _link(request, "")}]}


@versions.on("GET", "/v2.0", policy=PUBLIC)
def resources(request: Request) -> Json:
    return {
        "resources": [
            {"name": name, "collection": plural, "links": _link(request, plural)}
            for name, plural in RESOURCES.items()
        ]
    }
