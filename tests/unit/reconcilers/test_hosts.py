"""What hosts say of themselves becomes true, and nothing is concluded too soon."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import Command, HostStatus, Report
from nova_lite.db.models import Host, Instance, Service
from nova_lite.db.queries import hosts as claims
from nova_lite.domain.specs import Capacity, Role, to_json
from nova_lite.domain.states import DRIFT, PowerState, VmState
from nova_lite.reconcilers import hosts as reconciler
from nova_lite.reconcilers.hosts import SETTLED
from nova_lite.virt.fake import FakeGuest
from tests.unit.operations.stage import Stage

LONG = SETTLED.total_seconds() + 1
IDLE = (VmState.ACTIVE, VmState.STOPPED, VmState.PAUSED, VmState.ERROR)


def status(host: str = "host1", guests: dict[UUID, str] | None = None, **how: Any) -> HostStatus:
    how.setdefault("capacity", to_json(Capacity(8, 4096, 100)))
    seen = None if guests is None else {str(id): power for id, power in guests.items()}
    return HostStatus(Role.COMPUTE, host, guests=seen, **how)


def say(stage: Stage, status: HostStatus) -> list[Command]:
    """Have the control plane hear it; the commands that follow from it, which do not arrive."""
    before = len(stage.cloud.bus.sent)
    stage.cloud.bus.faults = lambda message: []
    stage.cloud.control.status(status)
    while stage.cloud.control.drain():
        pass
    stage.cloud.bus.faults = lambda message: [message]
    return [m for m in stage.cloud.bus.sent[before:] if isinstance(m, Command)]


def set_state(stage: Stage, server: UUID, vm: VmState, power: PowerState) -> None:
    with stage.cloud.database.write() as session:
        now = stage.cloud.clock()
        session.execute(sa.update(Instance).values(vm_state=vm, power_state=power, updated_at=now))


def states(stage: Stage, server: UUID) -> tuple[VmState, PowerState]:
    instance = stage.instance(server)
    return instance.vm_state, instance.power_state


# --- drift --------------------------------------------------------------------------------------


@pytest.mark.parametrize("power", PowerState)
@pytest.mark.parametrize("vm_state", IDLE)
def test_what_the_hypervisor_did_by_itself_becomes_true_after_a_while(
    stage: Stage, vm_state: VmState, power: PowerState
) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    set_state(stage, server, vm_state, PowerState.NOSTATE)
    say(stage, status(host, {server: power}))
    assert states(stage, server) == (vm_state, "nostate")  # left alone not long enough
    stage.cloud.clock.pass_seconds(LONG)
    say(stage, status(host, {server: power}))
    assert states(stage, server) == (DRIFT.get((vm_state, power), vm_state), power)


def test_a_guest_that_is_gone_is_at_least_not_running(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.clock.pass_seconds(LONG)
    say(stage, status(stage.instance(server).host or "", {}))
    assert states(stage, server) == ("stopped", "shutdown")


def test_what_another_host_does_not_have_says_nothing(stage: Stage) -> None:
    server = stage.server()
    other = "host1" if stage.instance(server).host == "host2" else "host2"
    stage.cloud.clock.pass_seconds(LONG)
    say(stage, status(other, {}))
    assert states(stage, server) == ("active", "running")


def test_a_host_that_has_not_looked_says_nothing(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.clock.pass_seconds(LONG)
    say(stage, status(stage.instance(server).host or "", None))
    assert states(stage, server) == ("active", "running")


def test_an_instance_that_is_held_is_let_be(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    stage.cloud.bus.faults = lambda m: [] if isinstance(m, Report) else [m]
    stage.cloud.services.instances.stop(stage.cloud.admin, server)
    stage.cloud.deliver()
    stage.cloud.clock.pass_seconds(LONG)
    say(stage, status(host, {server: "shutdown"}))
    assert states(stage, server) == ("active", "running")
    assert stage.instance(server).task_state == "powering-off"


def test_a_drift_is_told_to_the_operator_once(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    for _ in range(3):
        stage.cloud.clock.pass_seconds(LONG)
        say(stage, status(host, {server: "crashed"}))
    assert caplog.text.count(f"instance {server} on {host} is crashed: now stopped") == 1


def test_a_crashed_guest_can_be_started_again(stage: Stage) -> None:
    server = stage.server()
    machine = stage.cloud.hosts[stage.instance(server).host or ""].machine
    machine.crash_guest(server)
    stage.cloud.pass_time(40)
    assert states(stage, server) == ("stopped", "crashed")
    stage.cloud.services.instances.start(stage.cloud.admin, server)
    stage.cloud.settle()
    assert states(stage, server) == ("active", "running")


def test_a_host_that_lost_its_power_comes_back_with_its_servers_off(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    stage.cloud.kill(Role.COMPUTE, host)
    stage.cloud.hosts[host].machine.lose_power()
    stage.cloud.pass_time(60)
    assert states(stage, server) == ("active", "running")  # nobody has said otherwise
    stage.cloud.start_compute(host)
    stage.cloud.pass_time(10)
    assert states(stage, server) == ("stopped", "shutdown")
    assert not stage.sent("guest.remove")


# --- orphans ------------------------------------------------------------------------------------


def a_guest(id: UUID) -> FakeGuest:
    return FakeGuest(id, "g", "g", "p", 1, 64, power_state=PowerState.RUNNING)


def test_a_guest_we_never_had_a_row_for_is_somebody_elses(stage: Stage) -> None:
    assert say(stage, status("host1", {uuid4(): "running"})) == []
    stranger = uuid4()
    stage.cloud.hosts["host1"].machine.keep(a_guest(stranger))
    stage.cloud.pass_time(60)
    assert ("host1", stranger) in stage.cloud.guests()


def test_a_guest_that_has_its_place_is_never_removed(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    for vm_state in IDLE:
        set_state(stage, server, vm_state, PowerState.RUNNING)
        stage.cloud.clock.pass_seconds(LONG)
        for power in PowerState:
            assert say(stage, status(host, {server: power}, started=True)) == []


def test_a_guest_that_was_deleted_is_removed_where_it_is_left(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    guest = stage.cloud.hosts[host].machine.guests[server]
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.settle()
    stage.cloud.hosts[host].machine.keep(guest)
    sequence = stage.instance(server).sequence
    stage.cloud.pass_time(10)
    assert not stage.cloud.guests()
    assert stage.sent("guest.remove")[-1].sequence == sequence + 1
    assert f"instance {server} should not be like that on {host}: guest.remove" in caplog.text


def test_a_guest_is_removed_from_a_host_that_is_not_its_own(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    other = "host1" if host == "host2" else "host2"
    stage.cloud.hosts[other].machine.keep(a_guest(server))
    stage.cloud.pass_time(10)
    assert list(stage.cloud.guests()) == [(host, server)]
    assert stage.instance(server).vm_state == "active"


def test_a_guest_with_a_place_on_two_hosts_is_left_on_both(stage: Stage) -> None:
    server = stage.server()
    other = "host1" if stage.instance(server).host == "host2" else "host2"
    ratios = stage.cloud.control.runner.world.settings.ratios
    with stage.cloud.database.write() as session:
        assert claims.claim(session, server, other, memory_mb=1, vcpus=1, disk_gb=1, ratios=ratios)
    assert say(stage, status(other, {server: "running"})) == []


def test_the_guest_of_an_instance_that_is_held_is_its_operations_affair(stage: Stage) -> None:
    """It may be about to claim this very host; and only it counts up the sequence."""
    server = stage.server()
    host = stage.instance(server).host or ""
    other = "host1" if host == "host2" else "host2"
    stage.cloud.bus.faults = lambda m: [] if isinstance(m, Report) else [m]
    stage.cloud.services.instances.stop(stage.cloud.admin, server)
    stage.cloud.deliver()
    sequence = stage.instance(server).sequence
    assert say(stage, status(other, {server: "running"})) == []
    assert stage.instance(server).sequence == sequence
    stage.cloud.settle()
    assert [c.verb for c in say(stage, status(other, {server: "running"}))] == ["guest.remove"]


def test_nothing_is_done_about_what_somebody_takes_up_between_look_and_deed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    other = "host1" if host == "host2" else "host2"
    stage.cloud.clock.pass_seconds(LONG)
    monkeypatch.setattr(reconciler, "rows_changed", lambda *_: 0)
    assert say(stage, status(other, {server: "running"})) == []
    assert say(stage, status(host, {server: "crashed"})) == []
    assert "its guest is removed" not in caplog.text and "crashed" not in caplog.text


def test_each_removal_is_a_new_command(stage: Stage) -> None:
    server = stage.server()
    other = "host1" if stage.instance(server).host == "host2" else "host2"
    first, second = (say(stage, status(other, {server: "running"}))[0] for _ in range(2))
    assert first.id != second.id and second.sequence == first.sequence + 1


def test_a_host_that_returns_after_a_delete_is_cleaned_and_stays_clean(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    stage.cloud.kill(Role.COMPUTE, host)
    stage.cloud.pass_time(60)
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.settle()
    assert stage.instance(server).deleted and (host, server) in stage.cloud.guests()
    stage.cloud.start_compute(host)
    stage.cloud.pass_time(30)
    assert not stage.cloud.guests() and not stage.cloud.leftovers()


def test_a_host_that_died_while_it_built_a_server_is_cleaned_when_it_returns(
    stage: Stage,
) -> None:
    """The server runs elsewhere by then, and does not notice."""
    dead: list[str] = []

    def fault(message: object) -> list[Any]:
        if isinstance(message, Command) and message.verb == "guest.run" and not dead:
            dead.append(message.host)
            worker = stage.cloud.bus.workers[Role.COMPUTE, message.host]
            worker.verbs[message.verb](message.args, message.sequence)
            stage.cloud.kill(Role.COMPUTE, message.host)
        return [message]

    stage.cloud.bus.faults = fault
    server = stage.boot()
    stage.cloud.settle()
    instance = stage.instance(server)
    assert instance.vm_state == "active" and instance.host != dead[0]
    assert len(stage.cloud.guests()) == 2
    stage.cloud.start_missing()
    stage.cloud.pass_time(30)
    assert list(stage.cloud.guests()) == [(instance.host, server)]


# --- who is there -------------------------------------------------------------------------------


def test_a_new_host_is_registered_with_what_it_has(stage: Stage) -> None:
    capacity = Capacity(16, 8192, 500, "QEMU", 7002000, {"model": "EPYC"})
    say(stage, status("host9", {}, capacity=to_json(capacity), zone="attic", address="10.9.9.9"))
    with stage.cloud.database.read() as session:
        host = session.scalars(sa.select(Host).where(Host.name == "host9")).one()
        service = session.scalars(sa.select(Service).where(Service.host == "host9")).one()
    assert (host.vcpus, host.memory_mb, host.disk_gb) == (16, 8192, 500)
    assert (host.hypervisor_type, host.hypervisor_version) == ("QEMU", 7002000)
    assert host.cpu_info == {"model": "EPYC"}
    assert (host.zone, host.address) == ("attic", "10.9.9.9")
    assert (service.role, service.zone, service.disabled) == (Role.COMPUTE, "attic", False)


def test_what_a_host_has_may_change_and_what_is_claimed_stays(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    say(stage, status(host, {server: "running"}, capacity=to_json(Capacity(2, 1024, 20))))
    with stage.cloud.database.read() as session:
        row = session.scalars(sa.select(Host).where(Host.name == host)).one()
    assert (row.vcpus, row.memory_mb, row.memory_mb_used, row.instances) == (2, 1024, 512, 1)


def test_a_host_that_does_not_say_what_it_has_is_seen_all_the_same(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    stage.cloud.clock.pass_seconds(LONG)
    say(stage, status(host, {server: "shutdown"}, capacity={}))
    assert states(stage, server) == ("stopped", "shutdown")
    with stage.cloud.database.read() as session:
        assert session.scalar(sa.select(Host.vcpus).where(Host.name == host)) == 64


def test_a_host_is_seen_whenever_it_speaks(stage: Stage) -> None:
    for seconds in (10, 20):
        stage.cloud.clock.pass_seconds(seconds)
        say(stage, status("host1", {}))
        with stage.cloud.database.read() as session:
            mine = sa.select(Service.last_seen_at).where(Service.host == "host1")
            seen = session.scalars(mine).one()
        assert stage.cloud.clock.time - seen < dt.timedelta(seconds=1)


@pytest.mark.parametrize(
    "poison",
    [
        status("host1", capacity={"vcpus": "many"}),
        dataclasses.replace(status("host1"), guests={"not a uuid": "running"}),
        dataclasses.replace(status("host1"), guests={str(uuid4()): "levitating"}),
        HostStatus(Role.NETWORK, "net1", networks={"no network": 1}),
    ],
    ids=["capacity", "guest", "power state", "network"],
)
def test_a_status_that_makes_no_sense_changes_nothing_and_stops_nobody(
    stage: Stage, poison: HostStatus, caplog: pytest.LogCaptureFixture
) -> None:
    server = stage.server()
    stage.cloud.clock.pass_seconds(LONG)
    assert say(stage, poison) == []
    if poison.networks is None:
        assert "status failed" in caplog.text
    assert states(stage, server) == ("active", "running")
    assert stage.instance(stage.server()).vm_state == "active"


# --- a worker that starts again -----------------------------------------------------------------


def test_what_a_worker_was_asked_is_asked_again_when_it_starts(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    stage.cloud.bus.faults = lambda m: [] if isinstance(m, Command) else [m]
    stage.cloud.services.instances.reboot(stage.cloud.admin, server, hard=True)
    stage.cloud.deliver()
    stage.cloud.bus.faults = lambda message: [message]
    before = stage.cloud.clock.time
    stage.cloud.kill(Role.COMPUTE, host)
    stage.cloud.start_compute(host)
    stage.cloud.deliver()
    assert stage.instance(server).task_state is None
    assert (stage.cloud.clock.time - before).total_seconds() < 1
    assert len({command.id for command in stage.sent("guest.reboot")}) == 1


def test_an_ordinary_heartbeat_asks_nothing_again(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host or ""
    stage.cloud.bus.faults = lambda m: [] if isinstance(m, Command) else [m]
    stage.cloud.services.instances.reboot(stage.cloud.admin, server, hard=True)
    stage.cloud.deliver()
    assert say(stage, status(host, {server: "running"})) == []
    other = "host1" if host == "host2" else "host2"
    assert say(stage, status(other, {}, started=True)) == []
    assert len(say(stage, status(host, {server: "running"}, started=True))) == 1
