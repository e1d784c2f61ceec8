"""Who is up, as far as anybody can know; and how old the picture of the fleet may be."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa

from nova_lite.db.models import Host, Service
from nova_lite.domain.specs import Role
from nova_lite.operations.world import PICTURE_AGE, World
from tests.unit.operations.stage import Stage


@pytest.fixture
def world(stage: Stage) -> World:
    return stage.cloud.control.runner.world


def is_up(stage: Stage, world: World, role: Role, host: str) -> bool:
    stage.cloud.clock.pass_seconds(PICTURE_AGE.total_seconds())
    with stage.cloud.database.read() as session:
        return world.is_up(session, role, host)


@pytest.mark.parametrize(("role", "host"), [(Role.COMPUTE, "host1"), (Role.NETWORK, "net1")])
def test_a_worker_is_up_while_it_says_so(stage: Stage, world: World, role: Role, host: str) -> None:
    assert is_up(stage, world, role, host)
    stage.cloud.clock.pass_seconds(world.settings.service_down_time.total_seconds())
    assert not is_up(stage, world, role, host)
    stage.cloud.heartbeat()
    stage.cloud.deliver()
    assert is_up(stage, world, role, host)


@pytest.mark.parametrize(("role", "host"), [(Role.COMPUTE, "host1"), (Role.NETWORK, "net1")])
def test_an_operator_may_say_that_it_is_down(
    stage: Stage, world: World, role: Role, host: str
) -> None:
    with stage.cloud.database.write() as session:
        session.execute(sa.update(Service).where(Service.host == host).values(forced_down=True))
    assert not is_up(stage, world, role, host)


def test_what_was_never_heard_of_is_down(stage: Stage, world: World) -> None:
    assert not is_up(stage, world, Role.COMPUTE, "atlantis")
    assert not is_up(stage, world, Role.NETWORK, "host1")


def test_a_host_without_a_row_yet_is_judged_by_its_worker(stage: Stage, world: World) -> None:
    with stage.cloud.database.write() as session:
        session.execute(sa.delete(Host).where(Host.name == "host1"))
    assert is_up(stage, world, Role.COMPUTE, "host1")


def test_the_picture_is_taken_anew_when_it_is_old_or_one_asks(stage: Stage, world: World) -> None:
    with stage.cloud.database.read() as session:
        first = world.fleet.look(session)
        assert world.fleet.look(session) is first
        fresh = world.fleet.look(session, fresh=True)
        assert fresh is not first and world.fleet.look(session) is fresh
        stage.cloud.clock.pass_seconds((PICTURE_AGE + dt.timedelta(seconds=1)).total_seconds())
        assert world.fleet.look(session) is not fresh
