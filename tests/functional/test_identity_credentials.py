"""Credentials that are kept for users, and the EC2 key pairs among them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from nova_lite.db.models import Credential
from nova_lite.testing.cloud import Cloud
from tests.functional.identity_people import Json, Person, person


@pytest.fixture
def joe(cloud: Cloud) -> Person:
    return person(cloud, "joe", "member")


def keep(who: Person, status: int = 201, **said: Any) -> Json:
    body = {"type": "cert", "blob": "-----BEGIN", "user_id": who.id, **said}
    answer = who.call("POST", "/credentials", {"credential": body}, status=status)
    kept: Json = answer.json.get("credential", answer.json)
    return kept


def pair_of(who: Person) -> Json:
    here = f"/users/{who.id}/credentials/OS-EC2"
    answer = who.call("POST", here, {"tenant_id": who.project_id}, status=201)
    made: Json = answer.json["credential"]
    return made


def test_a_credential_is_kept_changed_and_removed(joe: Person) -> None:
    kept = keep(joe, colour="red")
    assert {**kept, "id": "", "links": {}} == {
        "id": "",
        "links": {},
        "user_id": joe.id,
        "project_id": None,
        "type": "cert",
        "blob": "-----BEGIN",
        "colour": "red",
    }
    here = f"/credentials/{kept['id']}"
    assert joe.call("GET", here).json == {"credential": kept}
    changed = joe.call("PATCH", here, {"credential": {"blob": "other"}}, status=200).json
    assert changed["credential"] == {**kept, "blob": "other"}
    repeated = {"blob": "other", "type": "cert", "user_id": joe.id, "project_id": None}
    joe.call("PATCH", here, {"credential": repeated}, status=200)
    for other in ({"type": "ec2"}, {"user_id": "x"}, {"project_id": joe.project_id}):
        moved = {"credential": {**repeated, **other}}
        assert joe.call("PATCH", here, moved).status_int == 400
    assert joe.call("PATCH", here, {"credential": {"type": "x"}}).status_int == 400
    assert joe.call("PATCH", here, {"credential": {"blob": "x", "type": "x"}}).status_int == 400
    joe.call("DELETE", here, status=204)
    assert joe.call("GET", here).status_int == 403


def test_lists_are_filtered_and_show_each_his_own(cloud: Cloud, joe: Person) -> None:
    keep(joe)
    pair_of(joe)
    ann = person(cloud, "ann", "member")
    keep(ann, type="totp")

    def types(who: Person, query: str = "") -> list[str]:
        found = who.call("GET", f"/credentials{query}", status=200).json["credentials"]
        return sorted(one["type"] for one in found)

    assert types(joe) == ["cert", "ec2"]
    assert types(joe, "?type=ec2") == ["ec2"]
    assert types(joe, f"?user_id={ann.id}") == []
    everything = cloud.identity.get("/v3/credentials")["credentials"]
    assert len(everything) == 3
    found = cloud.identity.get(f"/v3/credentials?user_id={ann.id}&type=totp")["credentials"]
    assert [one["user_id"] for one in found] == [ann.id]


def test_the_credentials_of_others_are_none_for_others(cloud: Cloud, joe: Person) -> None:
    kept = keep(joe)
    ann = person(cloud, "ann", "member")
    for method in ("GET", "PATCH", "DELETE"):
        body = {"credential": {"blob": "x"}}
        refused = ann.call(method, f"/credentials/{kept['id']}", body)
        # There is no telling whether it exists, but for operators.
        unknown = ann.call(method, "/credentials/nope", body)
        assert refused.status_int == unknown.status_int == 403
        assert refused.json == unknown.json
        cloud.identity.call(method, "/v3/credentials/nope", body, status=404)
    keep(ann, 403, user_id=joe.id)
    pair = pair_of(joe)
    theirs = f"/users/{joe.id}/credentials/OS-EC2"
    assert ann.call("GET", theirs).status_int == 403
    assert ann.call("GET", f"{theirs}/{pair['access']}").status_int == 403
    assert ann.call("POST", theirs, {"tenant_id": ann.project_id}).status_int == 403
    assert ann.call("DELETE", f"{theirs}/{pair['access']}").status_int == 403
    mine = f"/users/{ann.id}/credentials/OS-EC2/{pair['access']}"
    assert ann.call("GET", mine).status_int == 404
    # Operators help out.
    cloud.identity.call("GET", f"/v3{theirs}/{pair['access']}", status=200)
    cloud.identity.delete(f"/v3/credentials/{kept['id']}")


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"blob": None}, 400),
        ({"blob": 1}, 400),
        ({"user_id": None}, 400),
        ({"type": ""}, 400),
        ({"type": "ec2", "blob": "{}"}, 400),  # and no project
        ({"type": "ec2", "blob": "nonsense", "project_id": "p"}, 400),
        ({"type": "ec2", "blob": '{"access": 1}', "project_id": "p"}, 400),
        ({"type": "ec2", "blob": "[]", "project_id": "p"}, 400),
        ({"project_id": "nope"}, 404),
    ],
)
def test_what_cannot_be_kept_is_told(joe: Person, said: Json, status: int) -> None:
    keep(joe, status, **said)


def test_nothing_is_kept_for_nobody(cloud: Cloud) -> None:
    body = {"type": "cert", "blob": "x", "user_id": "nobody"}
    assert cloud.identity.call("POST", "/v3/credentials", {"credential": body}).status_int == 404


def test_a_blob_is_unreadable_in_the_database(cloud: Cloud, joe: Person) -> None:
    keep(joe, blob="the secret of joe")
    pair = pair_of(joe)
    with cloud.database.read() as session:
        blobs = "".join(session.scalars(sa.select(Credential.blob)))
    assert "joe" not in blobs and pair["secret"] not in blobs


def test_a_key_pair_is_made_shown_and_removed(cloud: Cloud, joe: Person) -> None:
    pair = pair_of(joe)
    here = f"/users/{joe.id}/credentials/OS-EC2"
    assert set(pair) == {"user_id", "tenant_id", "access", "secret", "trust_id", "links"}
    assert (pair["user_id"], pair["tenant_id"], pair["trust_id"]) == (joe.id, joe.project_id, None)
    assert pair["links"]["self"].endswith(f"{here}/{pair['access']}")
    assert joe.call("GET", here).json["credentials"] == [pair]
    assert joe.call("GET", f"{here}/{pair['access']}").json == {"credential": pair}
    # One table: it is a credential like others.
    [kept] = joe.call("GET", "/credentials?type=ec2").json["credentials"]
    assert orjson.loads(kept["blob"])["secret"] == pair["secret"]
    joe.call("DELETE", f"{here}/{pair['access']}", status=204)
    assert joe.call("GET", f"{here}/{pair['access']}").status_int == 404
    assert joe.call("DELETE", f"{here}/{pair['access']}").status_int == 404
    assert joe.call("GET", "/credentials").json["credentials"] == []


def test_a_key_pair_needs_a_project_that_is_there(joe: Person) -> None:
    here = f"/users/{joe.id}/credentials/OS-EC2"
    assert joe.call("POST", here, {"tenant_id": "nope"}).status_int == 404
    assert joe.call("POST", here, {}).status_int == 400


def test_readers_have_no_key_pairs(cloud: Cloud) -> None:
    ann = person(cloud, "ann", "reader")
    here = f"/users/{ann.id}/credentials/OS-EC2"
    assert ann.call("POST", here, {"tenant_id": ann.project_id}).status_int == 403
    assert ann.call("GET", here, status=200).json["credentials"] == []


def test_what_signs_with_an_access_key_is_known_while_it_is_there(
    cloud: Cloud, joe: Person
) -> None:
    pair = pair_of(joe)
    found = cloud.services.credentials.ec2_secret(pair["access"])
    assert found is not None
    assert (found.user_id, found.project_id, found.secret) == (
        joe.id,
        joe.project_id,
        pair["secret"],
    )
    assert pair["secret"] not in repr(found)
    # Those that were brought along are as good.
    blob = '{"access": "mine", "secret": "own"}'
    keep(joe, type="ec2", blob=blob, project_id=joe.project_id)
    keep(joe, 409, type="ec2", blob=blob, project_id=joe.project_id)
    brought = cloud.services.credentials.ec2_secret("mine")
    assert brought is not None and brought.secret == "own"
    joe.call("DELETE", f"/users/{joe.id}/credentials/OS-EC2/{pair['access']}", status=204)
    assert cloud.services.credentials.ec2_secret(pair["access"]) is None
    assert cloud.services.credentials.ec2_secret("nonsense\0") is None


def test_a_changed_key_pair_stays_one(joe: Person) -> None:
    pair = pair_of(joe)
    [kept] = joe.call("GET", "/credentials").json["credentials"]
    here = f"/credentials/{kept['id']}"
    assert joe.call("PATCH", here, {"credential": {"blob": "{}"}}).status_int == 400
    blob = orjson.dumps({"access": pair["access"], "secret": "new"}).decode()
    joe.call("PATCH", here, {"credential": {"blob": blob}}, status=200)
    found = joe.cloud.services.credentials.ec2_secret(pair["access"])
    assert found is not None and found.secret == "new"


def test_who_was_handed_a_part_gets_nothing_lasting_of_it(joe: Person) -> None:
    kept = keep(joe)
    body = {"application_credential": {"name": "ci", "unrestricted": True}}
    made = joe.call("POST", f"/users/{joe.id}/application_credentials", body, status=201).json
    shown = {key: made["application_credential"][key] for key in ("id", "secret")}
    joe.token, _ = joe.log_in(application_credential=shown)
    ec2 = f"/users/{joe.id}/credentials/OS-EC2"
    assert joe.call("POST", ec2, {"tenant_id": joe.project_id}).status_int == 403
    assert joe.call("GET", ec2).status_int == 403
    keep(joe, 403)
    assert joe.call("GET", f"/credentials/{kept['id']}").status_int == 403
    assert joe.call("DELETE", f"/credentials/{kept['id']}").status_int == 403
    assert joe.call("GET", "/credentials", status=200).json["credentials"] == []


def test_credentials_go_with_their_user_and_their_project(cloud: Cloud, joe: Person) -> None:
    pair_of(joe)
    keep(joe)
    cloud.identity.delete(f"/v3/projects/{joe.project_id}")
    [left] = cloud.identity.get("/v3/credentials")["credentials"]
    assert left["type"] == "cert"
    cloud.identity.delete(f"/v3/users/{joe.id}")
    assert cloud.identity.get("/v3/credentials")["credentials"] == []
