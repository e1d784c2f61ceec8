"""/v2/images/{id}/import, and what came of it."""

from __future__ import annotations

from nova_lite.api.declare import Request, Resource
from nova_lite.api.image.asked import image_id
from nova_lite.api.image.attributes import Json
from nova_lite.api.image.tasks import FULL, shown
from nova_lite.api.policy import require
from nova_lite.api.schema import thing
from nova_lite.domain.errors import Invalid
from nova_lite.services.image.tasks import Asked

IMPORTS = Resource("/v2/images/{id}")

LINE = {"type": "string", "maxLength": 4096, "pattern": r"^[^\x00-\x1f\x7f]*\Z"}
IMPORT = thing(
    ("method",),
    more=True,
    method=thing(
        ("name",),
        more=True,
        name=LINE,
        uri=LINE,
        glance_image_id=LINE,
        glance_region=LINE,
        glance_service_interface=LINE,
    ),
    stores={"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100},
    all_stores={"type": "boolean"},
    all_stores_must_succeed={"type": "boolean"},
)


@IMPORTS.on("POST", "/import", policy="modify_image", status=202, body=IMPORT)
def start(request: Request, id: str, body: Json) -> None:
    if body["method"]["name"] == "copy-image":
        require("copy_image", request)
    all_stores, stores = body.get("all_stores", False), body.get("stores")
    header = request.headers.get("X-Image-Meta-Store")
    if header is not None:
        if all_stores or stores is not None:
            raise Invalid("X-Image-Meta-Store cannot be used with stores or all_stores.")
        stores = [header]
    asked = Asked(
        body["method"],
        stores=stores,
        all_stores=all_stores,
        must_succeed=body.get("all_stores_must_succeed", True),
        words=body,
    )
    request.services.image_tasks.import_image(request.context, image_id(id), asked)


@IMPORTS.on("GET", "/tasks", policy="get_image")
def tasks(request: Request, id: str) -> Json:
    found = request.services.image_tasks.of_image(request.context, image_id(id))
    return {"tasks": [shown(task, FULL) for task in found]}
