"""What hostile clients try on the identity API alone, by the numbers of the catalogue of attacks.

What is given to the tokens, trusts and application credentials (F7 to F11) is with
those of each; there are no signed requests yet that one could replay or change
(F3, F5, F6), and no door to ask what such a signature is worth (F4).
"""

from __future__ import annotations

import base64

import pytest
import sqlalchemy as sa

from nova_lite.testing.cloud import Cloud
from nova_lite.testing.haste import within
from tests.functional.identity_people import Person, person


@pytest.fixture
def joe(cloud: Cloud) -> Person:
    return person(cloud, "joe", "member")


@pytest.mark.parametrize(
    "path", ["/v3/ec2tokens", "/v2.0/ec2tokens", "/v3/s3tokens", "/v3/OS-OAUTH1/access_token"]
)
def test_f4_nothing_is_made_of_a_signature(cloud: Cloud, joe: Person, path: str) -> None:
    """Such a door gives a token for a request that somebody else has signed."""
    pair = joe.call(
        "POST", f"/users/{joe.id}/credentials/OS-EC2", {"tenant_id": joe.project_id}, status=201
    ).json["credential"]
    signed = {"access": pair["access"], "signature": "x", "token": "x", "host": "h"}
    body = {"credentials": signed, "ec2Credentials": signed, "auth": signed}
    for token in ("", joe.token, None):
        answer = cloud.identity.call("POST", path, body, token=token)
        assert answer.status_int in (401, 404)
        assert "X-Subject-Token" not in answer.headers
        assert pair["secret"] not in answer.text


def test_f12_what_a_thing_is_cannot_be_said_from_outside(cloud: Cloud, joe: Person) -> None:
    """Words that are columns of ours are but words of the client's."""
    hostile = {
        "id": "chosen",
        "password_hash": "",
        "tokens_valid_after": "1999-01-01",
        "secret_hash": "",
        "parent_id_": "x",
        "roles": ["admin"],
        "system_scope": True,
    }
    user = {"name": "eve", "password": "secret-eve", **hostile}
    eve = cloud.identity.post("/v3/users", {"user": user}, status=201)["user"]
    assert eve["id"] != "chosen" and "password" not in eve
    found = cloud.identity.get(f"/v3/users/{eve['id']}")["user"]
    assert found["name"] == "eve" and found["domain_id"] == "default"
    cloud.identity.call("GET", "/v3/users/chosen", status=404)
    # The password is still needed, and is what was said it is.
    for password, status in (("secret-eve", 201), ("", 401), ("x", 401)):
        proof = {"user": {"id": eve["id"], "password": password}}
        identity = {"methods": ["password"], "password": proof}
        body = {"auth": {"identity": identity, "scope": "unscoped"}}
        answer = cloud.identity.call("POST", "/v3/auth/tokens", body, status=status, token="")
    assert "roles" not in answer.json
    credentials = f"/users/{joe.id}/application_credentials"
    made = {"name": "a", "user_id": eve["id"], "secret_hash": ""}
    assert joe.call("POST", credentials, {"application_credential": made}).status_int == 400
    other = {"name": "a", "project_id": cloud.admin.project_id, "roles": [{"name": "admin"}]}
    assert joe.call("POST", credentials, {"application_credential": other}).status_int == 400
    del other["roles"]
    own = joe.call("POST", credentials, {"application_credential": other}, status=201).json
    assert own["application_credential"]["project_id"] == joe.project_id


@pytest.mark.parametrize("length", [55, 72, 128, 1000])
def test_secrets_count_to_their_last_letter(cloud: Cloud, joe: Person, length: int) -> None:
    """Some hashes look at the beginning only (CVE-2021-3563)."""
    secret = "s" * length
    cloud.identity.patch(f"/v3/users/{joe.id}", {"user": {"password": f"{secret}1"}}, status=200)
    user = {"id": joe.id, "password": f"{secret}2"}
    assert joe.refused(password={"user": user}) == 401
    here = {"project": {"id": joe.project_id}}
    joe.token, _ = joe.log_in(here, password={"user": {**user, "password": f"{secret}1"}})
    body = {"application_credential": {"name": "long", "secret": f"{secret}1"}}
    path = f"/users/{joe.id}/application_credentials"
    id = joe.call("POST", path, body, status=201).json["application_credential"]["id"]
    assert joe.refused(application_credential={"id": id, "secret": f"{secret}2"}) == 401
    joe.log_in(application_credential={"id": id, "secret": f"{secret}1"})


def test_f19_a_password_that_is_very_long_costs_nothing(joe: Person) -> None:
    with within(0.5):
        for length in (5_000, 500_000):
            user = {"id": joe.id, "password": "x" * length}
            assert joe.refused(password={"user": user}) == 400


def test_a_token_with_one_letter_changed_is_none(cloud: Cloud, joe: Person) -> None:
    """Neither to ask with, nor to ask about; whatever part of it is changed."""
    for at in range(0, len(joe.token), 7):
        other = "A" if joe.token[at] != "A" else "B"
        changed = joe.token[:at] + other + joe.token[at + 1 :]
        padded = base64.urlsafe_b64decode(changed + "=" * (-len(changed) % 4))
        if padded == base64.urlsafe_b64decode(joe.token + "=" * (-len(joe.token) % 4)):
            continue  # the last letter has bits that mean nothing
        joe.call("GET", "/auth/projects", token=changed, status=401)
        subject = {"X-Subject-Token": changed}
        joe.call("GET", "/auth/tokens", headers=subject, status=404)


def test_what_only_looks_like_a_header_of_ours_makes_nobody_more(joe: Person) -> None:
    """F2, where the identity service itself answers: who asks is what the token says."""
    forged = {
        "X-Roles": "admin",
        "X-User-Id": "operator",
        "X-Identity-Status": "Confirmed",
        "X-System-Scope": "all",
        "OpenStack-System-Scope": "all",
        "X-Is-Admin-Project": "True",
        "X-Service-Roles": "service,admin",
        "X-Forwarded-User": "admin",
        "Remote-User": "admin",
    }
    joe.call("GET", "/users", headers=forged, status=403)
    joe.call("GET", "/users", headers=forged, token="", status=401)
    # A token to ask about is none to ask with.
    subject = {"X-Subject-Token": joe.token, "X-Service-Token": joe.token}
    joe.call("GET", "/auth/projects", headers=subject, token="", status=401)


def test_asking_again_with_the_same_token_looks_nothing_up(cloud: Cloud, joe: Person) -> None:
    """Within the seconds that it is believed, not one statement is for the token."""
    joe.call("GET", "/limits/model", status=200)
    statements: list[str] = []

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    try:
        for _ in range(3):
            joe.call("GET", "/limits/model", status=200)
        assert statements == []
        cloud.clock.pass_seconds(cloud.config.identity.cache_seconds + 1)
        joe.call("GET", "/limits/model", status=200)
        assert any("revoked_tokens" in statement for statement in statements)
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
