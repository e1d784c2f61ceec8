"""The directory: domains, and the projects, users and groups in them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

from nova_lite.db.engine import Database
from nova_lite.services.identity.domains import DEFAULT_DOMAIN
from nova_lite.services.identity.groups import Groups
from nova_lite.services.identity.passwords import Passwords

__all__ = ["DEFAULT_DOMAIN", "Directory"]


class Directory(Groups):
    """What an operator or an admin does to the directory.

    Each kind of thing has a part of its own; what is in a domain builds on the
    part of the domains, and so on up to the groups, which have users.
    """

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        now: Callable[[], dt.datetime],
        changed: Callable[[], None],
        max_project_tree_depth: int,
    ) -> None:
        super().__init__(database, changed)
        self.passwords = passwords
        self.now = now
        self.max_project_tree_depth = max_project_tree_depth
