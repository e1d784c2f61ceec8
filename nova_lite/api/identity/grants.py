"""The roles of a user or a group on a project, on a domain, and on the system.

One table of paths: for each kind of scope and of actor what is held there, and
under /v3/OS-INHERIT what is held on all projects below instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.identity.roles import KIND
from nova_lite.domain.scopes import ALL, ScopeKind
from nova_lite.services.identity.grants import Place

GRANTS = Resource("/v3")


@dataclass(frozen=True)
class Path:
    """Where grants of one kind are; `rule` is the end of the names of their policy rules."""

    kind: ScopeKind
    scope: str
    actor: str
    rule: str = "grant"
    inherited: bool = False

    @property
    def all(self) -> str:
        start, end = ("/OS-INHERIT", "/inherited_to_projects") if self.inherited else ("", "")
        return f"{start}{self.scope}/{self.actor}s/{{{self.actor}_id}}/roles{end}"

    @property
    def one(self) -> str:
        start, end = ("/OS-INHERIT", "/inherited_to_projects") if self.inherited else ("", "")
        return f"{start}{self.scope}/{self.actor}s/{{{self.actor}_id}}/roles/{{role_id}}{end}"

    def serve(self) -> None:
        """Declare the four things one can do there."""
        rule, rules = f"identity:{{}}_{self.rule}", self.rule.replace("grant", "grants")

        @GRANTS.on("GET", self.all, policy=f"identity:list_{rules}")
        def index(request: Request, **at: str) -> dict[str, Any]:
            return KIND.page(
                request, request.services.grants.roles_on(request.context, self.place(**at))
            )

        @GRANTS.on("PUT", self.one, policy=rule.format("create"), status=204)
        def grant(request: Request, role_id: str, **at: str) -> None:
            request.services.grants.grant(request.context, role_id, self.place(**at))

        @GRANTS.on("GET", self.one, policy=rule.format("check"), status=204)
        def check(request: Request, role_id: str, **at: str) -> None:
            request.services.grants.check_grant(request.context, role_id, self.place(**at))

        @GRANTS.on("DELETE", self.one, policy=rule.format("revoke"), status=204)
        def revoke(request: Request, role_id: str, **at: str) -> None:
            request.services.grants.revoke(request.context, role_id, self.place(**at))

    def place(self, scope_id: str = ALL, **actor: str) -> Place:
        return Place(self.kind, scope_id, inherited=self.inherited, **actor)


PATHS = tuple(
    path
    for actor in ("user", "group")
    for path in (
        Path(ScopeKind.PROJECT, "/projects/{scope_id}", actor),
        Path(ScopeKind.DOMAIN, "/domains/{scope_id}", actor),
        Path(ScopeKind.PROJECT, "/projects/{scope_id}", actor, inherited=True),
        Path(ScopeKind.DOMAIN, "/domains/{scope_id}", actor, inherited=True),
        Path(ScopeKind.SYSTEM, "/system", actor, f"system_grant_for_{actor}"),
    )
)
for _path in PATHS:
    _path.serve()
