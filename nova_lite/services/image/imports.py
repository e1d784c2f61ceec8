"""Carrying out imports: whoever is free takes one, and one that was left half done begins anew.

An import is somebody's while he holds the lock of its image, and dying lets go
of it.  All that was fetched until then is in parts that nobody else sees; image
and task reach their end in one transaction.
"""

from __future__ import annotations

import datetime as dt
import logging
import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol
from uuid import UUID

import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Image, ImageStatus, ImageTask, TaskStatus
from nova_lite.domain.errors import Conflict, Invalid, NovaLiteError, TooLarge
from nova_lite.services.image.access import visible
from nova_lite.services.image.data import active, capped
from nova_lite.services.image.quotas import KEPT
from nova_lite.services.image.stores import CHUNK, Part, Stored, Stores
from nova_lite.services.image.tasks import IMPORT, UNFINISHED

LOG = logging.getLogger(__name__)

ATTEMPTS = 3  # after which an import that kills whoever does it is given up
KEPT_FOR = dt.timedelta(hours=48)  # a task that is finished


class Downloads(Protocol):
    def fetch(self, uri: str) -> Iterator[bytes]:
        """Raises Invalid."""


@dataclass(frozen=True)
class ImportSettings:
    size_cap: int  # bytes of one image, as they come
    region: str  # ours
    #: Properties that an image takes along, by how their names begin.
    extra_properties: Sequence[str] = ()


@dataclass(frozen=True)
class Source:
    """Where the bytes come from, any number of times; and what else the image gets."""

    chunks: Callable[[], Iterator[bytes]]
    disk_format: str | None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    sha512: str | None = None  # if it is known


class SourceFailed(Exception):
    """There are no more bytes, and it is no store's fault."""


class Failed(NovaLiteError):
    """An import that will not succeed; the stores that did not get the image."""

    def __init__(self, message: str, stores: Sequence[str]) -> None:
        super().__init__(message)
        self.stores = stores


class ImageImports:
    def __init__(
        self,
        database: Database,
        stores: Stores,
        downloads: Downloads,
        settings: ImportSettings,
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.stores = stores
        self.downloads = downloads
        self.settings = settings
        self.now = now
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        """There is something to do."""
        self._woken.put(None)

    def wait(self, seconds: float) -> None:
        """Until somebody wakes us, but not longer."""
        with suppress(queue.Empty):
            self._woken.get(timeout=seconds)

    def run_all(self) -> None:
        while self.run_one():
            pass

    def run_one(self) -> bool:
        """Carry out an import that nobody is carrying out; False when there is none."""
        with self.database.read() as session:
            unfinished = sa.select(ImageTask.id, ImageTask.image_id).where(
                ImageTask.status.in_(UNFINISHED)
            )
            todo = session.execute(unfinished.order_by(ImageTask.created_at)).all()
        for task_id, image_id in todo:
            with ExitStack() as held:
                try:
                    held.enter_context(self.stores.locks.hold(image_id))
                except Conflict:
                    continue  # somebody is at it
                if self._claim(task_id):
                    self._carry_out(task_id, image_id)
                    return True
        return False

    @one_transaction
    def forget_old(self) -> None:
        """Remove tasks that were finished long ago."""
        with self.database.write() as session:
            session.execute(sa.delete(ImageTask).where(ImageTask.expires_at < self.now()))

    @one_transaction
    def _claim(self, id: UUID) -> bool:
        with self.database.write() as session:
            task = session.get(ImageTask, id, with_for_update=True)
            if task is None or task.status not in UNFINISHED:
                return False  # done meanwhile
            task.status, task.updated_at = TaskStatus.PROCESSING, self.now()
            task.attempts += 1
            return True

    def _carry_out(self, task_id: UUID, image_id: UUID) -> None:
        with self.database.read() as session:
            task = session.get_one(ImageTask, task_id)
            image = session.get_one(Image, image_id)
        where = f"image {image_id} ({task.request_id})"
        try:
            if task.attempts > ATTEMPTS:
                raise Failed("The import was begun too often.", task.stores)
            if image.deleted:
                raise Failed(f"Image {image_id} was deleted.", task.stores)
            self._bring(task, image)
            LOG.info("imported %s", where)
        except Failed as failed:
            LOG.warning("import of %s failed: %s", where, failed)
            self._fail(task_id, image_id, failed)
        except Exception:
            # One import must not take the following with it.  Its task stays,
            # to be tried again.
            LOG.exception("import of %s broke off", where)

    def _bring(self, task: ImageTask, image: Image) -> None:
        """Raises Failed."""
        source = self._source(task, image)
        stored: Stored | None = None
        kept: dict[str, Part] = {}
        failed: dict[str, str] = {}
        with ExitStack() as parts:
            for name in task.stores:
                try:
                    part = parts.enter_context(self.stores[name].incoming(image.id))
                    if stored is None:
                        stored = part.fill(self._read(source), source.disk_format)
                    else:
                        again = part.fill(next(iter(kept.values())).read(), None)
                        if again.sha512 != stored.sha512:
                            raise OSError("what was written is not what was read")
                    kept[name] = part
                except (Conflict, Invalid, TooLarge, OSError) as error:
                    LOG.error("store %s did not take image %s: %s", name, image.id, error)
                    failed[name] = str(error)
                except (SourceFailed, NovaLiteError) as error:
                    raise Failed(str(error), task.stores) from error
            if stored is None or (failed and task.must_succeed):
                told = "; ".join(f"{name}: {error}" for name, error in failed.items())
                raise Failed(f"Not all stores took the image: {told}", list(failed))
            if source.sha512 not in (None, stored.sha512):
                raise Failed("The copy is not the same as the image.", task.stores)
            self._finish(task, image.id, source, stored, kept, sorted(failed))
        self.stores.staging.remove(image.id)

    def _read(self, source: Source) -> Iterator[bytes]:
        try:
            yield from capped(source.chunks(), self.settings.size_cap)
        except (NovaLiteError, OSError) as error:
            raise SourceFailed(str(error)) from error

    # --- where from -------------------------------------------------------------------------

    def _source(self, task: ImageTask, image: Image) -> Source:
        try:
            return SOURCES[task.method["name"]](self, task, image)
        except NovaLiteError as error:
            raise Failed(str(error), task.stores) from None

    def _staged(self, task: ImageTask, image: Image) -> Source:
        return Source(lambda: _chunks(self.stores.staging.open(image.id)), image.content_format)

    def _web(self, task: ImageTask, image: Image) -> Source:
        return Source(lambda: self.downloads.fetch(task.method["uri"]), image.content_format)

    def _copy(self, task: ImageTask, image: Image) -> Source:
        return Source(
            lambda: _chunks(self.stores.open(image.id, image.stores or ())),
            disk_format=None,  # it was looked at when it came
            sha512=image.os_hash_value,
        )

    def _other_image(self, task: ImageTask, image: Image) -> Source:
        """An image of this cloud, as who asked may see it."""
        method = task.method
        if method["glance_region"] != self.settings.region:
            raise Invalid(f"There is no image service in region {method['glance_region']!r}.")
        context = RequestContext(
            task.request_id, task.user_id, project_id=task.owner, roles=frozenset(task.roles)
        )
        with self.database.read() as session:
            other = visible(session, context, UUID(method["glance_image_id"]))
        if other.status is not ImageStatus.ACTIVE:
            raise Invalid(f"Image {other.id} is {other.status}, not active.")
        return Source(
            lambda: _chunks(self.stores.open(other.id, other.stores or ())),
            other.content_format,
            attributes={
                "disk_format": other.disk_format,
                "container_format": other.container_format,
            },
            properties={
                name: value
                for name, value in other.properties.items()
                if name.startswith(tuple(self.settings.extra_properties))
            },
            sha512=other.os_hash_value,
        )

    # --- the end ----------------------------------------------------------------------------

    def _finish(
        self,
        task: ImageTask,
        image_id: UUID,
        source: Source,
        stored: Stored,
        kept: Mapping[str, Part],
        failed: list[str],
    ) -> None:
        with self.database.write() as session:
            image = session.get_one(Image, image_id, with_for_update=True)
            copying = image.status in KEPT
            if image.deleted or not (copying or image.status is ImageStatus.IMPORTING):
                raise Failed(f"Image {image_id} was deleted meanwhile.", task.stores)
            stores = sorted({*kept, *((image.stores or ()) if copying else ())})
            now = self.now()
            values = (
                {"stores": stores} if copying else active(stored, stores) | dict(source.attributes)
            )
            values |= {"importing_to_stores": [], "failed_import": failed, "updated_at": now}
            for name, value in values.items():
                setattr(image, name, value)
            image.properties = {**image.properties, **source.properties}
            done = session.get_one(ImageTask, task.id)
            _end(done, TaskStatus.SUCCESS, f"Copied {stored.size >> 20} MiB", now)
            done.result = {"image_id": str(image_id)} if task.type == IMPORT else None
            session.flush()
            # Not one_transaction: bytes can be kept but once.  Before the
            # commit, so that the image's row is still ours.
            for part in kept.values():
                part.keep()

    @one_transaction
    def _fail(self, task_id: UUID, image_id: UUID, failed: Failed) -> None:
        """The image is as it was before, but for the bytes that were staged."""
        with self.database.write() as session:
            now = self.now()
            task = session.get_one(ImageTask, task_id)
            image = session.get_one(Image, image_id, with_for_update=True)
            _end(task, TaskStatus.FAILURE, str(failed), now)
            image.importing_to_stores, image.failed_import = [], list(failed.stores)
            image.updated_at = now
            if image.status is ImageStatus.IMPORTING:
                image.status, image.size = ImageStatus.QUEUED, None
                if task.type == IMPORT:
                    # Nobody asked for an image without bytes.
                    image.status, image.deleted = ImageStatus.DELETED, True
                self.stores.remove(image_id)


def _end(task: ImageTask, status: TaskStatus, message: str, now: dt.datetime) -> None:
    task.status, task.message = status, message
    task.updated_at, task.expires_at = now, now + KEPT_FOR


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


SOURCES: Mapping[str, Callable[[ImageImports, ImageTask, Image], Source]] = {
    "glance-direct": ImageImports._staged,
    "web-download": ImageImports._web,
    "copy-image": ImageImports._copy,
    "glance-download": ImageImports._other_image,
}
