"""What may be asked of an instance, in every state there is."""

from __future__ import annotations

import itertools
import re

import pytest

from nova_lite.domain.errors import InvalidState
from nova_lite.domain.states import (
    ACTIONS,
    DRIFT,
    Action,
    PowerNumber,
    PowerState,
    VmState,
    require,
    server_status,
)

#: Where each action may start, said a second time and in other words.
ADMITTED = """
create            building
start             stopped
stop              active paused rescued error
reboot            active stopped paused suspended error
pause             active
unpause           paused
suspend           active
resume            suspended
rescue            active stopped error
unrescue          rescued
rebuild           active stopped error
resize            active stopped
migrate           active stopped
confirmResize     resized
revertResize      resized
live-migration    active paused
evacuate          active stopped error
shelve            active stopped paused suspended
shelveOffload     shelved
unshelve          shelved shelved_offloaded
createImage       active stopped paused suspended
createBackup      active stopped paused suspended
attach_interface  active stopped paused
detach_interface  active stopped paused
softDelete        active stopped paused suspended rescued resized shelved error
restore           soft-delete
delete            building active stopped paused suspended rescued resized shelved \
                  shelved_offloaded soft-delete error
"""


def admitted() -> dict[tuple[str, str], bool]:
    rows = [line.split() for line in ADMITTED.replace("\\\n", "").strip().splitlines()]
    return {(state, row[0]): state in row[1:] for row in rows for state in VmState}


def test_the_table_of_this_test_is_complete() -> None:
    assert admitted().keys() == set(itertools.product(VmState, Action))


@pytest.mark.parametrize("task_state", [None, "spawning", "deleting"])
@pytest.mark.parametrize(("state", "action"), admitted())
def test_an_action_is_admitted_where_it_should_be(
    state: str, action: str, task_state: str | None
) -> None:
    # Those two take it from whatever holds it.
    free = task_state is None or action in ("delete", "softDelete")
    if admitted()[state, action] and free:
        rule = require(Action(action), VmState(state), task_state, "i-1")
        assert rule is ACTIONS[Action(action)]
        return
    why = f"task_state {task_state}" if admitted()[state, action] else f"vm_state {state}"
    with pytest.raises(InvalidState, match=re.escape(f"Cannot '{action}' instance i-1 while")) as e:
        require(Action(action), VmState(state), task_state, "i-1")
    assert str(e.value).endswith(why) and e.value.status == 409


def test_only_what_is_live_drifts_and_only_into_what_is_live() -> None:
    idle = {VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED}
    assert {state for state, _ in DRIFT} == idle == set(DRIFT.values())
    assert all(became is not was for (was, _), became in DRIFT.items())


def test_a_drift_leads_to_where_it_stays() -> None:
    for (_, power), became in DRIFT.items():
        assert DRIFT.get((became, power), became) is became


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        (VmState.BUILDING, "scheduling", "BUILD"),
        (VmState.ACTIVE, None, "ACTIVE"),
        (VmState.ACTIVE, "rebooting", "REBOOT"),
        (VmState.ACTIVE, "rebooting_hard", "HARD_REBOOT"),
        (VmState.ACTIVE, "powering-off", "ACTIVE"),
        (VmState.STOPPED, None, "SHUTOFF"),
        (VmState.STOPPED, "rebooting", "SHUTOFF"),
        (VmState.PAUSED, None, "PAUSED"),
        (VmState.SUSPENDED, None, "SUSPENDED"),
        (VmState.RESCUED, None, "RESCUE"),
        (VmState.ACTIVE, "resize_prep", "RESIZE"),
        (VmState.STOPPED, "resize_finish", "RESIZE"),
        (VmState.RESIZED, None, "VERIFY_RESIZE"),
        (VmState.RESIZED, "resize_reverting", "REVERT_RESIZE"),
        (VmState.ERROR, "rebuilding", "REBUILD"),
        (VmState.PAUSED, "migrating", "MIGRATING"),
        (VmState.SHELVED, None, "SHELVED"),
        (VmState.SHELVED_OFFLOADED, "unshelving", "SHELVED_OFFLOADED"),
        (VmState.SOFT_DELETED, None, "SOFT_DELETED"),
        (VmState.ERROR, None, "ERROR"),
        (VmState.DELETED, None, "DELETED"),
    ],
)
def test_the_status_is_the_word_clients_know(
    vm_state: VmState, task_state: str | None, status: str
) -> None:
    assert server_status(vm_state, task_state) == status


def test_every_power_state_has_its_number() -> None:
    for state in PowerState:
        assert PowerNumber[state.name] in {0, 1, 3, 4, 6}
    assert PowerNumber["SUSPENDED"] == PowerNumber.SHUTDOWN


def test_what_an_action_leaves_is_where_it_ends_unless_it_keeps_the_state() -> None:
    assert ACTIONS[Action.REBUILD].leaves(VmState.STOPPED) is VmState.STOPPED
    assert ACTIONS[Action.REBUILD].leaves(VmState.ERROR) is VmState.ACTIVE
    for rule in ACTIONS.values():
        assert rule.keeps <= rule.starts_from
