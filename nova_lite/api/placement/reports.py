"""What is asked of all hosts together: classes, traits, usage, and what a consumer has."""

from __future__ import annotations

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.placement import words
from nova_lite.api.placement.words import GENERATION, Json
from nova_lite.domain.errors import NotFound
from nova_lite.services.compute.providers import CLASSES, DISABLED

classes = Resource("/resource_classes")
traits = Resource("/traits")
usages = Resource("/usages")
allocations = Resource("/allocations")
CONSUMER = (
    Field(
        "allocations",
        lambda consumer: {
            str(id): {"generation": GENERATION, "resources": amounts}
            for id, amounts in consumer.allocations.items()
        },
    ),
    Field("project_id", lambda consumer: consumer.project_id, since=(1, 12)),
    Field("user_id", lambda consumer: consumer.user_id, since=(1, 12)),
    Field("consumer_generation", lambda consumer: GENERATION, since=(1, 28)),
)


def _class(name: str) -> Json:
    return {
        "name": name,
        "links": [{"rel": "self", "href": f"/placement/resource_classes/{name}"}],
    }


@classes.on("GET", policy="placement:resource_classes:list", since=(1, 2))
def index(request: Request) -> Json:
    return {"resource_classes": [_class(name) for name in CLASSES]}


@classes.on("GET", "/{name}", policy="placement:resource_classes:show", since=(1, 2))
def show(request: Request, name: str) -> Json:
    if name not in CLASSES:
        raise NotFound(f"No such resource class {name}.")
    return _class(name)


def _traits(request: Request) -> dict[str, bool]:
    """Every trait that hosts may have, and whether one has it."""
    hosts = request.services.providers.providers(request.context)
    return {DISABLED: False, **{trait: True for host in hosts for trait in host.traits}}


@words.declare(
    traits,
    "",
    (
        ("name", (1, 6), words.text(r"(?:in|startswith):[A-Z0-9_,]{1,1000}")),
        ("associated", (1, 6), words.text("(?i:true|false)")),
    ),
    policy="placement:traits:list",
    since=(1, 6),
)
def all_traits(request: Request) -> Json:
    found = _traits(request)
    how, _, said = request.GET.get("name", "startswith:").partition(":")
    names = {name for name in found if name.startswith(said)}
    if how == "in":
        names = found.keys() & set(said.split(","))
    if "associated" in request.GET:
        associated = request.GET["associated"].lower() == "true"
        names = {name for name in names if found[name] is associated}
    return {"traits": sorted(names)}


@traits.on("GET", "/{name}", policy="placement:traits:show", status=204, since=(1, 6))
def trait(request: Request, name: str) -> None:
    if name not in _traits(request):
        raise NotFound(f"No such trait(s): {name}.")


@words.declare(
    usages,
    "",
    (("project_id", (1, 9), words.ANYTHING), ("user_id", (1, 9), words.ANYTHING)),
    policy="placement:usages",
    since=(1, 9),
    required=["project_id"],
)
def usage(request: Request) -> Json:
    project_id, user_id = request.GET["project_id"], request.GET.get("user_id")
    return {"usages": request.services.providers.used(request.context, project_id, user_id)}


@allocations.on("GET", "/{consumer}", policy="placement:allocations:list")
def consumer(request: Request, consumer: str) -> Json:
    found = request.services.providers.consumer(
        request.context, words.uuid_of(consumer, "consumer")
    )
    return {"allocations": {}} if found is None else render(CONSUMER, found, request.version)
