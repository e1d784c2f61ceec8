"""Live migration, and evacuation from a host that is down.

The moment the instance is on its new host is one commit: before it whatever
fails leaves it where it was, after it the old host is what is tidied up.
"""

from __future__ import annotations

from nova_lite.domain.errors import Conflict, RemoteFailure
from nova_lite.domain.specs import LIVE_MIGRATE
from nova_lite.domain.states import Action, PowerState, VmState
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.guest import described, order
from nova_lite.operations.instance_create import wire
from nova_lite.operations.instance_disks import PATIENT, new_disks
from nova_lite.operations.instance_move import (
    become_on,
    called_off,
    hold_elsewhere,
    leave_others,
    let_go,
    not_moved,
    note_migration,
)
from nova_lite.operations.instance_power import ended


def place(context: StepContext) -> None:
    hold_elsewhere(context, same_host=False, ability=LIVE_MIGRATE)


def prepare(context: StepContext) -> None:
    context.ask(context.facts["dest"], "guest.define", lambda: described(context))


def last_chance(context: StepContext) -> None:
    """From here on the guest may be on its way, and whoever calls it off is too late."""
    if called_off(context):
        raise Conflict("The migration was called off.")


def migrate(context: StepContext) -> None:
    facts, guest = context.facts, {"id": str(context.instance.id), "to": context.facts["dest"]}
    try:
        context.ask(facts["source"], "guest.migrate", lambda: guest)
    except RemoteFailure as error:
        # Whoever did not answer may have done it all the same: the destination knows.
        context.learn(trouble=str(error))
    else:
        become_on(context, facts["dest"])


def arrived(context: StepContext, verb: str = "guest.look") -> bool:
    """Whether the guest goes on at its destination; if so, the instance is there."""
    guest, dest = {"id": str(context.instance.id)}, context.facts["dest"]
    seen = context.ask(dest, verb, lambda: guest).get("power_state")
    if seen not in (PowerState.RUNNING, PowerState.PAUSED):
        return False
    context.instance.power_state = PowerState(seen)
    become_on(context, dest)
    return True


def arrive(context: StepContext) -> None:
    if context.instance.host != context.facts["dest"] and not arrived(context):
        raise RemoteFailure(context.facts.get("trouble", "The guest did not arrive."))


def let_stand(context: StepContext) -> None:
    """The undo of a migration: one that has happened cannot be taken back.

    One that has not can happen no more: a source that is late finds nothing prepared.
    """
    if context.facts.get("dest") is not None and context.instance.host != context.facts["dest"]:
        arrived(context, "guest.remove_idle")


def migrated(context: StepContext) -> None:
    ended(context)
    note_migration(context, status="completed")


def place_elsewhere(context: StepContext) -> None:
    hold_elsewhere(context, same_host=False, ability=None)


def rise_again(context: StepContext) -> None:
    """From its image, for its disks are where nobody can reach them."""
    instance, dest = context.instance, context.facts["dest"]
    off = instance.vm_state is VmState.STOPPED or context.operation.args.get("stopped")
    order(context, dest, "guest.define" if off else "guest.run", disk_image_id=None)
    instance.disk_image_id = None
    become_on(context, dest)


def evacuated(context: StepContext) -> None:
    ended(context)
    if context.operation.args.get("stopped"):
        context.instance.vm_state = VmState.STOPPED
    context.instance.fault = None
    note_migration(context, status="done")


INSTANCE_LIVE_MIGRATE = Flow(
    "instance.live_migrate",
    Action.LIVE_MIGRATE,
    (
        Step("place", place, undo=let_go),
        Step("prepare", prepare, give_up_after=PATIENT),
        Step("last chance", last_chance),
        Step("migrate", migrate, undo=let_stand, give_up_after=PATIENT * 4),
        Step("arrive", arrive),
        Step("leave the source", leave_others, insists=True),
    ),
    migrated,
    failed=not_moved,
)
INSTANCE_EVACUATE = Flow(
    "instance.evacuate",
    Action.EVACUATE,
    (
        Step("place", place_elsewhere, undo=let_go),
        Step("new disks", new_disks),
        Step("wire", wire),
        Step("rise again", rise_again, task_state="rebuild_spawning", give_up_after=PATIENT),
        Step("leave the source", leave_others, insists=True),
    ),
    evacuated,
    failed=not_moved,
)
