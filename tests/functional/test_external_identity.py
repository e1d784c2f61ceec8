"""auth_strategy = keystone: the users of one cloud are let in by the identity API of another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import webob

from nova_lite import config as options
from nova_lite.api.middleware import Application
from nova_lite.cmd import wiring
from nova_lite.db.models import Project, User
from nova_lite.testing.cloud import PASSWORD, Cloud
from tests.functional.identity_people import Json, Person, person

CONFIG = """
[api]
auth_strategy = keystone
[identity]
cache_seconds = 0
[keystone_authtoken]
auth_type = password
auth_url = {url}
username = admin
password = {password}
project_name = admin
user_domain_id = default
project_domain_id = default
"""


@dataclass
class Both:
    """`home` has the users and listens, `away` has the servers."""

    home: Cloud
    away: Cloud
    application: Application
    url: str

    def call(self, method: str, path: str, token: str = "", body: Any = None) -> webob.Response:
        request = webob.Request.blank(path, method=method)
        if token:
            request.headers["X-Auth-Token"] = token
        # What a client says of himself is no matter.
        request.headers.update({"X-Roles": "admin", "X-Identity-Status": "Confirmed"})
        if body is not None:
            request.json = body
        return request.get_response(self.application)


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads that."""


def stack(directory: Path, away: Cloud, url: str) -> Application:
    file = directory / "nova.conf"
    file.write_text(CONFIG.format(url=url, password=PASSWORD.replace("$", "$$")))
    return wiring.application(options.load((), files=[str(file)]), away.services)


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    for name in ("home", "away"):
        (tmp_path / name).mkdir()
    home, away = Cloud(tmp_path / "home", hosts=0), Cloud(tmp_path / "away", hosts=0)
    # Tokens are checked by the wall clock on the other side.
    home.clock.time = away.clock.time = wiring.now()
    server = make_server("127.0.0.1", 0, home.application, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/identity/v3"
    yield Both(home, away, stack(tmp_path, away, url), url)
    server.shutdown()
    thread.join()
    server.server_close()
    home.close()
    away.close()


def test_who_is_known_there_is_known_here(both: Both) -> None:
    joe = person(both.home, "joe", "member")
    assert both.call("GET", "/compute/v2.1/servers", joe.token).json == {"servers": []}
    key = {"keypair": {"name": "k"}}
    made = both.call("POST", "/compute/v2.1/os-keypairs", joe.token, key)
    assert made.status_int == 200, made.text
    network = {"network": {"name": "n"}}
    assert both.call("POST", "/network/v2.0/networks", joe.token, network).status_int in (201, 403)
    # Quotas have something to hold on to, by which nobody can log in.
    with both.away.database.read() as session:
        user, project = session.get(User, joe.id), session.get(Project, joe.project_id)
    assert user is not None and project is not None
    assert (user.name, user.password_hash) == (joe.id, "")


def test_roles_are_those_one_has_there(both: Both) -> None:
    ann = person(both.home, "ann", "reader")
    assert both.call("GET", "/compute/v2.1/servers", ann.token).status_int == 200
    key = {"keypair": {"name": "k"}}
    flavor = {"flavor": {"name": "f", "ram": 1, "vcpus": 1, "disk": 1}}
    assert both.call("POST", "/compute/v2.1/flavors", ann.token, flavor).status_int == 403
    assert both.call("POST", "/compute/v2.1/os-keypairs", ann.token, key).status_int == 403
    assert both.call("POST", "/compute/v2.1/flavors", both.home.token(), flavor).status_int == 200


def test_nobody_else_is_let_in(both: Both) -> None:
    for token in ("", "nonsense", both.away.token()):
        refused = both.call("GET", "/compute/v2.1/servers", token)
        assert refused.status_int == 401
        assert refused.headers["WWW-Authenticate"] == f'Keystone uri="{both.url}"'
    assert both.call("GET", "/compute").status_int == 200  # versions are for everybody


def test_our_own_identity_api_is_not_served(both: Both) -> None:
    assert both.call("GET", "/identity/v3", both.home.token()).status_int == 404
    assert "identity" not in both.call("GET", "/").json["apis"]


def test_a_token_that_is_revoked_there_is_dead_here(both: Both) -> None:
    joe = person(both.home, "joe", "member")
    assert both.call("GET", "/compute/v2.1/servers", joe.token).status_int == 200
    joe.call("DELETE", "/auth/tokens", headers={"X-Subject-Token": joe.token}, status=204)
    assert both.call("GET", "/compute/v2.1/servers", joe.token).status_int == 401


def test_access_rules_hold_here(both: Both) -> None:
    joe = person(both.home, "joe", "member")
    rule = {"service": "compute", "path": "/v2.1/servers", "method": "GET"}
    said = {"application_credential": {"name": "ci", "access_rules": [rule]}}
    path = f"/users/{joe.id}/application_credentials"
    made = joe.call("POST", path, said, status=201).json["application_credential"]
    shown = {key: made[key] for key in ("id", "secret")}
    token, _ = joe.log_in(application_credential=shown)
    assert both.call("GET", "/compute/v2.1/servers", token).status_int == 200
    assert both.call("GET", "/compute/v2.1/flavors", token).status_int == 401
    assert both.call("GET", "/image/v2/images", token).status_int == 401


def test_scopes_and_trusts_come_along(both: Both) -> None:
    joe, ann = person(both.home, "joe", "member"), person(both.home, "ann", "reader")
    text, _ = ann.log_in(by(trust(joe, ann)))
    assert both.call("GET", "/compute/v2.1/servers", text).status_int == 200
    system = both.home.identity.call("POST", "/v3/auth/tokens", login({"system": {"all": True}}))
    asked = both.call("GET", "/compute/v2.1/os-services", system.headers["X-Subject-Token"])
    assert asked.status_int == 200, asked.text


def test_without_an_answer_nothing_can_be_said(both: Both, tmp_path: Path) -> None:
    token = both.home.token()
    both.application = stack(tmp_path, both.away, "http://127.0.0.1:9/v3")
    assert both.call("GET", "/compute/v2.1/servers", token).status_int == 503
    # Nor when it does not know itself where it can be asked.
    [endpoint] = [
        one["id"]
        for one in both.home.identity.get("/v3/endpoints?interface=internal")["endpoints"]
        if one["url"].endswith("/identity/v3") or one["url"] == "/identity/v3"
    ]
    both.home.identity.delete(f"/v3/endpoints/{endpoint}")
    both.application = stack(tmp_path, both.away, both.url)
    assert both.call("GET", "/compute/v2.1/servers", token).status_int == 503


def login(scope: Json) -> Json:
    user = {"name": "admin", "domain": {"id": "default"}, "password": PASSWORD}
    identity = {"methods": ["password"], "password": {"user": user}}
    return {"auth": {"identity": identity, "scope": scope}}


def trust(giver: Person, taker: Person) -> Json:
    body = {
        "trustor_user_id": giver.id,
        "trustee_user_id": taker.id,
        "project_id": giver.project_id,
        "impersonation": False,
        "roles": [{"name": "member"}],
    }
    answer = giver.call("POST", "/OS-TRUST/trusts", {"trust": body}, status=201)
    made: Json = answer.json["trust"]
    return made


def by(made: Json) -> Json:
    return {"OS-TRUST:trust": {"id": made["id"]}}
