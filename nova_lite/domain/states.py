"""The states of an instance, and what may be asked of it in each: one table.

`vm_state` is what the instance is when nothing is happening to it, `task_state`
what is happening, `power_state` what the hypervisor last said.  The words are
Nova's.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from nova_lite.domain.errors import InvalidState


class VmState(StrEnum):
    BUILDING = "building"
    ACTIVE = "active"
    STOPPED = "stopped"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RESCUED = "rescued"
    RESIZED = "resized"  # runs with its new flavor, or elsewhere; not confirmed yet
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"  # an image and its ports are all there is of it
    SOFT_DELETED = "soft-delete"  # off, and for a while it can be had back
    ERROR = "error"
    DELETED = "deleted"


class PowerState(StrEnum):
    NOSTATE = "nostate"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    SUSPENDED = "suspended"  # off, with its memory kept on disk
    CRASHED = "crashed"


class PowerNumber(IntEnum):
    """`OS-EXT-STS:power_state` of the compute API."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    SUSPENDED = 4  # to clients it is off
    CRASHED = 6


class Action(StrEnum):
    """What can be asked of an instance; the values are the words of os-instance-actions."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESCUE = "rescue"
    UNRESCUE = "unrescue"
    REBUILD = "rebuild"
    RESIZE = "resize"
    MIGRATE = "migrate"
    CONFIRM_RESIZE = "confirmResize"
    REVERT_RESIZE = "revertResize"
    LIVE_MIGRATE = "live-migration"
    EVACUATE = "evacuate"
    SHELVE = "shelve"
    SHELVE_OFFLOAD = "shelveOffload"
    UNSHELVE = "unshelve"
    CREATE_IMAGE = "createImage"
    CREATE_BACKUP = "createBackup"
    ATTACH_INTERFACE = "attach_interface"
    DETACH_INTERFACE = "detach_interface"
    SOFT_DELETE = "softDelete"
    RESTORE = "restore"
    DELETE = "delete"


@dataclass(frozen=True)
class Rule:
    """Where an action may start, and where its operation leaves the instance."""

    starts_from: Set[VmState]
    ends_in: VmState
    task_state: str
    preempts: bool = False  # may begin while another operation holds the instance
    keeps: Set[VmState] = frozenset()  # states that it leaves as they are

    def leaves(self, vm_state: VmState) -> VmState:
        """The state an instance is in after the action, when it was in `vm_state` before."""
        return vm_state if vm_state in self.keeps else self.ends_in


V = VmState
LIVE = frozenset(V) - {V.DELETED}
#: What runs, or at least has a disk on some host that nobody is at work on.
SETTLED = frozenset({V.ACTIVE, V.STOPPED, V.PAUSED, V.SUSPENDED})
PLUGGABLE = frozenset({V.ACTIVE, V.STOPPED, V.PAUSED})

ACTIONS: dict[Action, Rule] = {
    Action.CREATE: Rule({V.BUILDING}, V.ACTIVE, "scheduling"),
    Action.START: Rule({V.STOPPED}, V.ACTIVE, "powering-on"),
    Action.STOP: Rule({V.ACTIVE, V.PAUSED, V.RESCUED, V.ERROR}, V.STOPPED, "powering-off"),
    Action.REBOOT: Rule(SETTLED | {V.ERROR}, V.ACTIVE, "rebooting"),
    Action.PAUSE: Rule({V.ACTIVE}, V.PAUSED, "pausing"),
    Action.UNPAUSE: Rule({V.PAUSED}, V.ACTIVE, "unpausing"),
    Action.SUSPEND: Rule({V.ACTIVE}, V.SUSPENDED, "suspending"),
    Action.RESUME: Rule({V.SUSPENDED}, V.ACTIVE, "resuming"),
    Action.RESCUE: Rule({V.ACTIVE, V.STOPPED, V.ERROR}, V.RESCUED, "rescuing"),
    Action.UNRESCUE: Rule({V.RESCUED}, V.ACTIVE, "unrescuing"),
    Action.REBUILD: Rule({V.ACTIVE, V.STOPPED, V.ERROR}, V.ACTIVE, "rebuilding", keeps={V.STOPPED}),
    Action.RESIZE: Rule({V.ACTIVE, V.STOPPED}, V.RESIZED, "resize_prep"),
    Action.MIGRATE: Rule({V.ACTIVE, V.STOPPED}, V.RESIZED, "resize_prep"),
    Action.CONFIRM_RESIZE: Rule({V.RESIZED}, V.ACTIVE, "resize_confirming"),
    Action.REVERT_RESIZE: Rule({V.RESIZED}, V.ACTIVE, "resize_reverting"),
    Action.LIVE_MIGRATE: Rule({V.ACTIVE, V.PAUSED}, V.ACTIVE, "migrating", keeps={V.PAUSED}),
    Action.EVACUATE: Rule(
        {V.ACTIVE, V.STOPPED, V.ERROR}, V.ACTIVE, "rebuilding", keeps={V.STOPPED}
    ),
    Action.SHELVE: Rule(SETTLED, V.SHELVED, "shelving"),
    Action.SHELVE_OFFLOAD: Rule({V.SHELVED}, V.SHELVED_OFFLOADED, "shelving_offloading"),
    Action.UNSHELVE: Rule({V.SHELVED, V.SHELVED_OFFLOADED}, V.ACTIVE, "unshelving"),
    Action.CREATE_IMAGE: Rule(SETTLED, V.ACTIVE, "image_snapshot_pending", keeps=SETTLED),
    Action.CREATE_BACKUP: Rule(SETTLED, V.ACTIVE, "image_backup", keeps=SETTLED),
    Action.ATTACH_INTERFACE: Rule(PLUGGABLE, V.ACTIVE, "attaching_interface", keeps=PLUGGABLE),
    Action.DETACH_INTERFACE: Rule(PLUGGABLE, V.ACTIVE, "detaching_interface", keeps=PLUGGABLE),
    Action.SOFT_DELETE: Rule(
        # What has no place on a host has nothing to be had back.
        LIVE - {V.BUILDING, V.SHELVED_OFFLOADED, V.SOFT_DELETED},
        V.SOFT_DELETED,
        "soft-deleting",
        preempts=True,
    ),
    Action.RESTORE: Rule({V.SOFT_DELETED}, V.ACTIVE, "restoring"),
    Action.DELETE: Rule(LIVE, V.DELETED, "deleting", preempts=True),
}


def require(
    action: Action, vm_state: VmState, task_state: str | None, instance: object = ""
) -> Rule:
    """Return the rule for `action`, or raise InvalidState naming the state that forbids it."""
    rule = ACTIONS[action]
    if vm_state not in rule.starts_from:
        raise InvalidState(
            f"Cannot '{action}' instance {instance} while it is in vm_state {vm_state}"
        )
    if task_state is not None and not rule.preempts:
        raise InvalidState(
            f"Cannot '{action}' instance {instance} while it is in task_state {task_state}"
        )
    return rule


#: What an idle instance becomes when the hypervisor reports something its
#: owner did not ask for.  Pairs that are absent change nothing.
DRIFT: dict[tuple[VmState, PowerState], VmState] = {
    (V.ACTIVE, PowerState.SHUTDOWN): V.STOPPED,
    (V.ACTIVE, PowerState.CRASHED): V.STOPPED,
    (V.ACTIVE, PowerState.PAUSED): V.PAUSED,
    (V.STOPPED, PowerState.RUNNING): V.ACTIVE,
    (V.PAUSED, PowerState.RUNNING): V.ACTIVE,
    (V.PAUSED, PowerState.SHUTDOWN): V.STOPPED,
    (V.ACTIVE, PowerState.SUSPENDED): V.SUSPENDED,
    (V.PAUSED, PowerState.SUSPENDED): V.SUSPENDED,
    (V.SUSPENDED, PowerState.RUNNING): V.ACTIVE,
    (V.SUSPENDED, PowerState.SHUTDOWN): V.STOPPED,
}


def server_status(vm_state: VmState, task_state: str | None) -> str:
    """The `status` word of the compute API (ACTIVE, BUILD, REBOOT, ...)."""
    return _STATUS_WHILE.get((vm_state, task_state)) or _STATUS[vm_state]


_STATUS = {
    V.BUILDING: "BUILD",
    V.ACTIVE: "ACTIVE",
    V.STOPPED: "SHUTOFF",
    V.PAUSED: "PAUSED",
    V.SUSPENDED: "SUSPENDED",
    V.RESCUED: "RESCUE",
    V.RESIZED: "VERIFY_RESIZE",
    V.SHELVED: "SHELVED",
    V.SHELVED_OFFLOADED: "SHELVED_OFFLOADED",
    V.SOFT_DELETED: "SOFT_DELETED",
    V.ERROR: "ERROR",
    V.DELETED: "DELETED",
}
#: What an API calls an instance while an operation is under way.
_STATUS_WHILE: dict[tuple[VmState, str | None], str] = {
    (V.ACTIVE, "rebooting"): "REBOOT",
    (V.ACTIVE, "rebooting_hard"): "HARD_REBOOT",
    **{
        (state, task): word
        for word, state_of, tasks in (
            ("RESIZE", (V.ACTIVE, V.STOPPED), ("resize_prep", "resize_migrating", "resize_finish")),
            ("REBUILD", (V.ACTIVE, V.STOPPED, V.ERROR), ("rebuilding", "rebuild_spawning")),
            ("MIGRATING", (V.ACTIVE, V.PAUSED), ("migrating",)),
            ("REVERT_RESIZE", (V.RESIZED,), ("resize_reverting",)),
        )
        for state in state_of
        for task in tasks
    },
}
#: Every task_state that has a word of its own in some vm_state.
TELLING_TASKS: tuple[str, ...] = tuple(
    dict.fromkeys(task for _, task in _STATUS_WHILE if task is not None)
)
