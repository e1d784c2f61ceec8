"""os-quota-class-sets: what every project may have of which nothing else was said."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.quota_words import CLASS, limits_of, steps
from nova_lite.api.declare import Request, Resource, render
from nova_lite.domain.errors import Invalid

Json = dict[str, Any]
quota_class_sets = Resource("/v2.1/os-quota-class-sets")
POLICY = "os_compute_api:os-quota-class-sets:"
LONGEST = 255


@quota_class_sets.on("GET", "/{id}", policy=POLICY + "show")
def show(request: Request, id: str) -> Json:
    quotas = request.services.quotas.class_limits(request.context, id)
    return {"quota_class_set": {"id": id, **render(CLASS, quotas, request.version)}}


def update(request: Request, id: str, body: Json) -> Json:
    if len(id) > LONGEST:
        raise Invalid(f"quota class: a name has at most {LONGEST} characters.")
    quotas = request.services.quotas.set_class_limits(
        request.context, id, limits_of(body["quota_class_set"])
    )
    return {"quota_class_set": render(CLASS, quotas, request.version)}


for _step in steps(CLASS, "quota_class_set", (2, 1), (2, 50), (2, 57)):
    quota_class_sets.on("PUT", "/{id}", policy=POLICY + "update", **_step)(update)
