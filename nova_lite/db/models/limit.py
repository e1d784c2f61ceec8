"""How much of a resource a project may have, where a service asks us: Keystone's unified limits."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base


class RegisteredLimit(Base):
    """What everybody may have of a service's resource; a region of None is everywhere else."""

    __tablename__ = "registered_limits"
    # Of rows without a region a database would keep any number apart: who adds
    # one holds the service's row meanwhile.
    __table_args__ = (sa.UniqueConstraint("service_id", "region_id", "resource_name"),)

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    service_id: Mapped[str] = mapped_column(
        sa.ForeignKey("catalog_services.id", ondelete="CASCADE")
    )
    region_id: Mapped[str | None] = mapped_column(sa.ForeignKey("regions.id"), index=True)
    resource_name: Mapped[str] = mapped_column(sa.String(255))
    default_limit: Mapped[int]
    description: Mapped[str | None] = mapped_column(sa.Text)


class Limit(Base):
    """What one project, or one domain, may have instead: exactly one of the two is set."""

    __tablename__ = "limits"
    __table_args__ = (
        sa.UniqueConstraint("registered_limit_id", "project_id"),
        sa.UniqueConstraint(
            "registered_limit_id", "domain_id", name="uq_limits_registered_limit_id_domain_id"
        ),
    )

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    registered_limit_id: Mapped[str] = mapped_column(
        sa.ForeignKey("registered_limits.id", ondelete="CASCADE")
    )
    project_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("projects.id", ondelete="CASCADE"), index=True
    )
    domain_id: Mapped[str | None] = mapped_column(
        sa.ForeignKey("domains.id", ondelete="CASCADE"), index=True
    )
    resource_limit: Mapped[int]
    description: Mapped[str | None] = mapped_column(sa.Text)
