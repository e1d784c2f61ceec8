"""Domains: /v3/domains."""

from __future__ import annotations

from nova_lite.api.declare import Field, Resource
from nova_lite.api.identity.kinds import Kind, directory
from nova_lite.api.identity.words import DESCRIPTION, FLAG, IMMUTABLE, LABEL, TAGS
from nova_lite.api.schema import Schema

DOMAINS = Resource("/v3/domains")
#: Ids are chosen to be the same in several clouds; they look like those that are drawn.
HEX: Schema = {"type": "string", "pattern": r"^[0-9a-f]{32}\Z"}
DOMAIN = Kind(
    name="domain",
    plural="domains",
    fields=(
        Field("id", lambda domain: domain.id),
        Field("name", lambda domain: domain.name),
        Field("description", lambda domain: domain.description),
        Field("enabled", lambda domain: domain.enabled),
        Field("options", lambda domain: domain.options or {}),
        Field("tags", lambda domain: domain.tags),
    ),
    properties={
        "name": {**LABEL, "maxLength": 64},
        "description": DESCRIPTION,
        "enabled": FLAG,
        "options": IMMUTABLE,
        "tags": TAGS,
    },
    once={"explicit_domain_id": HEX},
    filters=("name", "enabled"),
)
DOMAIN.serve(DOMAINS, directory)
