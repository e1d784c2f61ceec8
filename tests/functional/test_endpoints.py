"""What holds for every endpoint there is: who may call it, and that nothing breaks it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import fastjsonschema
import jsonschema
import orjson
import pytest
import webob
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from nova_lite.api.declare import PUBLIC
from nova_lite.api.rules import RULES
from tests.functional.endpoints import Declared, declared, example, spoiled
from tests.functional.town import OWNED, UNKNOWN, Town

ENDPOINTS = list(declared())
#: Of each endpoint as it is at the newest microversion: the shapes before it are narrower.
NEWEST = list({(e.endpoint.method, e.template, e.endpoint.action): e for e in ENDPOINTS}.values())


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.real)]
)
def town(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Town]:
    database = None
    if request.param != "sqlite":
        database = request.getfixturevalue(request.param).fresh_database()
    town = Town(tmp_path_factory.mktemp("town"), database)
    yield town
    town.cloud.close()


_numbers = itertools.count()


def fresh(body: Any) -> Any:
    """The same body, with a name that nothing has yet."""
    return body and orjson.loads(orjson.dumps(body).replace(b"thing", b"thing%d" % next(_numbers)))


def test_every_endpoint_has_a_rule_that_is_declared_or_is_meant_to_be_public() -> None:
    assert {e.endpoint.policy for e in ENDPOINTS} - {PUBLIC} <= RULES.keys()
    public = {e.name for e in ENDPOINTS if e.endpoint.policy is PUBLIC}
    assert all(re.match("(GET|HEAD) ", name) for name in public - WITHOUT_A_TOKEN), public


#: Who uploads with a signed link has no token; without either it is 401 there.
WITHOUT_A_TOKEN = {
    "POST /identity/v3/auth/tokens",
    "POST /identity/v3/users/{id}/password",
    "PUT /image/v2/images/{id}/file",
}


def test_who_may_call_what_is_written_down(
    tmp_path: Path, golden: Callable[[str, str], None]
) -> None:
    """The table: the status for everybody, with ids of nothing; for the stranger, of others'."""
    town = Town(tmp_path)
    roles = ("nobody", "reader", "member", "admin", "stranger")
    rows = []
    for each in ENDPOINTS:
        answers = [
            town.call(each, role, town.known if role == "stranger" else {}, fresh(each.body()))
            for role in roles
        ]
        if each.endpoint.policy is not PUBLIC:
            assert answers[0].status_int == 401, each.name
            assert "WWW-Authenticate" in answers[0].headers, each.name
        rows.append((each, [answer.status_int for answer in answers]))
    assert not [each.name for each, statuses in rows if any(s >= 500 for s in statuses)]
    assert not town.cloud.unfinished()
    town.cloud.close()
    lines = [f"{'method':6} {'endpoint':83} {'versions':10} {'policy':54} {' '.join(roles)}"]
    for each, statuses in rows:
        place = " ".join(word for word in (each.template, each.endpoint.action) if word)
        columns = f"{each.endpoint.method:6} {place:83} {each.versions or 'all':10} "
        columns += f"{each.endpoint.policy:54} "
        lines.append(
            columns + " ".join(f"{s:<{len(r)}}" for s, r in zip(statuses, roles, strict=True))
        )
    golden("endpoints.txt", "".join(f"{line.rstrip()}\n" for line in lines))


def test_to_a_stranger_what_is_anothers_looks_as_if_it_were_not(town: Town) -> None:
    differing = []
    for each in ENDPOINTS:
        collections = [p for p, q in itertools.pairwise(each.template.split("/")) if q[:1] == "{"]
        if not collections or collections[0] not in OWNED:
            continue
        body = each.body()
        there = town.call(each, "stranger", town.known, body)
        nowhere = town.call(each, "stranger", {}, body)
        if there.status_int != nowhere.status_int or there.status_int < 400:
            differing.append((each.name, there.status, nowhere.status))
    assert not differing
    for path in ("/compute/v2.1/servers", "/image/v2/images", "/network/v2.0/ports"):
        kept = f"{path}/{town.known[path.split('/')[-1]]}"
        town.root.get(kept, token=town.tokens["member"])


@pytest.mark.no_cover
@pytest.mark.parametrize("each", NEWEST, ids=lambda each: each.name)
def test_no_body_and_no_path_breaks_an_endpoint(town: Town, each: Declared) -> None:
    broken = []

    def check(what: object, response: webob.Response) -> None:
        if response.status_int == 500:
            broken.append((repr(what)[:300], response.text[:300]))
        assert response.status_int < 400 or response.body[:1] in (b"{", b""), response.text

    if each.endpoint.body is not None:
        for body in spoiled(each.endpoint.body):
            check(body, town.call(each, "admin", town.known, body))
    for data in BODIES if each.endpoint.method in ("POST", "PUT", "PATCH") else ():
        for kind in ("application/json", "text/html"):
            path = each.path(town.known, UNKNOWN)
            headers = {"Content-Type": kind}
            how: dict[str, Any] = {"version": each.version, "headers": headers, "data": data}
            check(data[:50], town.root.call(each.endpoint.method, path, **how))
    if "{" in each.template and each.endpoint.method != "DELETE":
        for odd in PARTS:
            path = each.path({}, odd)
            body = each.body()
            response = town.root.call(each.endpoint.method, path, body, version=each.version)
            check(path, response)
    assert not broken


BODIES = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'""',
    b"0",
    b"NaN",
    b"[" * 100_000,
    b"[" * 1000 + b"]" * 1000,
    b'{"a":' * 1000 + b"1" + b"}" * 1000,
    b"1" + b"0" * 400,
    b'{"auth": "\\ud800"}',
    b'{"auth": "\xff"}',
    b"\xef\xbb\xbf{}",
    b"<?xml version='1.0'?><server/>",
)
PARTS = ("%00", "a%00b", "%ff", "%0d%0aX:%20y", "..", "%2e%2e%2f", "x" * 5000, "%F0%9F%92%A9", "-1")


LISTS = [e for e in NEWEST if e.endpoint.method == "GET" and not e.template.endswith("}")]


def asked_of(each: Declared, *, thin: bool) -> Iterable[tuple[str, str]]:
    """Each parameter with each value, or a third of that, another one for each list."""
    everything = itertools.product(PARAMETERS, VALUES)
    return itertools.islice(everything, len(each.name) % 3, None, 3) if thin else everything


@pytest.mark.no_cover  # what it finds is found by breadth; the lines are those of other tests
@pytest.mark.parametrize("each", LISTS, ids=lambda each: each.name)
def test_no_query_breaks_a_list(town: Town, each: Declared) -> None:
    broken = []
    path = each.path(town.known, UNKNOWN)
    for name, value in asked_of(each, thin=town.cloud.database.engine.dialect.name != "sqlite"):
        response = town.root.call("GET", f"{path}?{name}={value}", version=each.version)
        text = response.body  # to its end, which closes the file of an image
        if response.status_int == 500:
            broken.append((name, value[:40], text[:300]))
    assert not broken


#: What any list may be asked for, and some that none may.
PARAMETERS = (
    *("limit", "marker", "sort_key", "sort_dir", "sort", "page_reverse", "fields"),
    *("name", "id", "status", "uuid", "host", "ip", "flavor", "image", "all_tenants", "deleted"),
    *("changes-since", "tags", "tag", "minRam", "minDisk", "is_public", "user_id", "tenant_id"),
    *("project_id", "domain_id", "enabled", "visibility", "size_min", "created_at", "network_id"),
    *("device_id", "fixed_ips", "cidr", "shared", "router:external", "reserved", "%00", "%ff"),
)
VALUES = (
    *(
        "",
        "0",
        "-1",
        "99999999999",
        "9" * 30,
        "true",
        "%00",
        "%ff",
        "a%0d%0ab",
        "%25",
        "'",
        "(a+)+$",
    ),
    *("id:asc,", "in:", "in:%22", "gt:x", "lt:2030", "ip_address=x", UNKNOWN, "x" * 3000),
    *("2030-01-01", "2030-13-45T99:99:99Z", "0000-00-00", "9999-12-31T23:59:59-23:59"),
)

SCHEMAS = {
    f"{e.name} {kind}": schema
    for e in ENDPOINTS
    for kind, schema in (("body", e.endpoint.body), ("query", e.endpoint.query))
    if schema is not None
}
_scalars = (
    some.none()
    | some.booleans()
    | some.integers(-(1 << 63), 1 << 64)
    | some.floats(allow_nan=False, allow_infinity=False)
    | some.text(max_size=10)
    | some.sampled_from(["thing", "10", "10.0.0.0/8", UNKNOWN, "fa:16:3e:00:00:01", "active"])
)
_anything = some.recursive(
    _scalars, lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner), max_leaves=5
)


@pytest.mark.no_cover
@pytest.mark.parametrize("name", SCHEMAS)
def test_what_a_schema_lets_through_two_validators_agree_on(name: str) -> None:
    schema = dict(SCHEMAS[name])
    jsonschema.Draft7Validator.check_schema(schema)
    quick = fastjsonschema.compile(schema, use_default=False)
    slow = jsonschema.Draft7Validator(schema)

    def agrees(value: Any) -> None:
        try:
            quick(value)
            verdict = True
        except fastjsonschema.JsonSchemaValueException:
            verdict = False
        assert verdict == slow.is_valid(value), value

    good = example(schema)
    agrees(good)
    for value in spoiled(schema):
        agrees(value)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
    @given(like(schema))
    def check(value: Any) -> None:
        agrees(value)

    check()


def like(schema: Mapping[str, Any]) -> some.SearchStrategy[Any]:
    """Values of about the shape that `schema` wants, and others."""
    if "properties" in schema:
        named = {name: like(inner) for name, inner in schema["properties"].items()}
        required = {name: named[name] for name in schema.get("required", ()) if name in named}
        optional = {name: named[name] for name in named.keys() - required.keys()}
        return some.fixed_dictionaries(required, optional=optional) | _anything
    if "items" in schema:
        return some.lists(like(schema["items"]), max_size=3) | _anything
    if "enum" in schema:
        return some.sampled_from(schema["enum"]) | _anything
    options = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    return some.one_of(*map(like, options), _anything) if options else _anything
