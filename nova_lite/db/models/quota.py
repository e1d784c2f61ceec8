"""What an administrator has said about how much a project, or one user in it, may have."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from nova_lite.db.base import Base


class QuotaLimit(Base):
    """One limit; where there is none, the next wider one counts, and in the end an option.

    From narrow to wide: (project, id, user), (project, id, ""), (class, "default", "").
    """

    __tablename__ = "quota_limits"

    scope: Mapped[str] = mapped_column(sa.String(16), primary_key=True)  # project or class
    scope_id: Mapped[str] = mapped_column(sa.String(255), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)  # "": whoever
    resource: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    limit: Mapped[int] = mapped_column("hard_limit")  # -1 is none
