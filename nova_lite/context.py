"""Who asks, for which project, under which request id."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True)
class RequestContext:
    """The identity behind one request, as its token says; roles include implied ones."""

    request_id: str
    user_id: str
    user_name: str = ""
    user_domain_id: str = "default"
    project_id: str | None = None  # None: an unscoped or a system-scoped token
    project_name: str = ""
    project_domain_id: str = "default"
    roles: frozenset[str] = frozenset()
    system_scope: bool = False
    expires_at: dt.datetime | None = None
    token_id: str = ""  # the audit id: names the token without being able to use it

    @property
    def is_admin(self) -> bool:
        """May act on what belongs to other projects."""
        return "admin" in self.roles

    def owns(self, project_id: str) -> bool:
        """Whether a thing of that project may be seen at all."""
        return self.is_admin or project_id == self.project_id
