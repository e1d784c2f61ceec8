"""Who asks, by the word of a Keystone that is not ours: auth_strategy = keystone.

OpenStack's own middleware asks it, and remembers the answer for a while; what
it puts into headers is made the context of the request.
"""

from __future__ import annotations

import datetime as dt
import io
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from keystoneauth1.exceptions import ClientException
from keystonemiddleware import auth_token
from oslo_config import cfg

from nova_lite.api.declare import Environ, Request, StartResponse
from nova_lite.api.middleware import Application, without_forged
from nova_lite.context import RequestContext
from nova_lite.domain.errors import Unavailable

LOG = logging.getLogger(__name__)


def keystone_filter(_global: Any, **_local: str) -> Callable[[Application], Application]:
    """Find out who asks from X-Auth-Token, as `token_filter` does, by the configured Keystone."""

    def wrap(application: Application) -> Application:
        def call(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            without_forged(environ)
            keystone: Keystone = environ["nova_lite.keystone"]
            environ["nova_lite.authenticate"] = keystone.who
            environ["nova_lite.authenticate_uri"] = keystone.uri
            return application(environ, start_response)

        return call

    return wrap


class Keystone:
    """The Keystone of [keystone_authtoken]; its word is believed for `cache_seconds`."""

    def __init__(self, config: cfg.ConfigOpts, cache_seconds: int) -> None:
        self._options = {
            "oslo_config_config": config,
            # Else a Keystone that does not answer is the same as a token that is none.
            "delay_auth_decision": "false",
            # 0 would be for ever.
            "token_cache_time": str(cache_seconds or -1),
            "service_token_roles_required": "true",
            "include_service_catalog": "true",  # access rules are checked against it
        }
        self._lock = threading.Lock()
        self._of: dict[str, Any] = {}
        self._middleware("compute")  # now, so that what is wrong with the options is said now
        group = config.keystone_authtoken
        self.uri = str(group.www_authenticate_uri or group.auth_url)

    def who(self, environ: Environ) -> RequestContext | None:
        """None without a token, and for one that is worth nothing.

        Raises Unavailable when Keystone cannot be asked.
        """
        if not environ.get("HTTP_X_AUTH_TOKEN"):
            return None
        told: Environ = {}
        said: list[str] = []

        def listen(told_environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            told.update(told_environ)
            start_response("204 No Content", [])
            return []

        request = Request(environ)
        middleware = self._middleware(environ.get("nova_lite.service", ""))
        try:
            middleware(listen)(_asked(environ), lambda status, *_: said.append(status))
        except ClientException as error:
            # Of its own account: a wrong password, or an endpoint that there is not.
            LOG.error("Keystone does not talk to us (%s): %s", request.request_id, error)
        if told:
            context = _context(told, request.request_id)
            request.services.identity.introduce(context)
            return context
        if not said or not said[0].startswith("401"):
            LOG.error("Keystone cannot be asked who asks (%s)", request.request_id)
            raise Unavailable("The identity service cannot be reached.")
        LOG.info("a token was refused (%s)", request.request_id)
        return None

    def _middleware(self, service: str) -> Callable[[Application], Application]:
        """What asks in the name of a service, which the rules of application credentials name."""
        with self._lock:
            if service not in self._of:
                options = {**self._options, "service_type": service}
                self._of[service] = _Switch(options)
            found: Callable[[Application], Application] = self._of[service].before
            return found


class _Switch:
    """The middleware, made once, before whatever application is next.

    It is made for one application; which that is differs from thread to thread.
    """

    def __init__(self, options: dict[str, Any]) -> None:
        self._next = threading.local()
        self._middleware = auth_token.AuthProtocol(self._pass, options)

    def before(self, application: Application) -> Application:
        def call(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
            self._next.application = application
            answer: Iterable[bytes] = self._middleware(environ, start_response)
            return answer

        return call

    def _pass(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer: Iterable[bytes] = self._next.application(environ, start_response)
        return answer


def _asked(environ: Environ) -> Environ:
    """The request without its body, with the path that its service knows."""
    kept = {
        name: value
        for name, value in environ.items()
        # One that comes with the token of a service would be let past access rules.
        if not name.startswith(("nova_lite.", "HTTP_X_SERVICE_"))
    }
    return {**kept, "SCRIPT_NAME": "", "wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0"}


def _context(told: Environ, request_id: str) -> RequestContext:
    def header(name: str) -> str | None:
        return told.get(f"HTTP_{name}") or None

    token = told["keystone.token_info"]["token"]
    credential = token.get("application_credential") or {}
    user_domain = header("X_USER_DOMAIN_ID") or "default"
    return RequestContext(
        request_id=request_id,
        user_id=told["HTTP_X_USER_ID"],
        user_name=header("X_USER_NAME") or "",
        user_domain_id=user_domain,
        project_id=header("X_PROJECT_ID"),
        project_name=header("X_PROJECT_NAME") or "",
        project_domain_id=header("X_PROJECT_DOMAIN_ID") or header("X_DOMAIN_ID") or user_domain,
        domain_id=header("X_DOMAIN_ID"),
        roles=frozenset(role for role in (header("X_ROLES") or "").split(",") if role),
        system_scope=header("OPENSTACK_SYSTEM_SCOPE") == "all",
        expires_at=dt.datetime.fromisoformat(token["expires_at"]),
        token_id=str(next(iter(token.get("audit_ids") or ()), "")),
        application_credential_id=credential.get("id"),
        unrestricted=not credential.get("restricted", False),
        trust_id=(token.get("OS-TRUST:trust") or {}).get("id"),
    )
