"""What the catalog is made of, as kinds of the registry: regions, services, endpoints, groups."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.base import insert_if_absent
from nova_lite.db.models import (
    CatalogEndpoint,
    CatalogService,
    EndpointGroup,
    Region,
    RegisteredLimit,
)
from nova_lite.domain.errors import Forbidden, Invalid
from nova_lite.services.identity import endpoint_urls
from nova_lite.services.identity.collection import find
from nova_lite.services.identity.endpoint_filter import FILTERS
from nova_lite.services.identity.registry import Kind, there


def _settle_region(session: Session, values: dict[str, Any], found: Any) -> None:
    parent = values.get("parent_region_id")
    above: set[str] = set()
    while parent is not None and parent not in above:
        above.add(parent)
        parent = there(session, Region, "region", parent).parent_region_id
    if values.get("id", getattr(found, "id", None)) in above:
        raise Invalid(
            "Invalid input for field/attribute parent_region_id. "
            "A region cannot be within itself, nor in one that is within it."
        )


def _part_region(session: Session, found: Any) -> None:
    """The regions within go with it.  Raises Forbidden while something is in any of them."""
    for child in session.scalars(sa.select(Region).where(Region.parent_region_id == found.id)):
        _part_region(session, child)
        session.delete(child)
    session.flush()
    for model in (CatalogEndpoint, RegisteredLimit):
        if session.scalar(sa.select(model.id).where(model.region_id == found.id).limit(1)):
            raise Forbidden(
                f"Unable to delete region {found.id} because it or one of the regions within it "
                "has endpoints or registered limits."
            )


def _settle_endpoint(session: Session, values: dict[str, Any], _found: Any) -> None:
    region = values.pop("region", None)
    if values.get("region_id") is None and region is not None:
        # As clients of old say it: then the region is made where there is none.
        values["region_id"] = region
        insert_if_absent(session, Region, id=region)
    for name, model in (("service_id", CatalogService), ("region_id", Region)):
        id = values.get(name)
        if id is not None and find(session, model, id) is None:
            raise Invalid(
                f"Invalid input for field/attribute {name}. There is no {name[:-3]} {id!r}."
            )
    if "url" in values:
        endpoint_urls.check(values["url"])


def _settle_group(_session: Session, values: dict[str, Any], found: Any) -> None:
    filters: dict[str, Any] = values.get("filters", getattr(found, "filters", {}))
    if found is None and not filters:
        raise Invalid("Invalid input for field/attribute filters. It cannot be empty.")
    unknown = filters.keys() - FILTERS.keys()
    if unknown:
        raise Invalid(
            f"Invalid input for field/attribute filters. {', '.join(sorted(unknown))} "
            f"is none of {', '.join(FILTERS)}."
        )


REGION = Kind("region", Region, settle=_settle_region, part=_part_region)
SERVICE = Kind("service", CatalogService)
ENDPOINT = Kind(
    "endpoint",
    CatalogEndpoint,
    # Its region has two names.
    columns={**CatalogEndpoint.__table__.columns, "region": CatalogEndpoint.region_id},
    settle=_settle_endpoint,
)
ENDPOINT_GROUP = Kind("endpoint group", EndpointGroup, settle=_settle_group)
