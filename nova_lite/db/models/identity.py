"""Who there is: domains, projects, users, and what they may do where."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base


class Domain(Base):
    __tablename__ = "domains"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)
    description: Mapped[str] = mapped_column(sa.Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)


class Project(Base):
    __tablename__ = "projects"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(sa.String(64))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    enabled: Mapped[bool] = mapped_column(default=True)


class User(Base):
    __tablename__ = "users"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    domain_id: Mapped[str] = mapped_column(sa.ForeignKey("domains.id"))
    name: Mapped[str] = mapped_column(sa.String(255))
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    enabled: Mapped[bool] = mapped_column(default=True)
    default_project_id: Mapped[str | None] = mapped_column(sa.String(64))
    email: Mapped[str | None] = mapped_column(sa.String(255))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    tokens_valid_after: Mapped[dt.datetime | None]
    """When the password was last changed, or the user disabled: tokens from before are void."""


class Role(Base):
    __tablename__ = "roles"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(255), unique=True)
    description: Mapped[str] = mapped_column(sa.Text, default="")


class RoleAssignment(Base):
    """A user has a role on a project, a domain, or the system ("all")."""

    __tablename__ = "role_assignments"

    user_id: Mapped[str] = mapped_column(
        sa.ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    scope: Mapped[str] = mapped_column(sa.String(16), primary_key=True)  # project domain system
    scope_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    role_id: Mapped[str] = mapped_column(
        sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True
    )


class RevokedToken(Base):
    """A token that was taken back before its time; forgotten once it would have ended."""

    __tablename__ = "revoked_tokens"

    audit_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
