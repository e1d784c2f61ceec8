"""/v2/images/{id}/file: the bytes of images, in and out, never all in memory."""

from __future__ import annotations

from typing import Any, BinaryIO
from wsgiref.util import FileWrapper

import webob

from nova_lite.api.declare import PUBLIC, Request, Resource
from nova_lite.api.image.asked import LengthRequired, UnsupportedMediaType, image_id, require
from nova_lite.services.images import CHUNK

DATA = Resource("/v2/images/{id}/file")
BYTES = "application/octet-stream"


@DATA.on("PUT", policy="upload_image", status=204, raw=True)
def upload(request: Request, id: str) -> None:
    if request.content_type != BYTES:
        raise UnsupportedMediaType(f"Send the data as {BYTES}.")
    # Servers that hand on a chunked body as it comes show a client that hung up
    # as the body's end, and half an image would pass for a whole one.  Those
    # that read all of it first know its length, and say so.
    if request.content_length is None:
        raise LengthRequired("Send the data with a Content-Length.")
    request.services.images.upload(
        request.context, image_id(id), request.body_file, request.content_length
    )


# Public, because a worker has no token but a signed link, which is checked instead.
@DATA.on("GET", policy=PUBLIC)
def download(request: Request, id: str) -> webob.Response:
    images = request.services.images
    found: tuple[Any, BinaryIO | None]
    if "signature" in request.GET:
        expires, signature = request.GET.get("expires", ""), request.GET["signature"]
        found = images.open_signed(image_id(id), expires, signature)
    else:
        require("download_image", request)
        found = images.open(request.context, image_id(id))
    image, file = found
    if file is None:
        return webob.Response(status=204, content_type=None)
    # A server that can send a file by itself need not keep a thread for it.
    wrapper = request.environ.get("wsgi.file_wrapper", FileWrapper)
    response = webob.Response(app_iter=wrapper(file, CHUNK), content_type=BYTES)
    response.content_length = image.size
    response.headers["Content-MD5"] = image.checksum or ""
    return response
