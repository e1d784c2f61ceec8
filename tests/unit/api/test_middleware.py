"""What every request passes: its id, its line in the log, and who asks."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import webob

from nova_lite.api.declare import Environ, Request, StartResponse
from nova_lite.api.middleware import request_id_filter, token_filter
from nova_lite.context import RequestContext
from nova_lite.domain.access_rules import Asked
from nova_lite.domain.errors import Unauthorized

GLOBAL = "req-01234567-89ab-cdef-0123-456789abcdef"
TOKEN = "gAAAAA-the-token"


@dataclass
class Application:
    """Takes what comes, and keeps it."""

    seen: list[Environ] = field(default_factory=list)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        self.seen.append(environ)
        environ["PATH_INFO"] = "/changed"  # as by_prefix does
        start_response("200 OK", [])
        return [b""]


class Identity:
    """Knows one token."""

    asked = 0
    about: Asked | None = None

    def context_of(self, token: str, request_id: str, asked: Asked) -> RequestContext:
        self.asked += 1
        self.about = asked
        if token != TOKEN:
            raise Unauthorized(f"no such token {token}")
        return RequestContext(request_id, "the-user")


def call(path: str = "/x", **headers: str) -> tuple[webob.Response, Environ]:
    application = Application()
    request = webob.Request.blank(path)
    request.environ["nova_lite.services"] = SimpleNamespace(identity=Identity())
    for name, value in headers.items():
        request.environ[f"HTTP_{name}"] = value
    stack = request_id_filter({})(token_filter({})(application))
    return request.get_response(stack), application.seen[0]


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)


def test_each_answer_has_an_id_of_its_own_that_the_log_has_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answers = [call()[0] for _ in range(2)]
    ids = [answer.headers["x-openstack-request-id"] for answer in answers]
    assert len(set(ids)) == 2 and all(re.fullmatch(r"req-[0-9a-f-]{36}", id) for id in ids)
    assert [answer.headers["x-compute-request-id"] for answer in answers] == ids
    lines = [record.getMessage() for record in caplog.records]
    assert [re.sub(r"[0-9.]+ ms", "N ms", line) for line in lines] == [
        f"GET /x 200 N ms ({id})" for id in ids
    ]


def test_the_id_that_a_client_gives_is_kept_beside_ours(caplog: pytest.LogCaptureFixture) -> None:
    answer, environ = call(X_OPENSTACK_REQUEST_ID=GLOBAL)
    assert answer.headers["x-openstack-request-id"] != GLOBAL
    assert environ["nova_lite.request_id"] == answer.headers["x-openstack-request-id"]
    assert caplog.text.rstrip().endswith(f"(global {GLOBAL})")


@pytest.mark.parametrize(
    "given",
    [f"{GLOBAL}\n", f"{GLOBAL}\r\nX: y", f"x{GLOBAL}", "req-1", "a\nERROR forged", "", GLOBAL * 2],
)
def test_an_id_that_is_none_is_not_repeated(given: str, caplog: pytest.LogCaptureFixture) -> None:
    answer, _ = call(X_OPENSTACK_REQUEST_ID=given)
    (record,) = caplog.records
    assert "global" not in record.getMessage() and "\n" not in record.getMessage()
    assert all("\n" not in value and "\r" not in value for value in answer.headers.values())


@pytest.mark.parametrize(
    "path", ["/a%0d%0a2030-01-01 ERROR forged", "/a%1b[2J", "/%e2%80%ae", "/a%85b", "/%00", "/%ff"]
)
def test_no_path_makes_a_second_line(path: str, caplog: pytest.LogCaptureFixture) -> None:
    call(path)
    (record,) = caplog.records
    assert record.getMessage().isascii() and record.getMessage().isprintable()


def test_no_method_makes_a_second_line(caplog: pytest.LogCaptureFixture) -> None:
    request = webob.Request.blank("/", method="GET\r\nforged")
    request.get_response(request_id_filter({})(Application()))
    assert caplog.records[0].getMessage().isprintable()


def test_a_long_path_makes_a_short_line(caplog: pytest.LogCaptureFixture) -> None:
    call("/" + "x" * 60_000)
    assert len(caplog.records[0].getMessage()) < 600


def test_neither_token_nor_query_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for token in (TOKEN, "wrong-token"):
        _, environ = call("/x?signature=hunter2", X_AUTH_TOKEN=token, X_SUBJECT_TOKEN="hunter3")
        environ["nova_lite.authenticate"](environ)
    assert "a token was refused" in caplog.text
    assert not [secret for secret in (TOKEN, "wrong-token", "hunter") if secret in caplog.text]


def who(environ: Environ) -> Any:
    try:
        return Request(environ).context.user_id
    except Unauthorized:
        return None


def test_who_asks_is_who_the_token_says() -> None:
    assert who(call(X_AUTH_TOKEN=TOKEN)[1]) == "the-user"
    assert who(call(X_AUTH_TOKEN="another")[1]) is None
    assert who(call(X_AUTH_TOKEN="")[1]) is None
    assert who(call()[1]) is None


def test_the_token_is_looked_at_once_and_only_when_somebody_wants_to_know() -> None:
    _, environ = call(X_AUTH_TOKEN=TOKEN)
    identity = environ["nova_lite.services"].identity
    assert identity.asked == 0
    assert {who(environ), who(environ)} == {"the-user"}
    assert identity.asked == 1
    _, environ = call(X_AUTH_TOKEN="another")
    assert {who(environ), who(environ)} == {None}
    assert environ["nova_lite.services"].identity.asked == 1


FORGED = """Identity-Status User-Id User-Name User-Domain-Id User Project-Id Project-Name
Project-Domain-Id Domain-Id Domain-Name Tenant-Id Tenant-Name Tenant Role Roles Is-Admin-Project
Service-Identity-Status Service-User-Id Service-Project-Id Service-Roles Service-Catalog""".split()


def test_nobody_can_say_who_they_are_but_by_a_token() -> None:
    names = [f"X_{name.upper().replace('-', '_')}" for name in FORGED]
    forged = {**dict.fromkeys(names, "admin"), "OPENSTACK_SYSTEM_SCOPE": "all"}
    _, environ = call(**forged, NOVA_LITE_CONTEXT="admin")
    assert not [name for name in forged if f"HTTP_{name}" in environ]
    assert who(environ) is None


def test_it_is_told_what_the_token_is_shown_for() -> None:
    _, environ = call("/v2.1/servers", X_AUTH_TOKEN=TOKEN)
    environ["nova_lite.service"] = "compute"
    environ["PATH_INFO"] = "/v2.1/servers"
    who(environ)
    found = environ["nova_lite.services"].identity.about
    assert found == Asked("compute", "/v2.1/servers", "GET")
