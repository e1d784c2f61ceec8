"""Delete an instance: whatever it was doing, wherever it may have left something.

The request has already taken the instance from the operation that held it.
What that operation had taken stands in rows (allocations, ports); this flow
gives all of it back, and does not rest before it has.
"""

from __future__ import annotations

from nova_lite.db.queries import hosts
from nova_lite.domain.states import Action, PowerState, VmState
from nova_lite.operations.flow import Flow, Step, StepContext, nothing
from nova_lite.operations.instance_create import unplug


def remove(context: StepContext) -> None:
    """Remove the guest from every host that has promised it room, one host at a time."""
    instance = context.instance
    held = hosts.allocated(context.session, instance.id)
    if held:
        context.ask(held[0], "guest.remove", lambda: {"id": str(instance.id)}, lost_is_done=True)
        hosts.release(context.session, instance.id, held[0])
        context.repeat = len(held) > 1


def became_deleted(context: StepContext) -> None:
    instance, now = context.instance, context.world.now()
    instance.vm_state, instance.power_state = VmState.DELETED, PowerState.NOSTATE
    instance.deleted, instance.terminated_at = True, now
    instance.user_data = instance.key_data = None  # what is private goes with it


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
