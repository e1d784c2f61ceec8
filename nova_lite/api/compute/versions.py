"""Which microversions are served, how one is agreed upon, and the documents that say so.

Raise LATEST_SERVED only when every step up to it is declared in the resources.
"""

from __future__ import annotations

import re
from typing import Any

from nova_lite.api.declare import PUBLIC, Request, Resource, Version
from nova_lite.api.microversions import Microversions, said
from nova_lite.domain.errors import Invalid, NotFound

OLDEST_SERVED: Version = (2, 1)
LATEST_SERVED: Version = (2, 96)
MICROVERSIONS = Microversions(
    "compute", OLDEST_SERVED, LATEST_SERVED, old_header="X-OpenStack-Nova-API-Version"
)
_PROJECT = re.compile(r"/v2\.1/([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=/|\Z)")
_OLD = re.compile(r"/v2(?=/.)")
_ROOTS = ("/", "/v2/", "/v2.1/")


def arrive(request: Request) -> dict[str, str]:
    """What comes before routing: a project id leaves the path, and a microversion is agreed upon.

    Returns the headers that say which.  Raises Invalid for a malformed version
    or another project than the token's, NotAcceptable for a version that is not
    served, NotFound for a path that ends in nothing.
    """
    old = _OLD.match(request.path_info)
    if old:
        request.path_info = "/v2.1" + request.path_info[old.end() :]
    with_project = _PROJECT.match(request.path_info)
    if with_project:
        # Before 2.18 every path had it; what it says, the token says better.
        project = request.context.project_id
        if project is not None and project != with_project[1]:
            raise Invalid(
                f"Malformed request URL: URL's project_id '{with_project[1]}' "
                f"doesn't match Context's project_id '{project}'"
            )
        request.path_info = "/v2.1" + request.path_info[with_project.end() :]
    if request.path_info.endswith("/") and request.path_info not in _ROOTS:
        # A thing with an empty id is not the collection of all of them.
        raise NotFound("The resource could not be found.")
    if old:
        # v2.0 is 2.1 without microversions, that takes what it does not know for nothing.
        request.environ["nova_lite.version"] = OLDEST_SERVED
        request.environ["nova_lite.lenient"] = True
        return {}
    return MICROVERSIONS.agree(request)


versions = Resource("")


@versions.on("GET", policy=PUBLIC)
def index(request: Request) -> dict[str, Any]:
    return {"versions": [_old_document(request), _document(request)]}


@versions.on("GET", "/v2.1", policy=PUBLIC)
def show(request: Request) -> dict[str, Any]:
    return _alone(_document(request), "2.1")


@versions.on("GET", "/v2", policy=PUBLIC)
def show_old(request: Request) -> dict[str, Any]:
    return _alone(_old_document(request), "2")


def _alone(document: dict[str, Any], version: str) -> dict[str, Any]:
    media_type = f"application/vnd.openstack.compute+json;version={version}"
    media_types = [{"base": "application/json", "type": media_type}]
    return {"version": {**document, "media-types": media_types}}


def _document(request: Request) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": said(LATEST_SERVED),
        "min_version": said(OLDEST_SERVED),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{request.outside_url}/compute/v2.1/"}],
    }


def _old_document(request: Request) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{request.outside_url}/compute/v2/"}],
    }
