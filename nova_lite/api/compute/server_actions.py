"""servers/{id}/action: deeds, each named by the one key of the body.

Here are those that say hardly more than their name; where a server is moved to,
what its disks are made from, and its network, have modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.declare import FIRST, Request, Resource, Version
from nova_lite.api.schema import ANY, NONE, one, thing
from nova_lite.context import RequestContext
from nova_lite.domain.states import VmState
from nova_lite.services import Services

Json = dict[str, Any]
Deed = Callable[[Services], Callable[[RequestContext, UUID], object]]
actions = Resource("/v2.1/servers")


def _plain(name: str, rule: str, deed: Deed, status: int = 202, since: Version = FIRST) -> None:
    """An action that says no more than its name: whatever its value is."""

    def act(request: Request, id: str, body: Json) -> None:
        deed(request.services)(request.context, uuid_of("Instance", id))

    actions.action(
        name, policy=f"os_compute_api:{rule}", body=one(name, ANY), status=status, since=since
    )(act)


for _name, _rule, _deed in (
    ("os-start", "servers:start", lambda s: s.instances.start),
    ("os-stop", "servers:stop", lambda s: s.instances.stop),
    ("pause", "os-pause-server:pause", lambda s: s.instances.pause),
    ("unpause", "os-pause-server:unpause", lambda s: s.instances.unpause),
    ("suspend", "os-suspend-server:suspend", lambda s: s.instances.suspend),
    ("resume", "os-suspend-server:resume", lambda s: s.instances.resume),
    ("unlock", "os-lock-server:unlock", lambda s: s.instances.unlock),
    ("restore", "os-deferred-delete:restore", lambda s: s.instances.restore),
    ("unrescue", "os-unrescue", lambda s: s.deeds.unrescue),
    ("shelve", "os-shelve:shelve", lambda s: s.snapshots.shelve),
    ("shelveOffload", "os-shelve:shelve_offload", lambda s: s.deeds.shelve_offload),
    ("revertResize", "servers:revert_resize", lambda s: s.deeds.revert_resize),
):
    _plain(_name, _rule, _deed)
_plain("confirmResize", "servers:confirm_resize", lambda s: s.deeds.confirm_resize, status=204)
_plain(
    "trigger_crash_dump",
    "servers:trigger_crash_dump",
    lambda s: s.guests.interrupt,
    since=(2, 17),
)

REBOOT = one(
    "reboot", thing(("type",), type={"enum": ["SOFT", "Soft", "soft", "HARD", "Hard", "hard"]})
)
RESET = one("os-resetState", thing(("state",), state={"enum": ["active", "error"]}))
CONSOLE = one(
    "os-getConsoleOutput",
    thing(length={"type": ["integer", "string", "null"], "pattern": r"^-?[0-9]{1,9}\Z"}),
)
LOCK_WITH_REASON = one(
    "lock",
    {
        "anyOf": [
            NONE,
            thing(locked_reason={"type": "string", "minLength": 1, "maxLength": 255}),
        ]
    },
)
PASSWORD = one("changePassword", thing(("adminPass",), adminPass={"type": "string"}))


@actions.action("reboot", policy="os_compute_api:servers:reboot", body=REBOOT)
def reboot(request: Request, id: str, body: Json) -> None:
    hard = body["reboot"]["type"].upper() == "HARD"
    request.services.instances.reboot(request.context, uuid_of("Instance", id), hard=hard)


@actions.action(
    "lock", policy="os_compute_api:os-lock-server:lock", body=one("lock", ANY), until=(2, 72)
)
def lock(request: Request, id: str, body: Json) -> None:
    request.services.instances.lock(request.context, uuid_of("Instance", id))


@actions.action(
    "lock", policy="os_compute_api:os-lock-server:lock", body=LOCK_WITH_REASON, since=(2, 73)
)
def lock_with_reason(request: Request, id: str, body: Json) -> None:
    reason = (body["lock"] or {}).get("locked_reason")
    request.services.instances.lock(request.context, uuid_of("Instance", id), reason)


@actions.action(
    "forceDelete", policy="os_compute_api:os-deferred-delete:force", body=one("forceDelete", ANY)
)
def force_delete(request: Request, id: str, body: Json) -> None:
    request.services.instances.delete(request.context, uuid_of("Instance", id), force=True)


@actions.action("os-resetState", policy="os_compute_api:os-admin-actions:reset_state", body=RESET)
def reset(request: Request, id: str, body: Json) -> None:
    state = VmState(body["os-resetState"]["state"])
    request.services.instances.reset(request.context, uuid_of("Instance", id), state)


@actions.action("changePassword", policy="os_compute_api:os-admin-password", body=PASSWORD)
def change_password(request: Request, id: str, body: Json) -> None:
    password = body["changePassword"]["adminPass"]
    request.services.guests.set_password(request.context, uuid_of("Instance", id), password)


@actions.action(
    "os-getConsoleOutput", policy="os_compute_api:os-console-output", status=200, body=CONSOLE
)
def console_output(request: Request, id: str, body: Json) -> Json:
    length = body["os-getConsoleOutput"].get("length")
    lines = None if length is None else int(length)
    log = request.services.instances.console_log(request.context, uuid_of("Instance", id), lines)
    return {"output": log}
