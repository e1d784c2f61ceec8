"""Start, stop and reboot: three flows of one step each.

The worker gets the whole description each time, so that a guest whose host lost
its definition, its bridge or its power comes back as it was.
"""

from __future__ import annotations

import datetime as dt

from nova_lite.bus.messages import Json
from nova_lite.domain.errors import InvalidState
from nova_lite.domain.states import Action, PowerState, VmState
from nova_lite.operations.flow import Act, Flow, Step, StepContext
from nova_lite.operations.instance_create import described, note_fault, wire


def tell(verb: str, **extra: object) -> Act:
    def act(context: StepContext) -> None:
        instance = context.instance
        if instance.host is None:
            raise InvalidState(f"Instance {instance.id} has no host.")

        def args() -> Json:
            return {**described(context), **extra, **context.operation.args}

        guest = context.ask(instance.host, verb, args)
        instance.power_state = PowerState(guest["power_state"])

    return act


def stop(context: StepContext) -> None:
    tell("guest.stop", grace=context.world.settings.shutdown_timeout)(context)


def reboot(context: StepContext) -> None:
    tell("guest.reboot", grace=context.world.settings.shutdown_timeout)(context)


def ends_in(state: VmState) -> Act:
    def succeeded(context: StepContext) -> None:
        context.instance.vm_state = state

    return succeeded


def _flow(
    kind: str, action: Action, ends: VmState, *steps: Step, variants: tuple[Json, ...] = ({},)
) -> Flow:
    # A failure leaves the vm_state as it was; what the hypervisor says of the
    # guest becomes true by the reconciler of power states.
    return Flow(kind, action, steps, ends_in(ends), failed=note_fault, variants=variants)


INSTANCE_START = _flow(
    "instance.start",
    Action.START,
    VmState.ACTIVE,
    Step("wire", wire),
    Step("power on", tell("guest.run")),
)
INSTANCE_STOP = _flow(
    "instance.stop",
    Action.STOP,
    VmState.STOPPED,
    Step("power off", stop, give_up_after=dt.timedelta(minutes=15)),
)
INSTANCE_REBOOT = _flow(
    "instance.reboot",
    Action.REBOOT,
    VmState.ACTIVE,
    Step("wire", wire),
    Step("reboot", reboot, give_up_after=dt.timedelta(minutes=15)),
    variants=({"hard": False}, {"hard": True}),
)
