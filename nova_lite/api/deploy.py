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
    strategy: str = "identity",
    keystone: object = None,
) -> Application:
    """The application `name` of `paste_config`, with all it needs in each request's environ.

    `strategy` says which pipelines are taken, `keystone` is who they ask if it is not us.
    """
    application: Application = loadapp(
        f"config:{paste_config}", name=name, global_conf={"auth_strategy": strategy}
    )

    def call(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["nova_lite.services"] = services
        environ["nova_lite.policy"] = policy
        environ["nova_lite.keystone"] = keystone
        environ["nova_lite.public_endpoint"] = public_endpoint
        return application(environ, start_response)

    return call


def by_strategy(loader: Any, global_: Any, **pipelines: str) -> Application | None:
    """The pipeline that is named as the auth_strategy is; None when there is none.

    Then this API is not served: who asks another Keystone has his users there.
    """
    strategy = global_["auth_strategy"]
    if strategy not in pipelines:
        return None
    *filters, app = pipelines[strategy].split()
    application: Application = loader.get_app(app)
    for name in reversed(filters):
        application = loader.get_filter(name)(application)
    return application


def by_prefix(loader: Any, _global: Any, **paths: str) -> Application:
    """Send a request to the application whose path prefix it has, the longest first."""
    loaded = [(path, loader.get_app(paths[path])) for path in sorted(paths, key=len, reverse=True)]
    apps = [(path, app) for path, app in loaded if app is not None]

    def choose(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        asked = environ.get("PATH_INFO", "")
        for path, app in apps:
            if asked == path or asked.startswith(path + "/"):
                environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + path
                environ["PATH_INFO"] = asked[len(path) :]
                environ["nova_lite.service"] = paths[path]
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
