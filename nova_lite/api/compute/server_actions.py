"""servers/{id}/action: deeds, each named by the one key of the body."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.declare import Request, Resource
from nova_lite.api.schema import ANY, one, thing
from nova_lite.domain.states import VmState

Json = dict[str, Any]
actions = Resource("/v2.1/servers")

REBOOT = one(
    "reboot", thing(("type",), type={"enum": ["SOFT", "Soft", "soft", "HARD", "Hard", "hard"]})
)
RESET = one("os-resetState", thing(("state",), state={"enum": ["active", "error"]}))
CONSOLE = one(
    "os-getConsoleOutput",
    thing(length={"type": ["integer", "string", "null"], "pattern": r"^-?[0-9]{1,9}\Z"}),
)


@actions.action("reboot", policy="os_compute_api:servers:reboot", body=REBOOT)
def reboot(request: Request, id: str, body: Json) -> None:
    hard = body["reboot"]["type"].upper() == "HARD"
    request.services.instances.reboot(request.context, uuid_of("Instance", id), hard=hard)


@actions.action("os-start", policy="os_compute_api:servers:start", body=one("os-start", ANY))
def start(request: Request, id: str, body: Json) -> None:
    request.services.instances.start(request.context, uuid_of("Instance", id))


@actions.action("os-stop", policy="os_compute_api:servers:stop", body=one("os-stop", ANY))
def stop(request: Request, id: str, body: Json) -> None:
    request.services.instances.stop(request.context, uuid_of("Instance", id))


@actions.action("lock", policy="os_compute_api:os-lock-server:lock", body=one("lock", ANY))
def lock(request: Request, id: str, body: Json) -> None:
    request.services.instances.lock(request.context, uuid_of("Instance", id))


@actions.action("unlock", policy="os_compute_api:os-lock-server:unlock", body=one("unlock", ANY))
def unlock(request: Request, id: str, body: Json) -> None:
    request.services.instances.unlock(request.context, uuid_of("Instance", id))


@actions.action(
    "forceDelete", policy="os_compute_api:os-deferred-delete:force", body=one("forceDelete", ANY)
)
def force_delete(request: Request, id: str, body: Json) -> None:
    request.services.instances.delete(request.context, uuid_of("Instance", id))


@actions.action("os-resetState", policy="os_compute_api:os-admin-actions:reset_state", body=RESET)
def reset(request: Request, id: str, body: Json) -> None:
    state = VmState(body["os-resetState"]["state"])
    request.services.instances.reset(request.context, uuid_of("Instance", id), state)


@actions.action(
    "os-getConsoleOutput", policy="os_compute_api:os-console-output", status=200, body=CONSOLE
)
def console_output(request: Request, id: str, body: Json) -> Json:
    length = body["os-getConsoleOutput"].get("length")
    lines = None if length is None else int(length)
    log = request.services.instances.console_log(request.context, uuid_of("Instance", id), lines)
    return {"output": log}
