"""What steps and reconcilers need beside their transaction: handed in, never looked up."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import Service
from nova_lite.db.queries import hosts
from nova_lite.domain.capacity import Ratios
from nova_lite.domain.specs import ImageSource, Role
from nova_lite.network.modes import HostSettings
from nova_lite.scheduler.base import Scheduler
from nova_lite.scheduler.fleet import Fleet

PICTURE_AGE = dt.timedelta(seconds=1)


@dataclass(frozen=True)
class Settings:
    """The options that decisions depend on."""

    ratios: Ratios = field(default_factory=Ratios)
    max_attempts: int = 3
    service_down_time: dt.timedelta = dt.timedelta(seconds=20)
    shutdown_timeout: int = 60
    allow_resize_to_same_host: bool = True
    # How long an instance may stay as it is; None: for ever.
    shelved_offload_time: dt.timedelta | None = dt.timedelta()
    reclaim_instance_interval: dt.timedelta | None = None
    resize_confirm_window: dt.timedelta | None = None
    network: HostSettings = field(default_factory=HostSettings)


class FleetPicture:
    """The fleet in memory, at most a second old, and corrected by our own claims."""

    def __init__(self, settings: Settings, now: Callable[[], dt.datetime]) -> None:
        self._settings, self._now = settings, now
        self._fleet: Fleet | None = None
        self._taken_at = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._lock = threading.Lock()

    def look(self, session: Session, *, fresh: bool = False) -> Fleet:
        now = self._now()
        with self._lock:
            if self._fleet is None or fresh or now - self._taken_at >= PICTURE_AGE:
                alive_since = now - self._settings.service_down_time
                self._fleet = Fleet(
                    hosts.rows(session, alive_since),
                    self._settings.ratios,
                    hosts.aggregates(session),
                )
                self._taken_at = now
            return self._fleet


@dataclass
class World:
    scheduler: Scheduler
    settings: Settings
    image_source: Callable[[UUID, Session], ImageSource]
    """Where a worker may fetch an image from, for a while.  Raises NotFound."""
    image_upload: Callable[[UUID], str]
    """Where a worker may upload the bytes of a queued image to, for a while."""
    now: Callable[[], dt.datetime]
    fleet: FleetPicture = field(init=False)

    def __post_init__(self) -> None:
        self.fleet = FleetPicture(self.settings, self.now)

    def is_up(self, session: Session, role: Role, host: str) -> bool:
        """Whether that worker has spoken lately and nobody has declared it down."""
        if role is Role.COMPUTE:
            fleet = self.fleet.look(session)
            at = fleet.index.get(host)
            if at is not None:
                return bool(fleet.up[at])
        seen = sa.select(Service.last_seen_at, Service.forced_down).where(
            Service.role == role, Service.host == host
        )
        row = session.execute(seen).one_or_none()
        if row is None or row.forced_down:
            return False
        alive: bool = row.last_seen_at > self.now() - self.settings.service_down_time
        return alive
