"""Of those who want an instance at once, one gets it; who deletes it always does."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db.models import Instance, Operation, OperationStatus
from nova_lite.domain.errors import InvalidState, NotFound
from nova_lite.domain.states import VmState
from nova_lite.operations import begin
from tests.unit.operations.stage import Stage

NOW = dt.datetime(2029, 1, 2, tzinfo=dt.UTC)


def wanted(server: UUID, kind: str) -> dict[str, Any]:
    return begin.row(
        kind, server, project_id="p", user_id="u", request_id="req-1", now=NOW, args={"a": 1}
    )


def find(session: Session, server: UUID) -> Instance:
    return session.scalars(sa.select(Instance).where(Instance.id == server)).one()


def behind_its_back(session: Session, server: UUID, **values: Any) -> None:
    """What another transaction commits after we have read the instance."""
    change = sa.update(Instance).where(Instance.id == server).values(**values)
    session.execute(change.execution_options(synchronize_session=False))


def test_an_operation_is_written_down_and_holds_its_instance(stage: Stage) -> None:
    server = stage.server()
    with stage.cloud.database.write() as session:
        id = begin.begin(session, find(session, server), wanted(server, "instance.stop"))
    assert id
    operation, instance = stage.operation(id), stage.instance(server)
    assert (instance.operation_id, instance.task_state) == (id, "powering-off")
    assert (operation.kind, operation.action, operation.target_id) == (
        "instance.stop",
        "stop",
        server,
    )
    assert (operation.status, operation.step, operation.wake_at) == (
        OperationStatus.RUNNING,
        "power off",
        NOW,
    )
    assert (operation.args, operation.facts) == ({"a": 1}, {})


def test_what_is_going_on_may_have_a_word_of_its_own(stage: Stage) -> None:
    server = stage.server()
    with stage.cloud.database.write() as session:
        values = wanted(server, "instance.reboot")
        begin.begin(session, find(session, server), values, "rebooting_hard")
    assert stage.instance(server).task_state == "rebooting_hard"


def test_a_state_that_does_not_admit_it_is_named(stage: Stage) -> None:
    server = stage.server()
    with (
        pytest.raises(InvalidState, match="Cannot 'start' .* vm_state active"),
        stage.cloud.database.write() as session,
    ):
        begin.begin(session, find(session, server), wanted(server, "instance.start"))
    assert stage.instance(server).operation_id is None


@pytest.mark.parametrize(
    "meanwhile",
    [{"operation_id": uuid4()}, {"vm_state": VmState.STOPPED}],
    ids=lambda found: next(iter(found)),
)
def test_who_comes_second_is_refused(stage: Stage, meanwhile: dict[str, Any]) -> None:
    server = stage.server()
    with (
        pytest.raises(InvalidState, match="being changed by another request"),
        stage.cloud.database.write() as session,
    ):
        instance = find(session, server)
        behind_its_back(session, server, **meanwhile)
        begin.begin(session, instance, wanted(server, "instance.reboot"))


def test_who_deletes_takes_the_instance_from_whatever_holds_it(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.services.instances.stop(stage.cloud.admin, server)
    held = stage.instance(server).operation_id
    assert held
    with stage.cloud.database.write() as session:
        id = begin.begin(session, find(session, server), wanted(server, "instance.delete"))
    assert stage.instance(server).operation_id == id
    cancelled = stage.operation(held)
    assert cancelled.status is OperationStatus.CANCELLED and cancelled.wake_at is None
    assert cancelled.error == "Cancelled: the instance is to delete."
    assert stage.cloud.control.runner.due() == [id]


def test_who_deletes_twice_deletes_once(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    with stage.cloud.database.write() as session:
        values = wanted(server, "instance.delete")
        assert begin.begin(session, find(session, server), values) is None
        mine = sa.select(sa.func.count()).where(Operation.kind == "instance.delete")
        assert session.scalar(mine) == 1


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"operation_id": None, "task_state": None},  # what held it has ended
        {"operation_id": None, "task_state": None, "vm_state": VmState.STOPPED},
        {"operation_id": uuid4(), "task_state": "powering-off"},  # and another has begun
    ],
    ids=["ended", "ended elsewhere", "another began"],
)
def test_who_deletes_is_not_refused_because_something_has_just_ended(
    stage: Stage, meanwhile: dict[str, Any]
) -> None:
    server = stage.server()
    stage.cloud.services.instances.reboot(stage.cloud.admin, server, hard=True)
    with stage.cloud.database.write() as session:
        instance = find(session, server)
        behind_its_back(session, server, **meanwhile)
        id = begin.begin(session, instance, wanted(server, "instance.delete"))
    assert id and stage.instance(server).operation_id == id
    assert stage.instance(server).task_state == "deleting"


def test_of_two_who_delete_at_once_the_second_has_nothing_to_do(stage: Stage) -> None:
    server = stage.server()
    with stage.cloud.database.write() as session:
        instance = find(session, server)
        behind_its_back(session, server, operation_id=uuid4(), task_state="deleting")
        assert begin.begin(session, instance, wanted(server, "instance.delete")) is None


def test_what_was_deleted_meanwhile_is_not_there(stage: Stage) -> None:
    server = stage.server()
    with pytest.raises(NotFound), stage.cloud.database.write() as session:
        instance = find(session, server)
        behind_its_back(session, server, vm_state=VmState.DELETED, deleted=True)
        begin.begin(session, instance, wanted(server, "instance.delete"))


def test_even_deleting_ends_when_others_are_always_quicker(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = stage.server()
    monkeypatch.setattr(begin, "_hold", lambda *_: False)
    with (
        pytest.raises(InvalidState, match="another request"),
        stage.cloud.database.write() as session,
    ):
        begin.begin(session, find(session, server), wanted(server, "instance.delete"))
