"""What a compute worker makes of a command: the guest as described, on its networks."""

from __future__ import annotations

import base64
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.compute.verbs import ComputeVerbs
from nova_lite.domain.errors import GuestNotFound, HypervisorError, NetworkError
from nova_lite.domain.specs import Disk, GuestSpec, Link, Nic, to_json
from nova_lite.domain.states import PowerState
from nova_lite.network.fake import FakeNetwork
from nova_lite.virt.fake import FakeDriver, FakeGuest, Machine


class Host:
    def __init__(self) -> None:
        self.machine, self.network = Machine(), FakeNetwork()
        self.worker = ComputeVerbs(FakeDriver(self.machine), self.network)
        self.id = uuid4()
        link = Link(uuid4(), "br100")
        self.spec = GuestSpec(
            id=self.id,
            name="instance-00000001",
            display_name="one",
            project_id="p",
            vcpus=1,
            memory_mb=512,
            disks=(Disk("vda", 1),),
            nics=(Nic(uuid4(), "fa:16:3e:00:00:01", link, ("10.0.0.2",)),),
        )

    def tell(self, verb: str, sequence: int = 1, **args: Any) -> Any:
        described = {"id": str(self.id), "spec": to_json(self.spec), "grace": 60}
        return self.worker.verbs()[verb]({**described, **args}, sequence)

    @property
    def guest(self) -> FakeGuest:
        return self.machine.guests[self.id]


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_guest_is_made_wired_and_started(host: Host) -> None:
    assert host.tell("guest.run", 7) == {"power_state": "running"}
    assert (host.guest.power_state, host.guest.boots) == ("running", 1)
    assert host.guest.sequence == 7  # how far it got is kept with the guest itself
    assert list(host.network.host.bridges) == ["br100"]


def test_said_twice_is_said_once(host: Host) -> None:
    host.tell("guest.run")
    host.tell("guest.run")
    assert (host.guest.power_state, host.guest.boots) == ("running", 1)
    for verb in ("guest.stop", "guest.remove"):
        assert host.tell(verb) == host.tell(verb)
    assert not host.machine.guests


def test_without_its_network_a_guest_is_not_made(host: Host) -> None:
    host.network.host.broken["connect"] = NetworkError("no such interface")
    with pytest.raises(NetworkError):
        host.tell("guest.run")
    assert not host.machine.guests


def test_a_guest_is_stopped_with_the_grace_it_was_given(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.tell("guest.run")
    graces: list[float] = []
    power = FakeDriver.power

    def watched(self: FakeDriver, guest: UUID, target: PowerState, *, grace: float = 0) -> None:
        graces.append(grace)
        power(self, guest, target, grace=grace)

    monkeypatch.setattr(FakeDriver, "power", watched)
    assert host.tell("guest.stop", grace=45) == {"power_state": "shutdown"}
    assert host.guest.power_state == "shutdown"
    host.tell("guest.reboot", hard=False, grace=30)
    host.tell("guest.reboot", hard=True, grace=30)
    assert graces == [45, 30, 0, 0, 0]
    assert (host.guest.power_state, host.guest.boots) == ("running", 3)


def test_a_guest_that_is_not_there_is_stopped_by_defining_it(host: Host) -> None:
    assert host.tell("guest.stop") == {"power_state": "shutdown"}
    assert host.guest.power_state == "shutdown" and host.guest.boots == 0


def test_a_reboot_brings_back_what_was_lost(host: Host) -> None:
    assert host.tell("guest.reboot", 3, hard=False) == {"power_state": "running"}
    assert (host.guest.boots, host.guest.sequence) == (1, 3)


def test_what_the_hypervisor_refuses_is_said_in_its_words(host: Host) -> None:
    host.machine.broken["ensure"] = HypervisorError("no KVM")
    with pytest.raises(HypervisorError, match="no KVM"):
        host.tell("guest.run")


def test_a_description_that_is_none_is_refused_before_anything_is_done(host: Host) -> None:
    poisons: tuple[object, ...] = ({}, {"id": "x"}, [], None)
    for poison in poisons:
        with pytest.raises((TypeError, ValueError)):
            host.tell("guest.run", spec=poison)
    assert not host.machine.guests and not host.network.host.bridges


def test_the_console_log_is_its_end_as_base64(host: Host) -> None:
    host.tell("guest.run")
    ask = host.worker.questions()["console.log"]
    answer = ask({"id": str(host.id), "max_bytes": 10})
    assert base64.b64decode(answer["log"]) == FakeDriver(host.machine).console_log(host.id)[-10:]
    with pytest.raises(GuestNotFound):
        ask({"id": str(uuid4()), "max_bytes": 10})
