"""Unified limits: /v3/registered_limits and /v3/limits."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.catalog import REGION_OR_NULL
from nova_lite.api.identity.registered import Registered
from nova_lite.api.identity.words import DESCRIPTION, ID, LABEL, OR_NULL
from nova_lite.api.schema import Schema
from nova_lite.services.identity import unified_limits

NUMBER: Schema = {"type": "integer", "minimum": -1, "maximum": 0x7FFFFFFF}
#: What is limited.
WHAT: dict[str, Schema] = {
    "service_id": ID,
    "region_id": REGION_OR_NULL,
    "resource_name": LABEL,
}
WHAT_FIELDS = (
    Field("service_id", lambda limit: limit.service_id),
    Field("region_id", lambda limit: limit.region_id),
    Field("resource_name", lambda limit: limit.resource_name),
    Field("description", lambda limit: limit.description),
)
REGISTERED_LIMIT = Registered(
    "registered_limit",
    "registered_limits",
    (
        Field("id", lambda limit: limit.id),
        *WHAT_FIELDS,
        Field("default_limit", lambda limit: limit.default_limit),
    ),
    {**WHAT, "default_limit": NUMBER, "description": DESCRIPTION},
    required=("service_id", "resource_name", "default_limit"),
    filters=("service_id", "region_id", "resource_name"),
    more=False,
    kind=unified_limits.REGISTERED_LIMIT,
    many=True,
)


class _Limit(Registered):
    """Exactly one of project and domain is named, and that stays; so does what is limited."""

    @property
    def creation(self) -> Schema:
        schema = super().creation
        [[plural, several]] = schema["properties"].items()
        either = [{"required": [*self.required, owner]} for owner in ("project_id", "domain_id")]
        items = {**several["items"], "oneOf": either}
        return {**schema, "properties": {plural: {**several, "items": items}}}


LIMIT = _Limit(
    "limit",
    "limits",
    (
        Field("id", lambda limit: limit.id),
        Field("project_id", lambda limit: limit.project_id),
        Field("domain_id", lambda limit: limit.domain_id),
        *WHAT_FIELDS,
        Field("resource_limit", lambda limit: limit.resource_limit),
    ),
    {"resource_limit": NUMBER, "description": DESCRIPTION},
    once={**WHAT, "project_id": OR_NULL, "domain_id": OR_NULL},
    required=("service_id", "resource_name", "resource_limit"),
    filters=("service_id", "region_id", "resource_name", "project_id", "domain_id"),
    more=False,
    kind=unified_limits.LIMIT,
    many=True,
)
MODEL = Resource("/v3/limits/model")
REGISTERED_LIMITS = REGISTERED_LIMIT.resource()
LIMITS = LIMIT.resource()


@MODEL.on("GET", policy="identity:get_limit_model")
def model(request: Request) -> dict[str, Any]:
    return {"model": unified_limits.MODEL}
