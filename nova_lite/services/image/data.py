"""The bytes of images: brought, staged, read, and put right after a crash.

Bytes get their name in a store inside the transaction that makes the image
active, so an image that is not active has no bytes anybody could see, and one
that is active never gets others.  Who brings bytes holds the image's lock; an
image that is on its way while nobody holds its lock lost its process.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO
from uuid import UUID

import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.base import rows_changed
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Image, ImageStatus
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from nova_lite.domain.signing import is_signed, sign
from nova_lite.services.image.access import changeable, no_image, visible
from nova_lite.services.image.quotas import KEPT, STAGED, ImageQuotas
from nova_lite.services.image.stores import CHUNK, Part, Readable, Stored, Stores

LOG = logging.getLogger(__name__)

#: While bytes come, the image is in one of these; and the limits asked before.
LIMITS = {
    ImageStatus.SAVING: {"image_size_total": 0},
    ImageStatus.UPLOADING: {"image_stage_total": 0},
}


#: What a worker makes of a disk.
COPIED = frozenset({"raw", "qcow2"})


def signed_path(key: bytes, image_id: UUID, expires: int) -> str:
    """Where, below the image API, whoever has this may read an image until `expires`."""
    return _signed(key, image_id, expires, _reading(image_id))


def signed_upload_path(key: bytes, image_id: UUID, expires: int) -> str:
    """Where whoever has this may give an image its bytes until `expires`, by PUT."""
    return _signed(key, image_id, expires, _writing(image_id))


def _signed(key: bytes, image_id: UUID, expires: int, what: str) -> str:
    signature = sign(key, what, expires)
    return f"/v2/images/{image_id}/file?expires={expires}&signature={signature}"


def _reading(image_id: UUID) -> str:
    return f"image {image_id}"


def _writing(image_id: UUID) -> str:
    return f"data for image {image_id}"


class ImageData:
    """`size_cap` is the size of the largest image, in bytes as they come."""

    def __init__(
        self,
        database: Database,
        stores: Stores,
        quotas: ImageQuotas,
        signing_key: bytes,
        size_cap: int,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.stores = stores
        self.quotas = quotas
        self.signing_key = signing_key
        self.size_cap = size_cap
        self.now = now

    # --- in ---------------------------------------------------------------------------------

    def upload(
        self,
        context: RequestContext,
        id: UUID,
        file: Readable,
        content_length: int | None = None,
        *,
        store: str | None = None,
    ) -> None:
        """Give an image its bytes, once and for all; in the default store unless said otherwise.

        However it fails, the image is queued again and no bytes are left.
        Raises ImageUnacceptable, TooLarge, Conflict when it has bytes or is
        getting some, Invalid when they break off, NotFound when it is deleted
        meanwhile.
        """
        self._must_be_changeable(context, id)
        name = store or self.stores.default
        self._bring(id, file, content_length, ImageStatus.SAVING, name, context.request_id)

    def stage(
        self, context: RequestContext, id: UUID, file: Readable, content_length: int | None = None
    ) -> None:
        """Put bytes by that are to be imported later; otherwise the same."""
        self._must_be_changeable(context, id)
        self._bring(id, file, content_length, ImageStatus.UPLOADING, None, context.request_id)

    def upload_signed(
        self,
        id: UUID,
        expires: str,
        signature: str,
        file: Readable,
        content_length: int | None,
        request_id: str,
        disk_format: str,
    ) -> None:
        """Upload for a worker, who has a signed link instead of a context.

        The worker knows what it brings: the image is a bare disk of `disk_format`
        from then on.  Doing it twice is doing it once, whatever comes: a worker
        that is told again takes another copy of a disk that was written to
        meanwhile, and the image is the first one.
        Raises also Forbidden when the link is not ours or no longer good.
        """
        self._must_be_signed(_writing(id), expires, signature)
        if disk_format not in COPIED:
            raise Invalid(f"disk_format has to be one of {', '.join(sorted(COPIED))}.")
        with self.database.read() as session:
            image = session.get(Image, id)
        if image is None or image.deleted:
            raise no_image(id)
        if image.status not in KEPT:
            self._bring(
                id,
                file,
                content_length,
                ImageStatus.SAVING,
                self.stores.default,
                request_id,
                bare=disk_format,
            )

    def _must_be_changeable(self, context: RequestContext, id: UUID) -> None:
        """Before anything else: a foreigner must not even hold the lock."""
        with self.database.read() as session:
            changeable(session, context, id, lock=False)

    def _bring(
        self,
        id: UUID,
        file: Readable,
        content_length: int | None,
        status: ImageStatus,
        store: str | None,
        request_id: str,
        *,
        bare: str | None = None,
    ) -> None:
        """`store` None is the staging area; with `bare` it becomes a disk of that format."""
        if (content_length or 0) > self.size_cap:
            raise too_large(self.size_cap)
        place = self.stores.staging if store is None else self.stores[store]
        with self.stores.locks.hold(id), place.incoming(id) as part:
            disk_format = self._begin(id, status, bare)
            try:
                chunks = self._chunks(file, content_length)
                stored = part.fill(chunks, None if store is None else disk_format)
                end = _staged(stored) if store is None else active(stored, [store])
                self._end(id, status, end, part)
            except BaseException as error:
                LOG.info("data of image %s did not come: %s (%s)", id, error, request_id)
                self._requeue(id, status)
                raise
        LOG.info("image %s has its %d bytes (%s)", id, stored.size, request_id)

    @one_transaction
    def _begin(self, id: UUID, status: ImageStatus, bare: str | None = None) -> str | None:
        with self.database.write() as session:
            image = session.scalar(sa.select(Image).where(Image.id == id).with_for_update())
            if image is None or image.deleted:
                raise no_image(id)
            if bare is not None and image.status not in KEPT:
                image.disk_format, image.container_format = bare, "bare"
            if image.disk_format is None or image.container_format is None:
                raise Invalid(
                    "Properties disk_format, container_format must be set prior to saving data."
                )
            # We hold its lock: if it is on its way, then nobody brings it any more.
            lost = image.status is status and image.size is None
            if image.status is not ImageStatus.QUEUED and not lost:
                raise Conflict(
                    f"Image status transition from {image.status} to {status} is not allowed"
                )
            wanted = {"image_count_uploading": 0 if lost else 1, **LIMITS[status]}
            self.quotas.check(session, image.owner, **wanted)
            image.status, image.updated_at = status, self.now()
            return image.content_format

    def _end(self, id: UUID, status: ImageStatus, values: dict[str, Any], part: Part) -> None:
        with self.database.write() as session:
            brought = sa.update(Image).where(Image.id == id, Image.status == status)
            if rows_changed(session, brought.values(**values, updated_at=self.now())) != 1:
                raise NotFound(f"Image {id} was deleted while its data was being uploaded.")
            # Not one_transaction: bytes can be kept but once.
            # Before the commit, so that its row is still ours: whoever comes
            # next finds an active image, and does not touch the file.
            part.keep()

    @one_transaction
    def _requeue(self, id: UUID, status: ImageStatus) -> None:
        """Undo an upload, unless it was finished after all (a lost answer to a commit)."""
        with self.database.write() as session:
            undo = (
                sa.update(Image)
                .where(Image.id == id, Image.status == status, Image.size.is_(None))
                .values(status=ImageStatus.QUEUED, updated_at=self.now())
            )
            if rows_changed(session, undo) == 1:
                self.stores.remove(id)

    def _chunks(self, file: Readable, content_length: int | None) -> Iterator[bytes]:
        received = 0
        for chunk in capped(_pieces(file), self.size_cap):
            received += len(chunk)
            yield chunk
        if content_length is not None and received != content_length:
            raise Invalid(f"{received} bytes came, {content_length} were announced.")

    # --- out --------------------------------------------------------------------------------

    def open(self, context: RequestContext, id: UUID) -> tuple[Image, BinaryIO | None]:
        """An image and its bytes; None while it has none.  The caller closes the file.

        Raises Forbidden when it is deactivated, except for administrators.
        """
        with self.database.read() as session:
            image = visible(session, context, id)
        if image.status is ImageStatus.DEACTIVATED and not context.is_admin:
            raise Forbidden("The requested image has been deactivated.")
        return image, self._file(image) if image.status in KEPT else None

    def open_signed(self, id: UUID, expires: str, signature: str) -> tuple[Image, BinaryIO]:
        """The same for a worker, who has a signed link instead of a context.

        Raises Forbidden when the link is not ours or no longer good, NotFound
        when the image is not active: what was taken back meanwhile is not given.
        """
        self._must_be_signed(_reading(id), expires, signature)
        with self.database.read() as session:
            image = session.get(Image, id)
        if image is None or image.status is not ImageStatus.ACTIVE:
            raise no_image(id)
        return image, self._file(image)

    def _file(self, image: Image) -> BinaryIO:
        return self.stores.open(image.id, image.stores or (self.stores.default,))

    def _must_be_signed(self, what: str, expires: str, signature: str) -> None:
        now = self.now().timestamp()
        if not is_signed(self.signing_key, what, expires, signature, now):
            raise Forbidden("The signature of this link is wrong, or has expired.")

    def remove_from_store(self, context: RequestContext, store: str, id: UUID) -> None:
        """One copy less.  Raises NotFound when it has none there, Forbidden for its last."""
        if store not in self.stores.named:
            raise NotFound(f"There is no store {store!r}.")
        self._must_be_changeable(context, id)
        with self.stores.locks.hold(id):
            self._forget_copy(context, store, id)
            # After the commit: if we die here, clean() finds it.
            self.stores[store].remove(id)

    @one_transaction
    def _forget_copy(self, context: RequestContext, store: str, id: UUID) -> None:
        with self.database.write() as session:
            image = changeable(session, context, id)
            if image.status not in KEPT:
                raise Conflict(f"Image {id} is {image.status}: it has no data in any store.")
            stores = image.stores or [self.stores.default]
            if store not in stores:
                raise NotFound(f"Image {id} is not in store {store}.")
            if stores == [store]:
                raise Forbidden(
                    "Cannot delete image data from the only store containing it. "
                    "Consider deleting the image instead."
                )
            image.stores = [other for other in stores if other != store]
            image.updated_at = self.now()

    # --- after a crash ------------------------------------------------------------------------

    def clean(self) -> None:
        """Repair what processes left that died: call it when one starts.

        Bytes of deleted images go, images whose upload died are queued again.
        Bytes of images that nobody knows stay, and are told of: they come from
        a database that was lost, restored or mistaken, never from a crash.
        """
        self._name_stores()
        with self.database.read() as session:
            columns = sa.select(Image.id, Image.status, Image.stores)
            known = {row.id: row for row in session.execute(columns)}
        missing = {id for id, image in known.items() if image.status in KEPT}
        for name, store in self.stores.named.items():
            for id in store.ids():
                if id not in known:
                    LOG.warning("store %s has image %s, which the database does not know", name, id)
                elif known[id].status in KEPT and name in known[id].stores:
                    missing.discard(id)
                else:
                    self._drop(id, name)
            store.clean()
        for id in sorted(missing):
            LOG.error("image %s is %s, but its bytes are gone", id, known[id].status)
        for id in self.stores.staging.ids():
            if id in known and known[id].status not in STAGED:
                self.stores.staging.remove(id)
        self.stores.staging.clean()
        self.repair()
        self.stores.locks.clean()

    @one_transaction
    def _name_stores(self) -> None:
        with self.database.write() as session:
            unnamed = sa.update(Image).where(Image.stores.is_(None), Image.status.in_(KEPT))
            session.execute(unnamed.values(stores=[self.stores.default]))

    def _drop(self, id: UUID, store: str) -> None:
        """Remove bytes that are no copy of an image, unless they are about to become one."""
        try:
            with self.stores.locks.hold(id):
                with self.database.read() as session:
                    image = session.get_one(Image, id)
                if image.status not in KEPT or store not in (image.stores or ()):
                    LOG.info("removing bytes of %s image %s from store %s", image.status, id, store)
                    self.stores[store].remove(id)
        except Conflict:
            pass  # somebody is at it

    def repair(self) -> None:
        """Finish what others left half done; call it now and then.

        Images whose data came from a process that died are queued again, and
        the bytes of those that are to be deleted go.
        """
        with self.database.read() as session:
            doomed = session.scalars(
                sa.select(Image.id).where(Image.status == ImageStatus.PENDING_DELETE)
            ).all()
            waiting = sa.select(Image.id, Image.status).where(
                Image.status.in_(LIMITS.keys()), Image.size.is_(None)
            )
            lost = session.execute(waiting).all()
        for id, status in lost:
            try:
                with self.stores.locks.hold(id):
                    self._requeue(id, status)
            except Conflict:
                continue  # it is on its way
        for id in doomed:
            # It needs no lock: an image that is deleted gets no bytes any more.
            self.stores.remove(id)
            self._is_deleted(id)

    @one_transaction
    def _is_deleted(self, id: UUID) -> None:
        with self.database.write() as session:
            done = sa.update(Image).where(Image.id == id).values(status=ImageStatus.DELETED)
            session.execute(done)
            LOG.info("removed the bytes of deleted image %s", id)


def active(stored: Stored, stores: list[str]) -> dict[str, Any]:
    """What is to be said of an image once it has its bytes."""
    return {
        "status": ImageStatus.ACTIVE,
        "size": stored.size,
        "virtual_size": stored.virtual_size,
        "checksum": stored.md5,
        "os_hash_value": stored.sha512,
        "stores": stores,
    }


def _staged(stored: Stored) -> dict[str, Any]:
    return {"size": stored.size}


def capped(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Pass `chunks` on.  Raises TooLarge as soon as they have more than `most` bytes."""
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > most:
            raise too_large(most)
        yield chunk


def too_large(most: int) -> TooLarge:
    return TooLarge(f"Images may have at most {most} bytes.")


def _pieces(file: Readable) -> Iterator[bytes]:
    received = 0
    while True:
        try:
            chunk = file.read(CHUNK)
        except OSError as error:
            raise Invalid(f"The upload broke off after {received} bytes: {error}") from None
        if not chunk:
            return
        received += len(chunk)
        yield chunk
