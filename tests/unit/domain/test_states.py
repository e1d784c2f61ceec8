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
    states_of,
)

#: Where each action may start, said a second time and in other words.
ADMITTED = """
             create start stop reboot delete
building        x     -    -     -      x
active          -     -    x     x      x
stopped         -     x    -     x      x
paused          -     -    x     x      x
error           -     -    x     x      x
deleted         -     -    -     -      -
"""


def admitted() -> dict[tuple[str, str], bool]:
    head, *rows = ADMITTED.strip("\n").splitlines()
    return {
        (row.split()[0], action): mark == "x"
        for row in rows
        for action, mark in zip(head.split(), row.split()[1:], strict=True)
    }


def test_the_table_of_this_test_is_complete() -> None:
    assert admitted().keys() == set(itertools.product(VmState, Action))


@pytest.mark.parametrize("task_state", [None, "spawning", "deleting"])
@pytest.mark.parametrize(("state", "action"), admitted())
def test_an_action_is_admitted_where_it_should_be(
    state: str, action: str, task_state: str | None
) -> None:
    free = task_state is None or action == "delete"  # which takes it from whatever holds it
    if admitted()[state, action] and free:
        rule = require(Action(action), VmState(state), task_state, "i-1")
        assert rule is ACTIONS[Action(action)]
        return
    why = f"task_state {task_state}" if admitted()[state, action] else f"vm_state {state}"
    with pytest.raises(InvalidState, match=re.escape(f"Cannot '{action}' instance i-1 while")) as e:
        require(Action(action), VmState(state), task_state, "i-1")
    assert str(e.value).endswith(why) and e.value.status == 409


def test_only_what_is_live_drifts_and_only_into_what_is_live() -> None:
    idle = {VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED}
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
        (VmState.ERROR, None, "ERROR"),
        (VmState.DELETED, None, "DELETED"),
    ],
)
def test_the_status_is_the_word_clients_know(
    vm_state: VmState, task_state: str | None, status: str
) -> None:
    assert server_status(vm_state, task_state) == status


def test_a_status_is_found_again_by_its_word() -> None:
    for state in VmState:
        assert states_of(server_status(state, None).lower()) == (state,)
    assert states_of("FLYING") == ()


def test_every_power_state_has_its_number() -> None:
    assert {state.name for state in PowerState} == {number.name for number in PowerNumber}
