"""Logging in and tokens through the identity API, as clients see them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import pytest
import webob

from nova_lite.testing.cloud import PASSWORD, Cloud
from tests.functional.identity_people import person

DOMAIN = {"id": "default"}
ADMIN = {"user": {"name": "admin", "domain": {"name": "Default"}, "password": PASSWORD}}
IN_ADMIN = {"project": {"name": "admin", "domain": DOMAIN}}


def auth(scope: Any = None, **proofs: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"identity": {"methods": list(proofs), **proofs}}
    return {"auth": body if scope is None else {**body, "scope": scope}}


def log_in(cloud: Cloud, body: Any, path: str = "/v3/auth/tokens") -> tuple[str, dict[str, Any]]:
    response = cloud.identity.call("POST", path, body, status=201, token="")
    token: dict[str, Any] = response.json["token"]
    return response.headers["X-Subject-Token"], token


def ask(
    cloud: Cloud, method: str, subject: str, token: str | None = None, query: str = ""
) -> webob.Response:
    headers = {"X-Subject-Token": subject}
    return cloud.identity.call(method, f"/v3/auth/tokens{query}", headers=headers, token=token)


def error_of(response: webob.Response) -> tuple[int, str]:
    """The one form errors have here."""
    error = response.json["error"]
    assert set(error) == {"code", "message", "title"}
    assert error["code"] == response.status_int and response.status.endswith(error["title"])
    return error["code"], error["message"]


def test_the_versions_are_told_to_anybody_with_links_from_outside(cloud: Cloud) -> None:
    root = cloud.identity.call("GET", "", status=300, token="").json
    [version] = root["versions"]["values"]
    assert version["id"].startswith("v3.") and version["status"] == "stable"
    assert version["links"] == [{"rel": "self", "href": "http://localhost/identity/v3/"}]
    assert cloud.identity.get("/v3", token="") == {"version": version}
    assert cloud.identity.get("/v3/", token="") == {"version": version}


def test_a_project_token_has_the_form_keystone_gives_it(cloud: Cloud) -> None:
    text, token = log_in(cloud, auth(IN_ADMIN, password=ADMIN))
    assert set(token) == {
        "methods",
        "user",
        "audit_ids",
        "expires_at",
        "issued_at",
        "project",
        "is_domain",
        "roles",
        "catalog",
    }
    default = {"id": "default", "name": "Default"}
    assert token["methods"] == ["password"] and token["is_domain"] is False
    assert set(token["user"]) == {"domain", "id", "name", "password_expires_at"}
    assert token["user"]["domain"] == token["project"]["domain"] == default
    assert token["user"]["name"] == token["project"]["name"] == "admin"
    assert [role["name"] for role in token["roles"]] == ["admin", "manager", "member", "reader"]
    form = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")
    assert form.match(token["issued_at"]) and form.match(token["expires_at"])
    identity = token["catalog"][0]
    assert (identity["type"], identity["name"]) == ("identity", "keystone")
    assert [endpoint["interface"] for endpoint in identity["endpoints"]] == [
        "public",
        "internal",
        "admin",
    ]
    assert {"id", "interface", "region", "region_id", "url"} == set(identity["endpoints"][0])
    assert identity["endpoints"][0]["url"] == "http://localhost/identity/v3"
    assert cloud.identity.get("/v3/auth/projects", token=text)["projects"][0]["name"] == "admin"


def test_domain_system_and_no_scope_say_so(cloud: Cloud) -> None:
    user = cloud.identity.get("/v3/users?name=admin")["users"][0]["id"]
    [reader] = cloud.identity.get("/v3/roles?name=reader")["roles"]
    cloud.identity.put(f"/v3/domains/default/users/{user}/roles/{reader['id']}", None)
    _, token = log_in(cloud, auth({"domain": {"name": "Default"}}, password=ADMIN))
    assert token["domain"] == {"id": "default", "name": "Default"} and "project" not in token
    assert [role["name"] for role in token["roles"]] == ["reader"]
    _, token = log_in(cloud, auth({"system": {"all": True}}, password=ADMIN))
    assert token["system"] == {"all": True} and token["catalog"]
    scopes: list[Any] = ["unscoped", {"unscoped": {}}]
    for scope in scopes:
        text, token = log_in(cloud, auth(scope, password=ADMIN))
        assert not {"project", "domain", "system", "roles", "catalog"} & set(token)
    # It is good to find out where to go.
    assert cloud.identity.get("/v3/auth/domains", token=text)["domains"][0]["id"] == "default"
    in_project = {"project": {"id": cloud.admin.project_id}}
    _, scoped = log_in(cloud, auth(in_project, token={"id": text}))
    assert scoped["methods"] == ["password", "token"] and len(scoped["audit_ids"]) == 2
    assert scoped["expires_at"] == token["expires_at"]


def test_the_catalog_can_be_left_out_and_asked_for_alone(cloud: Cloud) -> None:
    text, token = log_in(cloud, auth(IN_ADMIN, password=ADMIN), "/v3/auth/tokens?nocatalog")
    assert "catalog" not in token and token["roles"]
    assert "catalog" not in ask(cloud, "GET", text, text, "?nocatalog=1").json["token"]
    whole = ask(cloud, "GET", text, text).json["token"]["catalog"]
    assert cloud.identity.get("/v3/auth/catalog", token=text)["catalog"] == whole


def test_a_token_can_be_looked_at_checked_and_taken_back(cloud: Cloud) -> None:
    text, token = log_in(cloud, auth(IN_ADMIN, password=ADMIN))
    shown = ask(cloud, "GET", text)
    assert shown.status_int == 200 and shown.json["token"] == token
    assert shown.headers["X-Subject-Token"] == text and shown.headers["Vary"] == "X-Auth-Token"
    checked = ask(cloud, "HEAD", text)
    assert (checked.status_int, checked.body) == (200, b"")
    assert ask(cloud, "DELETE", text, text).status_int == 204
    code, _ = error_of(cloud.identity.call("GET", "/v3/projects", token=text))
    assert code == 401
    assert error_of(ask(cloud, "GET", text))[0] == 404
    assert error_of(ask(cloud, "GET", ""))[0] == 404


def test_a_token_that_ended_opens_nothing(cloud: Cloud) -> None:
    text, token = log_in(cloud, auth(IN_ADMIN, password=ADMIN))
    end = dt.datetime.strptime(token["expires_at"], "%Y-%m-%dT%H:%M:%S.%f%z")
    cloud.clock.time = end - dt.timedelta(milliseconds=1)
    cloud.identity.call("GET", "/v3/auth/projects", status=200, token=text)
    cloud.clock.time = end
    refused = cloud.identity.call("GET", "/v3/auth/projects", status=401, token=text)
    assert refused.headers["WWW-Authenticate"] == 'Keystone uri="http://localhost/identity/v3"'


@pytest.mark.parametrize(
    "user",
    [
        {"name": "admin", "domain": DOMAIN, "password": "wrong"},
        {"name": "nobody", "domain": DOMAIN, "password": PASSWORD},
        {"name": "admin", "domain": {"name": "nowhere"}, "password": PASSWORD},
        {"id": "0" * 32, "password": PASSWORD},
    ],
)
def test_a_login_that_fails_does_not_say_why(cloud: Cloud, user: Any) -> None:
    body = auth(password={"user": user})
    response = cloud.identity.call("POST", "/v3/auth/tokens", body, token="")
    assert error_of(response) == (401, "The request you have made requires authentication.")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({}, "auth"),
        ({"auth": PASSWORD}, "auth"),
        ({"auth": {}}, "auth.identity"),
        ({"auth": {"identity": {"methods": "password"}}}, "auth.identity.methods"),
        (auth(password={}), "auth.identity.password.user"),
        (auth(password={"user": {"password": PASSWORD}}), "auth.identity.password.user.name"),
        (auth(password={"user": {"name": "a", "password": PASSWORD}}), "user.domain"),
        (auth(password={"user": {"id": "a"}}), "auth.identity.password.user.password"),
        (auth(password={"user": {"id": "a", "password": [PASSWORD]}}), "user.password"),
        (auth(password={"user": {"id": "a", "password": PASSWORD * 400}}), "user.password"),
        (auth(password={"user": {"id": "\0", "password": PASSWORD}}), "user.id"),
        (auth(token={}), "auth.identity.token.id"),
        (auth("everything", password=ADMIN), "auth.scope"),
        (auth({"project": {"id": "a"}, "system": {"all": True}}, password=ADMIN), "auth.scope"),
        (auth({"system": {"all": False}}, password=ADMIN), "auth.scope"),
        (auth({"galaxy": {"id": "a"}}, password=ADMIN), "auth.scope"),
        (auth({"project": {"name": "a"}}, password=ADMIN), "auth.scope.project.domain"),
    ],
)
def test_a_malformed_login_names_the_field_and_repeats_no_secret(
    cloud: Cloud, body: Any, field: str
) -> None:
    response = cloud.identity.call("POST", "/v3/auth/tokens", body, token="")
    code, message = error_of(response)
    assert code == 400 and f"{field}." in message
    assert PASSWORD not in response.text


def test_without_a_method_nobody_shows_who_he_is(cloud: Cloud) -> None:
    body: Any = {"auth": {"identity": {"methods": []}}}
    assert error_of(cloud.identity.call("POST", "/v3/auth/tokens", body, token=""))[0] == 401


def test_methods_that_are_not_served_are_refused(cloud: Cloud) -> None:
    body = auth(password=ADMIN, totp={"user": {"id": "a", "passcode": "1"}})
    response = cloud.identity.call("POST", "/v3/auth/tokens", body, token="")
    assert error_of(response) == (401, "Attempted to authenticate with an unsupported method.")


def test_the_catalog_alone_is_for_who_is_in_a_project(cloud: Cloud) -> None:
    text, _ = log_in(cloud, auth("unscoped", password=ADMIN))
    assert cloud.identity.call("GET", "/v3/auth/catalog", token=text).status_int == 403


def test_who_has_a_role_on_the_system_is_told_so(cloud: Cloud) -> None:
    shown = cloud.identity.get("/v3/auth/system")
    assert shown["system"] == [{"all": True}]
    assert shown["links"]["self"] == "http://localhost/identity/v3/auth/system"
    joe = person(cloud, "joe", "member")
    assert joe.call("GET", "/auth/system").json["system"] == []
    assert joe.call("HEAD", "/auth/system").status_int == 200


def test_a_system_token_is_not_exchanged_for_one_of_a_project(cloud: Cloud) -> None:
    text, _ = log_in(cloud, auth({"system": {"all": True}}, password=ADMIN))
    for scope in (IN_ADMIN, {"domain": DOMAIN}):
        body = auth(scope, token={"id": text})
        assert error_of(cloud.identity.call("POST", "/v3/auth/tokens", body, token=""))[0] == 403
    _, token = log_in(cloud, auth("unscoped", token={"id": text}))
    assert token["methods"] == ["password", "token"]


def test_a_token_that_is_none_is_no_token_to_log_in_with(cloud: Cloud) -> None:
    for text in ("nonsense", ""):
        body = auth(token={"id": text})
        assert error_of(cloud.identity.call("POST", "/v3/auth/tokens", body, token=""))[0] == 404


def test_those_made_from_a_token_go_with_it(cloud: Cloud) -> None:
    first, _ = log_in(cloud, auth("unscoped", password=ADMIN))
    second, _ = log_in(cloud, auth(IN_ADMIN, token={"id": first}))
    third, _ = log_in(cloud, auth(IN_ADMIN, token={"id": first}))
    assert ask(cloud, "DELETE", second).status_int == 204
    assert [ask(cloud, "GET", text).status_int for text in (first, second, third)] == [
        200,
        404,
        200,
    ]
    assert ask(cloud, "DELETE", first).status_int == 204
    assert [ask(cloud, "GET", text).status_int for text in (first, third)] == [404, 404]


def test_a_token_that_ended_is_explained_to_operators_for_two_days(cloud: Cloud) -> None:
    joe = person(cloud, "joe", "member")
    cloud.clock.pass_seconds(3601)
    admin, again = cloud.token(), joe.log_in({"project": {"id": joe.project_id}})[0]
    assert ask(cloud, "GET", joe.token, admin).status_int == 404
    shown = ask(cloud, "GET", joe.token, admin, "?allow_expired=1")
    assert shown.json["token"]["user"]["name"] == "joe"
    assert ask(cloud, "GET", joe.token, again, "?allow_expired=1").status_int == 404
    cloud.clock.pass_seconds(2 * 24 * 3600)
    late = ask(cloud, "GET", joe.token, cloud.token(), "?allow_expired=1")
    assert late.status_int == 404
