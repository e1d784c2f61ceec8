"""Imports as they are asked for and looked at; `imports` carries them out.

What is asked for is a row; so it survives us, and any process can do it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Image, ImageStatus, ImageTask, TaskStatus
from nova_lite.domain.errors import Conflict, Invalid, NotFound
from nova_lite.services import paging
from nova_lite.services.image.access import changeable, visible
from nova_lite.services.image.images import Images, NewImage
from nova_lite.services.image.quotas import MIB, ImageQuotas

UNFINISHED = (TaskStatus.PENDING, TaskStatus.PROCESSING)
API_IMPORT, IMPORT = "api_image_import", "import"
SORTABLE = {name: ImageTask.__table__.c[name] for name in ("created_at", "updated_at", "id")} | {
    name: ImageTask.__table__.c[name] for name in ("type", "status")
}


class Downloads(Protocol):
    """What brings bytes from the web."""

    def check(self, uri: str) -> None:
        """Raises Invalid for what would be refused without looking further."""


@dataclass(frozen=True)
class Asked:
    """An import: where from, and into which stores (by default, the default one)."""

    method: Mapping[str, Any]  # its name, and its parameters
    stores: Sequence[str] | None = None
    all_stores: bool = False
    must_succeed: bool = True  # in all stores, or not at all
    words: Mapping[str, Any] = field(default_factory=dict)  # as the client said it


@dataclass(frozen=True)
class Method:
    needs: ImageStatus
    otherwise: str
    leaves: ImageStatus | None  # where the image is until the import is done
    limits: Mapping[str, int]
    needs_formats: bool = True


METHODS = {
    "glance-direct": Method(
        ImageStatus.UPLOADING,
        "Image needs to be staged before 'glance-direct' method can be used",
        ImageStatus.IMPORTING,
        {"image_size_total": 0},
    ),
    "web-download": Method(
        ImageStatus.QUEUED,
        "Image needs to be in 'queued' state to use 'web-download' method",
        ImageStatus.IMPORTING,
        {"image_size_total": 0, "image_stage_total": 0, "image_count_uploading": 1},
    ),
    "glance-download": Method(
        ImageStatus.QUEUED,
        "Image needs to be in 'queued' state to use 'glance-download' method",
        ImageStatus.IMPORTING,
        {"image_size_total": 0, "image_stage_total": 0, "image_count_uploading": 1},
        needs_formats=False,
    ),
    "copy-image": Method(
        ImageStatus.ACTIVE,
        "Only images with status active can be targeted for copying",
        None,
        {"image_count_uploading": 1},
        needs_formats=False,
    ),
}


class ImageTasks:
    """`wake` is told after the commit that there is something to do."""

    def __init__(
        self,
        database: Database,
        images: Images,
        quotas: ImageQuotas,
        downloads: Downloads,
        methods: Sequence[str],
        wake: Callable[[], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.images = images
        self.stores = images.stores
        self.quotas = quotas
        self.downloads = downloads
        self.methods = methods
        self.wake = wake
        self.now = now

    # --- asking -----------------------------------------------------------------------------

    @one_transaction
    def import_image(self, context: RequestContext, id: UUID, asked: Asked) -> None:
        """Raises Invalid for what cannot be asked, Conflict for not now, TooLarge."""
        if asked.method["name"] not in self.methods:
            raise Invalid(
                f"Unknown import method name {asked.method['name']!r}; "
                f"use one of {', '.join(self.methods)}."
            )
        self._check_parameters(asked.method)
        with self.database.write() as session:
            image = changeable(session, context, id)
            self._begin(session, context, image, API_IMPORT, asked)
        self.wake()

    @one_transaction
    def create(
        self, context: RequestContext, new: NewImage, uri: str, words: Mapping[str, Any]
    ) -> ImageTask:
        """A new image of what is at `uri`, in one go.  Raises Invalid, TooLarge."""
        asked = Asked({"name": "web-download", "uri": uri}, words=words)
        self._check_parameters(asked.method)
        with self.database.write() as session:
            image = session.get_one(Image, self.images.add(session, context, new).id)
            task = self._begin(session, context, image, IMPORT, asked)
        self.wake()
        return task

    def _begin(
        self, session: Session, context: RequestContext, image: Image, type: str, asked: Asked
    ) -> ImageTask:
        method = METHODS[asked.method["name"]]
        targets = self._targets(image, asked)
        self._must_fit(session, image, method, len(targets))
        now = self.now()
        image.status = method.leaves or image.status
        image.importing_to_stores, image.failed_import, image.updated_at = targets, [], now
        words = dict(asked.words)
        if type == API_IMPORT:
            words = {"image_id": str(image.id), "import_req": words, "backend": targets}
        task = ImageTask(
            id=uuid4(),
            type=type,
            status=TaskStatus.PENDING,
            image_id=image.id,
            owner=context.project_id or image.owner,
            user_id=context.user_id,
            roles=sorted(context.roles),
            request_id=context.request_id,
            input=words,
            method=dict(asked.method),
            stores=targets,
            must_succeed=asked.must_succeed,
            message="",
            attempts=0,
            created_at=now,
            updated_at=now,
        )
        session.add(task)
        return task

    def _check_parameters(self, method: Mapping[str, Any]) -> None:
        if method["name"] == "web-download":
            if not isinstance(method.get("uri"), str):
                raise Invalid("Method 'web-download' needs the parameter 'uri'.")
            self.downloads.check(method["uri"])
        if method["name"] == "glance-download":
            for name in ("glance_image_id", "glance_region"):
                if not isinstance(method.get(name), str):
                    raise Invalid(f"Method 'glance-download' needs the parameter {name!r}.")
            try:
                UUID(method["glance_image_id"])
            except ValueError:
                wrong = method["glance_image_id"]
                raise Invalid(f"Remote image id does not look like a UUID: {wrong}") from None

    def _targets(self, image: Image, asked: Asked) -> list[str]:
        if asked.all_stores and asked.stores is not None:
            raise Invalid("Parameters all_stores and stores cannot be used together.")
        names = list(dict.fromkeys(asked.stores or (self.stores.default,)))
        if asked.all_stores:
            names = list(self.stores.named)
        for name in names:
            _ = self.stores[name]
        if asked.method["name"] != "copy-image":
            return names
        have = image.stores or []
        there = [name for name in names if name in have]
        if there and not asked.all_stores:
            raise Conflict(f"Image is already available at store '{there[0]}'.")
        if len(there) == len(names):
            raise Conflict("Image is already available at all stores.")
        return [name for name in names if name not in have]

    def _must_fit(self, session: Session, image: Image, method: Method, copies: int) -> None:
        unfinished = sa.select(ImageTask.id).where(
            ImageTask.image_id == image.id, ImageTask.status.in_(UNFINISHED)
        )
        if session.scalars(unfinished).first() is not None:
            raise Conflict("Image has an import task already.")
        staging = image.status is ImageStatus.UPLOADING and image.size is None
        if image.status is not method.needs or staging:
            raise Conflict(method.otherwise)
        for name in ("disk_format", "container_format") if method.needs_formats else ():
            if getattr(image, name) is None:
                raise Invalid(f"'{name}' needs to be set before import")
        limits = dict(method.limits)
        if method.leaves is None:
            limits["image_size_total"] = copies * (image.size or 0) // MIB
        self.quotas.check(session, image.owner, **limits)

    # --- looking ----------------------------------------------------------------------------

    def of_image(self, context: RequestContext, id: UUID) -> Sequence[Any]:
        """The oldest first."""
        with self.database.read() as session:
            visible(session, context, id)
            tasks = sa.select(*ImageTask.__table__.c).where(ImageTask.image_id == id)
            return session.execute(tasks.order_by(ImageTask.created_at, ImageTask.id)).all()

    def get(self, context: RequestContext, id: UUID) -> ImageTask:
        with self.database.read() as session:
            task = session.get(ImageTask, id)
        if task is None or not context.owns(task.owner):
            raise NotFound(f"No task found with ID {id}")
        return task

    def list(
        self,
        context: RequestContext,
        equal: Mapping[str, str],
        *,
        sort: tuple[str, bool] = ("created_at", True),
        limit: int,
        marker: UUID | None = None,
    ) -> tuple[Sequence[Any], bool]:
        """A page of tasks behind `marker`, and whether there are more.

        `sort`: a name from SORTABLE, and whether descending.  Raises Invalid
        when the marker is not there.
        """
        limit = min(limit, self.images.settings.max_limit)
        table, (name, descending) = ImageTask.__table__.c, sort
        keys = [(SORTABLE[name], descending), (SORTABLE["id"], descending)]
        with self.database.read() as session:
            query = sa.select(*table).where(*(table[key] == word for key, word in equal.items()))
            if not context.is_admin:
                query = query.where(ImageTask.owner == context.project_id)
            if marker is not None:
                place = sa.select(*(column for column, _ in keys)).where(ImageTask.id == marker)
                row = session.execute(place).one_or_none()
                if row is None:
                    raise Invalid(f"marker [{marker}] not found")
                query = query.where(paging.behind(keys, row))
            rows = session.execute(query.order_by(*paging.order(keys)).limit(limit + 1)).all()
        return rows[:limit], len(rows) > limit
