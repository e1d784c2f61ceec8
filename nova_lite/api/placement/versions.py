"""Which microversions of Placement are served, and the document that says so.

All steps up to LATEST_SERVED are declared for what is only read; nothing is written
through this API at any of them.
"""

from __future__ import annotations

from email.utils import formatdate

from nova_lite.api.declare import PUBLIC, Request, Resource, Version
from nova_lite.api.microversions import Microversions, said
from nova_lite.api.placement.words import Json

OLDEST_SERVED: Version = (1, 0)
LATEST_SERVED: Version = (1, 29)
MICROVERSIONS = Microversions("placement", OLDEST_SERVED, LATEST_SERVED)
DATED: Version = (1, 15)  # since then each answer says that it is as of now


def arrive(request: Request) -> dict[str, str]:
    """Agree on a microversion; the headers that every answer has then."""
    headers = MICROVERSIONS.agree(request)
    if request.version >= DATED:
        headers |= {"Cache-Control": "no-cache", "Last-Modified": formatdate(usegmt=True)}
    return headers


versions = Resource("")


@versions.on("GET", policy=PUBLIC)
def index(request: Request) -> Json:
    return {
        "versions": [
            {
                "id": "v1.0",
                "status": "CURRENT",
                "min_version": said(OLDEST_SERVED),
                "max_version": said(LATEST_SERVED),
                "links": [{"rel": "self", "href": ""}],
            }
        ]
    }
