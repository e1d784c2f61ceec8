"""Users, their options and their passwords."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import sqlalchemy as sa

from nova_lite.db.models import KeyPair, User
from nova_lite.testing.cloud import Cloud, Facade
from tests.functional.identity_site import (
    UNKNOWN,
    change,
    make,
    role_id,
)


def test_a_user_has_the_options_that_are_set(identity: Facade) -> None:
    rules = [["password", "totp"], ["password"]]
    options = {"multi_factor_auth_rules": rules, "ignore_password_expiry": True}
    user = make(identity, "user", name="ann", options=options)
    assert user["options"] == options and user["password_expires_at"] is None
    changed = change(
        identity,
        "user",
        user["id"],
        options={"ignore_password_expiry": None, "lock_password": True},
    )
    assert changed["options"] == {"multi_factor_auth_rules": rules, "lock_password": True}
    for bad in ({"shoe": 1}, {"lock_password": "x"}, {"multi_factor_auth_rules": [["a"], ["a"]]}):
        assert "options" in change(identity, "user", user["id"], options=bad, status=400)["message"]


def test_a_locked_password_is_changed_by_an_admin_alone(cloud: Cloud, identity: Facade) -> None:
    ann = make(identity, "user", name="ann", password="first", options={"lock_password": True})
    path = f"/v3/users/{ann['id']}/password"
    body = {"user": {"original_password": "first", "password": "second"}}
    error = identity.call("POST", path, body, status=400, token="").json["error"]
    assert "locked" in error["message"]
    wrong = {"user": {"original_password": "wrong", "password": "second"}}
    identity.call("POST", path, wrong, status=401, token="")
    change(identity, "user", ann["id"], password="third")
    change(identity, "user", ann["id"], options={"lock_password": False})
    body["user"]["original_password"] = "third"
    identity.call("POST", path, body, status=204, token="")


def test_a_default_project_is_no_domain(identity: Facade) -> None:
    values: dict[str, Any] = {"name": "ann", "default_project_id": "default"}
    error = identity.call("POST", "/v3/users", {"user": values}, status=400).json["error"]
    assert "default_project_id" in error["message"]
    ann = make(identity, "user", name="ann", default_project_id=UNKNOWN)
    assert ann["default_project_id"] == UNKNOWN
    change(identity, "user", ann["id"], default_project_id="default", status=400)
    changed = change(identity, "user", ann["id"], default_project_id=None)
    assert changed["default_project_id"] is None


@pytest.mark.parametrize("kind", ["user", "group"])
def test_nobody_moves_to_another_domain(identity: Facade, kind: str) -> None:
    acme = make(identity, "domain", name="acme")["id"]
    id = make(identity, kind, name="x")["id"]
    assert change(identity, kind, id, domain_id="default")["domain_id"] == "default"
    error = change(identity, kind, id, domain_id=acme, status=400)
    assert "domain_id" in error["message"]


def test_neither_password_nor_hash_is_ever_shown(
    cloud: Cloud, identity: Facade, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    user = make(identity, "user", name="ann", password="secret-ann", email="ann@example.org")
    assert user["email"] == "ann@example.org" and "password" not in user
    shown = identity.call("GET", "/v3/users").text + identity.call("GET", "/v3/roles").text
    assert "argon2" not in shown and "secret" not in shown
    path = f"/v3/users/{user['id']}"
    bad: list[dict[str, Any]] = [
        {"password": ["secret-x"]},
        {"password": "secret-x" * 1000},
        {"password": "secret-x", "name": ""},
        {"password": "secret-x", "enabled": "perhaps"},
        {"password": "secret-x", "options": {"lock_password": 7}},
    ]
    for values in bad:
        error = identity.call("PATCH", path, {"user": values}, status=400)
        assert "user" in error.text and "secret-x" not in error.text
    error = identity.call("POST", "/v3/users", {"user": {"password": "secret-x"}}, status=400)
    assert "name" in error.text and "secret-x" not in error.text
    identity.call("POST", "/v3/users", {"user": {"name": "bob"}, "shoe": 44}, status=400)
    assert "secret-" not in caplog.text


def test_an_admin_sets_a_password_and_takes_it_away(cloud: Cloud, identity: Facade) -> None:
    user = make(identity, "user", name="ann", password="first")["id"]
    project = cloud.admin.project_id
    identity.put(f"/v3/projects/{project}/users/{user}/roles/{role_id(identity, 'reader')}", None)
    token = cloud.token("ann", "first")
    identity.patch(f"/v3/users/{user}", {"user": {"password": "second"}})
    identity.call("GET", "/v3/auth/projects", status=401, token=token)
    cloud.token("ann", "second")
    identity.patch(f"/v3/users/{user}", {"user": {"password": None}})
    with cloud.database.read() as session:
        assert session.scalar(sa.select(User.password_hash).filter_by(id=user)) == ""


def test_a_user_changes_his_password_by_knowing_it(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, _, token = joe
    path = f"/v3/users/{user}/password"
    wrong = {"user": {"original_password": "wrong", "password": "secret-new"}}
    identity.call("POST", path, wrong, status=401, token=token)
    identity.call("POST", path, {"user": {"password": "secret-new"}}, status=400, token=token)
    right = {"user": {"original_password": "secret-joe", "password": "secret-new"}}
    identity.call("POST", path, right, status=204, token="")
    identity.call("GET", "/v3/auth/projects", status=401, token=token)
    cloud.token("joe", "secret-new", "joes")
    identity.call("POST", "/v3/users/%00/password", right, status=404, token="")


def test_a_user_takes_roles_and_key_pairs_with_him(
    cloud: Cloud, identity: Facade, joe: tuple[str, str, str]
) -> None:
    user, project, _ = joe
    with cloud.database.write() as session:
        session.add(
            KeyPair(user_id=user, name="k", fingerprint="", public_key="", created_at=cloud.clock())
        )
    identity.delete(f"/v3/users/{user}")
    found = identity.get(f"/v3/role_assignments?scope.project.id={project}")
    assert found["role_assignments"] == []
    with cloud.database.read() as session:
        assert session.scalars(sa.select(KeyPair)).all() == []
