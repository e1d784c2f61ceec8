"""Who there is: domains, projects, users, and what they may do where."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base


class Tags(sa.TypeDecorator[list[str]]):
    """A few words without commas, kept as ",this,that,"; none of them as NULL."""

    impl = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
    cache_ok = True

    def process_bind_param(self, value: list[str] | None, dialect: sa.Dialect) -> str | None:
        return f",{','.join(value)}," if value else None

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> list[str]:
        return value[1:-1].split(",") if value else []


class Tagged:
    """What a domain and a project have in common: to Keystone a domain is a project, too."""

    description: Mapped[str] = mapped_column(sa.Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)
    enabled_at: Mapped[dt.datetime | None]
    """When it was last enabled again: what was issued for it before is void."""
    tags: Mapped[list[str]] = mapped_column(Tags, nullable=True)
    options: Mapped[dict[str, Any] | None]
    extra: Mapped[dict[str, Any] | None]


class Domain(Tagged, Base):
    __tablename__ = "domains"

    # As a project it is in nothing.
    domain_id: ClassVar[None] = None
    parent_id: ClassVar[None] = None

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)


class Project(Tagged, Base):
    __tablename__ = "projects"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(sa.String(64))
    parent_id: Mapped[str | None] = mapped_column(sa.ForeignKey("projects.id"), index=True)
    """The project that this one is in; None for one directly in its domain."""


class User(Base):
    __tablename__ = "users"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(sa.String(255))
    password_hash: Mapped[str] = mapped_column(sa.String(255), info={"secret": True})
    enabled: Mapped[bool] = mapped_column(default=True)
    default_project_id: Mapped[str | None] = mapped_column(sa.String(64))
    email: Mapped[str | None] = mapped_column(sa.String(255))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    tokens_valid_after: Mapped[dt.datetime | None]
    """When the password was last changed, or the user disabled: tokens from before are void."""
    options: Mapped[dict[str, Any] | None]
    extra: Mapped[dict[str, Any] | None]


class Group(Base):
    __tablename__ = "groups"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    extra: Mapped[dict[str, Any] | None]


class GroupMember(Base):
    __tablename__ = "group_members"

    group_id: Mapped[str] = mapped_column(
        sa.ForeignKey("groups.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[str] = mapped_column(
        sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class RevokedToken(Base):
    """A token that was taken back before its time; forgotten once it would have ended."""

    __tablename__ = "revoked_tokens"

    audit_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
