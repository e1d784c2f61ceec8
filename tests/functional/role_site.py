"""A cloud, and what one says to its identity API about roles, in one line each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import webob

from nova_lite.context import RequestContext
from nova_lite.testing.cloud import Cloud

UNKNOWN = "0" * 32


class RoleSite:
    """What is made is known by its name from then on; roles by the names they always had."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.cloud = Cloud(directory, hosts=0, options_=options)
        self.identity = self.cloud.identity
        self.ids = {"default": "default"}
        for role in self.identity.get("/v3/roles")["roles"]:
            self.ids[role["name"]] = role["id"]

    def make(self, kind: str, name: str, **values: Any) -> str:
        if kind == "user":
            values["password"] = f"secret-{name}"
        made = self.identity.post(f"/v3/{kind}s", {kind: {"name": name, **values}}, status=201)
        self.ids[name] = made[kind]["id"]
        return self.ids[name]

    def join(self, group: str, user: str) -> None:
        self.identity.put(f"/v3/groups/{self.ids[group]}/users/{self.ids[user]}", None, status=204)

    def path(self, place: str, actor: str, *, inherited: bool = False) -> str:
        """`place` and `actor` as "projects/NAME", "system" or "users/NAME"."""
        ids = [
            "/".join((kind, self.ids[name]) if name else (kind,))
            for kind, _, name in (place.partition("/"), actor.partition("/"))
        ]
        return "/".join(["/v3", *(["OS-INHERIT"] if inherited else []), *ids, "roles"])

    def one(self, role: str, place: str, actor: str, *, inherited: bool = False) -> str:
        end = "/inherited_to_projects" if inherited else ""
        return f"{self.path(place, actor, inherited=inherited)}/{self.ids[role]}{end}"

    def give(self, role: str, place: str, actor: str, *, inherited: bool = False) -> None:
        self.identity.put(self.one(role, place, actor, inherited=inherited), None, status=204)

    def take(self, role: str, place: str, actor: str, *, inherited: bool = False) -> None:
        self.identity.delete(self.one(role, place, actor, inherited=inherited))

    def imply(self, prior: str, implied: str) -> None:
        path = f"/v3/roles/{self.ids[prior]}/implies/{self.ids[implied]}"
        self.identity.put(path, None, status=201)

    def assignments(self, query: str = "") -> list[dict[str, Any]]:
        found = self.identity.get(f"/v3/role_assignments?{query}")["role_assignments"]
        assert isinstance(found, list)
        return found

    def roles_in(self, query: str) -> set[str]:
        """The names of the roles in a list of assignments."""
        return {one["role"]["name"] for one in self.assignments(f"{query}&include_names")}

    def login(self, user: str, scope: dict[str, Any]) -> webob.Response:
        who = {"id": self.ids[user], "password": f"secret-{user}"}
        methods = {"methods": ["password"], "password": {"user": who}}
        body = {"auth": {"identity": methods, "scope": scope}}
        return self.identity.call("POST", "/v3/auth/tokens", body, token="")

    def token(self, user: str, place: str) -> str:
        """`place` as "projects/NAME", "domains/NAME" or "system"."""
        kind, _, name = place.partition("/")
        scope: dict[str, Any] = {"system": {"all": True}}
        if name:
            scope = {kind.removesuffix("s"): {"id": self.ids[name]}}
        response = self.login(user, scope)
        assert response.status_int == 201, response.text
        return str(response.headers["X-Subject-Token"])

    def context(self, token: str) -> RequestContext:
        return self.cloud.services.identity.context_of(token, "req-1")

    def roles_of(self, user: str, place: str) -> frozenset[str]:
        """What a token says; none when there is no token to be had."""
        kind, _, name = place.partition("/")
        scope = (
            {kind.removesuffix("s"): {"id": self.ids[name]}} if name else {"system": {"all": True}}
        )
        response = self.login(user, scope)
        if response.status_int == 401:
            return frozenset()
        return frozenset(role["name"] for role in response.json["token"]["roles"])
