"""What other services have to say about a server: a port was plugged, a volume has grown.

Here one process knows of servers, networks and volumes alike, and whoever
changes one of them tells whom it concerns.  So there is nobody who waits for
such an event; it is acknowledged, as far as there is a server to tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database
from nova_lite.db.models import Instance


class ExternalEvents:
    def __init__(self, database: Database) -> None:
        self.database = database

    def hosts(self, context: RequestContext, ids: Sequence[UUID]) -> Mapping[UUID, str | None]:
        """Where those servers are that are there; None is on no host yet."""
        query = sa.select(Instance.id, Instance.host).where(
            Instance.id.in_(ids), Instance.deleted == sa.false()
        )
        with self.database.read() as session:
            # Who may say so is policy: a service that does owns no servers.
            return {row.id: row.host for row in session.execute(query)}
