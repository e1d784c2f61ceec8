"""Policies that other services keep here, and which of them holds for an endpoint.

Keystone's /policies and OS-ENDPOINT-POLICY.  What is in one is the business of
the service that reads it; our own rules are not among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import (
    CatalogEndpoint,
    CatalogService,
    PolicyAssociation,
    PolicyBlob,
    Region,
)
from nova_lite.domain.errors import NotFound
from nova_lite.services.identity.registry import Kind, there

POLICY = Kind("policy", PolicyBlob)
#: What a policy can hold for, by the names it is said with.
_ENDS: dict[str, tuple[type[Any], str]] = {
    "endpoint_id": (CatalogEndpoint, "endpoint"),
    "service_id": (CatalogService, "service"),
    "region_id": (Region, "region"),
}


class Policies:
    """`target` is an endpoint_id, a service_id, or a service_id and a region_id."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @one_transaction
    def associate(
        self, _context: RequestContext, policy_id: str, target: Mapping[str, str]
    ) -> None:
        """This policy holds there from now on, and no other."""
        with self.database.write() as session:
            # Held until the commit, so that nobody says something else of the same.
            key = _key(session, policy_id, target, lock=True)
            session.merge(PolicyAssociation(target=key, policy_id=policy_id, **target))

    def check(self, _context: RequestContext, policy_id: str, target: Mapping[str, str]) -> None:
        """Raises NotFound unless this policy holds there."""
        with self.database.read() as session:
            found = session.get(PolicyAssociation, _key(session, policy_id, target))
            if found is None or found.policy_id != policy_id:
                raise _no_association(policy_id, target)

    @one_transaction
    def dissociate(
        self, _context: RequestContext, policy_id: str, target: Mapping[str, str]
    ) -> None:
        with self.database.write() as session:
            key = _key(session, policy_id, target)
            gone = sa.delete(PolicyAssociation).filter_by(target=key, policy_id=policy_id)
            if not rows_changed(session, gone):
                raise _no_association(policy_id, target)

    def policy_of(self, _context: RequestContext, endpoint_id: str) -> PolicyBlob:
        """What holds for an endpoint.

        Its own policy goes first, then that of its service in its region or in
        one around that, then that of its service.  Raises NotFound when there is none.
        """
        with self.database.read() as session:
            endpoint = there(session, CatalogEndpoint, "endpoint", endpoint_id)
            for target in _targets(session, endpoint):
                found = session.get(PolicyAssociation, _word(target))
                if found is not None:
                    return session.get_one(PolicyBlob, found.policy_id)
        raise NotFound(f"No policy is associated with endpoint {endpoint_id}.")

    def endpoints_of(self, _context: RequestContext, policy_id: str) -> list[CatalogEndpoint]:
        """The endpoints that a policy was associated with, in whatever way."""
        with self.database.read() as session:
            there(session, PolicyBlob, "policy", policy_id)
            parents = _parents(session)
            found: dict[str, CatalogEndpoint] = {}
            for said in session.scalars(
                sa.select(PolicyAssociation).where(PolicyAssociation.policy_id == policy_id)
            ):
                query = sa.select(CatalogEndpoint).order_by(CatalogEndpoint.id)
                if said.endpoint_id is not None:
                    query = query.where(CatalogEndpoint.id == said.endpoint_id)
                else:
                    query = query.where(CatalogEndpoint.service_id == said.service_id)
                for endpoint in session.scalars(query):
                    if said.region_id in (None, *_around(endpoint.region_id, parents)):
                        found[endpoint.id] = endpoint
        return list(found.values())


def _key(session: Session, policy_id: str, target: Mapping[str, str], *, lock: bool = False) -> str:
    """The word for `target`.  Raises NotFound when one of all these is not there."""
    there(session, PolicyBlob, "policy", policy_id, lock=lock)
    for name, id in target.items():
        there(session, *_ENDS[name], id, lock=lock)
    return _word(target)


def _word(target: Mapping[str, str]) -> str:
    return "/".join(f"{name}={target[name]}" for name in _ENDS if name in target)


def _targets(session: Session, endpoint: CatalogEndpoint) -> Iterator[dict[str, str]]:
    """What a policy that holds for the endpoint may be about, the closest first."""
    yield {"endpoint_id": endpoint.id}
    parents = _parents(session)
    for region in _around(endpoint.region_id, parents):
        yield {"service_id": endpoint.service_id, "region_id": region}
    yield {"service_id": endpoint.service_id}


def _parents(session: Session) -> dict[str, str | None]:
    """The region that each is directly in."""
    rows = session.execute(sa.select(Region.id, Region.parent_region_id))
    return {region.id: region.parent_region_id for region in rows}


def _around(region: str | None, parents: Mapping[str, str | None]) -> list[str]:
    """The region, and those that it is within, outwards."""
    found: list[str] = []
    while region is not None and region not in found:
        found.append(region)
        region = parents.get(region)
    return found


def _no_association(policy_id: str, target: Mapping[str, str]) -> NotFound:
    return NotFound(f"Policy {policy_id} is not associated with {_word(target)}.")
