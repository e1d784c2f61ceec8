"""What every request passes before its facade: an id, a line in the log, and who asks."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from nova_lite.api.declare import Environ, Request, StartResponse
from nova_lite.context import RequestContext
from nova_lite.domain.access_rules import Asked
from nova_lite.domain.errors import Unauthorized
from nova_lite.domain.ids import request_id

LOG = logging.getLogger(__name__)
Application = Callable[[Environ, StartResponse], Iterable[bytes]]
LONGEST_LINE = 500  # characters that the log repeats of a request
GIVEN = re.compile(r"^req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def request_id_filter(_global: Any, **_local: str) -> Callable[[Application], Application]:
    """Give each request an id, say it in the answer, and write one line per request."""

    def wrap(application: Application) -> Application:
        def call(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            began = time.perf_counter()
            id = environ["nova_lite.request_id"] = request_id()
            # As it is before facades change it; without the query, which may
            # hold a signature.
            asked = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
            what = _one_line(f"{environ['REQUEST_METHOD']} {asked}")
            given = environ.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
            said = f" (global {given})" if GIVEN.match(given) else ""

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                headers.append(("x-openstack-request-id", id))
                headers.append(("x-compute-request-id", id))
                LOG.info(
                    "%s %s %.1f ms (%s)%s",
                    what,
                    status[:3],
                    (time.perf_counter() - began) * 1000,
                    id,
                    said,
                )
                return start_response(status, headers, *rest)

            return application(environ, start)

        return call

    return wrap


def _one_line(text: str) -> str:
    return text.encode("unicode_escape").decode()[:LONGEST_LINE]


def token_filter(_global: Any, **_local: str) -> Callable[[Application], Application]:
    """Find out who asks from X-Auth-Token.

    A request without a token passes as nobody's, and a bad token is the same
    as none: whether somebody is needed is the endpoint's policy.  The token is
    looked at when that is asked, so that a failure is worded by the facade.
    Identity headers that only a middleware like this may set are dropped.
    """

    def wrap(application: Application) -> Application:
        def call(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            without_forged(environ)
            environ["nova_lite.authenticate"] = _who
            return application(environ, start_response)

        return call

    return wrap


def without_forged(environ: Environ) -> None:
    """Take out the headers by which clients could say who they are."""
    for name in [key for key in environ if key.startswith(FORGEABLE)]:
        del environ[name]


def _who(environ: Environ) -> RequestContext | None:
    token = environ.get("HTTP_X_AUTH_TOKEN")
    if not token:
        return None
    request = Request(environ)
    try:
        return request.services.identity.context_of(token, request.request_id, asked(environ))
    except Unauthorized:
        LOG.info("a token was refused (%s)", request.request_id)
        return None


def asked(environ: Environ) -> Asked:
    """What the request is to which service, whose type is the name of its application."""
    return Asked(
        environ.get("nova_lite.service", ""),
        environ.get("PATH_INFO", ""),
        environ.get("REQUEST_METHOD", ""),
    )


FORGEABLE = (
    "HTTP_X_IDENTITY",
    "HTTP_X_USER",
    "HTTP_X_PROJECT",
    "HTTP_X_DOMAIN",
    "HTTP_X_TENANT",
    "HTTP_X_ROLE",
    "HTTP_X_IS_ADMIN",
    "HTTP_X_SERVICE_IDENTITY",
    "HTTP_X_SERVICE_USER",
    "HTTP_X_SERVICE_PROJECT",
    "HTTP_X_SERVICE_DOMAIN",
    "HTTP_X_SERVICE_ROLE",
    "HTTP_X_SERVICE_CATALOG",
    "HTTP_OPENSTACK_SYSTEM_SCOPE",
)
