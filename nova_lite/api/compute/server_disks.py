"""servers/{id}/action: what its disks are made from, and what is made from them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import webob

from nova_lite.api.compute.common import Links, address_of, uuid_of
from nova_lite.api.compute.server_requests import (
    METADATA,
    REBUILD_STEPS,
    shapes,
)
from nova_lite.api.compute.server_views import REBUILT, fields_of, show_all
from nova_lite.api.declare import FIRST, LATEST, Request, Resource, Version, answer
from nova_lite.api.schema import NAME, NONE, Schema, boolean, one, thing
from nova_lite.api.schema import UUID as ID
from nova_lite.domain.errors import Invalid
from nova_lite.services.identity.passwords import generated

Json = dict[str, Any]
actions = Resource("/v2.1/servers")

# --- rebuild --------------------------------------------------------------------------------

#: What a rebuild may change, by the names of the service.
_CHANGES = {
    "name": "display_name",
    "metadata": "properties",
    "personality": "files",
    **{name: name for name in ("description", "key_name", "user_data", "hostname")},
}


def rebuild(request: Request, id: str, body: Json) -> webob.Response:
    wanted = body["rebuild"]
    instance = request.services.deeds.rebuild(
        request.context, uuid_of("Instance", id), UUID(wanted["imageRef"]), _changes(wanted)
    )
    shown = show_all(request, fields_of(request, REBUILT), [instance])[0]
    shown["adminPass"] = wanted.get("adminPass") or generated()
    self_link = Links(request, "servers").of(instance.id)[0]["href"]
    return answer(202, {"server": shown}, Location=self_link)


def _changes(wanted: Json) -> Json:
    if boolean(wanted.get("preserve_ephemeral", False)):
        raise Invalid("preserve_ephemeral: a rebuilt server has new disks, all of them.")
    if wanted.get("trusted_image_certificates"):
        raise Invalid("trusted_image_certificates: images are not signed here.")
    changes = {_CHANGES[name]: value for name, value in wanted.items() if name in _CHANGES}
    for name, attribute, version in (
        ("accessIPv4", "access_ip_v4", 4),
        ("accessIPv6", "access_ip_v6", 6),
    ):
        if name in wanted:
            changes[attribute] = address_of(name, wanted[name], version)
    if "OS-DCF:diskConfig" in wanted:
        changes["auto_disk_config"] = wanted["OS-DCF:diskConfig"] == "AUTO"
    return changes


for _since, _until, _shape in shapes(REBUILD_STEPS, ("imageRef",)):
    actions.action(
        "rebuild",
        policy="os_compute_api:servers:rebuild",
        body=one("rebuild", _shape),
        since=_since,
        until=_until,
    )(rebuild)

# --- rescue ---------------------------------------------------------------------------------

RESCUE = one(
    "rescue",
    {
        "anyOf": [
            NONE,
            thing(adminPass={"type": "string", "maxLength": 255}, rescue_image_ref=ID),
        ]
    },
)


@actions.action("rescue", policy="os_compute_api:os-rescue", status=200, body=RESCUE)
def rescue(request: Request, id: str, body: Json) -> Json:
    wanted = body["rescue"] or {}
    image = wanted.get("rescue_image_ref")
    request.services.deeds.rescue(
        request.context, uuid_of("Instance", id), None if image is None else UUID(image)
    )
    return {"adminPass": wanted.get("adminPass") or generated()}


# --- images of it -----------------------------------------------------------------------------

CREATE_IMAGE = one("createImage", thing(("name",), name=NAME, metadata=METADATA))
CREATE_BACKUP = one(
    "createBackup",
    thing(
        ("name", "backup_type", "rotation"),
        name=NAME,
        backup_type={"type": "string", "maxLength": 255},
        rotation={"type": ["integer", "string"], "pattern": r"^[0-9]{1,6}\Z", "minimum": 0},
        metadata=METADATA,
    ),
)


def _create_image(request: Request, id: str, body: Json) -> UUID:
    wanted = body["createImage"]
    return request.services.snapshots.create_image(
        request.context, uuid_of("Instance", id), wanted["name"], wanted.get("metadata", {})
    )


def _create_backup(request: Request, id: str, body: Json) -> UUID | None:
    """The image; None for one that goes as soon as it is there."""
    wanted = body["createBackup"]
    rotation = int(wanted["rotation"])
    image = request.services.snapshots.create_backup(
        request.context,
        uuid_of("Instance", id),
        wanted["name"],
        wanted.get("metadata", {}),
        backup_type=wanted["backup_type"],
        rotation=rotation,
    )
    return image if rotation else None


def _where(request: Request, image: UUID | None) -> webob.Response:
    if image is None:
        return answer(202, None)
    return answer(202, None, Location=f"{request.outside_url}/image/v2/images/{image}")


def _which(request: Request, image: UUID | None) -> webob.Response:
    return answer(202, None if image is None else {"image_id": str(image)})


def _declare(name: str, rule: str, body: Schema, make: Any) -> None:
    """The image is told by a header, and since 2.45 by a body."""
    spans: tuple[tuple[Version, Version, Any], ...] = (
        (FIRST, (2, 44), _where),
        ((2, 45), LATEST, _which),
    )
    for since, until, tell in spans:

        def act(request: Request, id: str, body: Json, tell: Any = tell) -> webob.Response:
            response: webob.Response = tell(request, make(request, id, body))
            return response

        actions.action(name, policy=f"os_compute_api:{rule}", body=body, since=since, until=until)(
            act
        )


_declare("createImage", "servers:create_image", CREATE_IMAGE, _create_image)
_declare("createBackup", "os-create-backup", CREATE_BACKUP, _create_backup)
