"""Resize and cold migration, and what comes of them: confirmed or taken back.

Between the two the instance has room on both hosts and a guest on both, of
which the old one is off.  The row in `migrations` tells the way back.  Which of
its hosts an instance is on is `instance.host`: whatever goes wrong, the others
are vacated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from nova_lite.bus.messages import Json
from nova_lite.db.base import insert_if_absent
from nova_lite.db.models import FLAVOR, Host, Instance, Migration
from nova_lite.db.queries import hosts
from nova_lite.domain.capacity import Room
from nova_lite.domain.errors import NoValidHost
from nova_lite.domain.specs import MOVE
from nova_lite.domain.states import Action, VmState
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.guest import order, place_of, vacate
from nova_lite.operations.instance_create import note_fault, wire
from nova_lite.operations.instance_disks import PATIENT
from nova_lite.operations.place import find
from nova_lite.operations.placement import placement_of

#: The word of os-migrations for what an action does.
TYPES = {
    Action.RESIZE: "resize",
    Action.MIGRATE: "migration",
    Action.LIVE_MIGRATE: "live-migration",
    Action.EVACUATE: "evacuation",
}


#: What a live migration is from when it is called off until that is heard.
CANCELLING = "cancelling"


def flavor_of(instance: Instance) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in FLAVOR}


def hold_elsewhere(context: StepContext, *, same_host: bool, ability: str | None) -> None:
    """Room for the instance as it is to be, and the record of its move.

    `same_host` allows the host it is on, too.  `ability` is what the
    hypervisor it is on must be able to do for it to leave.
    """
    if context.facts.get("dest") is not None:
        return
    # After a move that was not brought to its end, because its state was reset, there may be some.
    leave_others(context)
    if context.repeat:
        return
    session, instance, args = context.session, context.instance, context.operation.args
    source, new = place_of(instance), {**flavor_of(instance), **args.get("flavor", {})}
    tried = context.facts.get("tried", [])
    avoid = frozenset(tried) if same_host else frozenset([*tried, source])
    request = replace(
        placement_of(session, instance, args, avoid),
        memory_mb=new["memory_mb"],
        vcpus=new["vcpus"],
        disk_gb=args.get("disk_gb", new["root_gb"] + new["ephemeral_gb"]),
        extra_specs=new["extra_specs"],
        flavor_name=new["flavor_name"],
    )
    able = session.scalars(sa.select(Host.abilities).where(Host.name == source)).one()
    if ability is not None and ability not in able:
        if not same_host:
            raise NoValidHost(
                f"No valid host was found: the hypervisor of {source} cannot {ability} a guest."
            )
        request = replace(request, host=source)
    held = hosts.promised(session, instance.id, source)

    def grow(host: str) -> bool | None:
        if host != source:
            return None
        # Until it is confirmed it must be able to become again what it was.
        most = map(max, held, (request.memory_mb, request.vcpus, request.disk_gb))
        ratios = context.world.settings.ratios
        return hosts.reallocate(session, instance.id, host, Room(*most), ratios)

    dest = find(context, request, context.facts.get("failures", []), grow)
    context.learn(dest=dest, source=source, held=list(held), tried=[*tried, dest])
    _record(context, dest, new)


def _record(context: StepContext, dest: str, new: Json) -> None:
    operation, instance, now = context.operation, context.instance, context.world.now()
    action = Action(operation.action)
    insert_if_absent(
        context.session,
        Migration,
        id=operation.id,
        instance_id=instance.id,
        project_id=instance.project_id,
        user_id=operation.user_id,
        type=TYPES[action],
        status="running" if action is Action.LIVE_MIGRATE else "migrating",
        source=context.facts["source"],
        dest=dest,
        old_flavor=flavor_of(instance),
        new_flavor=new,
        old_vm_state=instance.vm_state.value,
        created_at=now,
        updated_at=now,
    )
    # A second try goes elsewhere.
    note_migration(context, dest=dest)


def note_migration(context: StepContext, **values: Any) -> None:
    """Of the move that this operation is."""
    _update(context, context.operation.id, values)


def _update(context: StepContext, id: UUID, values: dict[str, Any]) -> None:
    change = sa.update(Migration).where(Migration.id == id)
    context.session.execute(change.values(**values, updated_at=context.world.now()))


def leave_others(context: StepContext) -> None:
    """Where the instance is not, nothing is left of it."""
    instance = context.instance
    held = hosts.allocated(context.session, instance.id)
    vacate(context, [host for host in held if host != instance.host])


def let_go(context: StepContext) -> None:
    """The undo of holding room elsewhere."""
    facts = context.facts
    if facts.get("dest") is None:
        return
    leave_others(context)
    if context.repeat:
        return
    if facts["dest"] == facts["source"]:
        room = Room(*facts["held"])
        hosts.reallocate(context.session, context.instance.id, facts["source"], room)
    context.learn(dest=None)


def place(context: StepContext) -> None:
    resize = context.operation.action == Action.RESIZE
    hold_elsewhere(
        context,
        same_host=resize and context.world.settings.allow_resize_to_same_host,
        ability=MOVE,
    )


def power_off(context: StepContext) -> None:
    grace = {"grace": context.world.settings.shutdown_timeout}
    order(context, place_of(context.instance), "guest.stop", grace)


def power_on_again(context: StepContext) -> None:
    """The undo of the power off: as it was, where it was."""
    _make(context, place_of(context.instance), runs=context.instance.vm_state is VmState.ACTIVE)


def prepare(context: StepContext) -> None:
    """The guest as it is to be, off."""
    _make(context, context.facts["dest"], runs=False, **context.operation.args.get("flavor", {}))


def finish(context: StepContext) -> None:
    runs = context.instance.vm_state is VmState.ACTIVE
    wanted = context.operation.args.get("flavor", {})
    _make(context, context.facts["dest"], runs=runs, **wanted)


def _make(context: StepContext, host: str, *, runs: bool, **instead: Any) -> None:
    """Make sure that the guest is on `host`, with `instead`, and runs if it is to run."""
    order(context, host, "guest.run" if runs else "guest.define", **instead)


def resized(context: StepContext) -> None:
    instance, facts = context.instance, context.facts
    instance.vm_state = VmState.RESIZED
    _become(context, facts["dest"], context.operation.args.get("flavor", {}))
    note_migration(context, status="finished")


def become_on(context: StepContext, host: str) -> None:
    """From here on the instance is on `host`, wherever else something may be left of it."""
    context.instance.host, context.instance.zone = host, hosts.zone_of(context.session, host)


def _become(context: StepContext, host: str, flavor: Json) -> None:
    become_on(context, host)
    for name, value in flavor.items():
        setattr(context.instance, name, value)


def called_off(context: StepContext) -> bool:
    """Whether this move is not wanted any more."""
    mine = sa.select(Migration.status).where(Migration.id == context.operation.id)
    return context.session.scalar(mine) == CANCELLING


def not_moved(context: StepContext) -> None:
    note_migration(context, status="cancelled" if called_off(context) else "error")
    note_fault(context)


# --- after a resize ---------------------------------------------------------------------------


def waiting(context: StepContext) -> Migration:
    """The move that waits for its owner's word."""
    last = sa.select(Migration).where(
        Migration.instance_id == context.instance.id,
        Migration.type.in_((TYPES[Action.RESIZE], TYPES[Action.MIGRATE])),
    )
    return context.session.scalars(last.order_by(Migration.number.desc()).limit(1)).one()


def settle(context: StepContext) -> None:
    """Only the room that it needs where it is now is kept."""
    leave_others(context)
    instance = context.instance
    if not context.repeat and waiting(context).source == instance.host:
        disk_gb = instance.root_gb + instance.ephemeral_gb
        room = Room(instance.memory_mb, instance.vcpus, disk_gb)
        hosts.reallocate(context.session, instance.id, place_of(instance), room)


def confirmed(context: StepContext) -> None:
    _rest(context, "confirmed")


def go_back(context: StepContext) -> None:
    """The old guest again; from here on the instance is where it was, and what it was."""
    move = waiting(context)
    source = str(move.source)
    runs = move.old_vm_state == VmState.ACTIVE
    _make(context, source, runs=runs, **move.old_flavor)
    _become(context, source, move.old_flavor)


def turn_round(context: StepContext) -> None:
    """The undo of going back: the old guest is off again."""
    move = waiting(context)
    grace = {"grace": 0}
    order(context, str(move.source), "guest.stop", grace, **move.old_flavor)
    _become(context, str(move.dest), move.new_flavor)


def come_again(context: StepContext) -> None:
    """The undo of powering off the new guest."""
    move = waiting(context)
    _make(context, str(move.dest), runs=move.old_vm_state == VmState.ACTIVE)


def reverted(context: StepContext) -> None:
    _rest(context, "reverted")


def _rest(context: StepContext, status: str) -> None:
    move = waiting(context)
    context.instance.vm_state = VmState(move.old_vm_state or VmState.ACTIVE)
    _update(context, move.id, {"status": status})


INSTANCE_RESIZE, INSTANCE_MIGRATE = (
    Flow(
        kind,
        action,
        (
            Step("place", place, undo=let_go),
            Step(
                "power off",
                power_off,
                undo=power_on_again,
                task_state="resize_migrating",
                give_up_after=PATIENT,
            ),
            Step("prepare", prepare, task_state="resize_migrated", give_up_after=PATIENT),
            Step("wire", wire),
            Step("finish", finish, task_state="resize_finish"),
        ),
        resized,
        failed=not_moved,
        start_over_from="place",
    )
    for kind, action in (("instance.resize", Action.RESIZE), ("instance.migrate", Action.MIGRATE))
)
INSTANCE_CONFIRM = Flow(
    "instance.confirm_resize",
    Action.CONFIRM_RESIZE,
    (Step("leave the source", settle, insists=True),),
    confirmed,
    failed=note_fault,
)
INSTANCE_REVERT = Flow(
    "instance.revert_resize",
    Action.REVERT_RESIZE,
    (
        Step("power off", power_off, undo=come_again, give_up_after=PATIENT),
        Step("wire", wire),
        Step("go back", go_back, undo=turn_round),
        Step("leave the destination", settle, insists=True),
    ),
    reverted,
    failed=note_fault,
)
