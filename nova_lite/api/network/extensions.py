"""/v2.0/extensions: exactly what is served beyond the core of Neutron's API."""

from __future__ import annotations

from dataclasses import dataclass

from nova_lite.api.declare import Request, Resource
from nova_lite.api.network.collection import Json
from nova_lite.domain.errors import NotFound


@dataclass(frozen=True)
class Extension:
    alias: str
    name: str
    description: str

    def shown(self) -> Json:
        return {
            "alias": self.alias,
            "name": self.name,
            "description": self.description,
            "updated": "2026-11-20T00:00:00-00:00",
            "links": [],
        }


EXTENSIONS = {
    extension.alias: extension
    for extension in (
        Extension("availability_zone", "Availability Zone", "Zones of the network hosts."),
        Extension("filter-validation", "Filter parameters validation", "Unknown filters are 400."),
        Extension("net-mtu", "Network MTU", "The MTU of a network."),
        Extension(
            "network-ip-availability",
            "Network IP Availability",
            "How many addresses of a network are taken.",
        ),
        Extension("pagination", "Pagination support", "limit, marker, page_reverse and links."),
        Extension("port-security", "Port Security", "Whether a port is filtered."),
        Extension("project-id", "project_id field enabled", "project_id beside tenant_id."),
        Extension("provider", "Provider Network", "How a network is realized."),
        Extension("quota-check-limit", "Quota check limit", "check_limit, and force, of quotas."),
        Extension("quota_details", "Quota details", "What is used of a quota."),
        Extension("quotas", "Quota management support", "What projects may have."),
        Extension("security-group", "security-group", "What may reach ports, and what may not."),
        Extension(
            "security-groups-normalized-cidr",
            "Normalized CIDR of security group rules",
            "The network that the remote prefix of a rule is of.",
        ),
        Extension("sorting", "Sorting support", "sort_key and sort_dir."),
        Extension("standard-attr-description", "Standard attribute: description", "descriptions"),
        Extension("standard-attr-timestamp", "Resource timestamps", "created_at and updated_at."),
    )
}

extensions = Resource("/v2.0/extensions")


@extensions.on("GET", policy="get_extension")
def index(request: Request) -> Json:
    return {"extensions": [extension.shown() for extension in EXTENSIONS.values()]}


@extensions.on("GET", "/{alias}", policy="get_extension")
def show(request: Request, alias: str) -> Json:
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist")
    return {"extension": EXTENSIONS[alias].shown()}
