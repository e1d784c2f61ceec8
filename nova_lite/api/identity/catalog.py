"""The catalog, whole and in its parts: services, endpoints, regions.

They can be read but not written: what there is follows from what is served.
"""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, Resource, render
from nova_lite.api.identity.words import listing, member, url
from nova_lite.domain.errors import NotFound
from nova_lite.services.catalog import Endpoint, Entry

SERVICES = Resource("/v3/services")
ENDPOINTS = Resource("/v3/endpoints")
REGIONS = Resource("/v3/regions")

SERVICE = (
    Field("id", lambda entry: entry.id),
    Field("type", lambda entry: entry.type),
    Field("name", lambda entry: entry.name),
)
SERVICE_ALONE = (
    *SERVICE,
    Field("description", lambda entry: ""),
    Field("enabled", lambda entry: True),
)
ENDPOINT = (
    Field("id", lambda endpoint: endpoint.id),
    Field("interface", lambda endpoint: endpoint.interface),
    Field("region", lambda endpoint: endpoint.region),
    Field("region_id", lambda endpoint: endpoint.region),
    Field("url", lambda endpoint: endpoint.url),
)
ENDPOINT_ALONE = (
    *ENDPOINT,
    Field("service_id", lambda endpoint: endpoint.service_id),
    Field("enabled", lambda endpoint: True),
)


def entries(request: Request) -> list[dict[str, Any]]:
    """The catalog as tokens contain it."""
    return [
        {
            **render(SERVICE, entry),
            "endpoints": [render(ENDPOINT, endpoint) for endpoint in entry.endpoints],
        }
        for entry in _catalog(request)
    ]


@SERVICES.on("GET", policy="identity:list_services")
def services(request: Request) -> dict[str, Any]:
    found = _matching(request, _catalog(request), "name", "type")
    return listing(request, "services", (_service(request, entry) for entry in found))


@SERVICES.on("GET", "/{id}", policy="identity:get_service")
def service(request: Request, id: str) -> dict[str, Any]:
    return {"service": _service(request, _by_id("service", _catalog(request), id))}


@ENDPOINTS.on("GET", policy="identity:list_endpoints")
def endpoints(request: Request) -> dict[str, Any]:
    found = _matching(request, _endpoints(request), "interface", "service_id", "region_id")
    return listing(request, "endpoints", (_endpoint(request, endpoint) for endpoint in found))


@ENDPOINTS.on("GET", "/{id}", policy="identity:get_endpoint")
def endpoint(request: Request, id: str) -> dict[str, Any]:
    return {"endpoint": _endpoint(request, _by_id("endpoint", _endpoints(request), id))}


@REGIONS.on("GET", policy="identity:list_regions")
def regions(request: Request) -> dict[str, Any]:
    # There is one, and it is in no other.
    inside = request.GET.get("parent_region_id")
    return listing(request, "regions", [] if inside else [_region(request)])


@REGIONS.on("GET", "/{id}", policy="identity:get_region")
def region(request: Request, id: str) -> dict[str, Any]:
    if id != request.services.identity.settings.region:
        raise NotFound(f"Could not find region: {id}.")
    return {"region": _region(request)}


def _catalog(request: Request) -> tuple[Entry, ...]:
    return request.services.identity.catalog(request.outside_url)


def _endpoints(request: Request) -> list[Endpoint]:
    return [endpoint for entry in _catalog(request) for endpoint in entry.endpoints]


def _matching(request: Request, things: Any, *names: str) -> list[Any]:
    """Those that have what the query says; region and its id are the same."""
    wanted = {name: request.GET[name] for name in names if name in request.GET}
    return [
        one
        for one in things
        if all(getattr(one, name.replace("region_id", "region")) == wanted[name] for name in wanted)
    ]


def _by_id(kind: str, things: Any, id: str) -> Any:
    for one in things:
        if one.id == id:
            return one
    raise NotFound(f"Could not find {kind}: {id}.")


def _service(request: Request, entry: Entry) -> dict[str, Any]:
    return member(request, SERVICE_ALONE, "services", entry)


def _endpoint(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    return member(request, ENDPOINT_ALONE, "endpoints", endpoint)


def _region(request: Request) -> dict[str, Any]:
    id = request.services.identity.settings.region
    return {
        "id": id,
        "description": "",
        "parent_region_id": None,
        "links": {"self": url(request, "regions", id)},
    }
