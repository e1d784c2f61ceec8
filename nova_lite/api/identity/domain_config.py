"""What is different in one domain: /v3/domains/{id}/config."""

from __future__ import annotations

from typing import Any

from nova_lite.api.declare import Request, Resource, answer
from nova_lite.api.schema import Schema, one
from nova_lite.services.identity import domain_config

DOMAIN_CONFIG = Resource("/v3/domains/{id}/config")
DEFAULT_CONFIG = Resource("/v3/domains/config")

CONFIG: Schema = one("config", {"type": "object"})
#: All of it, one group of options, one option.
PARTS = ("", "/{group}", "/{group}/{option}")
COMPLIANCE = "/security_compliance"


@DOMAIN_CONFIG.on("PUT", policy="identity:create_domain_config", body=CONFIG)
def replace(request: Request, id: str, body: Any) -> Any:
    service = request.services.domain_config
    config, is_new = service.replace(request.context, id, body["config"])
    return answer(201 if is_new else 200, {"config": config})


@DOMAIN_CONFIG.on("GET", COMPLIANCE, policy="identity:get_security_compliance_domain_config")
@DOMAIN_CONFIG.on(
    "GET", f"{COMPLIANCE}/{{option}}", policy="identity:get_security_compliance_domain_config"
)
def compliance(request: Request, id: str, option: str | None = None) -> dict[str, Any]:
    return {"config": request.services.domain_config.compliance(request.context, id, option)}


def _serve(part: str) -> None:
    default = f"{part}/default"

    @DOMAIN_CONFIG.on("GET", part, policy="identity:get_domain_config")
    def show(request: Request, id: str, **which: str) -> dict[str, Any]:
        return {"config": request.services.domain_config.get(request.context, id, **which)}

    @DOMAIN_CONFIG.on("PATCH", part, policy="identity:update_domain_config", body=CONFIG)
    def update(request: Request, id: str, body: Any, **which: str) -> dict[str, Any]:
        service = request.services.domain_config
        return {"config": service.update(request.context, id, body["config"], **which)}

    @DOMAIN_CONFIG.on("DELETE", part, policy="identity:delete_domain_config", status=204)
    def delete(request: Request, id: str, **which: str) -> None:
        request.services.domain_config.delete(request.context, id, **which)

    @DEFAULT_CONFIG.on("GET", default, policy="identity:get_domain_config_default")
    def show_default(request: Request, **which: str) -> dict[str, Any]:
        return {"config": domain_config.defaults(**which)}


for part in PARTS:
    _serve(part)
