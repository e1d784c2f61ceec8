"""Images as the compute API showed them until 2.35: the image API's, in other words."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import (
    ABSENT,
    Links,
    iso,
    moment,
    next_link,
    page_of,
    render_all,
    uuid_of,
    whole_number,
)
from nova_lite.api.declare import Field, Request, Resource
from nova_lite.domain.errors import Invalid
from nova_lite.services.image.lists import Filters

Json = dict[str, Any]
images = Resource("/v2.1/images")
UNTIL = (2, 35)
#: The image API's words for a status, and ours; of all others nobody knew then.
STATUS = {
    "active": "ACTIVE",
    "queued": "SAVING",
    "saving": "SAVING",
    "deleted": "DELETED",
    "pending_delete": "DELETED",
    "killed": "ERROR",
}
PROGRESS = {"queued": 25, "saving": 50, "active": 100}


def _links(shown: Any) -> list[Json]:
    image, request = shown
    alternate = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{request.outside_url}/image/v2/images/{image.id}",
    }
    return [*Links(request, "images").of(image.id), alternate]


def _server(shown: Any) -> Any:
    """That it is a snapshot of."""
    image, request = shown
    id = image.properties.get("instance_uuid")
    return {"id": id, "links": Links(request, "servers").of(id)} if id else ABSENT


def _disk_config(shown: Any) -> Any:
    automatic = shown[0].properties.get("auto_disk_config")
    if automatic is None:
        return ABSENT
    return "AUTO" if automatic.lower() in ("true", "1") else "MANUAL"


SUMMARY = (
    Field("id", lambda shown: str(shown[0].id)),
    Field("name", lambda shown: shown[0].name),
    Field("links", _links),
)
DETAILS = (
    *SUMMARY,
    Field("status", lambda shown: STATUS.get(shown[0].status, "UNKNOWN")),
    Field("progress", lambda shown: PROGRESS.get(shown[0].status, 0)),
    Field("created", lambda shown: iso(shown[0].created_at)),
    Field("updated", lambda shown: iso(shown[0].updated_at)),
    Field("minDisk", lambda shown: shown[0].min_disk),
    Field("minRam", lambda shown: shown[0].min_ram),
    Field("metadata", lambda shown: shown[0].properties),
    Field("server", _server),
    Field("OS-EXT-IMG-SIZE:size", lambda shown: shown[0].size),
    Field("OS-DCF:diskConfig", _disk_config),
)


@images.on("GET", policy="get_images", until=UNTIL)
def index(request: Request) -> Json:
    return _list(request, "/images", SUMMARY)


@images.on("GET", "/detail", policy="get_images", until=UNTIL)
def detail(request: Request) -> Json:
    return _list(request, "/images/detail", DETAILS)


@images.on("GET", "/{id}", policy="get_image", until=UNTIL)
def show(request: Request, id: str) -> Json:
    image = request.services.images.get(request.context, uuid_of("Image", id))
    return {"image": render_all(DETAILS, [(image, request)], request.version)[0]}


@images.on("DELETE", "/{id}", policy="delete_image", status=204, until=UNTIL)
def delete(request: Request, id: str) -> None:
    request.services.images.delete(request.context, uuid_of("Image", id))


def _list(request: Request, path: str, fields: tuple[Field, ...]) -> Json:
    page = page_of(request)
    found, _more = request.services.images.list(
        request.context, _filters(request), limit=page.limit, marker=_marker(page.marker)
    )
    return {
        "images": render_all(fields, [(image, request) for image in found], request.version),
        **next_link(request, path, page, [image.id for image in found]),
    }


def _marker(text: str | None) -> UUID | None:
    try:
        return None if text is None else UUID(text)
    except ValueError:
        raise Invalid(f"marker [{text}] not found") from None


def _filters(request: Request) -> Filters:
    """What the query says; what it says that is no filter is not heard."""
    query = request.GET
    equal: dict[str, list[Any]] = {}
    if "name" in query:
        equal["name"] = [query["name"]]
    if "status" in query:
        word = query["status"].upper()
        equal["status"] = [theirs for theirs, ours in STATUS.items() if ours == word]
    for name, column in (("minDisk", "min_disk"), ("minRam", "min_ram")):
        if name in query:
            equal[column] = [whole_number(name, query[name])]
    properties = {
        name.removeprefix("property-"): value
        for name, value in query.items()
        if name.startswith("property-")
    }
    if "type" in query:
        properties["image_type"] = query["type"]
    if "server" in query:
        # Its id, or any of the links to it.
        properties["instance_uuid"] = query["server"].rsplit("/", 1)[-1]
    since = query.get("changes-since")
    times = [("updated_at", "gte", moment("changes-since", since))] if since else []
    return Filters(equal=equal, times=times, properties=properties)
