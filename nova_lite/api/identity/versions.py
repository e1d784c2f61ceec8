"""Version documents, which need no token."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import PUBLIC, Request, Resource
from nova_lite.api.identity.words import url

ROOT = Resource("")


def _version(request: Request) -> dict[str, Any]:
    return {
        # Not a later minor: those stand for things like application credentials.
        "id": "v3.0",
        "status": "stable",
        "updated": "2013-03-06T00:00:00Z",
        "links": [{"rel": "self", "href": url(request, "")}],
        "media-types": [
            {
                "base": "application/json",
                "type": "application/vnd.openstack.identity-v3+json",
            }
        ],
    }


@ROOT.on("GET", policy=PUBLIC, status=300)
def versions(request: Request) -> dict[str, Any]:
    return {"versions": {"values": [_version(request)]}}


@ROOT.on("GET", "/v3", policy=PUBLIC)
def version(request: Request) -> dict[str, Any]:
    return {"version": _version(request)}
