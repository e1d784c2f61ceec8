"""Brings the filters of guests up to what the security groups of their ports say.

No input but the database.  A guest that an operation holds waits: what that
tells its host is newer than what we know.  Lost words are said again.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from uuid import uuid5

from sqlalchemy.orm import Session

from nova_lite.bus.messages import Command, Report
from nova_lite.db.engine import Database
from nova_lite.db.queries import filters
from nova_lite.domain.specs import Role, to_json
from nova_lite.operations.guest import nics_of
from nova_lite.operations.world import World

LOG = logging.getLogger(__name__)
PROTECT = "guest.protect"
RESEND_AFTER = dt.timedelta(seconds=5)
BATCH = 100  # guests whose hosts are told in one transaction


class Filters:
    def __init__(
        self, database: Database, world: World, publish: Callable[[Command], None]
    ) -> None:
        self.database = database
        self.world = world
        self.publish = publish

    def run(self) -> bool:
        """Tell the hosts of some guests that are behind; say whether there may be more."""
        with self.database.read() as session:
            if not filters.any_due(session, self.world.now()):
                return False
        with self.database.write() as session:
            filters.spread(session)
            commands = self._commands(session)
            filters.drop_done(session, self.world.now())
        for command in commands:
            self.publish(command)
        return len(commands) == BATCH

    def accept(self, reports: Sequence[Report]) -> None:
        """Hosts say what they let through now, or why they could not."""
        with self.database.write() as session:
            # In one order: two who note the same reports do not block each other.
            for report in sorted(reports, key=lambda report: report.operation_id):
                instance = report.operation_id
                if report.error:
                    LOG.warning("filters of %s on %s: %s", instance, report.host, report.error)
                else:
                    generation = int(report.result["filters"])
                    filters.applied(session, instance, report.host, generation)

    def _commands(self, session: Session) -> list[Command]:
        now, down = self.world.now(), self.world.settings.service_down_time
        due = filters.take_due(session, now, now + RESEND_AFTER, now - down, BATCH)
        nics = nics_of(session, [each.id for each in due])
        return [
            Command(
                id=uuid5(each.id, f"{PROTECT}:{each.host}:{each.sequence}"),
                operation_id=each.id,
                role=Role.COMPUTE,
                host=each.host,
                verb=PROTECT,
                args={
                    "id": str(each.id),
                    "nics": to_json(nics[each.id]),
                    "filters": each.generation,
                },
                sequence=each.sequence,
            )
            for each in due
        ]
