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
    ERROR = "error"
    DELETED = "deleted"


class PowerState(StrEnum):
    NOSTATE = "nostate"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"


class PowerNumber(IntEnum):
    """`OS-EXT-STS:power_state` of the compute API."""

    NOSTATE = 0
    RUNNING = 1
    PAUSED = 3
    SHUTDOWN = 4
    CRASHED = 6


class Action(StrEnum):
    """What can be asked of an instance; the values are the words of os-instance-actions."""

    CREATE = "create"
    START = "start"
    STOP = "stop"
    REBOOT = "reboot"
    DELETE = "delete"


@dataclass(frozen=True)
class Rule:
    """Where an action may start, and where its operation leaves the instance."""

    starts_from: Set[VmState]
    ends_in: VmState
    task_state: str
    preempts: bool = False  # may begin while another operation holds the instance


V = VmState
LIVE = frozenset(V) - {V.DELETED}

ACTIONS: dict[Action, Rule] = {
    Action.CREATE: Rule({V.BUILDING}, V.ACTIVE, "scheduling"),
    Action.START: Rule({V.STOPPED}, V.ACTIVE, "powering-on"),
    Action.STOP: Rule({V.ACTIVE, V.PAUSED, V.ERROR}, V.STOPPED, "powering-off"),
    Action.REBOOT: Rule({V.ACTIVE, V.STOPPED, V.PAUSED, V.ERROR}, V.ACTIVE, "rebooting"),
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
}


def server_status(vm_state: VmState, task_state: str | None) -> str:
    """The `status` word of the compute API (ACTIVE, BUILD, REBOOT, ...)."""
    return _STATUS_WHILE.get((vm_state, task_state)) or _STATUS[vm_state]


def states_of(status: str) -> tuple[VmState, ...]:
    """The vm_states a `status` word of the compute API stands for; empty when unknown."""
    word = status.upper()
    return tuple(state for state, name in _STATUS.items() if name == word)


_STATUS = {
    V.BUILDING: "BUILD",
    V.ACTIVE: "ACTIVE",
    V.STOPPED: "SHUTOFF",
    V.PAUSED: "PAUSED",
    V.ERROR: "ERROR",
    V.DELETED: "DELETED",
}
_STATUS_WHILE: dict[tuple[VmState, str | None], str] = {
    (V.ACTIVE, "rebooting"): "REBOOT",
    (V.ACTIVE, "rebooting_hard"): "HARD_REBOOT",
}
