"""Policies of other services, and what they hold for: /v3/policies and OS-ENDPOINT-POLICY."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Field, Request, Resource
from nova_lite.api.identity.catalog import ENDPOINT
from nova_lite.api.identity.registered import Registered
from nova_lite.api.identity.words import LABEL
from nova_lite.services.identity import policies

POLICY = Registered(
    "policy",
    "policies",
    (
        Field("id", lambda policy: policy.id),
        Field("type", lambda policy: policy.type),
        Field("blob", lambda policy: policy.blob),
    ),
    {"type": LABEL, "blob": {"type": "string"}},
    required=("type", "blob"),
    filters=("type",),
    kind=policies.POLICY,
)
POLICIES = POLICY.resource()
ENDPOINT_POLICY = Resource("/v3/endpoints/{id}/OS-ENDPOINT-POLICY")
ASSOCIATIONS = Resource("/v3/policies/{id}/OS-ENDPOINT-POLICY")

#: What a policy can hold for: the path that says so, and its name among the policies' names.
TARGETS = (
    ("/endpoints/{endpoint_id}", "endpoint"),
    ("/services/{service_id}", "service"),
    ("/services/{service_id}/regions/{region_id}", "region_and_service"),
)


def _serve(path: str, name: str) -> None:
    rule = f"policy_association_for_{name}"

    @ASSOCIATIONS.on("PUT", path, policy=f"identity:create_{rule}", status=204)
    def associate(request: Request, id: str, **target: str) -> None:
        request.services.policies.associate(request.context, id, target)

    @ASSOCIATIONS.on("GET", path, policy=f"identity:check_{rule}", status=204)
    def check(request: Request, id: str, **target: str) -> None:
        request.services.policies.check(request.context, id, target)

    @ASSOCIATIONS.on("DELETE", path, policy=f"identity:delete_{rule}", status=204)
    def dissociate(request: Request, id: str, **target: str) -> None:
        request.services.policies.dissociate(request.context, id, target)


for path, name in TARGETS:
    _serve(path, name)


@ASSOCIATIONS.on("GET", "/endpoints", policy="identity:list_endpoints_for_policy")
def endpoints(request: Request, id: str) -> dict[str, Any]:
    return ENDPOINT.page(request, request.services.policies.endpoints_of(request.context, id))


@ENDPOINT_POLICY.on("GET", "/policy", policy="identity:get_policy_for_endpoint")
def policy(request: Request, id: str) -> dict[str, Any]:
    return POLICY.answer(request, request.services.policies.policy_of(request.context, id))
