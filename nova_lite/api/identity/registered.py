"""Kinds of the registry, served: what is peculiar to each is a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.identity import kinds
from nova_lite.api.identity.words import url, wanted
from nova_lite.api.schema import Schema, one
from nova_lite.services.identity import registry


@dataclass(frozen=True, kw_only=True)
class Registered(kinds.Kind):
    """A kind whose things are in the registry as `kind`.

    They are under /v3/{folder}{plural}.  `told_once` is told to who makes one, and
    never again.  With `many` they are made several at a time.
    """

    kind: registry.Kind
    folder: str = ""
    told_once: tuple[Field, ...] = ()
    many: bool = False

    @property
    def creation(self) -> Schema:
        schema = super().creation
        if not self.many:
            return schema
        return one(
            self.plural,
            {"type": "array", "minItems": 1, "items": schema["properties"][self.name]},
        )

    def render(self, request: Request, thing: Any) -> dict[str, Any]:
        shown = super().render(request, thing)
        shown["links"] = {"self": url(request, f"{self.folder}{self.plural}", thing.id)}
        return shown

    def make(self, request: Request, values: Mapping[str, Any]) -> dict[str, Any]:
        [made] = request.services.registry.create(request.context, self.kind, values)
        return {self.name: {**self.render(request, made), **render(self.told_once, made)}}

    def make_many(self, request: Request, body: Any) -> dict[str, Any]:
        values = [self.values({self.name: one}) for one in body[self.plural]]
        made = request.services.registry.create(request.context, self.kind, *values)
        return {self.plural: [self.render(request, one) for one in made]}

    def resource(self) -> Resource:
        """Its endpoints, with the policies identity:list_services and so on."""
        found = Resource(f"/v3/{self.folder}{self.plural}")
        name, plural = self.name, self.plural
        creation = plural if self.many else name

        @found.on("GET", policy=f"identity:list_{plural}")
        def index(request: Request) -> dict[str, Any]:
            narrowed = wanted(request, *self.filters)
            page = request.services.registry.list(request.context, self.kind, narrowed)
            return self.page(request, page)

        @found.on("POST", policy=f"identity:create_{creation}", status=201, body=self.creation)
        def create(request: Request, body: Any) -> dict[str, Any]:
            return (
                self.make_many(request, body)
                if self.many
                else self.make(request, self.values(body))
            )

        @found.on("GET", "/{id}", policy=f"identity:get_{name}")
        def show(request: Request, id: str) -> dict[str, Any]:
            thing = request.services.registry.get(request.context, self.kind, id)
            return self.answer(request, thing)

        @found.on("PATCH", "/{id}", policy=f"identity:update_{name}", body=self.change)
        def update(request: Request, id: str, body: Any) -> dict[str, Any]:
            values = self.values(body, id)
            thing = request.services.registry.update(request.context, self.kind, id, values)
            return self.answer(request, thing)

        @found.on("DELETE", "/{id}", policy=f"identity:delete_{name}", status=204)
        def delete(request: Request, id: str) -> None:
            request.services.registry.delete(request.context, self.kind, id)

        return found
