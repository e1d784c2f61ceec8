"""What api-paste.ini refers to, and how the wired API gets what it works with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import webob
from paste.deploy import loadapp

from nova_lite.api.declare import Environ, StartResponse
from nova_lite.api.middleware import Application
from nova_lite.api.policy import Policy
from nova_lite.services import Services


def load(
    paste_config: Path,
    services: Services,
    policy: Policy,
    public_endpoint: str | None = None,
    name: str = "main",
) -> Application:
    """The application `name` of `paste_config`, with all it needs in each request's environ."""
    application: Application = loadapp(f"config:{paste_config}", name=name)

    def call(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["nova_lite.services"] = services
        environ["nova_lite.policy"] = policy
        environ["nova_lite.public_endpoint"] = public_endpoint
        return application(environ, start_response)

    return call


def by_prefix(loader: Any, _global: Any, **paths: str) -> Application:
    """Send a request to the application whose path prefix it has, the longest first."""
    apps = [(path, loader.get_app(paths[path])) for path in sorted(paths, key=len, reverse=True)]

    def choose(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        asked = environ.get("PATH_INFO", "")
        for path, app in apps:
            if asked == path or asked.startswith(path + "/"):
                environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + path
                environ["PATH_INFO"] = asked[len(path) :]
                answer: Iterable[bytes] = app(environ, start_response)
                return answer
        host = webob.Request(environ).host_url
        known = asked in ("", "/")
        body = (
            {"apis": {path.strip("/"): f"{host}{path}/" for path, _ in reversed(apps)}}
            if known
            else {"error": {"code": 404, "message": "The resource could not be found."}}
        )
        response = webob.Response(
            status=300 if known else 404, body=orjson.dumps(body), content_type="application/json"
        )
        return response(environ, start_response)

    return choose
