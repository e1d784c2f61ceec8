"""A copy of the root disk becomes an image: createImage, createBackup, and shelving.

The image is there, queued, from the moment it is asked for; the worker uploads
into it.  An image that was never filled goes when its operation fails.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from uuid import UUID

from nova_lite.db.queries import hosts, images
from nova_lite.domain.states import Action, PowerState
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.guest import order, place_of, vacate
from nova_lite.operations.instance_create import (
    discard,
    note_fault,
    release,
    wire,
)
from nova_lite.operations.instance_disks import PATIENT, new_disks
from nova_lite.operations.instance_move import power_off, power_on_again
from nova_lite.operations.instance_power import ended
from nova_lite.operations.place import find
from nova_lite.operations.placement import placement_of

UPLOAD = dt.timedelta(hours=6)  # for the largest disk over the slowest wire


def upload(context: StepContext) -> None:
    image = UUID(context.operation.args["image_id"])
    context.ask(
        place_of(context.instance),
        "guest.snapshot",
        lambda: {"id": str(context.instance.id), "url": context.world.image_upload(image)},
    )


def forget_image(context: StepContext) -> None:
    image = UUID(context.operation.args["image_id"])
    images.forget(context.session, image, context.world.now())


def rotated(context: StepContext) -> None:
    """Of the backups of one kind the newest so many are kept."""
    ended(context)
    args, instance = context.operation.args, context.instance
    older = images.backups(context.session, instance.project_id, instance.id, args["backup_type"])
    for image in older[args["rotation"] :]:
        images.forget(context.session, image, context.world.now())


# --- shelving -----------------------------------------------------------------------------------


def shelved(context: StepContext) -> None:
    ended(context)
    context.instance.shelved_image_id = UUID(context.operation.args["image_id"])
    context.instance.power_state = PowerState.SHUTDOWN


def offload(context: StepContext) -> None:
    """Its image and its ports are all that is kept."""
    vacate(context, hosts.allocated(context.session, context.instance.id))


def offloaded(context: StepContext) -> None:
    ended(context)
    context.instance.host = context.instance.zone = None
    context.instance.power_state = PowerState.NOSTATE


def place(context: StepContext) -> None:
    """A host, where it has none any more."""
    instance = context.instance
    if instance.host is None:
        tried = context.facts.get("tried", [])
        args = context.operation.args
        request = replace(
            placement_of(context.session, instance, args, frozenset(tried)),
            zone=args.get("new_zone", instance.requested_zone),
        )
        host = find(context, request, context.facts.get("failures", []))
        instance.host, instance.zone = host, hosts.zone_of(context.session, host)
        context.learn(placed=host, tried=[*tried, host])


def leave(context: StepContext) -> None:
    """The undo of placing it."""
    if context.facts.get("placed"):
        release(context)
        context.learn(placed=None)


def disks_of_the_image(context: StepContext) -> None:
    if context.facts.get("placed"):
        new_disks(context)


def spawn(context: StepContext) -> None:
    instance = context.instance
    image = instance.shelved_image_id if context.facts.get("placed") else instance.disk_image_id
    order(context, place_of(instance), "guest.run", disk_image_id=image)


def despawn(context: StepContext) -> None:
    """The undo of a spawn: off, or gone from where it was not before."""
    if context.facts.get("placed"):
        discard(context)
    else:
        power_off(context)


def unshelved(context: StepContext) -> None:
    instance = context.instance
    ended(context)
    if context.facts.get("placed"):
        instance.disk_image_id = instance.shelved_image_id
    if "new_zone" in context.operation.args:
        instance.requested_zone = context.operation.args["new_zone"]
    drop_shelved_image(context)
    instance.launched_at = context.world.now()


def drop_shelved_image(context: StepContext) -> None:
    instance = context.instance
    if instance.shelved_image_id is not None:
        images.forget(context.session, instance.shelved_image_id, context.world.now())
        instance.shelved_image_id = None


UPLOADED = Step(
    "upload", upload, undo=forget_image, task_state="image_uploading", give_up_after=UPLOAD
)
INSTANCE_SNAPSHOT = Flow(
    "instance.snapshot", Action.CREATE_IMAGE, (UPLOADED,), ended, failed=note_fault
)
INSTANCE_BACKUP = Flow(
    "instance.backup", Action.CREATE_BACKUP, (UPLOADED,), rotated, failed=note_fault
)
INSTANCE_SHELVE = Flow(
    "instance.shelve",
    Action.SHELVE,
    (
        Step("power off", power_off, undo=power_on_again, give_up_after=PATIENT),
        Step(
            "upload",
            upload,
            undo=forget_image,
            task_state="shelving_image_uploading",
            give_up_after=UPLOAD,
        ),
    ),
    shelved,
    failed=note_fault,
)
INSTANCE_SHELVE_OFFLOAD = Flow(
    "instance.shelve_offload",
    Action.SHELVE_OFFLOAD,
    (Step("offload", offload, insists=True),),
    offloaded,
    failed=note_fault,
)
INSTANCE_UNSHELVE = Flow(
    "instance.unshelve",
    Action.UNSHELVE,
    (
        Step("place", place, undo=leave),
        Step("new disks", disks_of_the_image),
        Step("wire", wire),
        Step("spawn", spawn, undo=despawn, task_state="spawning", give_up_after=PATIENT),
    ),
    unshelved,
    failed=note_fault,
    start_over_from="place",
)
