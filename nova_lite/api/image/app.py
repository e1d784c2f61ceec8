"""The image API: Glance v2, as far as it is served here."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from nova_lite.api.declare import Api
from nova_lite.api.image.data import DATA
from nova_lite.api.image.images import IMAGES
from nova_lite.api.image.imports import IMPORTS
from nova_lite.api.image.members import MEMBERS
from nova_lite.api.image.metadef_entries import ENTRIES
from nova_lite.api.image.metadef_namespaces import NAMESPACES
from nova_lite.api.image.schemas import SCHEMAS
from nova_lite.api.image.stores import INFO, STORES
from nova_lite.api.image.tasks import TASKS
from nova_lite.api.image.versions import VERSIONS

RESOURCES = (
    VERSIONS,
    SCHEMAS,
    IMAGES,
    DATA,
    MEMBERS,
    IMPORTS,
    TASKS,
    INFO,
    STORES,
    NAMESPACES,
    ENTRIES,
)


def fault(status: int, message: str) -> dict[str, str]:
    title = HTTPStatus(status).phrase
    return {"message": message, "code": f"{status} {title}", "title": title}


def factory(_global: Any, **_local: str) -> Api:
    # As in Glance, images/ is an image without an id.
    return Api(RESOURCES, fault, slash_counts=True)
