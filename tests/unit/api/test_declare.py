"""Declared endpoints: how a request finds its handler, and what it gets when it does not."""

from __future__ import annotations

import io
import logging
from typing import Any

import orjson
import pytest
import webob

from nova_lite.api.declare import (
    LARGEST_BODY,
    PUBLIC,
    Api,
    Environ,
    Field,
    Request,
    Resource,
    answer,
    json_of,
    render,
)
from nova_lite.api.policy import Policy
from nova_lite.api.schema import NAME, one, thing
from nova_lite.context import RequestContext
from nova_lite.domain.errors import NovaLiteError, RemoteFailure, Unauthorized
from nova_lite.testing.haste import within

READ, ADMIN = "get_network", "get_agent"  # a rule for readers, and one for administrators
MEMBER = RequestContext("req-1", "u", project_id="p", roles=frozenset({"member", "reader"}))
pots = Resource("/v1/pots")


@pots.on("GET", policy=READ)
def index(request: Request) -> Any:
    return {"asked": request.filters(), "who": request.context.user_id}


@pots.on("POST", policy=READ, status=201, body=one("pot", thing(("name",), name=NAME)))
def create(request: Request, body: Any) -> Any:
    return body


@pots.on("GET", "/{id}", policy=READ, until=(2, 4))
def show_old(request: Request, id: str) -> Any:
    return {"old": id}


@pots.on("GET", "/{id}", policy=READ, since=(2, 5), until=(2, 9))
def show_new(request: Request, id: str) -> Any:
    return {"new": id}


@pots.on("PUT", "/{id}", policy=ADMIN)
def update(request: Request, id: str) -> Any:
    return {}


@pots.on("DELETE", "/{id}", policy=READ, status=204)
def delete(request: Request, id: str) -> None:
    return None


@pots.action("stir", policy=READ, body=one("stir", thing(more=True)))
def stir(request: Request, id: str, body: Any) -> None:
    return None


@pots.action("taste", policy=READ, status=200, since=(2, 5))
def taste(request: Request, id: str) -> Any:
    return answer(203, {"taste": json_of(request)["taste"]}, X_Pot=id)


@pots.on("GET", "/{id}/lid", policy=PUBLIC, query=thing(size={"type": "array", "maxItems": 1}))
def lid(request: Request, id: str) -> Any:
    return {"who": "anybody"}


@pots.on("POST", "/{id}/lid", policy="no:such:rule")
def forgotten(request: Request, id: str) -> Any:
    raise AssertionError("nobody may come here")


@pots.on("GET", "/{id}/fire", policy=PUBLIC)
def fire(request: Request, id: str) -> Any:
    raise {"bug": KeyError("hunter2"), "worker": RemoteFailure("the oven is away")}[id]


def _version(request: Request) -> dict[str, str]:
    asked = request.headers.get("X-Version", "2.1")
    if asked == "bad":
        raise NovaLiteError("no such version")
    major, minor = asked.split(".")
    request.environ["nova_lite.version"] = (int(major), int(minor))
    return {"X-Version": asked}


API = Api([pots], fault=lambda status, text: {"oops": [status, text]}, negotiate=_version)


def call(method: str, path: str, body: Any = None, **more: Any) -> webob.Response:
    request = webob.Request.blank(path, method=method, environ=more.pop("environ", None))
    request.environ.update(
        {
            "nova_lite.request_id": "req-2",
            "nova_lite.policy": Policy(),
            "nova_lite.context": more.pop("by", MEMBER),
        }
    )
    if body is not None:
        request.body = body if isinstance(body, bytes) else orjson.dumps(body)
    request.headers.update(more.pop("headers", {}))
    return request.get_response(API)


def fault(response: webob.Response) -> tuple[int, str]:
    assert response.content_type == "application/json"
    status, text = response.json["oops"]
    assert status == response.status_int
    return status, text


@pytest.mark.parametrize("path", ["/v1/pots", "/v1/pots/", "/v1/pots//"])
def test_a_slash_at_the_end_changes_nothing(path: str) -> None:
    assert call("GET", path + "?a=1&a=2&b=").json == {
        "asked": {"a": ["1", "2"], "b": [""]},
        "who": "u",
    }


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/pots/1/2/3", "/V1/pots", "/v1//pots"])
def test_an_unknown_path_is_told_in_the_words_of_the_facade(path: str) -> None:
    assert fault(call("GET", path)) == (404, "The resource could not be found.")


def test_a_known_path_says_which_methods_it_has() -> None:
    response = call("PATCH", "/v1/pots/1")
    assert fault(response) == (405, "PATCH is not allowed for this resource.")
    assert response.headers["Allow"] == "DELETE, GET, PUT"


@pytest.mark.parametrize(
    ("version", "status", "body"),
    [("2.1", 200, {"old": "7"}), ("2.4", 200, {"old": "7"}), ("2.5", 200, {"new": "7"})],
)
def test_each_microversion_has_its_handler(version: str, status: int, body: Any) -> None:
    response = call("GET", "/v1/pots/7", headers={"X-Version": version})
    assert (response.status_int, response.json) == (status, body)
    assert response.headers["X-Version"] == version


def test_what_a_microversion_does_not_have_is_not_there() -> None:
    assert fault(call("GET", "/v1/pots/7", headers={"X-Version": "2.10"}))[0] == 404
    assert fault(call("GET", "/v1/pots/7", headers={"X-Version": "bad"}))[0] == 500


def test_an_action_is_found_by_the_one_key_of_the_body() -> None:
    assert call("POST", "/v1/pots/7/action", {"stir": {}}).status_int == 202
    new = {"X-Version": "2.5"}
    tasted = call("POST", "/v1/pots/7/action", {"taste": "sweet"}, headers=new)
    assert (tasted.status_int, tasted.json) == (203, {"taste": "sweet"})
    assert tasted.headers["X-Pot"] == "7"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"burn": {}}, "There is no such action: burn"),
        ({"stir": {}, "taste": {}}, "an action has exactly one key"),
        ({}, "an action has exactly one key"),
        ([], "an action has exactly one key"),
        (b"", "it is not JSON"),
    ],
)
def test_an_action_that_is_none_is_refused(body: Any, message: str) -> None:
    status, text = fault(call("POST", "/v1/pots/7/action", body))
    assert (status, message in text) == (400, True), text


def test_an_action_of_another_microversion_is_not_there() -> None:
    status, text = fault(call("POST", "/v1/pots/7/action", {"taste": {}}))
    assert (status, text) == (404, "The resource could not be found.")


def test_a_body_that_does_not_fit_is_refused_and_the_field_named() -> None:
    assert call("POST", "/v1/pots", {"pot": {"name": "blue"}}).status_int == 201
    status, text = fault(call("POST", "/v1/pots", {"pot": {"name": ""}}))
    assert (status, "pot.name" in text) == (400, True)
    status, text = fault(call("GET", "/v1/pots/1/lid?size=1&size=2"))
    assert (status, "size" in text) == (400, True)


class Endless(io.RawIOBase):
    """A body that never ends, and counts what was read of it."""

    def __init__(self) -> None:
        self.taken = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "all of it was asked for"
        self.taken += size
        return b" " * size


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    endless = Endless()
    environ: Environ = {"wsgi.input": endless, "CONTENT_LENGTH": str(10**13)}
    assert fault(call("POST", "/v1/pots", environ=environ))[0] == 413
    assert endless.taken == 0
    environ = {"wsgi.input": endless, "wsgi.input_terminated": True}
    assert fault(call("POST", "/v1/pots", environ=environ))[0] == 413
    assert endless.taken <= LARGEST_BODY + 1


def test_a_body_is_read_once_however_often_it_is_asked_for() -> None:
    request = Request.blank("/", method="POST", body=b'{"a": 1}')
    assert json_of(request) is json_of(request)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[" * 1000 + b"]" * 1000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"pot": {"name": NaN}}',
        b'{"pot": {"name": -Infinity}}',
        b'{"pot": {"name": 1' + b"0" * 400 + b"}}",
        b'{"pot": {"name": 1e400}}',
        b'{"pot": {"name": "\\ud800"}}',
        b'{"pot": {"name": "\xed\xa0\x80"}}',
        b'{"pot": {"name": "\xff"}}',
        b'{"pot": {"name": "a\\u0000"}}',
        b'{"pot": {"name": "a\\\\\\u0000"}}',
        b'{"pot": {"name": "a\x00"}}',
        b'\xef\xbb\xbf{"pot": {"name": "a"}}',
        b"{'pot': 1}",
        b"null",
        b"",
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_decent_json_is_refused_at_once(body: bytes) -> None:
    with within(1):
        assert fault(call("POST", "/v1/pots", body))[0] == 400


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"pot": {"name": "a\\u0000"}}', "pot.name"),
        (b'{"pot": [1, null, ["x", "\\u0000"]]}', "pot.2.1"),
        (b'{"pot": {"a\\u0000b": 1}}', "pot"),
        (b'"\\u0000"', "body"),
    ],
)
def test_where_there_is_a_nul_is_told(body: bytes, field: str) -> None:
    said = f"Invalid input for field/attribute {field}. It contains NUL."
    assert fault(call("POST", "/v1/pots", body)) == (400, said)


def test_of_a_key_that_is_there_twice_the_last_counts() -> None:
    body = b'{"pot": 1, "pot": {"name": "a", "name": "b"}}'
    assert call("POST", "/v1/pots", body).json == {"pot": {"name": "b"}}


def test_an_escape_that_only_looks_like_nul_is_text() -> None:
    body = b'{"pot": {"name": "\\\\u0000"}}'
    assert call("POST", "/v1/pots", body).json == {"pot": {"name": "\\u0000"}}


def test_many_brackets_side_by_side_are_not_deep() -> None:
    status, text = fault(call("POST", "/v1/pots", b'{"pot": [' + b"[]," * 400 + b"1]}"))
    assert (status, "nested" in text) == (400, False)


@pytest.mark.parametrize(
    "path",
    ["/v1/pots/%ff", "/v1/pots/%ed%a0%80", "/v1/pots?a=%ff", "/v1/pots?%ff=1", "/%ff"],
)
def test_a_url_that_is_no_text_is_refused(path: str, caplog: pytest.LogCaptureFixture) -> None:
    assert fault(call("GET", path)) == (400, "The URL is not UTF-8 text.")
    assert not caplog.records


@pytest.mark.parametrize(
    ("path", "status"), [("/v1/pots/%00", 404), ("/v1/pots?a=%00", 400), ("/v1/pots?%00=1", 400)]
)
def test_nothing_has_a_name_with_nul(
    path: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert fault(call("GET", path))[0] == status
    assert not caplog.records


def test_nobody_gets_no_work_done(caplog: pytest.LogCaptureFixture) -> None:
    endless = Endless()
    for method, path in [("GET", "/v1/pots"), ("POST", "/v1/pots"), ("POST", "/v1/pots/1/action")]:
        environ: Environ = {"wsgi.input": endless, "wsgi.input_terminated": True}
        response = call(method, path, by=None, environ=environ)
        status, text = fault(response)
        assert (status, text) == (401, "The request you have made requires authentication.")
        expected = 'Keystone uri="http://localhost/identity/v3"'
        assert response.headers["WWW-Authenticate"] == expected
    assert endless.taken == 0
    assert call("GET", "/v1/pots/1/lid", by=None).json == {"who": "anybody"}


def test_without_any_middleware_nobody_is_somebody() -> None:
    with pytest.raises(Unauthorized):
        _ = Request.blank("/").context


def test_who_may_not_is_told_which_policy_says_so() -> None:
    status, text = fault(call("PUT", "/v1/pots/1"))
    assert (status, text) == (403, f"Policy doesn't allow {ADMIN} to be performed.")


def test_a_rule_that_nobody_declared_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    admin = RequestContext("req-1", "u", roles=frozenset({"admin"}), system_scope=True)
    assert fault(call("POST", "/v1/pots/1/lid", by=admin))[0] == 500
    assert "no:such:rule" in caplog.text


def test_a_bug_is_told_to_the_log_and_not_to_the_client(caplog: pytest.LogCaptureFixture) -> None:
    status, text = fault(call("GET", "/v1/pots/bug/fire"))
    assert status == 500
    assert "hunter2" not in text and "KeyError" not in text
    (record,) = caplog.records
    assert record.levelno == logging.ERROR and record.exc_info
    assert "GET /v1/pots/bug/fire (req-2)" in record.getMessage()


def test_a_failure_of_ours_is_logged_in_a_line(caplog: pytest.LogCaptureFixture) -> None:
    assert fault(call("GET", "/v1/pots/worker/fire")) == (500, "the oven is away")
    assert [r.getMessage() for r in caplog.records] == [
        "GET /v1/pots/worker/fire (req-2): the oven is away"
    ]


def test_no_content_has_no_content_type() -> None:
    response = call("DELETE", "/v1/pots/1")
    assert (response.status_int, response.body) == (204, b"")
    assert "Content-Type" not in response.headers


def test_head_is_not_allowed_unless_declared_and_answers_have_no_body() -> None:
    response = call("HEAD", "/v1/pots")
    assert (response.status_int, response.body) == (405, b"")
    heads = Resource("")
    heads.on("HEAD", "/x", policy=PUBLIC)(lambda request: {"a": 1})
    response = webob.Request.blank("/x", method="HEAD").get_response(Api([heads], fault=answer))
    assert (response.status_int, response.body) == (200, b"")
    assert response.content_length == len(b'{"a":1}')


def test_the_first_path_that_fits_is_taken() -> None:
    both = Resource("/a")
    both.on("GET", "/special", policy=PUBLIC)(lambda request: "special")
    both.on("GET", "/{id}", policy=PUBLIC)(lambda request, id: id)
    api = Api([both], fault=answer)
    assert webob.Request.blank("/a/special").get_response(api).json == "special"
    assert webob.Request.blank("/a/other").get_response(api).json == "other"


def test_a_thing_is_rendered_as_its_microversion_has_it() -> None:
    fields = (
        Field("a", lambda x: x),
        Field("b", lambda x: x + 1, since=(2, 5)),
        Field("c", lambda x: x + 2, until=(2, 4)),
    )
    assert render(fields, 1, (2, 4)) == {"a": 1, "c": 3}
    assert render(fields, 1, (2, 5)) == {"a": 1, "b": 2}
    assert render(fields, 1) == {"a": 1, "c": 3}


def test_links_say_the_public_endpoint_where_there_is_one() -> None:
    request = Request.blank("/x", base_url="https://inside:8774")
    assert request.outside_url == "https://inside:8774"
    request.environ["nova_lite.public_endpoint"] = "https://cloud.example.com/api/"
    assert request.outside_url == "https://cloud.example.com/api"
