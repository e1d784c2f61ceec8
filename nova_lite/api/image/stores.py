"""/v2/info: what can be done here; and /v2/stores: images of one store."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.image.asked import image_id
from nova_lite.api.image.attributes import Json

INFO = Resource("/v2/info")
STORES = Resource("/v2/stores")


@INFO.on("GET", "/import", policy="get_images")
def import_methods(request: Request) -> Json:
    methods = list(request.services.image_tasks.methods)
    described = {"description": "Import methods available.", "type": "array", "value": methods}
    return {"import-methods": described}


@INFO.on("GET", "/stores", policy="get_images")
def stores(request: Request) -> Json:
    named = request.services.images.stores.named
    return {"stores": [_shown(request, name) for name in named]}


@INFO.on("GET", "/stores/detail", policy="stores_info_detail")
def stores_in_detail(request: Request) -> Json:
    named = request.services.images.stores.named
    return {
        "stores": [
            {
                **_shown(request, name),
                "type": store.type,
                "weight": 0,
                "properties": store.properties,
            }
            for name, store in named.items()
        ]
    }


def _shown(request: Request, name: str) -> dict[str, Any]:
    is_default = name == request.services.images.stores.default
    return {"id": name, **({"default": "true"} if is_default else {})}


@INFO.on("GET", "/usage", policy="get_images")
def usage(request: Request) -> Json:
    """What the project has of each limited resource; sizes in MiB."""
    counted = request.services.image_quotas.usage(request.context)
    return {
        "usage": {name: {"limit": one.limit, "usage": one.used} for name, one in counted.items()}
    }


@STORES.on("DELETE", "/{store}/{id}", policy="delete_image_location", status=204)
def remove(request: Request, store: str, id: str) -> None:
    request.services.image_data.remove_from_store(request.context, store, image_id(id))
