"""How a server looks: one row per key, and since which microversion it is there."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from nova_lite.api import policy
from nova_lite.api.compute.common import ABSENT, Links, at, iso, precise, render_all
from nova_lite.api.declare import Field, Request
from nova_lite.domain.ids import domain_name
from nova_lite.domain.states import PowerNumber, server_status
from nova_lite.services.instances import Address

Json = dict[str, Any]


class Urls:
    """Made once per request, however many servers it shows; most of them have the same image."""

    def __init__(self, request: Request) -> None:
        self.servers = Links(request, "servers")
        self._images = Links(request, "images").bookmark
        self._flavors = Links(request, "flavors").bookmark
        self.image = cache(lambda id: _bookmark(self._images, str(id)) if id else "")
        self.flavor = cache(lambda id: _bookmark(self._flavors, id))


def _bookmark(collection: str, id: str) -> Json:
    return {"id": id, "links": [{"rel": "bookmark", "href": f"{collection}{id}"}]}


class Server:
    """One instance, and what else its view is made from.

    `host_statuses` is host -> UP, DOWN or MAINTENANCE.
    """

    __slots__ = ("instance", "addresses", "urls", "host_statuses", "for_admin", "id", "status")

    def __init__(
        self,
        instance: Any,  # a model, or a row of a list
        addresses: Sequence[Address],
        urls: Urls,
        host_statuses: Mapping[str, str] = MappingProxyType({}),
        for_admin: bool = False,
    ) -> None:
        self.instance = instance
        self.addresses = addresses
        self.urls = urls
        self.host_statuses = host_statuses
        self.for_admin = for_admin
        # Asked for by several keys each.
        self.id = str(instance.id)
        self.status = server_status(instance.vm_state, instance.task_state)


def fields_of(request: Request) -> tuple[Field, ...]:
    """The keys that whoever asks may see, at the microversion that was agreed upon."""
    fields: tuple[Field, ...] = DETAILS
    if policy.allows("os_compute_api:os-extended-server-attributes", request):
        fields += EXTENDED_ATTRIBUTES
    if policy.allows("os_compute_api:servers:show:host_status", request):
        fields += (HOST_STATUS,)
    return at(fields, request.version)


def show_all(request: Request, fields: tuple[Field, ...], instances: Sequence[Any]) -> list[Json]:
    """The instances as these fields show them, in as few queries as for one."""
    addresses = request.services.instances.addresses([instance.id for instance in instances])
    statuses = request.services.hosts.statuses() if HOST_STATUS in fields else {}
    urls, for_admin = Urls(request), request.context.is_admin
    servers = [
        Server(instance, addresses[instance.id], urls, statuses, for_admin)
        for instance in instances
    ]
    return render_all(fields, servers, request.version)


# --- values ---------------------------------------------------------------------------------

_IN_PROGRESS = frozenset(("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING"))


@lru_cache(maxsize=10_000)
def host_id(project_id: str, host: str | None) -> str:
    """The same for a project's servers on one host, and telling nothing about the host."""
    return hashlib.sha224(f"{project_id}{host}".encode()).hexdigest() if host else ""


def _progress(server: Server) -> Any:
    if server.status not in _IN_PROGRESS:
        return ABSENT
    return 0 if server.instance.task_state else 100


def _fault(server: Server) -> Any:
    fault = server.instance.fault
    if not fault or server.status not in ("ERROR", "DELETED"):
        return ABSENT
    shown = {
        "code": fault["code"],
        "created": iso(dt.datetime.fromisoformat(fault["created"])),
        "message": fault["message"] or "",
    }
    if server.for_admin and fault.get("details"):
        shown["details"] = fault["details"]
    return shown


def short_addresses(addresses: Iterable[Address]) -> Json:
    found: Json = {}
    for a in addresses:
        found.setdefault(a.network, []).append({"version": a.version, "addr": a.address})
    return found


def _long_addresses(server: Server) -> Json:
    found: Json = {}
    for a in server.addresses:
        found.setdefault(a.network, []).append(
            {
                "version": a.version,
                "addr": a.address,
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": a.mac,
            }
        )
    return found


# --- tables ---------------------------------------------------------------------------------

SUMMARY = (
    Field("id", lambda s: s.id),
    Field("name", lambda s: s.instance.display_name),
    Field("links", lambda s: s.urls.servers.of(s.id)),
)

#: What every answer with a whole server has.
_BASIC = (
    *SUMMARY,
    Field("status", lambda s: s.status),
    Field("tenant_id", lambda s: s.instance.project_id),
    Field("user_id", lambda s: s.instance.user_id),
    Field("metadata", lambda s: s.instance.properties),
    Field("hostId", lambda s: host_id(s.instance.project_id, s.instance.host)),
    Field("image", lambda s: s.urls.image(s.instance.image_id)),
    Field("flavor", lambda s: s.urls.flavor(s.instance.flavor_id)),
    Field("created", lambda s: iso(s.instance.created_at)),
    Field("updated", lambda s: iso(s.instance.updated_at)),
    Field("accessIPv4", lambda s: s.instance.access_ip_v4 or ""),
    Field("accessIPv6", lambda s: s.instance.access_ip_v6 or ""),
    Field("OS-DCF:diskConfig", lambda s: "AUTO" if s.instance.auto_disk_config else "MANUAL"),
    Field("progress", _progress),
    Field("fault", _fault),
    Field("locked", lambda s: s.instance.locked_by is not None, since=(2, 9)),
    Field("description", lambda s: s.instance.description, since=(2, 19)),
    Field("tags", lambda s: s.instance.tags, since=(2, 26)),
)

#: The answer to an update.
UPDATED = (*_BASIC, Field("addresses", lambda s: short_addresses(s.addresses)))

DETAILS = (
    *_BASIC,
    Field("addresses", _long_addresses),
    Field("key_name", lambda s: s.instance.key_name),
    Field("config_drive", lambda s: "True" if s.instance.config_drive else ""),
    Field(
        "OS-EXT-AZ:availability_zone",
        lambda s: s.instance.zone or s.instance.requested_zone or "",
    ),
    Field("OS-EXT-STS:vm_state", lambda s: s.instance.vm_state),
    Field("OS-EXT-STS:task_state", lambda s: s.instance.task_state),
    Field("OS-EXT-STS:power_state", lambda s: PowerNumber[s.instance.power_state.name]),
    Field("OS-SRV-USG:launched_at", lambda s: precise(s.instance.launched_at)),
    Field("OS-SRV-USG:terminated_at", lambda s: precise(s.instance.terminated_at)),
    Field("os-extended-volumes:volumes_attached", lambda s: []),
)

USER_DATA = Field("OS-EXT-SRV-ATTR:user_data", lambda s: s.instance.user_data, since=(2, 3))
EXTENDED_ATTRIBUTES = (
    Field("OS-EXT-SRV-ATTR:host", lambda s: s.instance.host),
    Field("OS-EXT-SRV-ATTR:hypervisor_hostname", lambda s: s.instance.host),
    Field("OS-EXT-SRV-ATTR:instance_name", lambda s: domain_name(s.instance.number)),
    Field("OS-EXT-SRV-ATTR:reservation_id", lambda s: s.instance.reservation_id, since=(2, 3)),
    Field("OS-EXT-SRV-ATTR:launch_index", lambda s: s.instance.launch_index, since=(2, 3)),
    Field("OS-EXT-SRV-ATTR:hostname", lambda s: s.instance.hostname, since=(2, 3)),
    Field("OS-EXT-SRV-ATTR:kernel_id", lambda s: "", since=(2, 3)),  # images bring their own
    Field("OS-EXT-SRV-ATTR:ramdisk_id", lambda s: "", since=(2, 3)),
    Field("OS-EXT-SRV-ATTR:root_device_name", lambda s: "/dev/vda", since=(2, 3)),
    USER_DATA,
)

HOST_STATUS = Field(
    "host_status",
    lambda s: s.host_statuses.get(s.instance.host, "UNKNOWN") if s.instance.host else "",
    since=(2, 16),
)
