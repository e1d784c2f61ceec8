"""What can be done with images: said of them here, kept as bytes in the store.

The life of an image is queued -> saving -> active.  The bytes get their name
in the store inside the transaction that makes the image active, so an image
that is not active has no bytes anybody could see, and one that is active never
gets others.  Who uploads holds a lock in the store; an image that is `saving`
while nobody holds its lock lost its process, and may be uploaded anew.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.base import insert_if_absent, rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Image, ImageStatus
from nova_lite.db.queries import images as queries
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from nova_lite.domain.signing import is_signed, sign
from nova_lite.services import paging
from nova_lite.services.instances import can_use

LOG = logging.getLogger(__name__)

CHUNK = 1 << 20
EC2_FORMATS = frozenset({"aki", "ari", "ami"})  # kernel, ramdisk, machine


# --- what the store is to us ------------------------------------------------------------------


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Stored(Protocol):
    """What the store found out about the bytes of an image; sizes in bytes."""

    @property
    def size(self) -> int: ...
    @property
    def virtual_size(self) -> int: ...
    @property
    def md5(self) -> str: ...
    @property
    def sha512(self) -> str: ...


class Part(Protocol):
    """An image on its way into the store."""

    def fill(self, chunks: Iterable[bytes], disk_format: str) -> Stored:
        """Raises ImageUnacceptable, NotFound when it is removed meanwhile, TooLarge."""

    def keep(self) -> None:
        """From now on it can be opened."""


class Store(Protocol):
    """Where bytes are kept."""

    def incoming(self, id: UUID) -> AbstractContextManager[Part]:
        """Hold the lock on uploading this image.  Raises Conflict when it is held."""

    def open(self, id: UUID) -> BinaryIO:
        """Raises NotFound."""

    def remove(self, id: UUID) -> None:
        """Also ends an upload that is under way."""

    def ids(self) -> set[UUID]: ...

    def clean(self) -> None: ...


# --- what is asked ----------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageSettings:
    size_cap: int  # bytes of one image, as uploaded
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


@dataclass(frozen=True)
class Filters:
    """What a list is narrowed to; `equal` is a column's name and the values it may have."""

    ids: Sequence[UUID] | None = None
    equal: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    tags: Sequence[str] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    size_min: int | None = None
    size_max: int | None = None
    visibility: str | None = None  # "all": also other projects' community images
    os_hidden: bool = False


#: What a list can be sorted by.  What may be NULL sorts as the smallest value,
#: on every database.
SORTABLE: dict[str, sa.ColumnElement[Any]] = {
    **{name: Image.__table__.c[name] for name in ("id", "status", "created_at", "updated_at")},
    "name": sa.func.coalesce(Image.name, ""),
    "disk_format": sa.func.coalesce(Image.disk_format, ""),
    "container_format": sa.func.coalesce(Image.container_format, ""),
    "size": sa.func.coalesce(Image.size, -1),
}

#: What may be changed at any time, and what only while there are no bytes.
CHANGEABLE = frozenset(
    {"name", "visibility", "protected", "os_hidden", "min_disk", "min_ram", "owner", "tags"}
)
CHANGEABLE_WHILE_QUEUED = frozenset({"disk_format", "container_format"})


def signed_path(key: bytes, image_id: UUID, expires: int) -> str:
    """Where, below the image API, whoever has this may read an image until `expires`."""
    signature = sign(key, _reading(image_id), expires)
    return f"/v2/images/{image_id}/file?expires={expires}&signature={signature}"


def _reading(image_id: UUID) -> str:
    return f"image {image_id}"


class Images:
    def __init__(
        self,
        database: Database,
        store: Store,
        signing_key: bytes,
        settings: ImageSettings,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.store = store
        self.signing_key = signing_key
        self.settings = settings
        self.now = now

    # --- looking --------------------------------------------------------------------------

    def get(self, context: RequestContext, id: UUID) -> Image:
        with self.database.read() as session:
            return _visible(session, context, id)

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
            query = sa.select(*Image.__table__.c).where(*_conditions(session, context, filters))
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
            created_at=now,
            updated_at=now,
            deleted=False,
        )
        self._check(image)
        with self.database.write() as session:
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
            image = _changeable(session, context, id)
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
        formats = {image.disk_format, image.container_format} - {None}
        if formats & EC2_FORMATS and len(formats) > 1:
            raise Invalid(
                "Invalid mix of disk_format and container_format: when one of them is aki, ari "
                "or ami, the other has to be the same."
            )

    @one_transaction
    def tag(self, context: RequestContext, id: UUID, tag: str) -> None:
        """It has this tag, if it had not."""
        with self.database.write() as session:
            image = _changeable(session, context, id)
            if tag not in image.tags:
                image.tags = [*image.tags, tag]
                image.updated_at = self.now()
                self._check(image)

    @one_transaction
    def untag(self, context: RequestContext, id: UUID, tag: str) -> None:
        """Raises NotFound when it has no such tag."""
        with self.database.write() as session:
            image = _changeable(session, context, id)
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
            image = _changeable(session, context, id)
            if image.status not in (old, new):
                raise Forbidden(f"Not allowed to {verb} an image in status '{image.status}'.")
            if image.status is old:
                image.status, image.updated_at = new, self.now()

    @one_transaction
    def delete(self, context: RequestContext, id: UUID) -> None:
        """Also while it is being uploaded, which ends that.  Raises Forbidden if protected."""
        with self.database.write() as session:
            image = _changeable(session, context, id)
            if image.protected:
                raise Forbidden(f"Image {id} is protected and cannot be deleted.")
            image.status, image.deleted = ImageStatus.DELETED, True
            image.updated_at = self.now()
        # After the commit: if we die here, clean() finds them.
        self.store.remove(id)

    # --- their bytes -------------------------------------------------------------------------

    def upload(
        self, context: RequestContext, id: UUID, file: Readable, content_length: int | None = None
    ) -> None:
        """Give an image its bytes, once and for all.

        However it fails, the image is queued again and no bytes are left.
        Raises ImageUnacceptable, TooLarge, Conflict when it has bytes or is
        getting some, Invalid when they break off, NotFound when it is deleted
        meanwhile.
        """
        if (content_length or 0) > self.settings.size_cap:
            raise self._too_large()
        with self.database.read() as session:
            # A foreigner must not even hold the lock.
            _changeable(session, context, id, lock=False)
        with self.store.incoming(id) as part:
            disk_format = self._begin_upload(context, id)
            try:
                stored = part.fill(self._chunks(file, content_length), disk_format)
                self._end_upload(id, stored, part)
            except BaseException as error:
                LOG.info("upload of image %s failed: %s (%s)", id, error, context.request_id)
                self._requeue(id)
                raise
        LOG.info("image %s has its %d bytes (%s)", id, stored.size, context.request_id)

    @one_transaction
    def _begin_upload(self, context: RequestContext, id: UUID) -> str:
        with self.database.write() as session:
            image = _changeable(session, context, id)
            if image.disk_format is None or image.container_format is None:
                raise Invalid(
                    "Properties disk_format, container_format must be set prior to saving data."
                )
            # We hold its lock: an image that is saving is saved by nobody.
            if image.status not in (ImageStatus.QUEUED, ImageStatus.SAVING):
                raise Conflict(
                    f"Image status transition from {image.status} to saving is not allowed"
                )
            image.status, image.updated_at = ImageStatus.SAVING, self.now()
            return image.disk_format

    def _end_upload(self, id: UUID, stored: Stored, part: Part) -> None:
        with self.database.write() as session:
            saved = (
                sa.update(Image)
                .where(Image.id == id, Image.status == ImageStatus.SAVING)
                .values(
                    status=ImageStatus.ACTIVE,
                    size=stored.size,
                    virtual_size=stored.virtual_size,
                    checksum=stored.md5,
                    os_hash_value=stored.sha512,
                    updated_at=self.now(),
                )
            )
            if rows_changed(session, saved) != 1:
                raise NotFound(f"Image {id} was deleted while its data was being uploaded.")
            # Not one_transaction: bytes can be kept but once.
            # Before the commit, so that its row is still ours: whoever comes
            # next finds an active image, and does not touch the file.
            part.keep()

    @one_transaction
    def _requeue(self, id: UUID) -> None:
        """Undo an upload, unless the image is active after all (a lost answer to a commit)."""
        with self.database.write() as session:
            undo = (
                sa.update(Image)
                .where(Image.id == id, Image.status == ImageStatus.SAVING)
                .values(status=ImageStatus.QUEUED, updated_at=self.now())
            )
            if rows_changed(session, undo) == 1:
                self.store.remove(id)

    def _chunks(self, file: Readable, content_length: int | None) -> Iterator[bytes]:
        received = 0
        while True:
            try:
                chunk = file.read(CHUNK)
            except OSError as error:
                raise Invalid(f"The upload broke off after {received} bytes: {error}") from None
            if not chunk:
                break
            received += len(chunk)
            if received > self.settings.size_cap:
                raise self._too_large()
            yield chunk
        if content_length is not None and received != content_length:
            raise Invalid(f"{received} bytes came, {content_length} were announced.")
        if received == 0:
            raise Invalid("There is no data in the request body.")

    def _too_large(self) -> TooLarge:
        return TooLarge(f"Images may have at most {self.settings.size_cap} bytes.")

    def open(self, context: RequestContext, id: UUID) -> tuple[Image, BinaryIO | None]:
        """An image and its bytes; None while it has none.  The caller closes the file.

        Raises Forbidden when it is deactivated, except for administrators.
        """
        with self.database.read() as session:
            image = _visible(session, context, id)
        if image.status is ImageStatus.DEACTIVATED and not context.is_admin:
            raise Forbidden("The requested image has been deactivated.")
        has_bytes = image.status in (ImageStatus.ACTIVE, ImageStatus.DEACTIVATED)
        return image, self.store.open(id) if has_bytes else None

    def open_signed(self, id: UUID, expires: str, signature: str) -> tuple[Image, BinaryIO]:
        """The same for a worker, who has a signed link instead of a context.

        Raises Forbidden when the link is not ours or no longer good, NotFound
        when the image is not active: what was taken back meanwhile is not given.
        """
        now = self.now().timestamp()
        if not is_signed(self.signing_key, _reading(id), expires, signature, now):
            raise Forbidden("The signature of this link is wrong, or has expired.")
        with self.database.read() as session:
            image = session.get(Image, id)
        if image is None or image.status is not ImageStatus.ACTIVE:
            raise _not_found(id)
        return image, self.store.open(id)

    # --- after a crash -----------------------------------------------------------------------

    def clean(self) -> None:
        """Repair what processes left that died: call it when one starts.

        Bytes of deleted images go, images whose upload died are queued again.
        Bytes of images that nobody knows stay, and are told of: they come from
        a database that was lost, restored or mistaken, never from a crash.
        """
        with self.database.read() as session:
            status = {
                id: status for id, status in session.execute(sa.select(Image.id, Image.status))
            }
        kept = self.store.ids()
        for id in kept:
            if id not in status:
                LOG.warning("the image store has bytes of %s, which the database does not know", id)
            elif status[id] is ImageStatus.DELETED:
                LOG.info("removing the bytes of deleted image %s", id)
                self.store.remove(id)
        for id in status:
            if status[id] is ImageStatus.SAVING:
                try:
                    with self.store.incoming(id):
                        self._requeue(id)
                except Conflict:
                    continue  # its upload is alive
            elif id not in kept and status[id] in (ImageStatus.ACTIVE, ImageStatus.DEACTIVATED):
                LOG.error("image %s is %s, but its bytes are gone", id, status[id])
        self.store.clean()


# --- parts ------------------------------------------------------------------------------------


def _visible(session: Session, context: RequestContext, id: UUID, *, lock: bool = False) -> Image:
    query = sa.select(Image).where(Image.id == id, Image.deleted.is_(False))
    image = session.scalar(query.with_for_update() if lock else query)
    if image is None or not can_use(context, image):
        raise _not_found(id)
    return image


def _changeable(session: Session, context: RequestContext, id: UUID, *, lock: bool = True) -> Image:
    image = _visible(session, context, id, lock=lock)
    if not context.owns(image.owner):
        raise Forbidden(f"You are not permitted to change image {id}: it is another project's.")
    return image


def _not_found(id: UUID) -> NotFound:
    return NotFound(f"No image found with ID {id}")


def _marker_must_be_visible(session: Session, context: RequestContext, marker: UUID) -> None:
    try:
        _visible(session, context, marker)
    except NotFound:
        raise Invalid(f"marker [{marker}] not found") from None


def _conditions(
    session: Session, context: RequestContext, filters: Filters
) -> Iterator[sa.ColumnElement[bool]]:
    yield Image.deleted.is_(False)
    yield Image.os_hidden.is_(filters.os_hidden)
    if not context.is_admin:
        # Community images are for those who know of them.
        asked = filters.ids is not None or filters.visibility in ("community", "all")
        free = ("public", "community") if asked else ("public",)
        yield sa.or_(Image.owner == context.project_id, Image.visibility.in_(free))
    if filters.visibility not in (None, "all"):
        yield Image.visibility == filters.visibility
    if filters.ids is not None:
        yield Image.id.in_(filters.ids)
    for name, values in filters.equal.items():
        yield Image.__table__.c[name].in_(_statuses(values) if name == "status" else values)
    if filters.size_min is not None:
        yield Image.size >= filters.size_min
    if filters.size_max is not None:
        yield Image.size <= filters.size_max
    for tag in filters.tags:
        yield queries.has_tag(session, tag)
    for name, value in filters.properties.items():
        yield Image.properties[name].as_string() == value


def _statuses(words: Sequence[str]) -> Sequence[ImageStatus]:
    try:
        return [ImageStatus(word) for word in words]
    except ValueError as error:
        raise Invalid(f"status: {error}") from None


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
