"""What becomes of an instance that has been left in a state for long enough.

Each rule begins an operation as its owner might have done; whoever is quicker,
the owner or another process, wins by the same compare-and-set.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.engine import Database
from nova_lite.db.models import Instance
from nova_lite.domain.errors import InvalidState, NotFound
from nova_lite.domain.ids import request_id
from nova_lite.domain.states import VmState
from nova_lite.operations import begin
from nova_lite.operations.world import World

LOG = logging.getLogger(__name__)
AT_ONCE = 50  # instances that one look takes on, of each rule


class Instances:
    def __init__(
        self,
        database: Database,
        world: World,
        wake: Callable[[Sequence[UUID]], None],
    ) -> None:
        self.database = database
        self.wake = wake
        self.now = world.now
        settings = world.settings
        self.rules = tuple(
            (state, after, kind)
            for state, after, kind in (
                (VmState.SHELVED, settings.shelved_offload_time, "instance.shelve_offload"),
                (VmState.SOFT_DELETED, settings.reclaim_instance_interval, "instance.delete"),
                (VmState.RESIZED, settings.resize_confirm_window, "instance.confirm_resize"),
            )
            if after is not None
        )

    def run(self) -> None:
        """Begin whatever has become due."""
        begun: list[UUID] = []
        for state, after, kind in self.rules:
            for id in self._due(state, after):
                begun += self._begin(id, state, kind)
        if begun:
            self.wake(begun)

    def _due(self, state: VmState, after: dt.timedelta) -> Sequence[UUID]:
        with self.database.read() as session:
            return session.scalars(
                sa.select(Instance.id)
                .where(
                    Instance.deleted == sa.false(),
                    Instance.vm_state == state,
                    Instance.operation_id.is_(None),
                    Instance.updated_at <= self.now() - after,
                )
                .order_by(Instance.number)
                .limit(AT_ONCE)
            ).all()

    def _begin(self, id: UUID, state: VmState, kind: str) -> list[UUID]:
        try:
            with self.database.write() as session:
                operation = self._hold(session, id, state, kind)
        except (InvalidState, NotFound) as error:
            LOG.info("instance %s: no %s: %s", id, kind, error)
            return []
        LOG.info("instance %s has been %s for long enough: %s", id, state, kind)
        return [operation] if operation else []

    def _hold(self, session: Session, id: UUID, state: VmState, kind: str) -> UUID | None:
        instance = session.scalars(sa.select(Instance).where(Instance.id == id)).one()
        if instance.vm_state is not state or instance.operation_id is not None:
            return None
        values = begin.row(
            kind,
            id,
            project_id=instance.project_id,
            user_id=instance.user_id,
            request_id=request_id(),
            now=self.now(),
        )
        return begin.begin(session, instance, values)
