"""How a server looks: one row per key, and since which microversion it is there."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any

from nova_lite.api import policy
from nova_lite.api.compute.common import ABSENT, Links, at, iso, precise, render_all
from nova_lite.api.declare import Field, Request
from nova_lite.domain.ids import domain_name
from nova_lite.domain.states import PowerNumber, server_status
from nova_lite.services.compute.instance_sight import Address, Connections, Seen

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


NOWHERE = Connections((), ())


class Server:
    """One instance, and what else its view is made from.

    `groups` are names of security groups; `host_statuses` is host -> UP, DOWN or MAINTENANCE.
    """

    __slots__ = (
        *("instance", "addresses", "groups", "urls", "host_statuses", "for_admin"),
        *("id", "status"),
    )

    def __init__(
        self,
        instance: Any,  # a model, or a row of a list
        connections: Connections,
        urls: Urls,
        host_statuses: Mapping[str, str] = MappingProxyType({}),
        for_admin: bool = False,
    ) -> None:
        self.instance = instance
        self.addresses, self.groups = connections
        self.urls = urls
        self.host_statuses = host_statuses
        self.for_admin = for_admin
        # Asked for by several keys each.
        self.id = str(instance.id)
        self.status = server_status(instance.vm_state, instance.task_state)


def fields_of(request: Request, view: View) -> tuple[Field, ...]:
    """The keys that whoever asks may see, at the microversion that was agreed upon."""
    fields = view.everybody
    if policy.allows("os_compute_api:os-extended-server-attributes", request):
        fields += view.administrators
    if policy.allows("os_compute_api:servers:show:host_status", request):
        fields += view.host_status
    return at(fields, request.version)


def show_all(request: Request, fields: tuple[Field, ...], instances: Sequence[Any]) -> list[Json]:
    """The instances as these fields show them, in as few queries as for one."""
    of = request.services.instances
    connections = of.connections([instance.id for instance in instances])
    hosts = {instance.host for instance in instances if instance.host}
    shown = hosts and any(field.name == HOST_STATUS.name for field in fields)
    statuses = of.host_statuses(hosts) if shown else {}
    urls, for_admin = Urls(request), request.context.is_admin
    servers = [
        Server(instance, connections[instance.id], urls, statuses, for_admin)
        for instance in instances
    ]
    return render_all(fields, servers, request.version)


def show_one(request: Request, fields: tuple[Field, ...], seen: Seen) -> Json:
    instance, connections, status = seen
    statuses = {} if status is None else {instance.host: status}
    server = Server(instance, connections, Urls(request), statuses, request.context.is_admin)
    return render_all(fields, [server], request.version)[0]


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


def _flavor(server: Server) -> Json:
    """What was bought, as it was then."""
    instance = server.instance
    return {
        "vcpus": instance.vcpus,
        "ram": instance.memory_mb,
        "disk": instance.root_gb,
        "ephemeral": instance.ephemeral_gb,
        "swap": instance.swap_mb,
        "original_name": instance.flavor_name,
        "extra_specs": instance.extra_specs,
    }


def _security_groups(server: Server) -> Any:
    """The groups that its ports are in; a server without ports is in none."""
    return [{"name": name} for name in server.groups] or ABSENT


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


def _since_whole(*fields: Field) -> tuple[Field, ...]:
    """As these, but only since the answers to changes are as whole as others."""
    return tuple(replace(field, since=max(field.since, (2, 75))) for field in fields)


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
    Field("flavor", lambda s: s.urls.flavor(s.instance.flavor_id), until=(2, 46)),
    Field("flavor", _flavor, since=(2, 47)),
    Field("created", lambda s: iso(s.instance.created_at)),
    Field("updated", lambda s: iso(s.instance.updated_at)),
    Field("accessIPv4", lambda s: s.instance.access_ip_v4 or ""),
    Field("accessIPv6", lambda s: s.instance.access_ip_v6 or ""),
    Field("OS-DCF:diskConfig", lambda s: "AUTO" if s.instance.auto_disk_config else "MANUAL"),
    Field("progress", _progress),
    Field("fault", _fault),
    Field("locked", lambda s: s.instance.locked_by is not None, since=(2, 9)),
    Field("locked_reason", lambda s: s.instance.locked_reason, since=(2, 73)),
    Field("description", lambda s: s.instance.description, since=(2, 19)),
    Field("tags", lambda s: s.instance.tags, since=(2, 26)),
    # Images are not signed here, so no server asks for certificates.
    Field("trusted_image_certificates", lambda s: None, since=(2, 63)),
)

_MORE = (
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
    Field("security_groups", _security_groups),
    Field("OS-EXT-SRV-ATTR:hostname", lambda s: s.instance.hostname, since=(2, 90)),
    Field("pinned_availability_zone", lambda s: s.instance.requested_zone, since=(2, 96)),
)
_KEY_NAME = Field("key_name", lambda s: s.instance.key_name)
#: Of single servers only: lists would ask too much.
_GROUPS = Field(
    "server_groups",
    lambda s: [str(s.instance.server_group_id)] if s.instance.server_group_id else [],
    since=(2, 71),
)

_DETAILS = (*_BASIC, Field("addresses", _long_addresses), _KEY_NAME, *_MORE)

_SHORT_ADDRESSES = Field("addresses", lambda s: short_addresses(s.addresses), until=(2, 74))
_LONG_ADDRESSES = Field("addresses", _long_addresses, since=(2, 75))
#: What the answers to an update and to a rebuild lacked before they became whole.
_WHOLE = _since_whole(_KEY_NAME, *_MORE)

_UPDATED = (*_BASIC, _SHORT_ADDRESSES, _LONG_ADDRESSES, *_WHOLE, _GROUPS)

_REBUILT = (
    *_UPDATED,
    replace(_KEY_NAME, since=(2, 54), until=(2, 74)),
    Field("user_data", lambda s: s.instance.user_data, since=(2, 57)),
)

USER_DATA = Field("OS-EXT-SRV-ATTR:user_data", lambda s: s.instance.user_data, since=(2, 3))
EXTENDED_ATTRIBUTES = (
    Field("OS-EXT-SRV-ATTR:host", lambda s: s.instance.host),
    Field("OS-EXT-SRV-ATTR:hypervisor_hostname", lambda s: s.instance.host),
    Field("OS-EXT-SRV-ATTR:instance_name", lambda s: domain_name(s.instance.number)),
    Field("OS-EXT-SRV-ATTR:reservation_id", lambda s: s.instance.reservation_id, since=(2, 3)),
    Field("OS-EXT-SRV-ATTR:launch_index", lambda s: s.instance.launch_index, since=(2, 3)),
    Field("OS-EXT-SRV-ATTR:hostname", lambda s: s.instance.hostname, since=(2, 3), until=(2, 89)),
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


@dataclass(frozen=True)
class View:
    """The keys of one kind of answer, by who may see them."""

    everybody: tuple[Field, ...]
    administrators: tuple[Field, ...]
    host_status: tuple[Field, ...] = (HOST_STATUS,)


_ATTRIBUTES_WHEN_WHOLE = _since_whole(*EXTENDED_ATTRIBUTES)
_STATUS_WHEN_WHOLE = _since_whole(HOST_STATUS)

#: A server in a list, one that is shown, and the answers to an update and a rebuild.
DETAILS = View(_DETAILS, EXTENDED_ATTRIBUTES)
ONE = View((*_DETAILS, _GROUPS), EXTENDED_ATTRIBUTES)
UPDATED = View(_UPDATED, _ATTRIBUTES_WHEN_WHOLE, _STATUS_WHEN_WHOLE)
REBUILT = View(
    _REBUILT,
    tuple(field for field in _ATTRIBUTES_WHEN_WHOLE if field.name != USER_DATA.name),
    _STATUS_WHEN_WHOLE,
)
