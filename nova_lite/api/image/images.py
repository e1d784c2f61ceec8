"""/v2/images: what is said of images."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import webob

from nova_lite.api.declare import Request, Resource, answer, json_of, render
from nova_lite.api.image import filters, patches
from nova_lite.api.image.asked import image_id
from nova_lite.api.image.attributes import CREATE, FIELDS, SOMETIMES, TAG, WRITABLE, Json
from nova_lite.api.image.paging import page_body
from nova_lite.api.policy import require
from nova_lite.api.schema import thing, validate
from nova_lite.services.image.images import NewImage

IMAGES = Resource("/v2/images")

#: Visibilities that not everybody may give.
VISIBILITY_RULES = {"public": "publicize_image", "community": "communitize_image"}
ONE_TAG = thing(tag=TAG)


def shown(image: Any) -> Json:
    sometimes = render(SOMETIMES, image)
    return {
        **image.properties,
        **render(FIELDS, image),
        **{name: value for name, value in sometimes.items() if value is not None},
    }


def require_visibility(request: Request, visibility: Any) -> None:
    rule = VISIBILITY_RULES.get(visibility)
    if rule:
        require(rule, request)


@IMAGES.on("GET", policy="get_images")
def index(request: Request) -> Json:
    query, images = request.filters(), request.services.images
    page, more = images.list(
        request.context,
        filters.filters(query),
        sort=filters.order(query),
        limit=filters.limit(query, images.settings.max_limit),
        marker=filters.marker(query),
    )
    return page_body(request, "images", page, more, shown)


@IMAGES.on("POST", policy="add_image", status=201, body=CREATE)
def create(request: Request, body: Json) -> webob.Response:
    for name in body:
        patches.refuse_reserved(name)
    require_visibility(request, body.get("visibility"))
    known = {name: value for name, value in body.items() if name in WRITABLE}
    properties = {name: value for name, value in body.items() if name not in WRITABLE}
    if "id" in known:
        known["id"] = UUID(known["id"])
    services = request.services
    image = services.images.create(request.context, NewImage(**known, properties=properties))
    response = answer(201, shown(image))
    response.headers["Location"] = f"{request.outside_url}/image/v2/images/{image.id}"
    response.headers["OpenStack-image-import-methods"] = ",".join(services.image_tasks.methods)
    response.headers["OpenStack-image-store-ids"] = ",".join(services.images.stores.named)
    return response


@IMAGES.on("GET", "/{id}", policy="get_image")
def show(request: Request, id: str) -> Json:
    return shown(request.services.images.get(request.context, image_id(id)))


# Its media type says which of two forms the body has.
@IMAGES.on("PATCH", "/{id}", policy="modify_image")
def update(request: Request, id: str) -> Json:
    changes = patches.changes(request.content_type, json_of(request))
    for change in changes:
        if change.name == "visibility":
            require_visibility(request, change.value)
    return shown(request.services.images.update(request.context, image_id(id), changes))


@IMAGES.on("DELETE", "/{id}", policy="delete_image", status=204)
def delete(request: Request, id: str) -> None:
    request.services.images.delete(request.context, image_id(id))


@IMAGES.on("PUT", "/{id}/tags/{tag}", policy="modify_image", status=204)
def add_tag(request: Request, id: str, tag: str) -> None:
    validate(ONE_TAG, {"tag": tag})
    request.services.images.tag(request.context, image_id(id), tag)


@IMAGES.on("DELETE", "/{id}/tags/{tag}", policy="modify_image", status=204)
def remove_tag(request: Request, id: str, tag: str) -> None:
    request.services.images.untag(request.context, image_id(id), tag)


@IMAGES.on("POST", "/{id}/actions/deactivate", policy="deactivate", status=204)
def deactivate(request: Request, id: str) -> None:
    request.services.images.deactivate(request.context, image_id(id))


@IMAGES.on("POST", "/{id}/actions/reactivate", policy="reactivate", status=204)
def reactivate(request: Request, id: str) -> None:
    request.services.images.reactivate(request.context, image_id(id))
