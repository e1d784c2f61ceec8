"""Where a role is held and a token is good: in a project, a domain, or everywhere."""

from __future__ import annotations

from enum import StrEnum


class ScopeKind(StrEnum):
    NONE = "none"  # of tokens only: good to find out where one has a role
    PROJECT = "project"
    DOMAIN = "domain"
    SYSTEM = "system"


#: The id of the system as a scope; Keystone knows no part of it.
ALL = "all"
