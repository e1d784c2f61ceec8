"""Metadata definitions: what images, flavors, volumes ... can be tagged with, and what it means."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber


class MetadefKind(StrEnum):
    """What a namespace has several of, each by its name."""

    OBJECT = "object"
    PROPERTY = "property"
    TAG = "tag"
    RESOURCE_TYPE = "resource_type"  # what the namespace is meant for


class MetadefNamespace(Base):
    __tablename__ = "metadef_namespaces"
    __table_args__ = (sa.Index("ix_metadef_namespaces_list", "created_at"),)

    id: Mapped[int] = mapped_column(SerialNumber, primary_key=True)
    namespace: Mapped[str] = mapped_column(sa.String(80), unique=True)
    display_name: Mapped[str | None] = mapped_column(sa.String(80))
    description: Mapped[str | None] = mapped_column(sa.Text)
    visibility: Mapped[str] = mapped_column(sa.String(16))  # public or private
    protected: Mapped[bool]  # from deletion, with all that is in it
    owner: Mapped[str] = mapped_column(sa.String(255))  # project id
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class MetadefEntry(Base):
    """One document in a namespace."""

    __tablename__ = "metadef_entries"

    namespace_id: Mapped[int] = mapped_column(
        sa.ForeignKey("metadef_namespaces.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[MetadefKind] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    document: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class MetadefResourceType(Base):
    """A kind of thing that definitions are for.  Once known, it stays known."""

    __tablename__ = "metadef_resource_types"

    name: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
