"""What the flows do to hosts, addresses and guests, told as an operator would see it."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import Command, Report
from nova_lite.db.models import Allocation, FixedAddress, Host, Instance, Port, Subnet
from nova_lite.db.queries import hosts
from nova_lite.domain.errors import InvalidState, NotFound, RemoteFailure
from nova_lite.domain.specs import Role
from nova_lite.domain.states import PowerState
from nova_lite.operations import FLOWS
from nova_lite.operations.flow import StepContext
from nova_lite.operations.instance_create import discard
from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.services.compute.instances import NewInstance
from nova_lite.services.image.images import NewImage
from nova_lite.testing.bus import Message
from tests.unit.operations.stage import Stage, a_stage


def test_every_flow_says_truly_what_it_is() -> None:
    assert {kind: flow.kind for kind, flow in FLOWS.items()} == {kind: kind for kind in FLOWS}
    for flow in FLOWS.values():
        names = [step.name for step in flow.steps]
        assert len(names) == len(set(names)) and len(names) < 64
        assert flow.start_over_from is None or flow.start_over_from in names
        assert [flow.position(name) for name in names] == list(range(len(names)))
        assert all(len(f"undo {name}") <= 64 for name in names)


def test_a_new_server_has_its_place_its_address_and_its_guest(stage: Stage) -> None:
    server = stage.server()
    instance = stage.instance(server)
    assert (instance.vm_state, instance.power_state) == ("active", "running")
    assert instance.launched_at and instance.zone == "nova"
    assert stage.cloud.guests() == {(instance.host, server): "running"}
    with stage.cloud.database.read() as session:
        claimed = session.scalars(sa.select(Allocation)).one()
        port = session.scalars(sa.select(Port)).one()
        assert session.scalars(sa.select(FixedAddress.address)).all() == ["10.0.0.2"]
    assert (claimed.instance_id, claimed.host) == (server, instance.host)
    assert (claimed.memory_mb, claimed.vcpus, claimed.disk_gb) == (512, 1, 1)
    assert (port.device_id, port.device_owner) == (str(server), "compute:nova")


def test_the_guest_gets_all_it_needs_in_one_message(stage: Stage) -> None:
    services, admin = stage.cloud.services, stage.cloud.admin
    services.flavors.create(admin, NewFlavor("big", 1024, 2, 5, flavorid="b", ephemeral_gb=7))
    server = stage.server(flavor="b")
    spec = stage.sent("guest.run")[-1].args["spec"]
    assert (spec["id"], spec["vcpus"], spec["memory_mb"]) == (str(server), 2, 1024)
    assert [(d["target"], d["size_gb"], d["image"]) for d in spec["disks"]] == [
        ("vda", 5, None),
        ("vdb", 7, None),
    ]
    assert [nic["addresses"] for nic in spec["nics"]] == [["10.0.0.2"]]


def test_a_server_for_which_there_is_no_room_says_so_and_holds_nothing(stage: Stage) -> None:
    services, admin = stage.cloud.services, stage.cloud.admin
    services.flavors.create(admin, NewFlavor("huge", 512, 1, 100_000, flavorid="h"))
    server = stage.boot(flavor="h")
    stage.cloud.settle()
    instance = stage.instance(server)
    assert instance.vm_state == "error" and instance.power_state == "nostate"
    fault = instance.fault
    assert fault and fault["code"] == 500 and "No valid host was found" in fault["message"]
    assert "host1" not in fault["message"] and "host1" in fault["details"]
    assert not stage.cloud.leftovers()


def test_hosts_that_filled_up_since_the_picture_was_taken_are_passed_by(stage: Stage) -> None:
    with stage.cloud.database.write() as session:
        # Behind the scheduler's back: its picture is up to a second old.
        session.execute(sa.update(Host).values(memory_mb_used=Host.memory_mb))
    server = stage.boot()
    stage.cloud.deliver()
    fault = stage.instance(server).fault
    assert fault and "RamFilter (512 MB): 0" in fault["message"]


def test_a_race_for_the_last_places_that_was_lost_is_told_as_such(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "claim", lambda *_, **__: False)
    server = stage.boot()
    stage.cloud.deliver()
    fault = stage.instance(server).fault
    assert fault and fault["message"].endswith("All that were left filled up meanwhile.")


def test_a_network_without_addresses_left_fails_the_server_and_frees_its_place(
    tmp_path: Path,
) -> None:
    stage = a_stage(tmp_path, hosts=1)
    with stage.cloud.database.write() as session:
        one = [{"start": "10.0.0.2", "end": "10.0.0.2"}]
        session.execute(sa.update(Subnet).values(pools=one))
    first, second = stage.server(), stage.boot()
    stage.cloud.settle()
    instance = stage.instance(second)
    assert instance.vm_state == "error" and instance.host is None
    assert instance.fault and "No more IP addresses" in instance.fault["message"]
    assert stage.instance(first).vm_state == "active" and not stage.cloud.leftovers()
    stage.cloud.services.instances.delete(stage.cloud.admin, first)
    stage.cloud.settle()
    assert stage.instance(stage.server()).vm_state == "active"
    stage.cloud.close()


def test_a_server_is_deleted_with_all_it_had(stage: Stage) -> None:
    server = stage.server()
    with stage.cloud.database.write() as session:
        private = sa.update(Instance).values(user_data="c2VjcmV0", key_data="ssh-rsa AAAA")
        session.execute(private)
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.settle()
    instance = stage.instance(server)
    assert instance.deleted and instance.vm_state == "deleted" and instance.terminated_at
    assert (instance.user_data, instance.key_data) == (None, None)
    assert not stage.cloud.guests() and not stage.cloud.leftovers()
    with stage.cloud.database.read() as session:
        for table in (Allocation, Port, FixedAddress):
            assert session.scalars(sa.select(table)).all() == []
        used = session.execute(sa.select(Host.memory_mb_used, Host.instances)).all()
    assert {tuple(row) for row in used} == {(0, 0)}


def test_a_delete_removes_what_was_left_on_every_host_it_was_promised(stage: Stage) -> None:
    server = stage.server()
    home = stage.instance(server).host
    other = "host1" if home == "host2" else "host2"
    guest = stage.cloud.hosts[home or ""].machine.guests[server]
    stage.cloud.hosts[other].machine.keep(guest)
    with stage.cloud.database.write() as session:
        ratios = stage.cloud.control.runner.world.settings.ratios
        assert hosts.claim(session, server, other, memory_mb=512, vcpus=1, disk_gb=1, ratios=ratios)
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.settle()
    assert {command.host for command in stage.sent("guest.remove")} == {"host1", "host2"}
    assert not stage.cloud.guests() and not stage.cloud.leftovers()


def test_a_delete_goes_on_until_the_hypervisor_gives_in(stage: Stage) -> None:
    server = stage.server()
    machine = stage.cloud.hosts[stage.instance(server).host or ""].machine
    refusals = iter(range(4))

    def fault(message: Message) -> list[Message]:
        if isinstance(message, Command) and next(refusals, None) is not None:
            machine.broken["remove"] = RemoteFailure("the disk is in use")
        return [message]

    stage.cloud.bus.faults = fault
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.settle()
    assert stage.instance(server).deleted and not stage.cloud.leftovers()
    errors = [event.error for event in stage.journal(stage.last_operation(server).id)]
    assert errors == ["the disk is in use"] * 4 + [None, None]


def test_stop_start_and_reboot_do_what_they_say(stage: Stage) -> None:
    server = stage.server()
    instances, admin = stage.cloud.services.instances, stage.cloud.admin
    machine = stage.cloud.hosts[stage.instance(server).host or ""].machine

    def now() -> tuple[str, str, str, int]:
        instance, guest = stage.instance(server), machine.guests[server]
        return instance.vm_state, instance.power_state, guest.power_state, guest.boots

    instances.stop(admin, server)
    stage.cloud.settle()
    assert now() == ("stopped", "shutdown", "shutdown", 1)
    instances.start(admin, server)
    stage.cloud.settle()
    assert now() == ("active", "running", "running", 2)
    for boots, hard in ((3, True), (4, False)):
        instances.reboot(admin, server, hard=hard)
        stage.cloud.settle()
        assert now() == ("active", "running", "running", boots)
    stop, soft = stage.sent("guest.stop")[-1], stage.sent("guest.reboot")[-1]
    assert stop.args["grace"] == soft.args["grace"] == 60 and soft.args["hard"] is False


def test_a_guest_whose_definition_was_lost_is_made_again_when_it_starts(stage: Stage) -> None:
    server = stage.server()
    machine = stage.cloud.hosts[stage.instance(server).host or ""].machine
    machine.drop(server)
    stage.cloud.services.instances.stop(stage.cloud.admin, server)
    stage.cloud.settle()
    assert machine.guests[server].power_state is PowerState.SHUTDOWN
    machine.drop(server)
    stage.cloud.services.instances.start(stage.cloud.admin, server)
    stage.cloud.settle()
    assert machine.guests[server].power_state is PowerState.RUNNING


def test_a_failed_start_leaves_the_state_as_it_was_and_says_why(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.services.instances.stop(stage.cloud.admin, server)
    stage.cloud.settle()
    machine = stage.cloud.hosts[stage.instance(server).host or ""].machine
    machine.broken["power"] = RemoteFailure("no KVM today")
    stage.cloud.services.instances.start(stage.cloud.admin, server)
    stage.cloud.settle()
    instance = stage.instance(server)
    assert (instance.vm_state, instance.task_state) == ("stopped", None)
    assert instance.fault and instance.fault["message"] == "no KVM today"


def test_an_instance_that_lost_its_host_cannot_be_powered(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.services.instances.reboot(stage.cloud.admin, server, hard=True)
    with stage.cloud.database.write() as session:
        session.execute(sa.update(Instance).values(host=None))
    stage.cloud.deliver()
    operation = stage.last_operation(server)
    assert operation.error == f"Instance {server} has no host."


def test_a_second_reboot_is_refused_while_the_first_is_under_way(stage: Stage) -> None:
    server = stage.server()
    instances, admin = stage.cloud.services.instances, stage.cloud.admin
    instances.reboot(admin, server, hard=False)
    with pytest.raises(InvalidState, match="task_state rebooting"):
        instances.reboot(admin, server, hard=True)
    stage.cloud.settle()
    assert len({command.id for command in stage.sent("guest.reboot")}) == 1


def test_a_deleted_server_cannot_be_deleted_again(stage: Stage) -> None:
    server = stage.server()
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.services.instances.delete(stage.cloud.admin, server)  # while it is going
    stage.cloud.settle()
    with pytest.raises(NotFound):
        stage.cloud.services.instances.delete(stage.cloud.admin, server)


def test_an_image_is_described_to_the_worker_by_a_link(stage: Stage) -> None:
    images, admin = stage.cloud.services.images, stage.cloud.admin
    image = images.create(admin, NewImage(name="i", disk_format="raw", container_format="bare"))
    stage.cloud.services.image_data.upload(admin, image.id, io.BytesIO(bytes(4096)))
    new = NewInstance("server", "s", image.id)
    stage.cloud.services.instances.create(admin, new)
    stage.cloud.settle()
    source = stage.sent("guest.run")[-1].args["spec"]["disks"][0]["image"]
    assert source["id"] == str(image.id) and source["size"] == 4096
    assert source["disk_format"] == "raw" and "/image" in source["url"]


def test_a_worker_that_lies_about_the_power_state_is_not_believed(stage: Stage) -> None:
    server = stage.server()
    lies = iter(["levitating"])

    def fault(message: Message) -> list[Message]:
        if isinstance(message, Report) and message.verb == "guest.reboot":
            for lie in lies:
                return [dataclasses.replace(message, result={"power_state": lie})]
        return [message]

    stage.cloud.bus.faults = fault
    stage.cloud.services.instances.reboot(stage.cloud.admin, server, hard=True)
    stage.cloud.settle()
    instance = stage.instance(server)
    assert (instance.vm_state, instance.power_state) == ("active", "running")


def test_a_server_waits_for_its_network_host_and_says_so(stage: Stage) -> None:
    stage.cloud.kill(Role.NETWORK, "net1")
    stage.cloud.pass_time(60)
    server = stage.boot()
    stage.cloud.pass_time(60)
    operation = stage.last_operation(server)
    assert operation.step == "wire" and operation.waiting_for
    stage.cloud.start_missing()
    stage.cloud.settle()
    assert stage.instance(server).vm_state == "active"


def test_where_nothing_was_placed_there_is_nothing_to_discard(stage: Stage) -> None:
    server = stage.server()
    with stage.cloud.database.write() as session:
        instance = session.scalars(sa.select(Instance).where(Instance.id == server)).one()
        instance.host = None
        operation = stage.last_operation(server)
        discard(StepContext(session, operation, instance, stage.cloud.control.runner.world))
