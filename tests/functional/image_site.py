"""The image API alone: its facade, its service, a database and a store, called as WSGI."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import webob

from nova_lite.api.image.app import factory
from nova_lite.api.image.patches import MEDIA_TYPE
from nova_lite.api.middleware import request_id_filter
from nova_lite.api.policy import Policy
from nova_lite.cmd.image_services import ImageServices
from nova_lite.context import RequestContext
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.images.files import FileStore, Locks
from nova_lite.images.web import Web, WebRules
from nova_lite.services.image.data import ImageData
from nova_lite.services.image.images import Images, ImageSettings
from nova_lite.services.image.imports import ImageImports, ImportSettings
from nova_lite.services.image.members import ImageMembers
from nova_lite.services.image.metadefs import Metadefs
from nova_lite.services.image.quotas import ImageQuotas, LimitOf
from nova_lite.services.image.stores import Stores
from nova_lite.services.image.tasks import METHODS, ImageTasks

KEY = b"signing"
SIZE_CAP = 20 << 20
MEMBER = frozenset({"member", "reader"})
ALICE = RequestContext("req-a", "alice", project_id="red", roles=MEMBER)
BOB = RequestContext("req-b", "bob", project_id="blue", roles=MEMBER)
READER = RequestContext("req-r", "ron", project_id="red", roles=frozenset({"reader"}))
ADMIN = RequestContext("req-c", "root", project_id="admin", roles=MEMBER | {"admin"})
RAW = {"name": "raw", "disk_format": "raw", "container_format": "bare"}


def image_services(
    database: Database,
    stores: Stores,
    now: Callable[[], dt.datetime],
    limit_of: LimitOf,
    web: WebRules | None = None,
) -> ImageServices:
    quotas, fetcher = ImageQuotas(database, limit_of), Web(web or WebRules())
    images = Images(database, stores, quotas, ImageSettings(max_limit=100), now)
    settings = ImportSettings(size_cap=SIZE_CAP, region="here", extra_properties=("hw_", "os_d"))
    imports = ImageImports(database, stores, fetcher, settings, now)
    return ImageServices(
        images=images,
        image_data=ImageData(database, stores, quotas, KEY, SIZE_CAP, now),
        image_members=ImageMembers(database, now, most=5),
        image_quotas=quotas,
        image_tasks=ImageTasks(database, images, quotas, fetcher, list(METHODS), imports.wake, now),
        image_imports=imports,
    )


class ImageSite:
    def __init__(
        self,
        directory: Path,
        database: str | None = None,
        web: WebRules | None = None,
        *,
        must_match: bool = True,
    ) -> None:
        self.directory = directory / "images"
        self.time = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
        self.database = Database(database or f"sqlite:///{directory}/db")
        Base.metadata.create_all(self.database.engine)
        self.limits: dict[str, int] = {}  # by resource; for all projects
        staging = directory / "staging"
        stores = {"file": self.directory, "reserve": directory / "reserve"}
        self.stores = Stores(
            {name: FileStore(path, must_match=must_match) for name, path in stores.items()},
            FileStore(staging),
            Locks(staging / "locks"),
        )
        self.services = image_services(
            self.database, self.stores, self.now, lambda _s, _p, name: self.limits.get(name), web
        )
        self.images, self.data = self.services.images, self.services.image_data
        self.metadefs = Metadefs(self.database, self.now, max_limit=100)
        self.policy = Policy()
        self.application = request_id_filter({})(factory({}))

    def now(self) -> dt.datetime:
        self.time += dt.timedelta(microseconds=1)
        return self.time

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int | None = None,
        by: RequestContext | None = ALICE,
        data: bytes | None = None,
        content_type: str | None = None,
        environ: Mapping[str, Any] | None = None,
    ) -> webob.Response:
        """The answer to `by`, who is nobody when None; with `status`, asserts that it has it."""
        request = webob.Request.blank(path, method=method)
        # As PasteDeploy's composite leaves it.
        request.script_name = "/image"
        request.environ["nova_lite.services"] = SimpleNamespace(
            **vars(self.services), metadefs=self.metadefs
        )
        request.environ["nova_lite.policy"] = self.policy
        if by is not None:
            request.environ["nova_lite.context"] = by
        if data is not None:
            request.body, request.content_type = data, "application/octet-stream"
        elif body is not None:
            request.body, request.content_type = orjson.dumps(body), "application/json"
        if content_type is not None:
            request.content_type = content_type
        request.environ.update(environ or {})
        response = request.get_response(self.application)
        if status is not None:
            assert response.status_int == status, f"{response.status}: {response.text}"
        return response

    def json(self, method: str, path: str, body: Any = None, **how: Any) -> Any:
        how.setdefault("status", 201 if method == "POST" else 200)
        return self.call(method, path, body, **how).json

    def create(self, by: RequestContext = ALICE, **attributes: Any) -> str:
        image = self.json("POST", "/v2/images", {**RAW, **attributes}, by=by)
        return str(image["id"])

    def active(self, by: RequestContext = ALICE, content: bytes = b"data", **given: Any) -> str:
        id = self.create(by, **given)
        self.call("PUT", f"/v2/images/{id}/file", data=content, by=by, status=204)
        return id

    def patch(self, id: str, *steps: Mapping[str, Any], **how: Any) -> Any:
        how = {"status": 200, "content_type": MEDIA_TYPE, **how}
        return self.call("PATCH", f"/v2/images/{id}", list(steps), **how).json

    def names(self, query: str = "", by: RequestContext = ALICE) -> list[str]:
        images: Iterable[Any] = self.json("GET", f"/v2/images?{query}", by=by)["images"]
        return [image["name"] for image in images]

    def files(self) -> list[str]:
        return sorted(p.name for p in self.directory.rglob("*") if p.is_file())


def qemu_image(path: Path, disk_format: str, *arguments: str, size: str = "1M") -> bytes:
    """What qemu-img makes; it does not look whether a backing file is there."""
    file = path / f"made-{os.urandom(4).hex()}"
    command = ["qemu-img", "create", "-q", "-f", disk_format, *arguments, str(file), size]
    subprocess.run(command, check=True)
    return file.read_bytes()
