"""A kind of thing with a collection of its own, as a table: what all of Keystone's have in common.

A kind is declared once; `Kind.serve` makes of it the five endpoints that list,
make, show, change and remove its things by the methods of a service that are
called after it: list_groups, create_group, get_group, update_group, delete_group.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.words import listing, member, shape, wanted
from nova_lite.api.schema import Schema
from nova_lite.domain.errors import Invalid
from nova_lite.services.identity.collection import Page

#: What a client may send back as it got it, to be ignored.
SHOWN_ONLY = ("id", "links")


@dataclass(frozen=True)
class Kind:
    """What is shown of a thing, what may be said of it, and what a list is narrowed by.

    With `more` a thing has whatever other attributes a client gives it: they are
    kept in its `extra`.
    """

    name: str
    plural: str
    fields: tuple[Field, ...]
    properties: Mapping[str, Schema]
    required: tuple[str, ...] = ("name",)
    filters: tuple[str, ...] = ("name",)
    more: bool = True
    #: What may be said when a thing is made, and never again.
    once: Mapping[str, Schema] = field(default_factory=dict)
    #: What is told with a thing that was asked for alone, as the query wants it.
    beside: Callable[[Request, str], Mapping[str, Any]] = lambda _request, _id: {}

    @property
    def creation(self) -> Schema:
        return shape(self.name, {**self.properties, **self.once}, *self.required, more=self.more)

    @property
    def change(self) -> Schema:
        # What is shown may be sent back.
        shown: dict[str, Schema] = dict.fromkeys(SHOWN_ONLY, {})
        return shape(self.name, {**shown, **self.properties}, more=self.more)

    def render(self, request: Request, thing: Any) -> dict[str, Any]:
        extra = (thing.extra or {}) if self.more else {}
        return {**extra, **member(request, self.fields, self.plural, thing)}

    def answer(self, request: Request, thing: Any) -> dict[str, Any]:
        return {self.name: self.render(request, thing)}

    def page(self, request: Request, page: Iterable[Any]) -> dict[str, Any]:
        """A list of things as a body."""
        return listing(
            request,
            self.plural,
            (self.render(request, thing) for thing in page),
            more=isinstance(page, Page) and page.more,
        )

    def values(self, body: Any, id: str | None = None) -> dict[str, Any]:
        """What a body says of a new thing, or of the one with this id; no blanks around its name.

        Raises Invalid when it says that it is another.
        """
        said = body[self.name]
        if id is not None and said.get("id", id) != id:
            raise Invalid("Invalid input for field/attribute id. It cannot be changed.")
        sayable = self.properties if id is not None else {**self.properties, **self.once}
        values = {name: said[name] for name in sayable if name in said}
        if isinstance(values.get("name"), str):
            values["name"] = values["name"].strip()
        if self.more:
            values["extra"] = {
                name: value
                for name, value in said.items()
                if not any(name in known for known in (self.properties, self.once, SHOWN_ONLY))
            }
        return values

    def serve(self, resource: Resource, service: Callable[[Request], Any]) -> None:
        """Declare the endpoints, with the policies identity:list_groups and so on."""
        name, plural = self.name, self.plural

        @resource.on("GET", policy=f"identity:list_{plural}")
        def index(request: Request) -> dict[str, Any]:
            ask = getattr(service(request), f"list_{plural}")
            return self.page(request, ask(request.context, wanted(request, *self.filters)))

        @resource.on("POST", policy=f"identity:create_{name}", status=201, body=self.creation)
        def create(request: Request, body: Any) -> dict[str, Any]:
            make = getattr(service(request), f"create_{name}")
            return self.answer(request, make(request.context, **self.values(body)))

        @resource.on("GET", "/{id}", policy=f"identity:get_{name}")
        def show(request: Request, id: str) -> dict[str, Any]:
            get = getattr(service(request), f"get_{name}")
            shown = self.render(request, get(request.context, id))
            return {name: {**shown, **self.beside(request, id)}}

        @resource.on("PATCH", "/{id}", policy=f"identity:update_{name}", body=self.change)
        def update(request: Request, id: str, body: Any) -> dict[str, Any]:
            change = getattr(service(request), f"update_{name}")
            return self.answer(request, change(request.context, id, **self.values(body, id)))

        @resource.on("DELETE", "/{id}", policy=f"identity:delete_{name}", status=204)
        def delete(request: Request, id: str) -> None:
            getattr(service(request), f"delete_{name}")(request.context, id)


def directory(request: Request) -> Any:
    """The service that most kinds are kept by."""
    return request.services.identity
