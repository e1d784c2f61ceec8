"""extensions: the parts of this API by the names they had when they were optional."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.domain.errors import NotFound

Json = dict[str, Any]
extensions = Resource("/v2.1/extensions")

NAMES = {
    "OS-DCF": "DiskConfig",
    "OS-EXT-AZ": "ExtendedAvailabilityZone",
    "OS-EXT-IPS": "ExtendedIps",
    "OS-EXT-IPS-MAC": "ExtendedIpsMac",
    "OS-EXT-SRV-ATTR": "ExtendedServerAttributes",
    "OS-EXT-STS": "ExtendedStatus",
    "OS-FLV-DISABLED": "FlavorDisabled",
    "OS-FLV-EXT-DATA": "FlavorExtraData",
    "OS-SCH-HNT": "SchedulerHints",
    "OS-SRV-USG": "ServerUsage",
    "os-admin-actions": "AdminActions",
    "os-availability-zone": "AvailabilityZone",
    "os-console-output": "ConsoleOutput",
    "os-extended-volumes": "ExtendedVolumes",
    "os-flavor-access": "FlavorAccess",
    "os-flavor-extra-specs": "FlavorExtraSpecs",
    "os-flavor-manage": "FlavorManage",
    "os-hypervisors": "Hypervisors",
    "os-instance-actions": "InstanceActions",
    "os-keypairs": "Keypairs",
    "os-multiple-create": "MultipleCreate",
    "os-quota-sets": "Quotas",
    "os-server-start-stop": "ServerStartStop",
    "os-services": "Services",
    "os-used-limits": "UsedLimits",
    "os-user-data": "UserData",
}


@extensions.on("GET", policy="os_compute_api:extensions")
def index(request: Request) -> Json:
    return {"extensions": [_extension(alias) for alias in NAMES]}


@extensions.on("GET", "/{alias}", policy="os_compute_api:extensions")
def show(request: Request, alias: str) -> Json:
    if alias not in NAMES:
        raise NotFound(f"There is no extension {alias}.")
    return {"extension": _extension(alias)}


def _extension(alias: str) -> Json:
    return {
        "alias": alias,
        "name": NAMES[alias],
        "description": "",
        "namespace": f"http://docs.openstack.org/compute/ext/{alias}",
        "updated": "2014-12-03T00:00:00Z",
        "links": [],
    }
