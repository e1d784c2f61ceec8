"""The version document of the image API."""

from __future__ import annotations

from typing import Any

import webob

from nova_lite.api.declare import PUBLIC, Request, Resource, answer

VERSIONS = Resource("")

#: What is served, and its status.  2.14 and 2.16 are about a cache, 2.17 about
#: locations: there are none here.
SERVED = tuple(
    (f"v2.{minor}", "CURRENT" if minor == 15 else "SUPPORTED") for minor in (15, *range(13, -1, -1))
)


def _document(request: Request) -> dict[str, Any]:
    link = {"rel": "self", "href": f"{request.outside_url}/image/v2/"}
    return {"versions": [{"id": id, "status": status, "links": [link]} for id, status in SERVED]}


@VERSIONS.on("GET", policy=PUBLIC, status=300)
def choices(request: Request) -> webob.Response:
    return answer(300, _document(request))


@VERSIONS.on("GET", "/versions", policy=PUBLIC)
def versions(request: Request) -> dict[str, Any]:
    return _document(request)
