"""Roles, what they imply, and who has which role where."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base, SerialNumber


class Role(Base):
    """A global role, or one of a domain, which counts by what it implies alone."""

    __tablename__ = "roles"
    __table_args__ = (sa.UniqueConstraint("domain_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    # Not NULL for a global role: NULL would be equal to no other in the constraint.
    domain_id: Mapped[str] = mapped_column(sa.String(64), default="", server_default="")
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str] = mapped_column(sa.Text, default="")
    options: Mapped[dict[str, Any] | None]
    extra: Mapped[dict[str, Any] | None]


class ImpliedRole(Base):
    """Who has the prior role has the implied role, too."""

    __tablename__ = "implied_roles"

    prior_id: Mapped[str] = mapped_column(
        sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True
    )
    implied_id: Mapped[str] = mapped_column(
        sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class Grant(Base):
    """A user or a group (one of them) has a role on a project, a domain, or the system ("all").

    One that is `inherited` holds not there, but on all projects below.
    """

    __tablename__ = "grants"
    # Each is about the grants of its kind of actor alone, as NULL is equal to no other NULL.
    __table_args__ = (
        sa.UniqueConstraint("user_id", "scope", "scope_id", "role_id", "inherited"),
        sa.UniqueConstraint("group_id", "scope", "scope_id", "role_id", "inherited"),
        sa.Index("ix_grants_scope", "scope", "scope_id"),
    )

    id: Mapped[int] = mapped_column(SerialNumber, primary_key=True)
    user_id: Mapped[str | None] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    group_id: Mapped[str | None] = mapped_column(sa.ForeignKey("groups.id", ondelete="CASCADE"))
    scope: Mapped[str] = mapped_column(sa.String(16))  # project domain system
    scope_id: Mapped[str] = mapped_column(sa.String(64))
    role_id: Mapped[str] = mapped_column(sa.ForeignKey("roles.id", ondelete="CASCADE"), index=True)
    inherited: Mapped[bool] = mapped_column(default=False)
