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
    domain_id: str | None = None  # of a domain-scoped token
    roles: frozenset[str] = frozenset()
    system_scope: bool = False
    expires_at: dt.datetime | None = None
    token_id: str = ""  # the audit id: names the token without being able to use it
    application_credential_id: str | None = None  # what the token was shown for
    unrestricted: bool = True  # whether that may make others like itself
    trust_id: str | None = None  # whose roles these are

    @property
    def is_admin(self) -> bool:
        """May act on what belongs to other projects."""
        return "admin" in self.roles

    @property
    def is_delegated(self) -> bool:
        """Whether who asks was handed a part of what a user may."""
        return self.application_credential_id is not None or self.trust_id is not None

    def owns(self, project_id: str) -> bool:
        """Whether a thing of that project may be seen at all."""
        return self.is_admin or project_id == self.project_id
