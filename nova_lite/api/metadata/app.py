"""169.254.169.254: what a guest is told about itself, in both dialects.

Who asks is who has the address that the connection comes from, and nothing in
the request can say otherwise.  Every request asks the database anew: an address
that has just changed hands never tells its new holder of the old one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from nova_lite.api.declare import Environ, StartResponse
from nova_lite.api.metadata import ec2, openstack
from nova_lite.api.middleware import Application
from nova_lite.domain.errors import NotFound
from nova_lite.services import Services
from nova_lite.services.metadata import Guest

LOG = logging.getLogger(__name__)
TEXT, JSON, BYTES = "text/plain; charset=utf-8", "application/json", "application/octet-stream"


def factory(_global: Any, **_local: str) -> Application:
    return answer


def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    headers: list[tuple[str, str]] = []
    try:
        status, kind, content = _answer(environ)
    except NotFound as error:
        status, kind, content = HTTPStatus.NOT_FOUND, TEXT, f"{error}\n".encode()
    except MethodNotAllowed:
        status, kind, content = HTTPStatus.METHOD_NOT_ALLOWED, TEXT, b"Only to be read.\n"
        headers.append(("Allow", "GET, HEAD"))
    except Exception:
        LOG.exception("metadata for %s", environ.get("REMOTE_ADDR"))
        status, kind, content = HTTPStatus.INTERNAL_SERVER_ERROR, TEXT, b"Try again later.\n"
    headers += [("Content-Type", kind), ("Content-Length", str(len(content)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]


class MethodNotAllowed(Exception):
    """Nothing here can be written."""


def _answer(environ: Environ) -> tuple[HTTPStatus, str, bytes]:
    if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
        raise MethodNotAllowed
    services: Services = environ["nova_lite.services"]
    guest = services.metadata.find(environ.get("REMOTE_ADDR", ""))
    path = environ.get("PATH_INFO", "")
    found = None if "//" in path else find(guest, path.removeprefix("/"))
    if found is None:
        raise NotFound("There is no such thing.")
    if isinstance(found, str):
        return HTTPStatus.OK, TEXT, found.encode()
    return HTTPStatus.OK, JSON if path.endswith(".json") else BYTES, found


def find(guest: Guest, path: str) -> str | bytes | None:
    """Text, or the bytes of a document; None when there is nothing at `path`."""
    if not path:
        return ec2.versions()
    first, _, rest = path.partition("/")
    if first != "openstack":
        return ec2.find(guest, first, rest)
    if not rest:
        return openstack.versions()
    version, _, name = rest.partition("/")
    return openstack.find(guest, version, name)
