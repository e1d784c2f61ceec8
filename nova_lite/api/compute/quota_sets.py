"""os-quota-sets: what a project, or one user in it, may have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nova_lite.api.compute.quota_words import FORCE, PROJECT, limits_of, steps
from nova_lite.api.declare import Request, Resource, render
from nova_lite.api.schema import boolean, thing
from nova_lite.services.compute.quotas import Usage

Json = dict[str, Any]
quota_sets = Resource("/v2.1/os-quota-sets")
POLICY = "os_compute_api:os-quota-sets:"
#: Since 2.75 what a query does not know is refused.
USER_ONLY = thing(user_id={})


def show(request: Request, project_id: str) -> Json:
    return _show(request, project_id, lambda usage: usage.limit)


def detail(request: Request, project_id: str) -> Json:
    # What is being created counts as used from the first moment: nothing is only reserved.
    return _show(
        request,
        project_id,
        lambda usage: {"in_use": usage.used, "limit": usage.limit, "reserved": 0},
    )


def _show(request: Request, project_id: str, how: Callable[[Usage], Any]) -> Json:
    usage = request.services.quotas.usage(
        request.context, project_id, request.GET.get("user_id"), known=True
    )
    return _said(request, {name: how(each) for name, each in usage.items()}, id=project_id)


def _said(request: Request, quotas: Mapping[str, Any], **more: str) -> Json:
    return {"quota_set": {**more, **render(PROJECT, quotas, request.version)}}


@quota_sets.on("GET", "/{project_id}/defaults", policy=POLICY + "defaults")
def defaults(request: Request, project_id: str) -> Json:
    quotas = request.services.quotas.defaults(request.context, project_id)
    return _said(request, quotas, id=project_id)


def update(request: Request, project_id: str, body: Json) -> Json:
    wanted = body["quota_set"]
    quotas = request.services.quotas.set_limits(
        request.context,
        project_id,
        limits_of(wanted),
        request.GET.get("user_id"),
        force=boolean(wanted.get("force", False)),
    )
    return _said(request, quotas)


def delete(request: Request, project_id: str) -> None:
    names = {field.name for field in PROJECT}
    request.services.quotas.forget_limits(
        request.context, project_id, names, request.GET.get("user_id")
    )


_STEPS = ((2, 1), (2, 36), (2, 57), (2, 75))
for _handler, _method, _path, _declared in (
    (show, "GET", "", {"policy": POLICY + "show"}),
    (detail, "GET", "/detail", {"policy": POLICY + "detail"}),
    (delete, "DELETE", "", {"policy": POLICY + "delete", "status": 202}),
):
    quota_sets.on(_method, "/{project_id}" + _path, **_declared, until=(2, 74))(_handler)
    quota_sets.on(_method, "/{project_id}" + _path, **_declared, since=(2, 75), query=USER_ONLY)(
        _handler
    )
for _step in steps(PROJECT, "quota_set", *_STEPS, **FORCE):
    _strict = {"query": USER_ONLY} if _step["since"] == (2, 75) else {}
    quota_sets.on("PUT", "/{project_id}", policy=POLICY + "update", **_step, **_strict)(update)
