"""The placement API: what hosts have and have promised, to look at."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from nova_lite.api.declare import Api
from nova_lite.api.placement.candidates import candidates
from nova_lite.api.placement.providers import providers
from nova_lite.api.placement.reports import allocations, classes, traits, usages
from nova_lite.api.placement.versions import arrive, versions

RESOURCES = (versions, providers, candidates, classes, traits, usages, allocations)


def fault(status: int, message: str) -> dict[str, Any]:
    """An error as the guideline of OpenStack's API group words it, with Placement's code."""
    error = {
        "status": status,
        "title": HTTPStatus(status).phrase,
        "detail": message,
        "code": "placement.undefined_code",
    }
    return {"errors": [error]}


def factory(_global: Any, **_local: str) -> Api:
    return Api(RESOURCES, fault=fault, negotiate=arrive)
