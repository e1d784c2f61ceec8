"""What is said of images: made, shown, listed, changed, deleted.

The life of an image is queued -> saving -> active, or with an import queued ->
uploading -> importing -> active.  Its bytes are another matter (`data`,
`imports`); whom it is shared with, too (`members`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Image, ImageMember, ImageStatus
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from nova_lite.services import paging
from nova_lite.services.image.access import changeable, visible
from nova_lite.services.image.lists import SORTABLE, Filters, conditions
from nova_lite.services.image.quotas import ImageQuotas
from nova_lite.services.image.stores import Stores

# --- what is asked ----------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageSettings:
    max_limit: int = 1000  # images in one page
    properties: int = 128  # per image
    tags: int = 128  # per image


@dataclass(frozen=True)
class NewImage:
    """An image that is asked for; its bytes come later."""

    name: str | None = None
    disk_format: str | None = None
    container_format: str | None = None
    visibility: str = "shared"
    protected: bool = False
    os_hidden: bool = False
    min_disk: int = 0  # GB
    min_ram: int = 0  # MB
    owner: str | None = None  # by default the project of who asks
    id: UUID | None = None
    tags: Sequence[str] = ()
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """One step of a change: an attribute of ours, or any other name for a property.

    `index` is a place in the list of tags: a number, or "-" for its end.
    """

    op: str  # add, replace or remove
    name: str
    value: Any = None
    index: str | None = None


#: What may be changed at any time, and what only while there are no bytes.
CHANGEABLE = frozenset(
    {"name", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "owner", "tags"}
)
CHANGEABLE_WHILE_QUEUED = frozenset({"disk_format", "container_format"})


class Images:
    def __init__(
        self,
        database: Database,
        stores: Stores,
        quotas: ImageQuotas,
        settings: ImageSettings,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.stores = stores
        self.quotas = quotas
        self.settings = settings
        self.now = now

    # --- looking --------------------------------------------------------------------------

    def get(self, context: RequestContext, id: UUID) -> Image:
        with self.database.read() as session:
            return visible(session, context, id)

    def list(
        self,
        context: RequestContext,
        filters: Filters,
        *,
        sort: Sequence[tuple[str, bool]] = (("created_at", True),),
        limit: int,
        marker: UUID | None = None,
    ) -> tuple[Sequence[Any], bool]:
        """A page of images behind `marker`, and whether there are more.

        `sort`: names from SORTABLE, and whether descending.  Raises Invalid
        when the marker is not there.
        """
        limit = min(limit, self.settings.max_limit)
        # The id last, so that no two are in the same place.
        keys = [(SORTABLE[name], descending) for name, descending in sort]
        keys.append((SORTABLE["id"], sort[-1][1]))
        with self.database.read() as session:
            query = sa.select(*Image.__table__.c).where(*conditions(session, context, filters))
            if marker is not None:
                _marker_must_be_visible(session, context, marker)
                place = sa.select(*(column for column, _ in keys)).where(Image.id == marker)
                query = query.where(paging.behind(keys, session.execute(place).one()))
            rows = session.execute(query.order_by(*paging.order(keys)).limit(limit + 1)).all()
        return rows[:limit], len(rows) > limit

    # --- what is said of them -------------------------------------------------------------

    @one_transaction
    def create(self, context: RequestContext, new: NewImage) -> Image:
        """Promise an image.  Raises Conflict when its id was ever used, TooLarge, Invalid."""
        with self.database.write() as session:
            return self.add(session, context, new)

    def add(self, session: Session, context: RequestContext, new: NewImage) -> Image:
        """The same within another's transaction."""
        owner = new.owner or context.project_id
        if owner is None:
            raise Forbidden("This needs a token that is scoped to a project.")
        if not context.owns(owner):
            raise Forbidden("You are not permitted to create images owned by another project.")
        now = self.now()
        image = Image(
            id=new.id or uuid4(),
            owner=owner,
            name=new.name,
            status=ImageStatus.QUEUED,
            visibility=new.visibility,
            protected=new.protected,
            os_hidden=new.os_hidden,
            disk_format=new.disk_format,
            container_format=new.container_format,
            min_disk=new.min_disk,
            min_ram=new.min_ram,
            tags=list(dict.fromkeys(new.tags)),
            properties=dict(new.properties),
            stores=[],
            created_at=now,
            updated_at=now,
            deleted=False,
        )
        self._check(image)
        self.quotas.check(session, owner, image_count_total=1)
        values = {c.name: getattr(image, c.name) for c in Image.__table__.c}
        if not insert_if_absent(session, Image, **values):
            raise Conflict(f"Image ID {image.id} already exists!")
        return image

    @one_transaction
    def update(self, context: RequestContext, id: UUID, changes: Sequence[Change]) -> Image:
        """Apply `changes` in their order, all or none.

        Raises Forbidden for what may not be changed (now), Conflict for
        replacing or removing what is not there, Invalid, TooLarge.
        """
        with self.database.write() as session:
            image = changeable(session, context, id)
            for change in changes:
                _apply(context, image, change)
            self._check(image)
            image.updated_at = self.now()
            return image

    def _check(self, image: Image) -> None:
        for what, have, most in (
            ("image properties", len(image.properties), self.settings.properties),
            ("image tags", len(image.tags), self.settings.tags),
        ):
            if have > most:
                raise TooLarge(
                    f"The limit has been exceeded on the number of allowed {what}: "
                    f"{have} of at most {most}."
                )

    @one_transaction
    def tag(self, context: RequestContext, id: UUID, tag: str) -> None:
        """It has this tag, if it had not."""
        with self.database.write() as session:
            image = changeable(session, context, id)
            if tag not in image.tags:
                image.tags = [*image.tags, tag]
                image.updated_at = self.now()
                self._check(image)

    @one_transaction
    def untag(self, context: RequestContext, id: UUID, tag: str) -> None:
        """Raises NotFound when it has no such tag."""
        with self.database.write() as session:
            image = changeable(session, context, id)
            if tag not in image.tags:
                raise NotFound(f"Image {id} has no tag {tag!r}.")
            image.tags = [other for other in image.tags if other != tag]
            image.updated_at = self.now()

    def deactivate(self, context: RequestContext, id: UUID) -> None:
        """Nobody but administrators reads it, and nothing is booted from it."""
        self._turn(context, id, ImageStatus.ACTIVE, ImageStatus.DEACTIVATED, "deactivate")

    def reactivate(self, context: RequestContext, id: UUID) -> None:
        self._turn(context, id, ImageStatus.DEACTIVATED, ImageStatus.ACTIVE, "reactivate")

    @one_transaction
    def _turn(
        self, context: RequestContext, id: UUID, old: ImageStatus, new: ImageStatus, verb: str
    ) -> None:
        with self.database.write() as session:
            image = changeable(session, context, id)
            if image.status not in (old, new):
                raise Forbidden(f"Not allowed to {verb} an image in status '{image.status}'.")
            if image.status is old:
                image.status, image.updated_at = new, self.now()

    @one_transaction
    def delete(self, context: RequestContext, id: UUID) -> None:
        """Also while its bytes are coming, which ends that.  Raises Forbidden if protected."""
        with self.database.write() as session:
            image = changeable(session, context, id)
            if image.protected:
                raise Forbidden(f"Image {id} is protected and cannot be deleted.")
            image.status, image.deleted = ImageStatus.DELETED, True
            image.updated_at = self.now()
            session.execute(sa.delete(ImageMember).where(ImageMember.image_id == id))
        # After the commit: if we die here, ImageData.clean() finds them.
        self.stores.remove(id)


# --- parts ------------------------------------------------------------------------------------


def _marker_must_be_visible(session: Session, context: RequestContext, marker: UUID) -> None:
    try:
        visible(session, context, marker)
    except NotFound:
        raise Invalid(f"marker [{marker}] not found") from None


def _apply(context: RequestContext, image: Image, change: Change) -> None:
    if change.name == "tags" and change.index is not None:
        image.tags = _with_tag(image.tags, change)
    elif change.name in CHANGEABLE | CHANGEABLE_WHILE_QUEUED:
        _set(context, image, change)
    else:
        if change.op != "add" and change.name not in image.properties:
            raise Conflict(f"Property {change.name} does not exist.")
        others = {name: v for name, v in image.properties.items() if name != change.name}
        new = {} if change.op == "remove" else {change.name: change.value}
        image.properties = others | new


def _set(context: RequestContext, image: Image, change: Change) -> None:
    name, value = change.name, change.value
    if change.op == "remove":
        raise Forbidden(f"Property {name} may not be removed.")
    if name in CHANGEABLE_WHILE_QUEUED and image.status is not ImageStatus.QUEUED:
        raise Forbidden(
            f"Attribute {name} can be changed only while the image is queued, "
            f"and it is {image.status}."
        )
    if name == "owner" and value is None:
        raise Invalid("owner: an image belongs to a project.")
    if name == "owner" and not context.owns(value):
        raise Forbidden("You are not permitted to give an image to another project.")
    setattr(image, name, list(dict.fromkeys(value)) if name == "tags" else value)


def _with_tag(tags: Sequence[str], change: Change) -> list[str]:
    """RFC 6902's add, replace and remove of one place of a list."""
    new, index = list(tags), change.index
    assert index is not None
    last = len(new) if change.op == "add" else len(new) - 1
    if index == "-" and change.op == "add":
        place = last
    elif index.isascii() and index.isdigit() and int(index) <= last:
        place = int(index)
    else:
        raise Conflict(f"There is no tag at /tags/{index}.")
    new[place : place + (change.op != "add")] = [] if change.op == "remove" else [change.value]
    return list(dict.fromkeys(new))
