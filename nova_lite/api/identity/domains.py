"""Domains: /v3/domains."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.words import (
    DESCRIPTION,
    FLAG,
    NO_OPTIONS,
    NO_TAGS,
    flag,
    listing,
    member,
    shape,
    texts,
)
from nova_lite.api.schema import NAME, Schema

DOMAINS = Resource("/v3/domains")
FIELDS = (
    Field("id", lambda domain: domain.id),
    Field("name", lambda domain: domain.name),
    Field("description", lambda domain: domain.description),
    Field("enabled", lambda domain: domain.enabled),
    Field("options", lambda domain: {}),
    Field("tags", lambda domain: []),
)
PROPERTIES: dict[str, Schema] = {
    "name": {**NAME, "maxLength": 64},
    "description": DESCRIPTION,
    "enabled": FLAG,
    "options": NO_OPTIONS,
    "tags": NO_TAGS,
}
CREATE = shape("domain", PROPERTIES, "name")
UPDATE = shape("domain", PROPERTIES)
SETTABLE = ("name", "description", "enabled")


def render_domain(request: Request, domain: Any) -> dict[str, Any]:
    return member(request, FIELDS, "domains", domain)


@DOMAINS.on("GET", policy="identity:list_domains")
def index(request: Request) -> dict[str, Any]:
    found = request.services.identity.list_domains(
        request.context, name=request.GET.get("name"), enabled=flag(request, "enabled")
    )
    return listing(request, "domains", (render_domain(request, domain) for domain in found))


@DOMAINS.on("POST", policy="identity:create_domain", status=201, body=CREATE)
def create(request: Request, body: Any) -> dict[str, Any]:
    values = texts(body["domain"], *SETTABLE)
    domain = request.services.identity.create_domain(request.context, **values)
    return {"domain": render_domain(request, domain)}


@DOMAINS.on("GET", "/{id}", policy="identity:get_domain")
def show(request: Request, id: str) -> dict[str, Any]:
    domain = request.services.identity.get_domain(request.context, id)
    return {"domain": render_domain(request, domain)}


@DOMAINS.on("PATCH", "/{id}", policy="identity:update_domain", body=UPDATE)
def update(request: Request, id: str, body: Any) -> dict[str, Any]:
    values = texts(body["domain"], *SETTABLE)
    domain = request.services.identity.update_domain(request.context, id, **values)
    return {"domain": render_domain(request, domain)}


@DOMAINS.on("DELETE", "/{id}", policy="identity:delete_domain", status=204)
def delete(request: Request, id: str) -> None:
    request.services.identity.delete_domain(request.context, id)
