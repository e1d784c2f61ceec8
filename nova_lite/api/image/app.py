"""The image API: Glance v2, as far as it is served here."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from nova_lite.api.declare import Api
from nova_lite.api.image.data import DATA
from nova_lite.api.image.images import IMAGES
from nova_lite.api.image.schemas import SCHEMAS
from nova_lite.api.image.versions import VERSIONS

RESOURCES = (VERSIONS, SCHEMAS, IMAGES, DATA)


def fault(status: int, message: str) -> dict[str, str]:
    title = HTTPStatus(status).phrase
    return {"message": message, "code": f"{status} {title}", "title": title}


def factory(_global: Any, **_local: str) -> Api:
    return Api(RESOURCES, fault)
