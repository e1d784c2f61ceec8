"""People who do things by the identity API: users with a project, and what they log in with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import webob

from nova_lite.testing.cloud import Cloud

Json = dict[str, Any]


@dataclass
class Person:
    """A user with roles on a project of his own, and a token for it."""

    cloud: Cloud
    name: str
    id: str
    project_id: str
    token: str = ""

    @property
    def password_proof(self) -> Json:
        user = {"id": self.id, "password": f"secret-{self.name}"}
        return {"methods": ["password"], "password": {"user": user}}

    def log_in(self, scope: Any = None, **proof: Any) -> tuple[str, Json]:
        """A token and what it says: by password, or by what is shown instead."""
        identity = {"methods": list(proof), **proof} if proof else self.password_proof
        body = {"auth": {"identity": identity, **({} if scope is None else {"scope": scope})}}
        answer = self.cloud.identity.call("POST", "/v3/auth/tokens", body, status=201, token="")
        return answer.headers["X-Subject-Token"], answer.json["token"]

    def refused(self, scope: Any = None, **proof: Any) -> int:
        """The status of a login that fails."""
        identity = {"methods": list(proof), **proof} if proof else self.password_proof
        body = {"auth": {"identity": identity, **({} if scope is None else {"scope": scope})}}
        answer = self.cloud.identity.call("POST", "/v3/auth/tokens", body, token="")
        assert answer.status_int >= 400, answer.text
        return answer.status_int

    def call(self, method: str, path: str, body: Any = None, **how: Any) -> webob.Response:
        how.setdefault("token", self.token)
        return self.cloud.identity.call(method, f"/v3{path}", body, **how)

    def grant(self, role: str, project_id: str | None = None, *, method: str = "PUT") -> None:
        where = f"/v3/projects/{project_id or self.project_id}/users/{self.id}/roles"
        self.cloud.identity.call(method, f"{where}/{role_id(self.cloud, role)}", status=204)


def role_id(cloud: Cloud, name: str) -> str:
    [role] = cloud.identity.get(f"/v3/roles?name={name}")["roles"]
    return str(role["id"])


def person(cloud: Cloud, name: str, *roles: str) -> Person:
    user = {"name": name, "password": f"secret-{name}", "domain_id": "default"}
    made = cloud.identity.post("/v3/users", {"user": user})["user"]
    project = cloud.identity.post("/v3/projects", {"project": {"name": f"{name}s"}})["project"]
    found = Person(cloud, name, made["id"], project["id"])
    for role in roles:
        found.grant(role)
    if roles:
        found.token, _ = found.log_in({"project": {"id": found.project_id}})
    return found
