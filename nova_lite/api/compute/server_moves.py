"""servers/{id}/action: another flavor, another host, and back from the shelf."""

from __future__ import annotations

from typing import Any

from nova_lite.api import policy
from nova_lite.api.compute.common import uuid_of
from nova_lite.api.compute.server_requests import DISK_CONFIG, HOST
from nova_lite.api.declare import FIRST, LATEST, Request, Resource, Version
from nova_lite.api.schema import ANY, BOOLEAN, NONE, Schema, boolean, one, thing
from nova_lite.domain.errors import Invalid
from nova_lite.services.identity.passwords import generated

Json = dict[str, Any]
actions = Resource("/v2.1/servers")

HOST_OR_NONE: Schema = {"anyOf": [NONE, HOST]}
FLAVOR: Schema = {"type": ["string", "integer"], "minLength": 1, "maxLength": 255}
RESIZE = one(
    "resize",
    thing(("flavorRef",), more=False, **{"flavorRef": FLAVOR, "OS-DCF:diskConfig": DISK_CONFIG}),
)


@actions.action("resize", policy="os_compute_api:servers:resize", body=RESIZE)
def resize(request: Request, id: str, body: Json) -> None:
    wanted = body["resize"]
    disk_config = wanted.get("OS-DCF:diskConfig")
    request.services.deeds.resize(
        request.context,
        uuid_of("Instance", id),
        str(wanted["flavorRef"]).rsplit("/", 1)[-1],  # an id, or a URL that ends in one
        auto_disk_config=None if disk_config is None else disk_config == "AUTO",
    )


# --- to another host ------------------------------------------------------------------------

MIGRATE = "os_compute_api:os-migrate-server:migrate"
LIVE = "os_compute_api:os-migrate-server:migrate_live"
MIGRATE_TO = one("migrate", {"anyOf": [NONE, thing(host=HOST_OR_NONE)]})


@actions.action("migrate", policy=MIGRATE, body=one("migrate", ANY), until=(2, 55))
def migrate(request: Request, id: str, body: Json) -> None:
    request.services.deeds.migrate(request.context, uuid_of("Instance", id))


@actions.action("migrate", policy=MIGRATE, body=MIGRATE_TO, since=(2, 56))
def migrate_to(request: Request, id: str, body: Json) -> None:
    host = _host(request, MIGRATE, body["migrate"] or {})
    request.services.deeds.migrate(request.context, uuid_of("Instance", id), host)


def _check_forced(wanted: Json) -> None:
    """Past the scheduler goes only who says where to."""
    if boolean(wanted.get("force", False)) and wanted.get("host") is None:
        raise Invalid("Can't force to a non-provided destination")


def live_migrate(request: Request, id: str, body: Json) -> None:
    wanted = body["os-migrateLive"]
    _check_forced(wanted)
    host = _host(request, LIVE, wanted)
    request.services.deeds.live_migrate(request.context, uuid_of("Instance", id), host)


#: Whether disks are carried along decides each hypervisor itself: "auto" is all there is to say.
_AUTO: Schema = {"enum": [*BOOLEAN["enum"], "auto"]}
for _since, _until, _shape in (
    (FIRST, (2, 24), {"block_migration": BOOLEAN, "disk_over_commit": BOOLEAN}),
    ((2, 25), (2, 29), {"block_migration": _AUTO}),
    ((2, 30), (2, 67), {"block_migration": _AUTO, "force": BOOLEAN}),
    ((2, 68), LATEST, {"block_migration": _AUTO}),
):
    actions.action(
        "os-migrateLive",
        policy=LIVE,
        body=one(
            "os-migrateLive",
            thing(
                ("host", *(name for name in _shape if name != "force")),
                more=False,
                host=HOST_OR_NONE,
                **_shape,
            ),
        ),
        since=_since,
        until=_until,
    )(live_migrate)


def _host(request: Request, rule: str, wanted: Json) -> str | None:
    """The host that is asked for, which is for administrators."""
    host: str | None = wanted.get("host")
    if host is not None:
        policy.require(f"{rule}:host", request)
    return host


# --- away from a host that is down ------------------------------------------------------------

ADMIN_PASS: Schema = {"type": "string", "maxLength": 255}


def _evacuate(request: Request, id: str, body: Json, *, stopped: bool = False) -> None:
    wanted = body["evacuate"]
    _check_forced(wanted)
    request.services.deeds.evacuate(
        request.context, uuid_of("Instance", id), wanted.get("host"), stopped=stopped
    )


def evacuate_with_password(request: Request, id: str, body: Json) -> Json:
    _evacuate(request, id, body)
    return {"adminPass": body["evacuate"].get("adminPass") or generated()}


def evacuate(request: Request, id: str, body: Json) -> None:
    _evacuate(request, id, body)


def evacuate_and_leave_off(request: Request, id: str, body: Json) -> None:
    _evacuate(request, id, body, stopped=True)


_EVACUATE: dict[str, Schema] = {"host": HOST, "adminPass": ADMIN_PASS}
for _since, _until, _body, _handler in (
    (
        FIRST,
        (2, 13),
        thing(("onSharedStorage",), more=False, **_EVACUATE, onSharedStorage=BOOLEAN),
        evacuate_with_password,
    ),
    ((2, 14), (2, 28), thing(more=False, **_EVACUATE), evacuate),
    ((2, 29), (2, 67), thing(more=False, **_EVACUATE, force=BOOLEAN), evacuate),
    ((2, 68), (2, 94), thing(more=False, **_EVACUATE), evacuate),
    ((2, 95), LATEST, thing(more=False, **_EVACUATE), evacuate_and_leave_off),
):
    actions.action(
        "evacuate",
        policy="os_compute_api:os-evacuate",
        status=200,
        body=one("evacuate", _body),
        since=_since,
        until=_until,
    )(_handler)

# --- from the shelf -----------------------------------------------------------------------------

ZONE: Schema = {"type": "string", "minLength": 1, "maxLength": 255}


def unshelve(request: Request, id: str, body: Json) -> None:
    wanted = body["unshelve"] or {}
    if "host" in wanted:
        policy.require("os_compute_api:os-shelve:unshelve_to_host", request)
    names = {"availability_zone": "zone", "host": "host"}
    placed = {names[name]: value for name, value in wanted.items()}
    request.services.deeds.unshelve(request.context, uuid_of("Instance", id), **placed)


def unshelve_anywhere(request: Request, id: str, body: Json) -> None:
    request.services.deeds.unshelve(request.context, uuid_of("Instance", id))


_TO_ZONE = thing(("availability_zone",), availability_zone=ZONE)
_TO_PLACE = {
    **thing(availability_zone={"anyOf": [NONE, ZONE]}, host=HOST),
    "minProperties": 1,
}
_VERSIONS: tuple[tuple[Version, Version, Schema, Any], ...] = (
    (FIRST, (2, 76), ANY, unshelve_anywhere),
    ((2, 77), (2, 90), {"anyOf": [NONE, _TO_ZONE]}, unshelve),
    ((2, 91), LATEST, {"anyOf": [NONE, _TO_PLACE]}, unshelve),
)
for _since, _until, _body, _handler in _VERSIONS:
    actions.action(
        "unshelve",
        policy="os_compute_api:os-shelve:unshelve",
        body=one("unshelve", _body),
        since=_since,
        until=_until,
    )(_handler)
