"""Which services there are and where: the catalog, what filters it, and what is said of it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base

#: What deleting the other end does to the row that refers to it.
CASCADE = "CASCADE"


class Region(Base):
    __tablename__ = "regions"

    id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    description: Mapped[str] = mapped_column(sa.Text, default="")
    parent_region_id: Mapped[str | None] = mapped_column(sa.ForeignKey("regions.id"))
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class CatalogService(Base):
    """A service as clients know it, by type and name; not a process of ours."""

    __tablename__ = "catalog_services"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(255), index=True)
    name: Mapped[str] = mapped_column(sa.String(255), default="")
    description: Mapped[str] = mapped_column(sa.Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class CatalogEndpoint(Base):
    """One address of a service.

    A `url` that begins with a slash is relative to wherever the client reaches us.
    """

    __tablename__ = "catalog_endpoints"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    service_id: Mapped[str] = mapped_column(
        sa.ForeignKey("catalog_services.id", ondelete=CASCADE), index=True
    )
    interface: Mapped[str] = mapped_column(sa.String(8))  # public internal admin
    region_id: Mapped[str | None] = mapped_column(sa.ForeignKey("regions.id"), index=True)
    url: Mapped[str] = mapped_column(sa.Text)
    enabled: Mapped[bool] = mapped_column(default=True)
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class EndpointGroup(Base):
    """The endpoints whose service_id, region_id or interface are as `filters` says."""

    __tablename__ = "endpoint_groups"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    filters: Mapped[dict[str, Any]]


class ProjectEndpoint(Base):
    """A project has this endpoint in its catalog."""

    __tablename__ = "project_endpoints"

    project_id: Mapped[str] = mapped_column(
        sa.ForeignKey("projects.id", ondelete=CASCADE), primary_key=True
    )
    endpoint_id: Mapped[str] = mapped_column(
        sa.ForeignKey("catalog_endpoints.id", ondelete=CASCADE), primary_key=True, index=True
    )


class ProjectEndpointGroup(Base):
    """A project has the endpoints of this group in its catalog."""

    __tablename__ = "project_endpoint_groups"

    project_id: Mapped[str] = mapped_column(
        sa.ForeignKey("projects.id", ondelete=CASCADE), primary_key=True
    )
    endpoint_group_id: Mapped[str] = mapped_column(
        sa.ForeignKey("endpoint_groups.id", ondelete=CASCADE), primary_key=True, index=True
    )


class PolicyBlob(Base):
    """Rules that some service keeps here, in whatever form it likes."""

    __tablename__ = "policy_blobs"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    type: Mapped[str] = mapped_column(sa.String(255))
    blob: Mapped[str] = mapped_column(
        sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    )
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class PolicyAssociation(Base):
    """The rules that hold for an endpoint, a service, or a service within a region.

    `target` is what it is about as one word: of each there is at most one policy.
    """

    __tablename__ = "policy_associations"

    target: Mapped[str] = mapped_column(sa.String(400), primary_key=True)
    policy_id: Mapped[str] = mapped_column(
        sa.ForeignKey("policy_blobs.id", ondelete=CASCADE), index=True
    )
    endpoint_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("catalog_endpoints.id", ondelete=CASCADE), index=True
    )
    service_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("catalog_services.id", ondelete=CASCADE), index=True
    )
    region_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("regions.id", ondelete=CASCADE), index=True
    )


class Consumer(Base):
    """An OAuth 1 consumer.  Its secret signs requests, so it is kept as it is."""

    __tablename__ = "consumers"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    description: Mapped[str | None] = mapped_column(sa.Text)
    secret: Mapped[str] = mapped_column(sa.String(64))
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)


class DomainOption(Base):
    """What an operator wants one domain to do differently."""

    __tablename__ = "domain_options"

    domain_id: Mapped[str] = mapped_column(
        sa.ForeignKey("domains.id", ondelete=CASCADE), primary_key=True
    )
    group: Mapped[str] = mapped_column("group_name", sa.String(64), primary_key=True)
    option: Mapped[str] = mapped_column("option_name", sa.String(64), primary_key=True)
    #: In a list of one: what is JSON and looks like a number, SQLite would keep as a number.
    value: Mapped[list[Any]]
