"""Declare an HTTP API; the router, the checks, the docs and the tests all read the declaration."""

from __future__ import annotations

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
import webob
from routes import Mapper

from nova_lite.api import policy
from nova_lite.api.schema import Schema, known_of, validate
from nova_lite.context import RequestContext
from nova_lite.domain.errors import (
    Invalid,
    NotFound,
    NovaLiteError,
    TooLarge,
    Unauthorized,
)
from nova_lite.services import Services

LOG = logging.getLogger(__name__)
Version = tuple[int, int]
Handler = Callable[..., Any]
Environ = dict[str, Any]
StartResponse = Callable[..., Any]

FIRST: Version = (0, 0)
LATEST: Version = (1_000_000, 0)
PUBLIC = "@"  # the policy of what needs no token: version documents, logging in
LARGEST_BODY = 1 << 20  # bytes of JSON; user data may be 64 KiB, and nothing is larger
DEEPEST = 250  # levels; what has fewer brackets cannot be deeper
NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # as JSON writes it: an escape, itself not escaped


class Request(webob.Request):
    """A request on its way through a facade."""

    @property
    def services(self) -> Services:
        found: Services = self.environ["nova_lite.services"]
        return found

    @property
    def context(self) -> RequestContext:
        """Who asks.  Raises Unauthorized when nobody has said so."""
        if "nova_lite.context" not in self.environ:
            ask: Callable[[Environ], RequestContext | None] = self.environ.get(
                "nova_lite.authenticate", lambda _environ: None
            )
            self.environ["nova_lite.context"] = ask(self.environ)
        found: RequestContext | None = self.environ["nova_lite.context"]
        if found is None:
            raise Unauthorized("The request you have made requires authentication.")
        return found

    @property
    def version(self) -> Version:
        """The microversion that was negotiated; (0, 0) where there are none."""
        found: Version = self.environ.get("nova_lite.version", FIRST)
        return found

    @property
    def request_id(self) -> str:
        found: str = self.environ["nova_lite.request_id"]
        return found

    @property
    def outside_url(self) -> str:
        """The URL of all our APIs as the client sees it, without a slash at its end."""
        endpoint: str | None = self.environ.get("nova_lite.public_endpoint")
        return (endpoint or self.host_url).rstrip("/")

    def filters(self) -> dict[str, list[str]]:
        """The query, each parameter with all its values."""
        found: dict[str, list[str]] = {}
        for name, value in self.GET.items():
            found.setdefault(name, []).append(value)
        return found


@dataclass(frozen=True)
class Endpoint:
    """One thing a client can do: all that is true of it before its code runs.

    With `body` the handler gets the parsed and validated body as its argument
    `body`; with `query` the query is validated.  `raw` leaves the body's bytes
    to the handler.
    """

    method: str
    path: str
    handler: Handler
    policy: str
    status: int = 200
    body: Schema | None = None
    query: Schema | None = None
    action: str | None = None  # the single key of the body, for POST .../action
    raw: bool = False
    since: Version = FIRST
    until: Version = LATEST


@dataclass
class Resource:
    """A family of endpoints under one path.  Decorators only take notes."""

    path: str
    endpoints: list[Endpoint] = field(default_factory=list)

    def on(self, method: str, path: str = "", **declared: Any) -> Callable[[Handler], Handler]:
        def note(handler: Handler) -> Handler:
            self.endpoints.append(Endpoint(method, self.path + path, handler, **declared))
            return handler

        return note

    def action(self, name: str, **declared: Any) -> Callable[[Handler], Handler]:
        declared.setdefault("status", 202)
        return self.on("POST", "/{id}/action", action=name, **declared)


@dataclass(frozen=True, eq=False)  # each is itself: tables of them are looked up often
class Field:
    """One key of an answer, and the microversions that have it."""

    name: str
    value: Callable[[Any], Any]
    since: Version = FIRST
    until: Version = LATEST


def render(fields: Iterable[Field], thing: Any, version: Version = FIRST) -> dict[str, Any]:
    return {f.name: f.value(thing) for f in fields if f.since <= version <= f.until}


class Api:
    """A WSGI application made of resources: one facade.

    `fault` words an error in the dialect of this facade; `negotiate` finds the
    microversion of a request and returns the headers that say so.  Where a
    `slash_counts`, what ends in one is another place, and most likely none.
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        fault: Callable[[int, str], Any],
        negotiate: Callable[[Request], Mapping[str, str]] = lambda request: {},
        *,
        slash_counts: bool = False,
    ) -> None:
        self.fault = fault
        self.slash_counts = slash_counts
        self.negotiate = negotiate
        self.endpoints: dict[str, dict[str, list[Endpoint]]] = defaultdict(dict)
        for endpoint in (e for resource in resources for e in resource.endpoints):
            self.endpoints[endpoint.path].setdefault(endpoint.method, []).append(endpoint)
        self.routes = Mapper(register=False, explicit=True)
        for path in self.endpoints:
            self.routes.connect(None, path or "/")
        self.routes.create_regs([])

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        headers: Mapping[str, str] = {}
        try:
            check_url(request)
            headers = self.negotiate(request)
            response = self._answer(request)
        except NovaLiteError as error:
            response = self._fault(request, error)
        except Exception:
            # Only that it happened is told outside; the log knows the rest.
            LOG.exception("%s %s (%s)", request.method, request.path, request.request_id)
            message = "Unexpected API error. The operator finds it in the log by the request id."
            response = answer(500, self.fault(500, message))
        for name, value in headers.items():
            response.headers[name] = value
        return response(environ, start_response)

    def _answer(self, request: Request) -> webob.Response:
        endpoint, arguments = self._find(request)
        if endpoint.policy is not PUBLIC:
            policy.require(endpoint.policy, request)
        if endpoint.query is not None:
            validate(endpoint.query, request.filters(), "query")
        if endpoint.body is not None:
            arguments["body"] = json_of(request)
            if request.environ.get("nova_lite.lenient"):
                arguments["body"] = known_of(endpoint.body, arguments["body"])
            validate(endpoint.body, arguments["body"])
        result = endpoint.handler(request, **arguments)
        return result if isinstance(result, webob.Response) else answer(endpoint.status, result)

    def _find(self, request: Request) -> tuple[Endpoint, dict[str, Any]]:
        path = request.path_info if self.slash_counts else request.path_info.rstrip("/")
        path = path or "/"
        found = self.routes.routematch(path)
        if found is None:
            raise NotFound("The resource could not be found.")
        arguments, route = found
        methods = self.endpoints["" if route.routepath == "/" else route.routepath]
        candidates = methods.get(request.method)
        if candidates is None:
            raise MethodNotAllowed(request.method, methods)
        if all(endpoint.policy is not PUBLIC for endpoint in candidates):
            # Before anything of the body is read: strangers get no work done.
            _ = request.context
        for endpoint in candidates:
            if endpoint.since <= request.version <= endpoint.until:
                if endpoint.action is None or endpoint.action == action_of(request):
                    return endpoint, dict(arguments)
        if candidates[0].action is not None:
            name = action_of(request)
            if all(endpoint.action != name for endpoint in candidates):
                raise Invalid(f"There is no such action: {name}")
        raise NotFound("The resource could not be found.")

    def _fault(self, request: Request, error: NovaLiteError) -> webob.Response:
        if error.status >= 500:
            LOG.error("%s %s (%s): %s", request.method, request.path, request.request_id, error)
        response = answer(error.status, self.fault(error.status, str(error)))
        if isinstance(error, MethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.allowed))
        if error.status == 401:
            ours = f"{request.outside_url}/identity/v3"
            uri = request.environ.get("nova_lite.authenticate_uri", ours)
            response.headers["WWW-Authenticate"] = f'Keystone uri="{uri}"'
        return response


class MethodNotAllowed(NovaLiteError):
    status = 405

    def __init__(self, method: str, allowed: Iterable[str]) -> None:
        super().__init__(f"{method} is not allowed for this resource.")
        self.allowed = allowed


def check_url(request: Request) -> None:
    """Raises unless path and query are UTF-8 without NUL, which no database takes in a string."""
    try:
        if "\0" in request.path_info:
            raise NotFound("The resource could not be found.")
        for name, value in request.GET.items():
            if "\0" in name or "\0" in value:
                raise Invalid("The query contains the character NUL.")
    except UnicodeDecodeError:
        raise Invalid("The URL is not UTF-8 text.") from None


def json_of(request: Request) -> Any:
    """The body as JSON, without NUL.  Raises Invalid, or TooLarge before reading all of it."""
    known = request.environ.get("nova_lite.json")
    if known is not None:
        return known
    if (request.content_length or 0) > LARGEST_BODY:
        raise TooLarge(f"The request body is larger than {LARGEST_BODY} bytes.")
    data = request.body_file.read(LARGEST_BODY + 1)
    if len(data) > LARGEST_BODY:
        raise TooLarge(f"The request body is larger than {LARGEST_BODY} bytes.")
    try:
        parsed = orjson.loads(data)
    except ValueError:
        raise Invalid("Malformed request body: it is not JSON.") from None
    if data.count(b"[") + data.count(b"{") > DEEPEST:
        try:
            orjson.dumps(parsed)
        except TypeError:
            # It reads four times deeper than it writes, and what is kept is to be shown.
            raise Invalid("Malformed request body: it is nested too deeply.") from None
    if NUL.search(data):
        field = str(_with_nul(parsed)).removeprefix("body.")
        raise Invalid(f"Invalid input for field/attribute {field}. It contains NUL.")
    request.environ["nova_lite.json"] = parsed
    return parsed


def _with_nul(value: Any, path: str = "body") -> str | None:
    """Where in `value` there is a text, or a name, with NUL in it."""
    if isinstance(value, str):
        return path if "\0" in value else None
    if isinstance(value, dict):
        if any("\0" in name for name in value):
            return path
        inside: Iterable[tuple[Any, Any]] = value.items()
    else:
        inside = enumerate(value) if isinstance(value, list) else ()
    found = (_with_nul(inner, f"{path}.{name}") for name, inner in inside)
    return next(filter(None, found), None)


def action_of(request: Request) -> str:
    """The name of an action: the one key of its body."""
    body = json_of(request)
    if not isinstance(body, dict) or len(body) != 1:
        raise Invalid("Malformed request body: an action has exactly one key.")
    return str(next(iter(body)))


def answer(status: int, body: Any, **headers: str) -> webob.Response:
    """A response with `body` as JSON, or with none at all."""
    if body is None:
        response = webob.Response(status=status)
        response.content_type = None
    else:
        response = webob.Response(
            status=status,
            body=orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS),
            headerlist=[("Content-Type", "application/json")],
        )
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response
