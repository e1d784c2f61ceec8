"""What a project may have of images: unified limits, by Glance's names.

How large an image will be is known when it is there.  So, as in Glance, who is
below a limit of size may begin, and whoever is above it may not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database
from nova_lite.db.models import Image, ImageStatus, Project
from nova_lite.domain.errors import Forbidden, TooLarge

#: Of a project and a resource; None is no limit.
LimitOf = Callable[[Session, str, str], int | None]

IN_TRANSIT = (ImageStatus.SAVING, ImageStatus.UPLOADING, ImageStatus.IMPORTING)
STAGED = (ImageStatus.UPLOADING, ImageStatus.IMPORTING)
KEPT = (ImageStatus.ACTIVE, ImageStatus.DEACTIVATED)
MIB = 1 << 20


@dataclass(frozen=True)
class Usage:
    used: int
    limit: int  # -1: none


class ImageQuotas:
    def __init__(self, database: Database, limit_of: LimitOf) -> None:
        self.database = database
        self.limit_of = limit_of

    def check(self, session: Session, project_id: str, **more: int) -> None:
        """Raises TooLarge when the project may not have so much more of a resource.

        Others of this project that ask wait until the commit.
        """
        limits = {name: self.limit_of(session, project_id, name) for name in more}
        if any(limit is not None for limit in limits.values()):
            session.execute(sa.select(Project.id).where(Project.id == project_id).with_for_update())
        for name, limit in limits.items():
            used = 0 if limit is None else USED[name](session, project_id)
            if limit is not None and used + more[name] > limit:
                raise TooLarge(
                    f"Project {project_id} is over a limit for {name}: it is {limit}, "
                    f"current usage {used}, and {more[name]} more were asked for."
                )

    def usage(self, context: RequestContext) -> dict[str, Usage]:
        """Raises Forbidden without a project."""
        if context.project_id is None:
            raise Forbidden("This needs a token that is scoped to a project.")
        with self.database.read() as session:
            limits = {name: self.limit_of(session, context.project_id, name) for name in USED}
            return {
                name: Usage(USED[name](session, context.project_id), -1 if limit is None else limit)
                for name, limit in limits.items()
            }


def _count(session: Session, project_id: str) -> int:
    return _rows(session, project_id)


def _uploading(session: Session, project_id: str) -> int:
    copying = sa.and_(Image.status.in_(KEPT), Image.importing_to_stores.is_not(None))
    lists = session.scalars(
        sa.select(Image.importing_to_stores).where(
            Image.owner == project_id, Image.deleted == sa.false(), copying
        )
    )
    return _rows(session, project_id, Image.status.in_(IN_TRANSIT)) + sum(map(bool, lists))


def _rows(session: Session, project_id: str, *conditions: sa.ColumnElement[bool]) -> int:
    count = sa.select(sa.func.count()).select_from(Image)
    mine = count.where(Image.owner == project_id, Image.deleted == sa.false(), *conditions)
    return session.scalars(mine).one()


def _kept(session: Session, project_id: str) -> int:
    """Each store's copy counts."""
    rows = session.execute(
        sa.select(Image.size, Image.stores).where(
            Image.owner == project_id, Image.deleted == sa.false(), Image.status.in_(KEPT)
        )
    )
    return sum((size or 0) * max(1, len(stores or ())) for size, stores in rows) // MIB


def _staged(session: Session, project_id: str) -> int:
    total = session.scalar(
        sa.select(sa.func.sum(Image.size)).where(
            Image.owner == project_id, Image.deleted == sa.false(), Image.status.in_(STAGED)
        )
    )
    return int(total or 0) // MIB


#: What there is to be limited, and how it is counted; sizes in MiB.
USED: dict[str, Callable[[Session, str], int]] = {
    "image_size_total": _kept,
    "image_stage_total": _staged,
    "image_count_total": _count,
    "image_count_uploading": _uploading,
}
