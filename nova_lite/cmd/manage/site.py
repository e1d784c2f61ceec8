"""What commands work on: this controller's configuration, database and services.

Each is opened when a command first asks for it, and closed at the end.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from oslo_config import cfg

    from nova_lite.bus.messages import Command, HostStatus, Json, Report
    from nova_lite.cmd.keys import Keys
    from nova_lite.context import RequestContext
    from nova_lite.db.engine import Database
    from nova_lite.domain.specs import Role
    from nova_lite.services import Services


class Site(ExitStack):
    def __init__(self, files: Sequence[str] = ()) -> None:
        super().__init__()
        self._files = files

    @cached_property
    def config(self) -> cfg.ConfigOpts:
        from nova_lite import config

        return config.load([word for file in self._files for word in ("--config-file", file)])

    @cached_property
    def database(self) -> Database:
        from nova_lite.cmd import wiring

        database = wiring.database(self.config)
        self.callback(database.close)
        return database

    @cached_property
    def keys(self) -> Keys:
        from nova_lite import config
        from nova_lite.cmd import keys

        return keys.load(config.state(self.config, "keys"))

    @cached_property
    def services(self) -> Services:
        from nova_lite.cmd import wiring

        return wiring.services(self.config, self.database, self.keys, SilentBus(), self.now)

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    @cached_property
    def admin(self) -> RequestContext:
        """Whoever may read our configuration may do everything."""
        from nova_lite.services.identity.identity import admin_context

        return admin_context()


class SilentBus:
    """Tells nobody: schedulers look every few seconds at what is due, whoever made it so."""

    def wake(self, operations: Sequence[UUID]) -> None: ...

    def publish(self, command: Command) -> None: ...

    def report(self, report: Report) -> None: ...

    def status(self, status: HostStatus) -> None: ...

    def call(self, role: Role, host: str, question: str, args: Json, timeout: float) -> Json:
        from nova_lite.domain.errors import RemoteFailure

        raise RemoteFailure("nova-manage asks no workers.")
