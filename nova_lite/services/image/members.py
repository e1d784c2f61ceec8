"""Sharing: an image's project names members, and each of them accepts it or does not."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Image, ImageMember
from nova_lite.domain.errors import Conflict, Forbidden, NotFound, TooLarge
from nova_lite.services.image.access import changeable, visible


class ImageMembers:
    def __init__(self, database: Database, now: Callable[[], dt.datetime], most: int = 128) -> None:
        self.database = database
        self.now = now
        self.most = most  # members of one image

    def list(self, context: RequestContext, image_id: UUID) -> Sequence[Any]:
        """All members for the image's project, oneself for a member."""
        with self.database.read() as session:
            image = _shared(visible(session, context, image_id))
            query = sa.select(*ImageMember.__table__.c).where(ImageMember.image_id == image_id)
            if not context.owns(image.owner):
                query = query.where(ImageMember.member == context.project_id)
            order = (ImageMember.created_at, ImageMember.member)
            return session.execute(query.order_by(*order)).all()

    def get(self, context: RequestContext, image_id: UUID, member: str) -> ImageMember:
        with self.database.read() as session:
            image = _shared(visible(session, context, image_id))
            return _member(session, context, image, member)

    @one_transaction
    def add(self, context: RequestContext, image_id: UUID, member: str) -> ImageMember:
        """Raises Conflict when it is one, TooLarge, Forbidden for images that are not shared."""
        now = self.now()
        new = ImageMember(
            image_id=image_id, member=member, status="pending", created_at=now, updated_at=now
        )
        with self.database.write() as session:
            _shared(changeable(session, context, image_id))
            count = sa.select(sa.func.count()).select_from(ImageMember)
            have = session.scalars(count.where(ImageMember.image_id == image_id)).one()
            if have >= self.most:
                raise TooLarge(
                    f"The limit has been exceeded on the number of allowed image members: "
                    f"{have + 1} of at most {self.most}."
                )
            values = {c.name: getattr(new, c.name) for c in ImageMember.__table__.c}
            if not insert_if_absent(session, ImageMember, **values):
                raise Conflict(f"Image member {member} already exists for image {image_id}.")
        return new

    @one_transaction
    def answer(
        self, context: RequestContext, image_id: UUID, member: str, status: str
    ) -> ImageMember:
        """What a member says to it, which is for nobody else to say."""
        with self.database.write() as session:
            image = _shared(visible(session, context, image_id))
            found = _member(session, context, image, member)
            if context.project_id != member and not context.is_admin:
                raise Forbidden("Only the member may say whether it accepts an image.")
            found.status, found.updated_at = status, self.now()
            return found

    @one_transaction
    def remove(self, context: RequestContext, image_id: UUID, member: str) -> None:
        with self.database.write() as session:
            image = _shared(changeable(session, context, image_id))
            session.delete(_member(session, context, image, member))


def _shared(image: Image) -> Image:
    if image.visibility != "shared":
        raise Forbidden("Only shared images have members.")
    return image


def _member(session: Session, context: RequestContext, image: Image, member: str) -> ImageMember:
    found = session.get(ImageMember, (image.id, member))
    if found is None or not (context.owns(image.owner) or member == context.project_id):
        raise NotFound(f"{member} is no member of image {image.id}.")
    return found
