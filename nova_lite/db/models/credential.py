"""What a user hands to a program or to another user, so that it may act for him."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base


class ApplicationCredential(Base):
    """A secret for a program: good for one project, with some of its maker's roles there."""

    __tablename__ = "application_credentials"
    __table_args__ = (sa.UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    project_id: Mapped[str] = mapped_column(
        sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    name: Mapped[str] = mapped_column(sa.String(255))
    description: Mapped[str | None] = mapped_column(sa.Text)
    secret_hash: Mapped[str] = mapped_column(sa.String(255), info={"secret": True})
    expires_at: Mapped[dt.datetime | None]
    unrestricted: Mapped[bool | None]
    """Whether it may make and remove others like itself, and trusts."""
    access_rules: Mapped[list[Any] | None]
    """What may be asked with it, as {"id", "service", "path", "method"}; None: everything.

    A copy, not references: that a rule is gone must never leave one without any.
    """


class ApplicationCredentialRole(Base):
    __tablename__ = "application_credential_roles"

    credential_id: Mapped[str] = mapped_column(
        sa.ForeignKey("application_credentials.id", ondelete="CASCADE"), primary_key=True
    )
    role_id: Mapped[str] = mapped_column(
        sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class AccessRule(Base):
    """A rule that a user has once written; it outlives the credentials it was written for."""

    __tablename__ = "access_rules"
    __table_args__ = (sa.UniqueConstraint("user_id", "service", "path", "method"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"))
    service: Mapped[str] = mapped_column(sa.String(64))
    path: Mapped[str] = mapped_column(sa.String(255))
    method: Mapped[str] = mapped_column(sa.String(16))


class Credential(Base):
    """Something secret kept for a user: an EC2 key pair, a certificate, whatever he calls it."""

    __tablename__ = "credentials"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """Of type ec2: the SHA-256 of the access key: found by it, and the only one of it."""
    user_id: Mapped[str] = mapped_column(sa.ForeignKey("users.id", ondelete="CASCADE"), index=True)
    project_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    type: Mapped[str] = mapped_column(sa.String(255))
    blob: Mapped[str] = mapped_column(sa.Text, info={"secret": True})  # encrypted
    extra: Mapped[dict[str, Any] | None]


class Trust(Base):
    """The trustor lets the trustee use some of his roles on a project."""

    __tablename__ = "trusts"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    trustor_user_id: Mapped[str] = mapped_column(
        sa.ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    trustee_user_id: Mapped[str] = mapped_column(
        sa.ForeignKey("users.id", ondelete="CASCADE"), index=True
    )
    project_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    impersonation: Mapped[bool]
    """Whether the trustee then goes by the trustor's name."""
    expires_at: Mapped[dt.datetime | None]
    remaining_uses: Mapped[int | None]  # tokens it may still be shown for; None: any number
    redelegated_trust_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("trusts.id", ondelete="CASCADE"), index=True
    )
    """The trust by which the trustor has the roles himself, if not as his own."""
    redelegation_count: Mapped[int] = mapped_column(default=0)
    """How many trustees in a row may hand it on; 0: none."""


class TrustRole(Base):
    __tablename__ = "trust_roles"

    trust_id: Mapped[str] = mapped_column(
        sa.ForeignKey("trusts.id", ondelete="CASCADE"), primary_key=True
    )
    role_id: Mapped[str] = mapped_column(
        sa.ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True, index=True
    )
