"""The catalog: which APIs there are, and under which URL the asker finds them.

It is what the tables of services, endpoints and regions say.  Our own APIs are
in there from the beginning, with paths instead of URLs: they are wherever the
client has just reached us.  Every token contains the catalog, so what was read
is believed for a few seconds.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from uuid import UUID, uuid5

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import insert_if_absent
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    CatalogEndpoint,
    CatalogService,
    ProjectEndpoint,
    ProjectEndpointGroup,
    Region,
)
from nova_lite.services.identity.endpoint_filter import chosen_for
from nova_lite.services.identity.endpoint_urls import located
from nova_lite.services.identity.unified_limits import register_quotas

#: Our own: type, name, path.  The paths are those that clients complete best: compute
#: and identity with their version, the others without.
SERVICES = (
    ("identity", "keystone", "/identity/v3"),
    ("compute", "nova", "/compute/v2.1"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
    ("placement", "placement", "/placement"),
)
INTERFACES = ("public", "internal", "admin")
#: What operators may limit per project from the beginning.
QUOTAS = {
    "image": (
        "image_size_total",
        "image_stage_total",
        "image_count_total",
        "image_count_uploading",
    ),
}
#: Ids are derived from what they name: the same as before these were rows.
_NAMESPACE = UUID("5dbd2f4e-0f4a-4a52-9a5f-9f6c62fdd3a5")


@dataclass(frozen=True)
class Endpoint:
    id: str
    interface: str
    region: str | None
    url: str
    service_id: str


@dataclass(frozen=True)
class Entry:
    """One service with its endpoints."""

    id: str
    type: str
    name: str
    endpoints: tuple[Endpoint, ...]


@dataclass(frozen=True)
class _Read:
    """The catalog as it was in the database; `filters` are for who has asked since."""

    entries: tuple[Entry, ...]
    believed_until: dt.datetime
    filtered: bool  # whether some project sees less than all
    filters: dict[str, frozenset[str]] = field(default_factory=dict)


class Catalog:
    """`region` is the one that our own APIs are registered in."""

    def __init__(
        self,
        database: Database,
        region: str,
        cache_seconds: int,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.region = region
        self.now = now
        self._believed = dt.timedelta(seconds=cache_seconds)
        self._read: _Read | None = None
        self._changes = 0
        self._lock = threading.Lock()

    def entries(
        self, outside_url: str, *, user_id: str, project_id: str | None
    ) -> tuple[Entry, ...]:
        """What there is, for a client that knows us as `outside_url`.

        A project that endpoints were associated with has these and no others.
        An endpoint whose URL names the project is not for who has none.
        """
        read = self._current()
        known = {"user_id": user_id}
        if project_id is not None:
            known |= {"project_id": project_id, "tenant_id": project_id}
        only = self._filter(read, project_id)
        return tuple(
            replace(entry, endpoints=tuple(_located(entry.endpoints, outside_url, known)))
            for entry in (_among(read.entries, only) if only else read.entries)
        )

    def forget(self) -> None:
        """What was read is not true any more."""
        with self._lock:
            self._changes += 1
            self._read = None

    @one_transaction
    def ensure(self) -> None:
        """Register our own APIs, unless there is any region: so this was done before."""
        with self.database.read() as session:
            if session.scalar(sa.select(Region.id).limit(1)) is not None:
                return
        with self.database.write() as session:
            if insert_if_absent(session, Region, id=self.region):
                _register(session, self.region)
        self.forget()

    def _current(self) -> _Read:
        read, now = self._read, self.now()
        # Both ways: a clock that is put back must not prolong belief.
        if read is None or not dt.timedelta() < read.believed_until - now <= self._believed:
            changes = self._changes
            read = self._load(now)
            if not read.entries:
                # Of a database from before these were rows.
                self.ensure()
                changes, read = self._changes, self._load(now)
            with self._lock:
                if changes == self._changes:
                    self._read = read
        return read

    def _load(self, now: dt.datetime) -> _Read:
        with self.database.read() as session:
            rows = session.execute(_ALL).all()
            filtered = session.execute(_FILTERED).first() is not None
        entries = tuple(
            Entry(
                id=id,
                type=service[0].type,
                name=service[0].name,
                endpoints=tuple(
                    Endpoint(row.endpoint_id, row.interface, row.region_id, row.url, id)
                    for row in service
                    if row.endpoint_id is not None
                ),
            )
            for id, service in ((id, list(rows)) for id, rows in groupby(rows, lambda row: row.id))
        )
        return _Read(tuple(sorted(entries, key=_rank)), now + self._believed, filtered)

    def _filter(self, read: _Read, project_id: str | None) -> frozenset[str]:
        """The ids of the endpoints that were chosen for the project; none if nothing was."""
        if project_id is None or not read.filtered:
            return frozenset()
        found = read.filters.get(project_id)
        if found is None:
            with self.database.read() as session:
                chosen = session.scalars(chosen_for(session, project_id))
                found = read.filters[project_id] = frozenset(chosen)
        return found


#: Services with their endpoints, as far as they are enabled.
_ALL = (
    sa.select(
        CatalogService.id,
        CatalogService.type,
        CatalogService.name,
        CatalogEndpoint.id.label("endpoint_id"),
        CatalogEndpoint.interface,
        CatalogEndpoint.region_id,
        CatalogEndpoint.url,
    )
    .outerjoin_from(
        CatalogService,
        CatalogEndpoint,
        sa.and_(CatalogEndpoint.service_id == CatalogService.id, CatalogEndpoint.enabled),
    )
    .where(CatalogService.enabled)
    .order_by(
        CatalogService.type,
        CatalogService.id,
        CatalogEndpoint.region_id,
        CatalogEndpoint.interface.desc(),  # public internal admin
        CatalogEndpoint.id,
    )
)
_FILTERED = sa.union_all(
    sa.select(ProjectEndpoint.project_id), sa.select(ProjectEndpointGroup.project_id)
).limit(1)


def _rank(entry: Entry) -> int:
    """Our own come first, in their order."""
    return _RANKS.get(entry.id, len(_RANKS))


def _among(entries: Iterable[Entry], ids: frozenset[str]) -> Iterator[Entry]:
    """What is left of them with these endpoints only."""
    for entry in entries:
        left = tuple(endpoint for endpoint in entry.endpoints if endpoint.id in ids)
        if left:
            yield replace(entry, endpoints=left)


def _located(
    endpoints: Iterable[Endpoint], outside_url: str, known: Mapping[str, str]
) -> Iterator[Endpoint]:
    for endpoint in endpoints:
        url = located(endpoint.url, outside_url, known)
        if url is not None:
            yield replace(endpoint, url=url)


def _register(session: Session, region: str) -> None:
    for type, name, path in SERVICES:
        service_id = _id("service", type)
        session.add(CatalogService(id=service_id, type=type, name=name))
        session.flush()
        for interface in INTERFACES:
            session.add(
                CatalogEndpoint(
                    id=_id("endpoint", region, type, interface),
                    service_id=service_id,
                    interface=interface,
                    region_id=region,
                    url=path,
                )
            )
        register_quotas(session, service_id, region, QUOTAS.get(type, ()))


def _id(*what: str) -> str:
    return uuid5(_NAMESPACE, "/".join(what)).hex


_RANKS = {_id("service", type): rank for rank, (type, _, _) in enumerate(SERVICES)}
