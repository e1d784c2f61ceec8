"""Allocation candidates: which hosts have room for something."""

from __future__ import annotations

from collections.abc import Iterable

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.placement import words
from nova_lite.api.placement.words import Json
from nova_lite.domain.errors import Invalid
from nova_lite.services.compute.providers import Amounts, Inventory, Provider, Wanted

candidates = Resource("/allocation_candidates")
GROUP = r"[1-9][0-9]*"


def _grouped(name: str) -> str:
    return f"{name}(?:{GROUP})?"


@words.declare(
    candidates,
    "",
    (
        ("resources", (1, 10), words.RESOURCES),
        ("limit", (1, 16), words.LIMIT),
        ("required", (1, 17), words.TRAITS),
        ("member_of", (1, 21), words.MEMBER_OF),
        ("required", (1, 22), words.TRAITS_OR_NOT),
        ("member_of", (1, 24), words.MEMBER_OF_ALL),
        (_grouped("resources"), (1, 25), words.RESOURCES),
        (_grouped("required"), (1, 25), words.TRAITS_OR_NOT),
        (_grouped("member_of"), (1, 25), words.MEMBER_OF_ALL),
        ("group_policy", (1, 25), words.text("none|isolate")),
    ),
    policy="placement:allocation_candidates:list",
    since=(1, 10),
)
def index(request: Request) -> Json:
    asked = _amounts(request)
    apart = _groups(request) > 1 and request.GET["group_policy"] == "isolate"
    wanted = _wanted(request, asked)
    # A host has no parts, so two groups cannot be on two of them.
    found = [] if apart else request.services.providers.providers(request.context, wanted)
    found = found[: int(request.GET.get("limit", len(found)))]
    requests = [_Request(provider, asked) for provider in found]
    return {
        "allocation_requests": [render(REQUEST, each, request.version) for each in requests],
        "provider_summaries": {
            str(each.provider.id): render(SUMMARY, each, request.version) for each in requests
        },
    }


class _Request:
    """That one provider could promise so much."""

    def __init__(self, provider: Provider, amounts: Amounts) -> None:
        self.provider, self.amounts = provider, amounts

    def asked_of(self) -> Iterable[tuple[str, Inventory]]:
        return ((name, self.provider.inventories[name]) for name in self.amounts)


def _resources(inventories: Iterable[tuple[str, Inventory]]) -> Json:
    return {name: {"capacity": each.capacity, "used": each.used} for name, each in inventories}


REQUEST = (
    Field(
        "allocations",
        lambda each: [
            {"resource_provider": {"uuid": str(each.provider.id)}, "resources": each.amounts}
        ],
        until=(1, 11),
    ),
    Field(
        "allocations",
        lambda each: {str(each.provider.id): {"resources": each.amounts}},
        since=(1, 12),
    ),
)
SUMMARY = (
    Field("resources", lambda each: _resources(each.asked_of()), until=(1, 26)),
    Field("resources", lambda each: _resources(each.provider.inventories.items()), since=(1, 27)),
    Field("traits", lambda each: sorted(each.provider.traits), since=(1, 17)),
    Field("parent_provider_uuid", lambda each: None, since=(1, 29)),
    Field("root_provider_uuid", lambda each: str(each.provider.id), since=(1, 29)),
)


def _amounts(request: Request) -> Amounts:
    """All groups together: they end on one host, which has no parts.  Raises Invalid."""
    found: dict[str, int] = {}
    for values in words.all_of(request, "resources").values():
        for name, amount in words.amounts(values[0]).items():
            found[name] = found.get(name, 0) + amount
    if not found:
        raise Invalid("The parameter resources is missing: it says how much of what is wanted.")
    return found


def _groups(request: Request) -> int:
    """How many groups there are with a number.

    Raises Invalid where they are several, and nothing is said of how they go together.
    """
    numbered = len(words.all_of(request, "resources").keys() - {"resources"})
    if numbered > 1 and "group_policy" not in request.GET:
        raise Invalid("The parameter group_policy is missing: there is more than one group.")
    return numbered


def _wanted(request: Request, amounts: Amounts) -> Wanted:
    required, forbidden = frozenset[str](), frozenset[str]()
    for values in words.all_of(request, "required").values():
        more, less = words.traits(values[0])
        required, forbidden = required | more, forbidden | less
    return Wanted(
        room_for=amounts,
        required=required,
        forbidden=forbidden,
        member_of=[
            each
            for values in words.all_of(request, "member_of").values()
            for each in words.member_of(values)
        ],
    )
