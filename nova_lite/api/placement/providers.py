"""Resource providers: the compute hosts."""

from __future__ import annotations

from nova_lite.api.declare import FIRST, Field, Request, Resource, Version, render
from nova_lite.api.placement import words
from nova_lite.api.placement.words import GENERATION, Json, uuid_of
from nova_lite.domain.errors import NotFound
from nova_lite.services.compute.providers import Inventory, Provider, Wanted

providers = Resource("/resource_providers")

#: What there is to know of one, and since when.
LINKS = (
    Field("self", lambda provider: ""),
    Field("inventories", lambda provider: "/inventories"),
    Field("usages", lambda provider: "/usages"),
    Field("aggregates", lambda provider: "/aggregates", since=(1, 1)),
    Field("traits", lambda provider: "/traits", since=(1, 6)),
    Field("allocations", lambda provider: "/allocations", since=(1, 11)),
)
#: Hosts have no parts that give something out by themselves.
TREE = (
    Field("parent_provider_uuid", lambda provider: None, since=(1, 14)),
    Field("root_provider_uuid", lambda provider: str(provider.id), since=(1, 14)),
)
FIELDS = (
    Field("uuid", lambda provider: str(provider.id)),
    Field("name", lambda provider: provider.name),
    Field("generation", lambda provider: GENERATION),
    *TREE,
)
INVENTORY = (
    Field("total", lambda inventory: inventory.total),
    Field("reserved", lambda inventory: 0),  # what a host keeps for itself, it does not report
    Field("min_unit", lambda inventory: 1),
    Field("max_unit", lambda inventory: inventory.capacity),
    Field("step_size", lambda inventory: 1),
    Field("allocation_ratio", lambda inventory: inventory.ratio),
)
AGGREGATES = (
    Field("aggregates", lambda provider: sorted(str(id) for id in provider.aggregates)),
    Field("resource_provider_generation", lambda provider: GENERATION, since=(1, 19)),
)
PROMISE = (
    Field("resources", lambda amounts: amounts),
    Field("consumer_generation", lambda amounts: GENERATION, since=(1, 28)),
)


def _view(provider: Provider, version: Version) -> Json:
    links = [
        {"rel": rel, "href": f"/placement/resource_providers/{provider.id}{rest}"}
        for rel, rest in render(LINKS, provider, version).items()
    ]
    return {**render(FIELDS, provider, version), "links": links}


@words.declare(
    providers,
    "",
    (
        ("name", FIRST, words.ANYTHING),
        ("uuid", FIRST, words.ID),
        ("member_of", (1, 3), words.MEMBER_OF),
        ("resources", (1, 4), words.RESOURCES),
        ("in_tree", (1, 14), words.ID),
        ("required", (1, 18), words.TRAITS),
        ("required", (1, 22), words.TRAITS_OR_NOT),
        ("member_of", (1, 24), words.MEMBER_OF_ALL),
    ),
    policy="placement:resource_providers:list",
)
def index(request: Request) -> Json:
    query = request.GET
    required, forbidden = words.traits(query.get("required", ""))
    ids = {query[name].lower() for name in ("uuid", "in_tree") if name in query}
    wanted = Wanted(
        name=query.get("name"),
        id=uuid_of(min(ids)) if ids else None,
        room_for=words.amounts(query["resources"]) if "resources" in query else None,
        required=required,
        forbidden=forbidden,
        member_of=words.member_of(query.getall("member_of")),
    )
    # Nobody is two.
    found = [] if len(ids) > 1 else request.services.providers.providers(request.context, wanted)
    return {"resource_providers": [_view(provider, request.version) for provider in found]}


def _of(request: Request, id: str) -> Provider:
    return request.services.providers.provider(request.context, uuid_of(id))


@providers.on("GET", "/{id}", policy="placement:resource_providers:show")
def show(request: Request, id: str) -> Json:
    return _view(_of(request, id), request.version)


@providers.on("GET", "/{id}/inventories", policy="placement:resource_providers:inventories:list")
def inventories(request: Request, id: str) -> Json:
    found = _of(request, id).inventories
    return {
        "inventories": {name: render(INVENTORY, each) for name, each in found.items()},
        "resource_provider_generation": GENERATION,
    }


@providers.on(
    "GET",
    "/{id}/inventories/{resource_class}",
    policy="placement:resource_providers:inventories:show",
)
def inventory(request: Request, id: str, resource_class: str) -> Json:
    found: Inventory | None = _of(request, id).inventories.get(resource_class)
    if found is None:
        raise NotFound(f"No inventory of class {resource_class} for {id}")
    return {**render(INVENTORY, found), "resource_provider_generation": GENERATION}


@providers.on("GET", "/{id}/usages", policy="placement:resource_providers:usages")
def usages(request: Request, id: str) -> Json:
    found = _of(request, id).inventories
    return {
        "usages": {name: each.used for name, each in found.items()},
        "resource_provider_generation": GENERATION,
    }


@providers.on(
    "GET", "/{id}/aggregates", policy="placement:resource_providers:aggregates:list", since=(1, 1)
)
def aggregates(request: Request, id: str) -> Json:
    return render(AGGREGATES, _of(request, id), request.version)


@providers.on(
    "GET", "/{id}/traits", policy="placement:resource_providers:traits:list", since=(1, 6)
)
def traits(request: Request, id: str) -> Json:
    return {
        "traits": sorted(_of(request, id).traits),
        "resource_provider_generation": GENERATION,
    }


@providers.on("GET", "/{id}/allocations", policy="placement:resource_providers:allocations:list")
def allocations(request: Request, id: str) -> Json:
    promised = request.services.providers.promised(request.context, uuid_of(id))
    return {
        "allocations": {
            str(consumer): render(PROMISE, amounts, request.version)
            for consumer, amounts in promised.items()
        },
        "resource_provider_generation": GENERATION,
    }
