"""What every answer has, whatever was asked: an id, headers, errors in the API's own form."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import webob

from nova_lite.api.compute.app import FAULTS
from tests.functional.endpoints import NEWEST, declared, said
from tests.functional.town import UNKNOWN, Town

ENDPOINTS = list(declared())
REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")


def of_identity(status: int, body: Any) -> bool:
    error = body["error"]
    return set(error) == {"code", "title", "message"} and error["code"] == status


def of_compute(status: int, body: Any) -> bool:
    [(word, error)] = body.items()
    named = word == FAULTS.get(status, "computeFault")
    return named and set(error) == {"code", "message"} and error["code"] == status


def of_image(status: int, body: Any) -> bool:
    known = set(body) == {"message", "code", "title"}
    return known and body["code"] == f"{status} {body['title']}"


def of_network(status: int, body: Any) -> bool:
    error = body["NeutronError"]
    return set(error) == {"type", "message", "detail"} and error["type"] != ""


def of_placement(status: int, body: Any) -> bool:
    [error] = body["errors"]
    return set(error) == {"status", "title", "detail", "code"} and error["status"] == status


FORMS: dict[str, Callable[[int, Any], bool]] = {
    "identity": of_identity,
    "compute": of_compute,
    "image": of_image,
    "network": of_network,
    "placement": of_placement,
}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("town"))
    yield town
    town.cloud.close()


def complaints(facade: str, method: str, response: webob.Response) -> Iterator[str]:
    """What is wrong with an answer of that API to `method`, if something is."""
    headers = response.headers
    id = headers.getall("x-openstack-request-id")
    if len(id) != 1 or not REQUEST_ID.match(id[0]):
        yield f"request ids {id}"
    if facade == "compute":
        if headers.getall("x-compute-request-id") != id:
            yield "no id of compute's"
    if facade in NEWEST and response.status_int != 406:
        yield from _version_complaints(facade, headers)
    if facade == "identity" and "X-Auth-Token" not in headers.get("Vary", ""):
        yield "caches would mix up who asks"
    if response.status_int == 401 and "Keystone uri=" not in headers.get("WWW-Authenticate", ""):
        yield "nobody is told where to log in"
    if response.status_int >= 400 and method != "HEAD":
        if response.content_type != "application/json":
            yield f"an error in {response.content_type}"
        elif not FORMS[facade](response.status_int, response.json):
            yield f"an error like {response.text}"


def _version_complaints(facade: str, headers: Any) -> Iterator[str]:
    agreed, old = headers.get("OpenStack-API-Version", ""), "X-OpenStack-Nova-API-Version"
    vary = {"OpenStack-API-Version"}
    if not re.fullmatch(rf"{facade} {NEWEST[facade][0]}\.[0-9]+", agreed):
        yield f"version {agreed}"
    if facade == "compute":
        vary.add(old)
        if agreed != f"compute {headers.get(old)}":
            yield f"versions {agreed} and {headers.get(old)}"
    if not vary <= set(headers.get("Vary", "").split(", ")):
        yield f"Vary: {headers.get('Vary')}"


def test_every_answer_says_what_it_has_to(town: Town) -> None:
    """As nobody, as a reader, and as an admin who names what is not there, or says nothing."""
    wrong, seen = [], set()
    for each in ENDPOINTS:
        empty: Any = {} if each.endpoint.method in ("POST", "PUT", "PATCH") else None
        for who, body in (("nobody", empty), ("reader", empty), ("admin", empty)):
            response = town.call(each, who, {}, None if each.endpoint.raw else body)
            seen.add(response.status_int)
            wrong += [
                (each.name, who, what)
                for what in complaints(each.facade, each.endpoint.method, response)
            ]
    assert not wrong
    assert {200, 300, 400, 401, 403, 404} <= seen


def test_what_is_nowhere_and_what_is_not_done_there_are_errors_of_the_api_too(town: Town) -> None:
    wrong = []
    by_path: dict[tuple[str, str], set[str]] = {}
    for each in ENDPOINTS:
        by_path.setdefault((each.facade, each.path({}, UNKNOWN)), set()).add(each.endpoint.method)
    # The API before microversions is but a document.
    del by_path["compute", "/compute/v2"]
    for (facade, path), methods in by_path.items():
        asked = [("OPTIONS", path, 405), ("GET", f"{path}/no/such/thing/at/all", 404)]
        for method, where, status in asked:
            response = town.root.call(method, where)
            wrong += [(method, where, what) for what in complaints(facade, method, response)]
            if response.status_int != status:
                wrong.append((method, where, response.status))
            if status == 405 and not methods <= set(response.headers["Allow"].split(", ")):
                wrong.append((method, where, response.headers["Allow"]))
    assert not wrong


@pytest.mark.parametrize("facade", NEWEST)
def test_above_the_ceiling_nothing_is_acceptable(town: Town, facade: str) -> None:
    beyond = said((NEWEST[facade][0], NEWEST[facade][1] + 1))
    for each in ENDPOINTS:
        if each.facade != facade or each.endpoint.method == "HEAD":
            continue
        path = each.path({}, UNKNOWN)
        response = town.root.call(each.endpoint.method, path, version=beyond, status=406)
        assert not list(complaints(facade, "", response)), each.name
        assert beyond in response.text


@pytest.mark.parametrize(("path", "status"), [("/identity", 300), ("/image", 300)])
def test_the_roots_leave_the_choice_of_a_version(town: Town, path: str, status: int) -> None:
    for where in (path, f"{path}/"):
        response = town.root.call("GET", where, token="", status=status)
        assert response.content_type == "application/json"
        assert response.headers.get("Vary") or path == "/image"
        assert "versions" in response.json
