"""Delete an instance: whatever it was doing, wherever it may have left something.

The request has already taken the instance from the operation that held it.
What that operation had taken stands in rows (allocations, ports); this flow
gives all of it back, and does not rest before it has.
"""

from __future__ import annotations

from nova_lite.db.queries import hosts
from nova_lite.domain.specs import Role
from nova_lite.domain.states import Action, PowerState, VmState
from nova_lite.operations.flow import Flow, Step, StepContext, nothing
from nova_lite.operations.guest import place_of, vacate
from nova_lite.operations.instance_create import note_fault, unplug, wire
from nova_lite.operations.instance_move import leave_others, power_off
from nova_lite.operations.instance_power import ended, tell
from nova_lite.operations.instance_snapshot import drop_shelved_image


def remove(context: StepContext) -> None:
    """Remove the guest from every host that has promised it room, one host at a time."""
    vacate(context, hosts.allocated(context.session, context.instance.id))


def became_deleted(context: StepContext) -> None:
    instance, now = context.instance, context.world.now()
    instance.vm_state, instance.power_state = VmState.DELETED, PowerState.NOSTATE
    instance.deleted, instance.terminated_at = True, now
    # What is private goes with it.
    instance.user_data = instance.key_data = instance.password = None
    instance.files = []
    drop_shelved_image(context)


def soft_deleted(context: StepContext) -> None:
    ended(context)
    context.instance.terminated_at = context.world.now()


def restored(context: StepContext) -> None:
    ended(context)
    drop_shelved_image(context)
    context.instance.terminated_at = None


def power_off_now_or_later(context: StepContext) -> None:
    """On a host that is down it is switched off when that speaks again, by reconcilers.hosts."""
    instance = context.instance
    if context.world.is_up(context.session, Role.COMPUTE, place_of(instance)):
        power_off(context)
    instance.power_state = PowerState.SHUTDOWN


INSTANCE_SOFT_DELETE = Flow(
    "instance.soft_delete",
    Action.SOFT_DELETE,
    (
        Step("leave others", leave_others),
        Step("power off", power_off_now_or_later),
    ),
    soft_deleted,
    failed=nothing,
    insists=True,
)
INSTANCE_RESTORE = Flow(
    "instance.restore",
    Action.RESTORE,
    (
        Step("wire", wire),
        Step("power on", tell("guest.run"), undo=power_off),
    ),
    restored,
    failed=note_fault,
)
INSTANCE_DELETE = Flow(
    kind="instance.delete",
    action=Action.DELETE,
    steps=(
        Step("remove", remove),
        Step("release", unplug),
    ),
    succeeded=became_deleted,
    failed=nothing,  # never: it insists
    insists=True,
)
