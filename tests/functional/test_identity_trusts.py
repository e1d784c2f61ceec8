"""Trusts: what one user lets another do, and for how long."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from nova_lite.testing.cloud import Cloud
from tests.functional.identity_people import Json, Person, person, role_id

TRUST = "OS-TRUST:trust"
HERE = "/OS-TRUST/trusts"


@pytest.fixture
def joe(cloud: Cloud) -> Person:
    return person(cloud, "joe", "member")


@pytest.fixture
def ann(cloud: Cloud) -> Person:
    return person(cloud, "ann", "reader")


def trust(
    giver: Person, taker: Person, status: int = 201, token: str | None = None, **said: Any
) -> Json:
    body = {
        "trustor_user_id": giver.id,
        "trustee_user_id": taker.id,
        "project_id": giver.project_id,
        "impersonation": False,
        "roles": [{"name": "member"}],
        **said,
    }
    how = {} if token is None else {"token": token}
    answer = giver.call("POST", HERE, {"trust": body}, status=status, **how)
    made: Json = answer.json.get("trust", answer.json)
    return made


def by(made: Json) -> Json:
    return {TRUST: {"id": made["id"]}}


def test_a_trust_is_made_and_shown_to_both_sides(joe: Person, ann: Person) -> None:
    made = trust(joe, ann)
    [role] = made["roles"]
    assert role["name"] == "member" and role["links"]["self"].endswith(f"/v3/roles/{role['id']}")
    shown = {**made, "roles": [], "links": {}, "roles_links": {}}
    assert shown == {
        "id": made["id"],
        "trustor_user_id": joe.id,
        "trustee_user_id": ann.id,
        "project_id": joe.project_id,
        "impersonation": False,
        "expires_at": None,
        "remaining_uses": None,
        "deleted_at": None,
        "redelegated_trust_id": None,
        "redelegation_count": 0,
        "roles": [],
        "links": {},
        "roles_links": {},
    }
    assert made["links"]["self"].endswith(f"/identity/v3{HERE}/{made['id']}")
    for who in (joe, ann):
        assert who.call("GET", f"{HERE}/{made['id']}", status=200).json == {"trust": made}
        assert who.call("HEAD", f"{HERE}/{made['id']}").status_int == 200
    listed = joe.call("GET", f"{HERE}/?trustor_user_id={joe.id}").json["trusts"]
    taken = ann.call("GET", f"{HERE}?trustee_user_id={ann.id}").json["trusts"]
    assert listed == taken and listed[0]["id"] == made["id"] and "roles" not in listed[0]


def test_its_roles_can_be_asked_one_by_one(joe: Person, ann: Person) -> None:
    made = trust(joe, ann)
    here = f"{HERE}/{made['id']}/roles"
    [role] = ann.call("GET", here, status=200).json["roles"]
    assert ann.call("GET", f"{here}/{role['id']}", status=200).json == {"role": role}
    assert ann.call("HEAD", f"{here}/{role['id']}").status_int == 200
    reader = role_id(joe.cloud, "reader")
    for method in ("GET", "HEAD"):
        assert ann.call(method, f"{here}/{reader}").status_int == 404


def test_third_parties_see_nothing_and_operators_all(
    cloud: Cloud, joe: Person, ann: Person
) -> None:
    made = trust(joe, ann)
    eve = person(cloud, "eve", "admin")
    bob = person(cloud, "bob", "member")
    assert bob.call("GET", f"{HERE}/{made['id']}").status_int == 404
    assert bob.call("GET", f"{HERE}/{made['id']}/roles").status_int == 404
    assert bob.call("GET", HERE).status_int == 403
    assert bob.call("GET", f"{HERE}?trustor_user_id={joe.id}").status_int == 403
    assert bob.call("GET", f"{HERE}?trustee_user_id={ann.id}").status_int == 403
    assert bob.call("DELETE", f"{HERE}/{made['id']}").status_int == 404
    assert ann.call("DELETE", f"{HERE}/{made['id']}").status_int == 403
    assert bob.call("GET", f"{HERE}/nope").status_int == 404
    assert [one["id"] for one in eve.call("GET", HERE).json["trusts"]] == [made["id"]]
    eve.call("DELETE", f"{HERE}/{made['id']}", status=204)
    assert joe.call("GET", f"{HERE}/{made['id']}").status_int == 404


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"roles": [{"name": "admin"}]}, 404),
        ({"roles": [{"name": "nope"}]}, 404),
        ({"roles": [{"id": "nope"}]}, 404),
        ({"roles": []}, 403),
        ({"roles": [{}]}, 400),
        ({"project_id": "nope"}, 404),
        ({"trustee_user_id": "nope"}, 404),
        ({"impersonation": "yes"}, 400),
        ({"expires_at": "bad.123Z"}, 400),
        ({"expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"remaining_uses": 0}, 400),
        ({"remaining_uses": 1, "allow_redelegation": True}, 400),
        ({"allow_redelegation": True, "redelegation_count": 4}, 403),
    ],
)
def test_what_cannot_be_trusted_is_told(joe: Person, ann: Person, said: Json, status: int) -> None:
    trust(joe, ann, status, **said)


def test_nobody_trusts_in_the_name_of_another(joe: Person, ann: Person) -> None:
    trust(joe, ann, 403, token=ann.token)


def test_the_trustee_gets_a_token_with_exactly_its_roles(joe: Person, ann: Person) -> None:
    made = trust(joe, ann)
    text, token = ann.log_in(by(made))
    assert token["user"]["id"] == ann.id and token["project"]["id"] == joe.project_id
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    assert token[TRUST] == {
        "id": made["id"],
        "impersonation": False,
        "trustor_user": {"id": joe.id},
        "trustee_user": {"id": ann.id},
    }
    assert "is_domain" not in token and token["catalog"]
    joe.cloud.compute.call("GET", "/servers", status=200, token=text)
    shown = joe.cloud.identity.call(
        "GET", "/v3/auth/tokens", headers={"X-Subject-Token": text}, status=200
    )
    assert shown.json["token"] == token
    ann.call("DELETE", "/auth/tokens", token=text, headers={"X-Subject-Token": text}, status=204)
    assert ann.call("GET", "/auth/projects", token=text).status_int == 401


def test_with_impersonation_he_goes_by_the_trustors_name(joe: Person, ann: Person) -> None:
    unscoped, _ = ann.log_in("unscoped")
    text, token = ann.log_in(by(trust(joe, ann, impersonation=True)), token={"id": unscoped})
    assert token["user"]["id"] == joe.id and token["user"]["name"] == "joe"
    assert token["methods"] == ["password", "token"]
    assert token[TRUST]["trustee_user"] == {"id": ann.id}
    context = joe.cloud.services.identity.context_of(text, "req-1")
    assert (context.user_id, context.user_name) == (joe.id, "joe")


def test_only_the_trustee_can_use_it(joe: Person, ann: Person) -> None:
    made = trust(joe, ann)
    assert joe.refused(by(made)) == 403
    assert ann.refused({TRUST: {"id": "nope"}}) == 401
    assert ann.refused({TRUST: {}}) == 400


def test_an_application_credential_is_not_for_trusts(joe: Person, ann: Person) -> None:
    made = trust(joe, ann)
    body = {"application_credential": {"name": "ci"}}
    path = f"/users/{ann.id}/application_credentials"
    credential = ann.call("POST", path, body, status=201).json["application_credential"]
    shown = {key: credential[key] for key in ("id", "secret")}
    assert ann.refused(by(made), application_credential=shown) == 401


def test_nothing_else_is_made_of_its_tokens(joe: Person, ann: Person) -> None:
    text, _ = ann.log_in(by(trust(joe, ann, impersonation=True)))
    assert ann.refused({"project": {"id": joe.project_id}}, token={"id": text}) == 403
    body = {"application_credential": {"name": "ci"}}
    for path in ("application_credentials", "access_rules"):
        assert joe.call("GET", f"/users/{joe.id}/{path}", token=text).status_int == 403
    there = f"/users/{joe.id}/application_credentials"
    assert joe.call("POST", there, body, token=text).status_int == 403
    ec2 = f"/users/{joe.id}/credentials/OS-EC2"
    assert joe.call("POST", ec2, {"tenant_id": joe.project_id}, token=text).status_int == 403
    trust(joe, ann, 403, token=text)  # it may not be handed on


def test_it_is_used_as_often_as_was_said(joe: Person, ann: Person) -> None:
    made = trust(joe, ann, remaining_uses=2)
    text, _ = ann.log_in(by(made))
    assert joe.call("GET", f"{HERE}/{made['id']}").json["trust"]["remaining_uses"] == 1
    ann.log_in(by(made))
    assert ann.refused(by(made)) == 401
    assert joe.call("GET", f"{HERE}/{made['id']}").status_int == 404
    # What was got by it goes on.
    ann.call("GET", "/auth/projects", token=text, status=200)


def test_it_ends_and_its_tokens_with_it(cloud: Cloud, joe: Person, ann: Person) -> None:
    end = (cloud.clock.time + dt.timedelta(seconds=60)).replace(microsecond=0)
    made = trust(joe, ann, expires_at=end.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert made["expires_at"] == end.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    text, token = ann.log_in(by(made))
    assert token["expires_at"] == made["expires_at"]
    cloud.clock.time = end
    assert ann.call("GET", "/auth/projects", token=text).status_int == 401
    assert ann.refused(by(made)) == 401
    assert joe.call("GET", f"{HERE}/{made['id']}").status_int == 404


def test_it_is_worth_nothing_once_the_trustor_is(cloud: Cloud, joe: Person, ann: Person) -> None:
    joe.grant("service")
    made = trust(joe, ann)
    text, _ = ann.log_in(by(made))
    joe.grant("member", method="DELETE")
    assert cloud.compute.call("GET", "/servers", token=text).status_int == 401
    assert ann.refused(by(made)) == 403
    joe.grant("member")
    again, _ = ann.log_in(by(made))
    cloud.identity.patch(f"/v3/users/{joe.id}", {"user": {"enabled": False}})
    assert cloud.compute.call("GET", "/servers", token=again).status_int == 401
    assert ann.refused(by(made)) == 403


def test_a_trust_that_is_deleted_takes_its_tokens_along(joe: Person, ann: Person) -> None:
    made = trust(joe, ann)
    text, _ = ann.log_in(by(made))
    ann.call("GET", "/auth/projects", token=text, status=200)
    joe.call("DELETE", f"{HERE}/{made['id']}", status=204)
    assert ann.call("GET", "/auth/projects", token=text).status_int == 401


def test_one_without_a_project_is_good_for_nothing(joe: Person, ann: Person) -> None:
    made = trust(joe, ann, project_id=None, roles=[])
    assert ann.refused(by(made)) == 403


def test_trusts_go_with_users_and_projects(cloud: Cloud, joe: Person, ann: Person) -> None:
    trust(joe, ann)
    cloud.identity.delete(f"/v3/users/{ann.id}")
    assert cloud.identity.get(f"/v3{HERE}")["trusts"] == []
    bob = person(cloud, "bob", "member")
    trust(joe, bob)
    cloud.identity.delete(f"/v3/projects/{joe.project_id}")
    assert cloud.identity.get(f"/v3{HERE}")["trusts"] == []


# --- handing on -------------------------------------------------------------------------------


def test_a_trustee_who_may_hands_on_what_he_was_given(
    cloud: Cloud, joe: Person, ann: Person
) -> None:
    bob = person(cloud, "bob", "reader")
    first = trust(joe, ann, allow_redelegation=True, redelegation_count=1)
    assert first["redelegation_count"] == 1
    token, _ = ann.log_in(by(first))
    body: Json = {"project_id": joe.project_id, "roles": [{"name": "member"}]}
    second = trust(ann, bob, token=token, **body)
    assert second["redelegated_trust_id"] == first["id"] and second["redelegation_count"] == 0
    text, shown = bob.log_in(by(second))
    assert shown["user"]["id"] == bob.id and shown["project"]["id"] == joe.project_id
    # The last in the row.
    token, _ = bob.log_in(by(second))
    trust(bob, joe, 403, token=token, **body)
    # It falls with the first, and with whoever is between.
    cloud.identity.patch(f"/v3/users/{ann.id}", {"user": {"enabled": False}})
    assert bob.refused(by(second)) == 403
    cloud.identity.patch(f"/v3/users/{ann.id}", {"user": {"enabled": True}})
    text, _ = bob.log_in(by(second))
    joe.call("DELETE", f"{HERE}/{first['id']}", status=204)
    assert bob.call("GET", "/auth/projects", token=text).status_int == 401
    assert bob.call("GET", f"{HERE}/{second['id']}").status_int == 404


@pytest.mark.parametrize(
    "more",
    [
        {"impersonation": True},
        {"remaining_uses": 1},
        {"roles": [{"name": "reader"}]},
        {"expires_at": "2031-01-01T00:00:00Z"},
        {"allow_redelegation": True, "redelegation_count": 1},
    ],
)
def test_no_more_is_handed_on_than_was_given(joe: Person, ann: Person, more: Json) -> None:
    given: Json = {"allow_redelegation": True, "expires_at": "2030-06-01T00:00:00Z"}
    token, _ = ann.log_in(by(trust(joe, ann, **given)))
    body: Json = {"project_id": joe.project_id, **more}
    trust(ann, joe, 403, token=token, **body)
    less = trust(ann, joe, token=token, project_id=joe.project_id, allow_redelegation=True)
    assert less["expires_at"] == "2030-06-01T00:00:00.000000Z"
    assert less["redelegation_count"] == 2


def test_an_application_credential_trusts_only_with_what_it_has(joe: Person, ann: Person) -> None:
    def credential(**said: Any) -> str:
        body = {"application_credential": {"roles": [{"name": "reader"}], **said}}
        path = f"/users/{joe.id}/application_credentials"
        made = joe.call("POST", path, body, status=201).json["application_credential"]
        shown = {key: made[key] for key in ("id", "secret")}
        return joe.log_in(application_credential=shown)[0]

    trust(joe, ann, 403, token=credential(name="restricted"))
    free = credential(name="free", unrestricted=True)
    trust(joe, ann, 404, token=free)
    made = trust(joe, ann, token=free, roles=[{"name": "reader"}])
    ann.log_in(by(made))
    joe.call("DELETE", f"{HERE}/{made['id']}", token=free, status=204)
