"""Which role comes with which: /v3/roles/{prior}/implies and /v3/role_inferences."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from nova_lite.api.declare import Request, Resource
from nova_lite.api.identity.words import url
from nova_lite.services.identity.roles import Implication

IMPLIED = Resource("/v3/roles/{prior_id}/implies")
INFERENCES = Resource("/v3/role_inferences")


@IMPLIED.on("GET", policy="identity:list_implied_roles")
def index(request: Request, prior_id: str) -> dict[str, Any]:
    prior = request.services.roles.get_role(request.context, prior_id)
    found = request.services.roles.implications(request.context, prior_id)
    inference = {
        "prior_role": _role(request, prior.id, prior.name),
        "implies": _implied(request, found),
    }
    return {"role_inference": inference, "links": _links(request, prior_id, "implies")}


@IMPLIED.on("PUT", "/{implied_id}", policy="identity:create_implied_role", status=201)
def create(request: Request, prior_id: str, implied_id: str) -> dict[str, Any]:
    return _inference(request, request.services.roles.imply(request.context, prior_id, implied_id))


@IMPLIED.on("GET", "/{implied_id}", policy="identity:get_implied_role")
def show(request: Request, prior_id: str, implied_id: str) -> dict[str, Any]:
    return _inference(
        request, request.services.roles.get_implication(request.context, prior_id, implied_id)
    )


@IMPLIED.on("HEAD", "/{implied_id}", policy="identity:check_implied_role", status=204)
def check(request: Request, prior_id: str, implied_id: str) -> None:
    request.services.roles.get_implication(request.context, prior_id, implied_id)


@IMPLIED.on("DELETE", "/{implied_id}", policy="identity:delete_implied_role", status=204)
def delete(request: Request, prior_id: str, implied_id: str) -> None:
    request.services.roles.no_longer_imply(request.context, prior_id, implied_id)


@INFERENCES.on("GET", policy="identity:list_role_inference_rules")
def everything(request: Request) -> dict[str, Any]:
    found = request.services.roles.implications(request.context)
    by_prior = groupby(found, key=lambda one: (one.prior_id, one.prior_name))
    return {
        "role_inferences": [
            {"prior_role": _role(request, *prior), "implies": _implied(request, ones)}
            for prior, ones in by_prior
        ]
    }


def _inference(request: Request, one: Implication) -> dict[str, Any]:
    inference = {
        "prior_role": _role(request, one.prior_id, one.prior_name),
        "implies": _role(request, one.implied_id, one.implied_name),
    }
    links = _links(request, one.prior_id, "implies", one.implied_id)
    return {"role_inference": inference, "links": links}


def _implied(request: Request, ones: Iterable[Implication]) -> list[dict[str, Any]]:
    return [_role(request, one.implied_id, one.implied_name) for one in ones]


def _role(request: Request, id: str, name: str) -> dict[str, Any]:
    return {"id": id, "name": name, "links": _links(request, id)}


def _links(request: Request, *path: str) -> dict[str, str]:
    return {"self": url(request, "roles", *path)}
