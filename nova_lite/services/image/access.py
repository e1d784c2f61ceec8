"""Who may see an image, and who may change it.

Public and community images are everybody's to see, others their project's, and
shared ones also their members', whatever these answered.  Only the project that
owns an image changes it.
"""

from __future__ import annotations

from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.models import Image, ImageMember
from nova_lite.domain.errors import Forbidden, NotFound


def can_use(session: Session, context: RequestContext, image: Image) -> bool:
    """Whether the image may be seen, read and booted from."""
    if image.visibility in ("public", "community") or context.owns(image.owner):
        return True
    if image.visibility != "shared" or context.project_id is None:
        return False
    return session.get(ImageMember, (image.id, context.project_id)) is not None


def visible(session: Session, context: RequestContext, id: UUID, *, lock: bool = False) -> Image:
    """Raises NotFound, also for images that are others' alone."""
    query = sa.select(Image).where(Image.id == id, Image.deleted == sa.false())
    image = session.scalar(query.with_for_update() if lock else query)
    if image is None or not can_use(session, context, image):
        raise no_image(id)
    return image


def changeable(session: Session, context: RequestContext, id: UUID, *, lock: bool = True) -> Image:
    """Raises NotFound, or Forbidden for another project's that can be seen."""
    image = visible(session, context, id, lock=lock)
    if not context.owns(image.owner):
        raise Forbidden(f"You are not permitted to change image {id}: it is another project's.")
    return image


def no_image(id: UUID) -> NotFound:
    return NotFound(f"No image found with ID {id}")
