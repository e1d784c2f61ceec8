"""Application credentials and access rules, from making them to what they open."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from nova_lite.testing.cloud import Cloud
from tests.functional.identity_people import Json, Person, person, role_id

SERVERS = {"service": "compute", "path": "/v2.1/servers", "method": "GET"}


@pytest.fixture
def joe(cloud: Cloud) -> Person:
    return person(cloud, "joe", "member")


def make(who: Person, status: int = 201, token: str | None = None, **said: Any) -> Json:
    answer = who.call(
        "POST",
        f"/users/{who.id}/application_credentials",
        {"application_credential": {"name": "ci", **said}},
        status=status,
        token=who.token if token is None else token,
    )
    made: Json = answer.json.get("application_credential", answer.json)
    return made


def proof(credential: Json) -> Json:
    return {"id": credential["id"], "secret": credential["secret"]}


def token_of(who: Person, credential: Json) -> str:
    return who.log_in(application_credential=proof(credential))[0]


def test_its_secret_is_told_once_and_opens_its_project_with_all_roles(joe: Person) -> None:
    made = make(joe, description="builds")
    assert {"id", "name", "description", "user_id", "project_id", "system"} < set(made)
    assert len(made.pop("secret")) > 60
    assert made["project_id"] == joe.project_id and made["unrestricted"] is None
    assert [role["name"] for role in made["roles"]] == ["member", "reader"]
    assert set(made["roles"][0]) == {"id", "name", "domain_id", "description", "options"}
    here = f"/users/{joe.id}/application_credentials"
    assert made["links"]["self"].endswith(f"/identity/v3{here}/{made['id']}")
    assert joe.call("GET", f"{here}/{made['id']}", status=200).json == {
        "application_credential": made
    }
    assert joe.call("GET", here).json["application_credentials"] == [made]
    made = make(joe, name="second")
    text, token = joe.log_in(application_credential=proof(made))
    assert token["methods"] == ["application_credential"]
    assert token["project"]["id"] == joe.project_id and token["user"]["id"] == joe.id
    assert token["application_credential"] == {
        "id": made["id"],
        "name": "second",
        "restricted": True,
    }
    assert [role["name"] for role in token["roles"]] == ["member", "reader"]
    joe.cloud.compute.call("GET", "/servers", status=200, token=text)


def test_a_list_is_filtered_by_name_and_others_do_not_see_it(cloud: Cloud, joe: Person) -> None:
    make(joe, name="a")
    make(joe, name="b")
    here = f"/users/{joe.id}/application_credentials"
    [found] = joe.call("GET", f"{here}?name=b").json["application_credentials"]
    assert found["name"] == "b"
    ann = person(cloud, "ann", "member")
    assert ann.call("GET", here).status_int == 403
    assert ann.call("GET", f"{here}/{found['id']}").status_int == 403
    # Not by way of one's own path, either.
    mine = f"/users/{ann.id}/application_credentials/{found['id']}"
    assert ann.call("GET", mine).status_int == 404
    assert cloud.identity.call("GET", f"/v3{here}").status_int == 200
    body = {"application_credential": {"name": "for joe"}}
    assert cloud.identity.call("POST", f"/v3{here}", body).status_int == 403


def test_one_can_log_in_with_its_name_and_user(joe: Person) -> None:
    made = make(joe)
    for user in ({"id": joe.id}, {"name": "joe", "domain": {"name": "Default"}}):
        shown = {"name": "ci", "user": user, "secret": made["secret"]}
        _, token = joe.log_in(application_credential=shown)
        assert token["application_credential"]["id"] == made["id"]


def test_what_is_not_it_is_refused(joe: Person) -> None:
    made = make(joe)
    good = proof(made)
    assert joe.refused(application_credential={**good, "secret": "x"}) == 401
    assert joe.refused(application_credential={**good, "id": "nope"}) == 404
    unknown = {"name": "no", "user": {"id": joe.id}, "secret": made["secret"]}
    assert joe.refused(application_credential=unknown) == 401
    assert joe.refused(application_credential={"name": "ci", "secret": made["secret"]}) == 400
    assert joe.refused(application_credential={"id": made["id"]}) == 400
    # It is good for its project, and cannot even ask for that.
    scopes: list[Any] = ["unscoped", {"project": {"id": joe.project_id}}, {"system": {"all": True}}]
    for scope in scopes:
        assert joe.refused(scope, application_credential=good) == 401


def test_another_token_cannot_be_made_of_it(joe: Person) -> None:
    text = token_of(joe, make(joe))
    assert joe.refused(token={"id": text}) == 403
    assert joe.refused("unscoped", token={"id": text}) == 403
    token, shown = joe.log_in(
        application_credential=proof(make(joe, name="b")), token={"id": joe.token}
    )
    assert shown["application_credential"]["name"] == "b" and len(shown["audit_ids"]) == 2


def test_it_may_have_some_of_the_roles_and_none_that_the_token_has_not(joe: Person) -> None:
    made = make(joe, roles=[{"name": "reader"}])
    assert [role["name"] for role in made["roles"]] == ["reader"]
    _, token = joe.log_in(application_credential=proof(made))
    assert [role["name"] for role in token["roles"]] == ["reader"]
    admin = role_id(joe.cloud, "admin")
    make(joe, 400, name="b", roles=[{"id": admin}])
    make(joe, 404, name="b", roles=[{"name": "nope"}])
    make(joe, 400, name="b", roles=[{"name": "reader", "id": admin}])
    # With what it implies, as one that has all of the token's.
    both = make(joe, name="b", roles=[{"name": "member"}])
    assert [role["name"] for role in both["roles"]] == ["member", "reader"]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"name": ""}, 400),
        ({"name": None}, 400),
        ({"expires_at": "bad"}, 400),
        ({"expires_at": "2001-01-01T00:00:00"}, 400),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, 400),
        ({"unrestricted": "yes"}, 400),
        ({"secret": 1}, 400),
        ({"more": 1}, 400),
        ({"access_rules": [{**SERVERS, "path": "v2"}]}, 400),
        ({"access_rules": [{**SERVERS, "method": "get"}]}, 400),
        ({"access_rules": [{"id": "nope"}]}, 404),
    ],
)
def test_what_cannot_be_is_told(joe: Person, said: Json, status: int) -> None:
    make(joe, status, **said)


def test_names_are_each_users_own(cloud: Cloud, joe: Person) -> None:
    make(joe)
    make(joe, 409)
    make(person(cloud, "ann", "member"))


def test_it_needs_a_project(joe: Person) -> None:
    unscoped, _ = joe.log_in("unscoped")
    make(joe, 400, token=unscoped)


def test_a_chosen_secret_is_no_weaker_for_being_told(joe: Person) -> None:
    made = make(joe, secret="my own")
    assert made["secret"] == "my own"
    token_of(joe, made)


def test_one_that_ends_takes_its_tokens_along(cloud: Cloud, joe: Person) -> None:
    end = cloud.clock.time + dt.timedelta(seconds=60, microseconds=789)
    said = end.strftime("%Y-%m-%dT%H:%M:%S.%f")
    made = make(joe, expires_at=said)
    assert made["expires_at"] == said
    text, token = joe.log_in(application_credential=proof(made))
    assert token["expires_at"] == said + "Z"
    cloud.clock.time = end
    assert cloud.compute.call("GET", "/servers", token=text).status_int == 401
    assert joe.refused(application_credential=proof(made)) == 401


def test_only_an_unrestricted_one_makes_and_removes_others(joe: Person) -> None:
    made = make(joe)
    restricted = token_of(joe, made)
    make(joe, 403, name="b", token=restricted)
    here = f"/users/{joe.id}/application_credentials"
    assert joe.call("DELETE", f"{here}/{made['id']}", token=restricted).status_int == 403
    assert joe.call("GET", here, token=restricted).status_int == 200
    free = token_of(joe, make(joe, name="free", unrestricted=True, roles=[{"name": "reader"}]))
    child = make(joe, name="child", token=free)
    # No more than it is itself.
    assert [role["name"] for role in child["roles"]] == ["reader"]
    make(joe, 400, name="more", token=free, roles=[{"name": "member"}])
    joe.call("DELETE", f"{here}/{made['id']}", token=free, status=204)


def test_what_is_deleted_opens_nothing_any_more(cloud: Cloud, joe: Person) -> None:
    made = make(joe)
    text = token_of(joe, made)
    cloud.compute.call("GET", "/servers", status=200, token=text)
    here = f"/users/{joe.id}/application_credentials/{made['id']}"
    joe.call("DELETE", here, status=204)
    assert joe.call("DELETE", here).status_int == 404
    assert cloud.compute.call("GET", "/servers", token=text).status_int == 401
    assert joe.refused(application_credential=proof(made)) == 404


def test_it_dies_with_a_role_that_it_has(cloud: Cloud, joe: Person) -> None:
    joe.grant("service")
    joe.token, _ = joe.log_in({"project": {"id": joe.project_id}})
    made = make(joe, roles=[{"name": "member"}])
    text = token_of(joe, made)
    joe.grant("member", method="DELETE")
    assert cloud.compute.call("GET", "/servers", token=text).status_int == 401
    assert joe.refused(application_credential=proof(made)) == 404
    # For good: it was made with what he had.
    joe.grant("member")
    assert joe.refused(application_credential=proof(made)) == 404


def test_it_is_worth_nothing_while_its_user_lacks_a_role_it_has(joe: Person) -> None:
    cloud = joe.cloud
    group = cloud.identity.post("/v3/groups", {"group": {"name": "g"}})["group"]["id"]
    cloud.identity.put(f"/v3/groups/{group}/users/{joe.id}", None)
    service = role_id(cloud, "service")
    where = f"/v3/projects/{joe.project_id}/groups/{group}/roles/{service}"
    cloud.identity.put(where, None)
    joe.token, _ = joe.log_in({"project": {"id": joe.project_id}})
    made = make(joe, roles=[{"name": "service"}, {"name": "reader"}])
    text = token_of(joe, made)
    cloud.identity.delete(where)
    assert cloud.compute.call("GET", "/servers", token=text).status_int == 401
    assert joe.refused(application_credential=proof(made)) == 401


def test_it_dies_with_its_user_and_its_project(cloud: Cloud, joe: Person) -> None:
    made = make(joe)
    cloud.identity.delete(f"/v3/projects/{joe.project_id}")
    assert joe.refused(application_credential=proof(made)) == 404
    ann = person(cloud, "ann", "member")
    make(ann, access_rules=[SERVERS])
    cloud.identity.delete(f"/v3/users/{ann.id}")


# --- access rules -----------------------------------------------------------------------------


def test_access_rules_say_which_requests_a_token_is_for(cloud: Cloud, joe: Person) -> None:
    rules = [SERVERS, {"service": "image", "path": "/v2/images/{id}/**", "method": "GET"}]
    made = make(joe, access_rules=rules)
    assert [{**rule, "id": None} for rule in made["access_rules"]] == [
        {**rule, "id": None} for rule in rules
    ]
    text, token = joe.log_in(application_credential=proof(made))
    assert token["application_credential"]["access_rules"] == made["access_rules"]
    cloud.compute.call("GET", "/servers", status=200, token=text)
    for facade, method, path in (
        (cloud.compute, "POST", "/servers"),
        (cloud.compute, "GET", "/servers/detail"),
        (cloud.image, "GET", "/v2/images"),
        (cloud.networks, "GET", "/v2.0/networks"),
        (cloud.identity, "GET", f"/v3/users/{joe.id}"),
    ):
        assert facade.call(method, path, {}, token=text).status_int == 401, path
    # It is another question whether there is such an image.
    assert cloud.image.call("GET", "/v2/images/a/b", token=text).status_int == 404
    # No rules are no restriction.
    free = token_of(joe, make(joe, name="free", access_rules=[]))
    cloud.image.call("GET", "/v2/images", status=200, token=free)


def test_a_token_with_access_rules_is_told_to_who_heeds_them(cloud: Cloud, joe: Person) -> None:
    text = token_of(joe, make(joe, access_rules=[SERVERS]))
    asked = {"X-Subject-Token": text}
    assert cloud.identity.call("GET", "/v3/auth/tokens", headers=asked).status_int == 404
    heeds = {**asked, "OpenStack-Identity-Access-Rules": "1.0"}
    cloud.identity.call("GET", "/v3/auth/tokens", headers=heeds, status=200)
    # Of itself it can always be asked.
    joe.call("GET", "/auth/tokens", token=text, headers=heeds, status=200)


def test_rules_are_kept_until_they_are_removed_and_are_not_made_twice(joe: Person) -> None:
    made = make(joe, access_rules=[SERVERS])
    [rule] = made["access_rules"]
    again = make(joe, name="b", access_rules=[SERVERS])
    by_id = make(joe, name="c", access_rules=[{"id": rule["id"]}])
    assert again["access_rules"] == by_id["access_rules"] == [rule]
    here = f"/users/{joe.id}/access_rules"
    [shown] = joe.call("GET", here).json["access_rules"]
    assert joe.call("GET", f"{here}?service=image").json["access_rules"] == []
    assert {**rule, "links": shown["links"]} == shown
    assert joe.call("GET", f"{here}/{rule['id']}").json == {"access_rule": shown}
    assert joe.call("DELETE", f"{here}/{rule['id']}").status_int == 403
    for credential in (made, again, by_id):
        joe.call(
            "DELETE", f"/users/{joe.id}/application_credentials/{credential['id']}", status=204
        )
    assert len(joe.call("GET", here).json["access_rules"]) == 1
    joe.call("DELETE", f"{here}/{rule['id']}", status=204)
    assert joe.call("GET", here).json["access_rules"] == []
    assert joe.call("GET", f"{here}/{rule['id']}").status_int == 404


def test_rules_are_each_users_own(cloud: Cloud, joe: Person) -> None:
    [rule] = make(joe, access_rules=[SERVERS])["access_rules"]
    ann = person(cloud, "ann", "member")
    assert ann.call("GET", f"/users/{joe.id}/access_rules").status_int == 403
    assert ann.call("GET", f"/users/{ann.id}/access_rules/{rule['id']}").status_int == 404
    make(ann, 404, access_rules=[{"id": rule["id"]}])
