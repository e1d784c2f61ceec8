"""/v2/images/{id}/file and /stage: the bytes of images, in and out, never all in memory."""

from __future__ import annotations

from typing import Any, BinaryIO
from wsgiref.util import FileWrapper

import webob

from nova_lite.api.declare import PUBLIC, Request, Resource
from nova_lite.api.image import ranges
from nova_lite.api.image.asked import LengthRequired, UnsupportedMediaType, image_id
from nova_lite.api.policy import require
from nova_lite.domain.errors import Invalid
from nova_lite.services.image.stores import CHUNK

DATA = Resource("/v2/images/{id}")
BYTES = "application/octet-stream"


# Public, because a worker has no token but a signed link, which is checked instead.
@DATA.on("PUT", "/file", policy=PUBLIC, status=204, raw=True)
def upload(request: Request, id: str) -> None:
    data = request.services.image_data
    if "signature" in request.GET:
        expires, signature = _signed(request)
        length = _length(request)
        return data.upload_signed(
            image_id(id),
            expires,
            signature,
            request.body_file,
            length,
            request.request_id,
            request.GET.get("disk_format", ""),
        )
    require("upload_image", request)
    length, store = _length(request), request.headers.get("X-Image-Meta-Store")
    data.upload(request.context, image_id(id), request.body_file, length, store=store)


@DATA.on("PUT", "/stage", policy="upload_image", status=204, raw=True)
def stage(request: Request, id: str) -> None:
    length = _length(request)
    request.services.image_data.stage(request.context, image_id(id), request.body_file, length)


def _signed(request: Request) -> tuple[str, str]:
    return request.GET.get("expires", ""), request.GET["signature"]


def _length(request: Request) -> int:
    """How many bytes come.  Raises what is wrong with the headers."""
    if request.content_type != BYTES:
        raise UnsupportedMediaType(f"Send the data as {BYTES}.")
    announced = request.headers.get("X-OpenStack-Image-Size", "")
    if announced and not (announced.isascii() and announced.isdigit() and len(announced) < 19):
        raise Invalid("X-OpenStack-Image-Size has to be a number of bytes.")
    # Servers that hand on a chunked body as it comes show a client that hung up
    # as the body's end, and half an image would pass for a whole one.  Those
    # that read all of it first know its length, and say so.
    if request.content_length is None and not announced:
        raise LengthRequired(
            "Send the data with a Content-Length, or its size as X-OpenStack-Image-Size."
        )
    length = int(announced) if announced else request.content_length or 0
    if request.content_length not in (None, length):
        raise Invalid(f"The data has {request.content_length} bytes, not {length} as announced.")
    return length


@DATA.on("GET", "/file", policy=PUBLIC)
def download(request: Request, id: str) -> webob.Response:
    data = request.services.image_data
    found: tuple[Any, BinaryIO | None]
    if "signature" in request.GET:
        found = data.open_signed(image_id(id), *_signed(request))
    else:
        require("download_image", request)
        found = data.open(request.context, image_id(id))
    image, file = found
    if file is None:
        return webob.Response(status=204, content_type=None)
    if "Range" in request.headers:
        return _part(request.headers["Range"], image.size or 0, file)
    # A server that can send a file by itself need not keep a thread for it.
    wrapper = request.environ.get("wsgi.file_wrapper", FileWrapper)
    response = webob.Response(app_iter=wrapper(file, CHUNK), content_type=BYTES)
    response.content_length = image.size
    response.headers["Content-MD5"] = image.checksum or ""
    response.headers["Accept-Ranges"] = "bytes"
    return response


def _part(header: str, size: int, file: BinaryIO) -> webob.Response:
    try:
        start, stop = ranges.wanted(header, size)
    except ranges.RangeNotSatisfiable:
        file.close()
        raise
    body = ranges.read(file, start, stop)
    response = webob.Response(status=206, app_iter=body, content_type=BYTES)
    response.content_length = stop - start
    response.content_range = (start, stop, size)
    return response
