"""A network's host gets every plan there is need for, once, until it provides the newest."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import Command, Report
from nova_lite.db.models import Network, NetworkHost, Operation, Service, Subnet
from nova_lite.db.queries import networks as queries
from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import NetworkPlan, Role, from_json
from nova_lite.reconcilers.networks import RESEND_AFTER
from nova_lite.services.compute.instance_references import NetworkRequest
from nova_lite.services.network.networks import NewNetwork
from nova_lite.testing.bus import Message
from tests.unit.operations.stage import Stage


def the_network(stage: Stage) -> Network:
    with stage.cloud.database.read() as session:
        return session.scalars(sa.select(Network).order_by(Network.created_at)).first()  # type: ignore[return-value]


def at(stage: Stage) -> NetworkHost | None:
    with stage.cloud.database.read() as session:
        return session.scalar(sa.select(NetworkHost))


def plans(stage: Stage) -> list[NetworkPlan]:
    return [from_json(NetworkPlan, c.args["plan"]) for c in stage.sent("network.ensure")]


def provided(stage: Stage) -> dict[UUID, int]:
    return dict(stage.cloud.network.networks())


def lose(kind: type, verb: str) -> Any:
    def fault(message: Message) -> Sequence[Message]:
        return (
            [] if isinstance(message, kind) and getattr(message, "verb", "") == verb else [message]
        )

    return fault


def grow(stage: Stage, times: int = 1) -> int:
    """Something changes that the gateway must know; the generation it should have."""
    network = the_network(stage).id
    with stage.cloud.database.write() as session:
        for _ in range(times):
            queries.touch(session, network)
    return the_network(stage).generation


# --- the usual way ------------------------------------------------------------------------------


def test_the_first_server_gives_a_network_its_host_and_its_plan(stage: Stage) -> None:
    assert the_network(stage).gateway_host is None and at(stage) is None
    server = stage.server()
    network, row = the_network(stage), at(stage)
    assert network.gateway_host == "net1" and row
    assert (row.host, row.applied, row.sent, row.error) == (
        "net1",
        network.generation,
        network.generation,
        None,
    )
    plan = plans(stage)[-1]
    assert plan.generation == network.generation and plan.link.bridge == network.bridge
    assert plan.gateway and plan.gateway.leases
    assert [lease.address for lease in plan.gateway.leases] == ["10.0.0.2"]
    assert provided(stage) == {network.id: network.generation}
    assert stage.instance(server).vm_state == "active"


def test_a_burst_of_changes_becomes_few_complete_plans(stage: Stage) -> None:
    ids = [stage.boot() for _ in range(10)]
    stage.cloud.settle()
    assert {stage.instance(id).vm_state for id in ids} == {"active"}
    assert len(plans(stage)) <= 3
    last = plans(stage)[-1].gateway
    assert last and last.leases and len(last.leases) == 10


def test_a_network_that_is_up_to_date_is_left_in_peace(stage: Stage) -> None:
    stage.server()
    sent = len(plans(stage))
    stage.cloud.pass_time(60)
    stage.cloud.control.network_changed(the_network(stage).id)
    stage.cloud.deliver()
    assert len(plans(stage)) == sent


def test_a_change_is_found_even_if_nobody_says_so(stage: Stage) -> None:
    stage.server()
    generation = grow(stage)
    stage.cloud.pass_time(5)
    assert provided(stage)[the_network(stage).id] == generation


def test_while_a_plan_is_on_its_way_no_other_is_sent(stage: Stage) -> None:
    stage.server()
    stage.cloud.bus.faults = lose(Report, "network.ensure")
    sent = len(plans(stage))
    network = the_network(stage).id
    for _ in range(5):
        grow(stage)
        stage.cloud.control.network_changed(network)
        stage.cloud.deliver()
    assert len(plans(stage)) == sent + 1
    stage.cloud.bus.faults = lambda message: [message]
    stage.cloud.clock.pass_seconds(RESEND_AFTER.total_seconds() + 1)
    stage.cloud.control.reconcile()
    stage.cloud.deliver()
    assert provided(stage)[network] == the_network(stage).generation


def test_a_plan_that_was_lost_is_sent_again(stage: Stage) -> None:
    stage.server()
    generation = grow(stage)
    stage.cloud.bus.faults = lose(Command, "network.ensure")
    stage.cloud.control.reconcile()
    stage.cloud.deliver()
    sent = len(plans(stage))
    stage.cloud.bus.faults = lambda message: [message]
    stage.cloud.control.reconcile()
    assert len(plans(stage)) == sent  # it may yet arrive
    stage.cloud.clock.pass_seconds(RESEND_AFTER.total_seconds() + 1)
    stage.cloud.control.reconcile()
    stage.cloud.deliver()
    assert [plan.generation for plan in plans(stage)[-2:]] == [generation] * 2
    assert provided(stage)[the_network(stage).id] == generation


def test_two_who_see_the_same_need_send_one_plan(stage: Stage) -> None:
    stage.server()
    grow(stage)
    networks = stage.cloud.control.networks
    with stage.cloud.database.write() as session:
        network = session.scalars(sa.select(Network)).one()
        stale = session.scalars(sa.select(NetworkHost)).one()
        seen = stale.sent
        assert len(networks._behind(session, network)) == 1
        # The other looked before the first had written, and writes after it.
        sa.orm.attributes.set_committed_value(stale, "sent", seen)
        assert networks._behind(session, network) == []


# --- reports ------------------------------------------------------------------------------------


def tell(stage: Stage, verb: str = "network.ensure", host: str = "net1", **what: Any) -> None:
    network = the_network(stage).id
    report = Report(network, network, Role.NETWORK, host, verb, **what)
    stage.cloud.control.report(report)
    stage.cloud.deliver()


def test_a_report_that_comes_late_does_not_make_the_network_older(stage: Stage) -> None:
    stage.server()
    newest = the_network(stage).generation
    sent = len(plans(stage))
    tell(stage, result={"generation": newest - 1})
    row = at(stage)
    assert row and row.applied == newest and len(plans(stage)) == sent


def test_a_report_of_what_was_never_sent_is_not_believed(stage: Stage) -> None:
    stage.server()
    newest = the_network(stage).generation
    tell(stage, result={"generation": 1 << 40})
    tell(stage, host="evil", result={"generation": newest})
    row = at(stage)
    assert row and (row.host, row.applied) == ("net1", newest)


def test_a_report_without_a_generation_is_none(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.server()
    newest = the_network(stage).generation
    tell(stage)
    tell(stage, result={"generation": "latest"})
    row = at(stage)
    assert row and row.applied == newest
    assert "network report failed" in caplog.text


def test_a_removal_nobody_asked_for_takes_nothing_away(stage: Stage) -> None:
    stage.server()
    tell(stage, verb="network.remove")
    assert at(stage)
    grow(stage)
    stage.cloud.pass_time(20)
    assert provided(stage)[the_network(stage).id] == the_network(stage).generation


def test_a_host_that_could_not_is_asked_again_later_and_its_words_are_kept(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.server()
    generation = grow(stage)
    stage.cloud.network.host.broken["ensure"] = NetworkError("dnsmasq would not start")
    stage.cloud.control.reconcile()
    stage.cloud.deliver()
    row = at(stage)
    assert row and row.error == "dnsmasq would not start" and row.applied < generation
    assert "dnsmasq would not start" in caplog.text
    stage.cloud.control.reconcile()
    assert len([p for p in plans(stage) if p.generation == generation]) == 1  # no storm
    stage.cloud.pass_time(20)
    row = at(stage)
    assert row and (row.error, row.applied) == (None, generation)


def test_who_waits_is_told_what_the_host_said(stage: Stage) -> None:
    def fail(message: Message) -> Sequence[Message]:
        stage.cloud.network.host.broken["ensure"] = NetworkError("no such interface eth9")
        return [message]

    stage.cloud.bus.faults = fail
    server = stage.boot()
    stage.cloud.settle()
    fault = stage.instance(server).fault
    assert fault and "no such interface eth9" in fault["message"]


# --- a gateway that forgot ----------------------------------------------------------------------


def test_a_gateway_that_lost_its_networks_is_told_again(stage: Stage) -> None:
    stage.server()
    network = the_network(stage)
    stage.cloud.pass_time(20)
    stage.cloud.network.host.lose_power()
    assert provided(stage) == {}
    stage.cloud.pass_time(10)
    assert provided(stage) == {network.id: network.generation}


def test_a_gateway_that_went_back_to_an_older_plan_is_told_again(stage: Stage) -> None:
    stage.server()
    older = plans(stage)[-1]
    generation = grow(stage, 3)
    stage.cloud.pass_time(30)
    stage.cloud.network.host.lose_power()
    stage.cloud.network.ensure(older)
    stage.cloud.pass_time(10)
    assert provided(stage)[the_network(stage).id] == generation


def test_while_a_plan_is_on_its_way_an_older_status_proves_nothing(stage: Stage) -> None:
    stage.server()
    stage.cloud.pass_time(30)
    grow(stage)
    stage.cloud.control.reconcile()
    row = at(stage)
    stage.cloud.network.host.lose_power()
    sent = len(plans(stage))
    stage.cloud.heartbeat()  # between the command and its report
    while stage.cloud.bus.waiting:
        message = stage.cloud.bus.waiting.popleft()
        if not isinstance(message, Command | Report | tuple):
            stage.cloud.control.status(message)
    stage.cloud.control.drain()
    after = at(stage)
    assert row and after and (after.applied, len(plans(stage))) == (row.applied, sent)


def test_a_network_nobody_knows_is_named_and_left_alone(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.server()
    stranger = UUID(int=99)
    plan = plans(stage)[-1]
    other = NetworkPlan(type(plan.link)(stranger, "br-other"), 1)
    stage.cloud.network.ensure(other)
    stage.cloud.pass_time(5)
    assert f"host net1 provides network {stranger}, which is not ours" in caplog.text
    assert stranger in provided(stage)


# --- no network host ----------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["dead", "disabled", "forced_down"])
def test_without_a_network_host_that_may_be_used_it_says_so_and_waits(
    stage: Stage, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    mine = sa.update(Service).where(Service.role == Role.NETWORK)
    if why == "dead":
        stage.cloud.kill(Role.NETWORK, "net1")
        stage.cloud.pass_time(60)
    else:
        with stage.cloud.database.write() as session:
            session.execute(mine.values(**{why: True}))
    server = stage.boot()
    stage.cloud.pass_time(30)
    network = the_network(stage)
    assert network.gateway_host is None
    assert f"network {network.id}: no network host is up" in caplog.text
    assert stage.last_operation(server).waiting_for == f"network {network.id}"
    if why == "dead":
        stage.cloud.start_network()
    else:
        with stage.cloud.database.write() as session:
            session.execute(mine.values(**{why: False}))
    stage.cloud.settle()
    assert stage.instance(server).vm_state == "active"
    assert the_network(stage).gateway_host == "net1"


def test_of_two_who_choose_a_host_the_first_decides(stage: Stage) -> None:
    networks = stage.cloud.control.networks
    with stage.cloud.database.write() as session:
        network = session.scalars(sa.select(Network)).one()
        other = sa.update(Network).values(gateway_host="net7")
        session.execute(other.execution_options(synchronize_session=False))
        networks._choose_gateway(session, network)
        assert network.gateway_host == "net7"
        assert session.scalars(sa.select(NetworkHost)).all() == []


def test_a_flat_network_needs_no_host(stage: Stage) -> None:
    with stage.cloud.database.write() as session:
        session.execute(sa.update(Network).values(mode="flat"))
    server = stage.server()
    assert stage.instance(server).vm_state == "active"
    assert the_network(stage).gateway_host is None and not plans(stage)


# --- the end of a network -----------------------------------------------------------------------


def emptied(stage: Stage) -> UUID:
    """A network that was used and is no more; asked to be deleted."""
    server = stage.server()
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.settle()
    network = the_network(stage).id
    stage.cloud.services.networks.delete_network(stage.cloud.admin, network)
    return network


def rows(stage: Stage) -> int:
    with stage.cloud.database.read() as session:
        return sum(
            session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (Network, Subnet, NetworkHost)
        )


def test_a_deleted_network_is_withdrawn_and_then_forgotten(stage: Stage) -> None:
    network = emptied(stage)
    assert network in provided(stage)
    stage.cloud.pass_time(5)
    assert provided(stage) == {} and rows(stage) == 0
    assert len(stage.sent("network.remove")) == 1


def test_it_is_not_forgotten_before_its_host_has_let_go_of_it(stage: Stage) -> None:
    stage.cloud.bus.faults = lose(Report, "network.remove")
    emptied(stage)
    stage.cloud.pass_time(60)
    assert rows(stage) > 0 and len(stage.sent("network.remove")) > 2
    stage.cloud.bus.faults = lambda message: [message]
    stage.cloud.pass_time(20)
    assert rows(stage) == 0


def test_a_network_that_was_never_used_is_forgotten_at_once(stage: Stage) -> None:
    network = the_network(stage).id
    stage.cloud.services.networks.delete_network(stage.cloud.admin, network)
    stage.cloud.control.reconcile()
    assert rows(stage) == 0
    stage.cloud.control.network_changed(network)  # a hint that came late
    stage.cloud.deliver()


def test_who_waits_for_a_network_that_is_deleted_is_woken(stage: Stage) -> None:
    server = stage.server()
    network = the_network(stage).id
    stage.cloud.bus.faults = lose(Report, "network.ensure")
    grow(stage)
    with stage.cloud.database.write() as session:
        session.execute(
            sa.update(Operation).values(
                status="running",
                waiting_for=f"network {network}",
                waiting_generation=99,
                wake_at=stage.cloud.clock.time + dt.timedelta(hours=1),
            )
        )
        session.execute(sa.update(Network).values(deleted=True))
    woken: list[UUID] = []
    stage.cloud.control.networks.wake = woken.extend
    stage.cloud.control.networks.reconcile(network)
    assert woken == [stage.last_operation(server).id]


def test_another_network_is_not_held_up_by_one_whose_host_is_broken(
    stage: Stage,
) -> None:
    stage.cloud.bus.faults = lambda m: (
        [] if isinstance(m, Command) and m.role is Role.NETWORK and m.operation_id == first else [m]
    )
    first = the_network(stage).id
    admin, networks = stage.cloud.admin, stage.cloud.services.networks
    second = networks.create_networks(admin, [NewNetwork(name="second")])[0].id
    held = stage.boot(networks=[NetworkRequest(first)])
    free = stage.boot(networks=[NetworkRequest(second)])
    stage.cloud.pass_time(10)
    assert stage.last_operation(held).step == "wire"
    assert stage.instance(free).vm_state == "active"
