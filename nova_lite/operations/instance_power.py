"""Start and stop, pause and suspend, with their opposites: flows of hardly more than one step.

The worker gets the whole description each time, so that a guest whose host lost
its definition, its bridge or its power comes back as it was.
"""

from __future__ import annotations

import datetime as dt

from nova_lite.bus.messages import Json
from nova_lite.domain.states import ACTIONS, Action
from nova_lite.operations.flow import Act, Flow, Step, StepContext
from nova_lite.operations.guest import order, place_of
from nova_lite.operations.instance_create import note_fault, wire


def tell(verb: str, **extra: object) -> Act:
    def act(context: StepContext) -> None:
        more = {**extra, **context.operation.args}
        order(context, place_of(context.instance), verb, more)

    return act


def stop(context: StepContext) -> None:
    tell("guest.stop", grace=context.world.settings.shutdown_timeout)(context)


def reboot(context: StepContext) -> None:
    tell("guest.reboot", grace=context.world.settings.shutdown_timeout)(context)


def ended(context: StepContext) -> None:
    """The instance is in the state that its action leads to."""
    instance = context.instance
    instance.vm_state = ACTIONS[Action(context.operation.action)].leaves(instance.vm_state)


def _flow(kind: str, action: Action, *steps: Step, variants: tuple[Json, ...] = ({},)) -> Flow:
    # A failure leaves the vm_state as it was; what the hypervisor says of the
    # guest becomes true by the reconciler of power states.
    return Flow(kind, action, steps, ended, failed=note_fault, variants=variants)


def stopped(context: StepContext) -> None:
    ended(context)
    context.instance.rescue_image_id = None  # it starts from its own disk again


INSTANCE_START = _flow(
    "instance.start",
    Action.START,
    Step("wire", wire),
    Step("power on", tell("guest.run")),
)
INSTANCE_STOP = Flow(
    "instance.stop",
    Action.STOP,
    (Step("power off", stop, give_up_after=dt.timedelta(minutes=15)),),
    stopped,
    failed=note_fault,
)
INSTANCE_PAUSE = _flow("instance.pause", Action.PAUSE, Step("pause", tell("guest.pause")))
INSTANCE_UNPAUSE = _flow("instance.unpause", Action.UNPAUSE, Step("unpause", tell("guest.run")))
INSTANCE_SUSPEND = _flow("instance.suspend", Action.SUSPEND, Step("suspend", tell("guest.suspend")))
INSTANCE_RESUME = _flow(
    "instance.resume",
    Action.RESUME,
    Step("wire", wire),
    Step("resume", tell("guest.run")),
)
INSTANCE_REBOOT = _flow(
    "instance.reboot",
    Action.REBOOT,
    Step("wire", wire),
    Step("reboot", reboot, give_up_after=dt.timedelta(minutes=15)),
    variants=({"hard": False}, {"hard": True}),
)
