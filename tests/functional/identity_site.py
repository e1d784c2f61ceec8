"""What tests of the identity API make and look for again and again."""

from __future__ import annotations

from typing import Any

from nova_lite.testing.cloud import Cloud, Facade

UNKNOWN = "0" * 32


def make(identity: Facade, kind: str, /, **values: Any) -> dict[str, Any]:
    made: dict[str, Any] = identity.post(f"/v3/{kind}s", {kind: values}, status=201)[kind]
    return made


def change(identity: Facade, kind: str, what: str, /, status: int = 200, **values: Any) -> Any:
    """The thing as it is then, or the error."""
    answer = identity.call("PATCH", f"/v3/{kind}s/{what}", {kind: values}, status=status).json
    return answer[kind] if status == 200 else answer["error"]


def role_id(identity: Facade, name: str) -> str:
    [role] = identity.get(f"/v3/roles?name={name}")["roles"]
    return str(role["id"])


def user_id(identity: Facade, name: str) -> str:
    [user] = identity.get(f"/v3/users?name={name}")["users"]
    return str(user["id"])


def names(answer: dict[str, Any]) -> list[str]:
    [things] = [value for key, value in answer.items() if key not in ("links", "truncated")]
    return [thing["name"] for thing in things]


def person(identity: Facade, name: str, role: str, where: str, **values: Any) -> str:
    """The id of a new user with a role in one place and the password secret-NAME."""
    user = make(identity, "user", name=name, password=f"secret-{name}", **values)["id"]
    identity.put(f"/v3/{where}/users/{user}/roles/{role_id(identity, role)}", None)
    return str(user)


def token(cloud: Cloud, user: str, password: str, scope: dict[str, Any], **how: Any) -> str:
    """A token of the user with this id, by password."""
    shown = {"methods": ["password"], "password": {"user": {"id": user, "password": password}}}
    body = {"auth": {"identity": shown, "scope": scope}}
    how = {"status": 201, **how}
    response = cloud.identity.call("POST", "/v3/auth/tokens", body, token="", **how)
    return str(response.headers.get("X-Subject-Token", ""))
