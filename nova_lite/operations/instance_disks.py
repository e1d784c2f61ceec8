"""Rebuild, rescue and unrescue: the guest starts anew, from other disks.

Whoever asked is told at once which image it will be; the instance is of that
image only when its guest is.
"""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from nova_lite.domain.states import Action, VmState
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.guest import order, place_of
from nova_lite.operations.instance_create import note_fault, wire
from nova_lite.operations.instance_power import ended, tell


def new_disks(context: StepContext) -> None:
    """From here on disks that were made before are of an older generation."""
    if "disk_generation" not in context.facts:
        context.instance.disk_generation += 1
        context.learn(disk_generation=context.instance.disk_generation)


def rebuild(context: StepContext) -> None:
    instance, image = context.instance, context.operation.args["image_id"]
    order(
        context,
        place_of(instance),
        # One that was off stays so: it is described, and no more.
        "guest.define" if instance.vm_state is VmState.STOPPED else "guest.reboot",
        {"hard": True},
        image_id=image and UUID(image),
        disk_image_id=None,
    )


def rebuilt(context: StepContext) -> None:
    """It is what was asked for; what it says of itself changes with its disks."""
    instance, args = context.instance, context.operation.args
    ended(context)
    instance.image_id = args["image_id"] and UUID(args["image_id"])
    instance.disk_image_id, instance.fault = None, None
    instance.launched_at = context.world.now()
    values = args.get("values", {})
    for name, value in values.items():
        setattr(instance, name, value)
    # The journal outlives the server, and what is private must not.
    context.operation.args = {**args, "values": sorted(values)}


def not_rebuilt(context: StepContext) -> None:
    """Its old disks may be gone, and the new ones are not there."""
    context.instance.vm_state = VmState.ERROR
    note_fault(context)


def rescue(context: StepContext) -> None:
    image = UUID(context.operation.args["image_id"])
    _start_from(context, image)


def unrescue(context: StepContext) -> None:
    _start_from(context, None)


def leave_rescue(context: StepContext) -> None:
    """The undo of a rescue: its own disks again, and running if it ran."""
    instance = context.instance
    if instance.host is not None:
        off = instance.vm_state is VmState.STOPPED
        tell("guest.stop" if off else "guest.reboot", hard=True, grace=0)(context)


def _start_from(context: StepContext, image: UUID | None) -> None:
    grace = {"grace": context.world.settings.shutdown_timeout}
    order(context, place_of(context.instance), "guest.reboot", grace, rescue=image)


def rescued(context: StepContext) -> None:
    ended(context)
    context.instance.rescue_image_id = UUID(context.operation.args["image_id"])


def unrescued(context: StepContext) -> None:
    ended(context)
    context.instance.rescue_image_id = None


PATIENT = dt.timedelta(minutes=15)  # a guest is asked to shut down, and an image fetched

INSTANCE_REBUILD = Flow(
    "instance.rebuild",
    Action.REBUILD,
    (
        Step("new disks", new_disks),
        Step("wire", wire),
        Step("rebuild", rebuild, task_state="rebuild_spawning", give_up_after=PATIENT),
    ),
    rebuilt,
    failed=not_rebuilt,
    variants=({"image_id": None},),
)
INSTANCE_RESCUE = Flow(
    "instance.rescue",
    Action.RESCUE,
    (
        Step("wire", wire),
        Step("rescue", rescue, undo=leave_rescue, give_up_after=PATIENT),
    ),
    rescued,
    failed=note_fault,
)
INSTANCE_UNRESCUE = Flow(
    "instance.unrescue",
    Action.UNRESCUE,
    (
        Step("wire", wire),
        Step("unrescue", unrescue, give_up_after=PATIENT),
    ),
    unrescued,
    failed=note_fault,
)
