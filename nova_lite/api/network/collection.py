"""What networks, subnets and ports have in common: how they are listed, shown and wrapped.

Neutron lists everything in one way: each attribute is a filter, `fields` picks
the keys of the answer, and pages are linked to each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from nova_lite.api import policy
from nova_lite.api.declare import Request
from nova_lite.api.network.rules import RULES
from nova_lite.api.schema import Schema, one
from nova_lite.domain.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from nova_lite.services.listing import Listing
from nova_lite.services.network.networks import Page

Json = dict[str, Any]
NOT_FILTERS = {"fields", "limit", "marker", "page_reverse", "sort_key", "sort_dir"}
DIRECTIONS = {"asc": False, "desc": True}


class OverQuota(Conflict):
    """Neutron's word for it, and its status."""


@dataclass(frozen=True)
class Attribute:
    """One key of an answer; `column` is what the service calls it in filters and sorts."""

    name: str
    value: Callable[[Any], Any]
    column: str | None  # None: it is the same everywhere
    policy: str | None = None  # who may see it, if not everybody


@dataclass(frozen=True)
class Collection:
    singular: str
    plural: str
    attributes: Sequence[Attribute]
    path: str = ""  # where it is, if not at its plural

    # --- what comes in -------------------------------------------------------------------

    def body(self, schema: Schema) -> Schema:
        """The body of a POST: one thing, or several of them."""
        return {
            "type": "object",
            "properties": {
                self.singular: schema,
                self.plural: {"type": "array", "items": schema, "minItems": 1, "maxItems": 1000},
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }

    def change(self, schema: Schema) -> Schema:
        """The body of a PUT."""
        return one(self.singular, schema)

    def create(
        self, request: Request, body: Json, make: Callable[[Sequence[Json]], Sequence[Any]]
    ) -> Json:
        """Make what `body` asks for, and answer in the number it asked in."""
        several = self.plural in body
        wanted = body[self.plural] if several else [body[self.singular]]
        for values in wanted:
            check_settable(request, f"create_{self.singular}", values)
        with quotas():
            made = [self.show(request, thing) for thing in make(wanted)]
        return {self.plural: made} if several else {self.singular: made[0]}

    # --- what goes out -------------------------------------------------------------------

    def show(self, request: Request, thing: Any) -> Json:
        """Those of its attributes that the asker may see and has asked for."""
        wanted = set(request.GET.getall("fields"))
        return {
            attribute.name: attribute.value(thing)
            for attribute in self.visible(request)
            if not wanted or attribute.name in wanted
        }

    def index(self, request: Request, find: Callable[[Listing], Page]) -> Json:
        listing = self._listing(request)
        page = find(listing)
        answer: Json = {self.plural: [self.show(request, thing) for thing in page.things]}
        links = self._links(request, listing, page)
        if links:
            answer[f"{self.plural}_links"] = links
        return answer

    def visible(self, request: Request) -> list[Attribute]:
        return [a for a in self.attributes if a.policy is None or policy.allows(a.policy, request)]

    def _listing(self, request: Request) -> Listing:
        query = request.filters()
        columns = {attribute.name: attribute.column for attribute in self.visible(request)}

        def column(name: str) -> str:
            found = columns.get(name)
            if found is None:
                raise Invalid(f"'{name}' is an invalid attribute for filtering or sorting.")
            return found

        keys, directions = query.get("sort_key", []), query.get("sort_dir", [])
        if len(directions) > len(keys) or set(directions) - DIRECTIONS.keys():
            raise Invalid("The number of sort_keys and sort_dirs must be same: asc or desc each.")
        directions += ["asc"] * (len(keys) - len(directions))
        limit = query.get("limit", ["0"])[-1]
        if not limit.isdecimal() or len(limit) > 9:
            raise Invalid(f"Bad limit '{limit}': it has to be a number that is not negative.")
        return Listing(
            filters={column(name): query[name] for name in query if name not in NOT_FILTERS},
            sort=[
                (column(key), DIRECTIONS[way]) for key, way in zip(keys, directions, strict=True)
            ],
            limit=int(limit) or None,
            marker=uuid_of(query["marker"][-1], "marker") if "marker" in query else None,
            reverse=query.get("page_reverse", ["false"])[-1].lower() in ("true", "1"),
        )

    def _links(self, request: Request, listing: Listing, page: Page) -> list[Json]:
        """Where the list goes on; told to all, as no page is longer than the service allows."""
        if not page.things or not (page.more or listing.marker):
            return []
        forth, back = (page.things[-1].id, False), (page.things[0].id, True)
        ahead, behind = (back, forth) if listing.reverse else (forth, back)
        links = []
        if page.more:
            links.append(self._link(request, *ahead))
        if listing.marker:
            links.append(self._link(request, *behind))
        return links

    def _link(self, request: Request, marker: UUID, reverse: bool) -> Json:
        kept = [(k, v) for k, v in request.GET.items() if k not in ("marker", "page_reverse")]
        query = urlencode([*kept, ("marker", str(marker)), ("page_reverse", str(reverse))])
        url = f"{request.outside_url}/network/v2.0/{self.path or self.plural}?{query}"
        return {"rel": "previous" if reverse else "next", "href": url}


def uuid_of(text: str, what: str) -> UUID:
    """The id in a path.  What is no UUID is the id of nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"{what.capitalize()} {text} could not be found.") from None


def check_settable(request: Request, deed: str, values: Json) -> None:
    """Raise Forbidden when a value is set that takes more rights than the deed itself."""
    for name, value in values.items():
        rule = f"{deed}:{name}"
        unset = value is None or value in ("false", "False", "0", 0)
        if rule in RULES and not unset and not policy.allows(rule, request):
            raise Forbidden(f"({rule}) is disallowed by policy")


def owner_of(values: Json) -> str | None:
    """`project_id`, or as it was called before."""
    owner: str | None = values.get("project_id", values.get("tenant_id"))
    return owner


@contextmanager
def quotas() -> Iterator[None]:
    """Inside, too much is a conflict, as Neutron has it."""
    try:
        yield
    except QuotaExceeded as error:
        raise OverQuota(str(error)) from None
