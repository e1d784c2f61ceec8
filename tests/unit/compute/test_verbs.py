"""What a compute worker makes of a command: the guest as described, on its networks."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.compute.verbs import ComputeVerbs
from nova_lite.domain.errors import GuestNotFound, HypervisorError, NetworkError
from nova_lite.domain.specs import (
    Diagnostics,
    Disk,
    FilterRule,
    GuestSpec,
    ImageSource,
    Link,
    Nic,
    from_json,
    to_json,
)
from nova_lite.domain.states import PowerState
from nova_lite.network.fake import FakeNetwork
from nova_lite.virt.fake import FakeDriver, FakeGuest, Machine

SSH = FilterRule("ingress", "IPv4", "tcp", 22, 22)


class Host:
    def __init__(self) -> None:
        self.machine, self.network = Machine(), FakeNetwork()
        self.sent: list[tuple[str, bytes]] = []
        self.worker = ComputeVerbs(FakeDriver(self.machine), self.network, self.send)
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
            nics=(Nic(uuid4(), "fa:16:3e:00:00:01", link, ("10.0.0.2",), "tap0", (SSH,)),),
            filters=3,
        )

    def send(self, url: str, path: Path) -> None:
        self.sent.append((url, path.read_bytes()))

    def ask(self, question: str, **args: Any) -> Any:
        return self.worker.questions()[question]({"id": str(self.id), **args})

    def tell(self, verb: str, sequence: int = 1, **args: Any) -> Any:
        described = {"id": str(self.id), "spec": to_json(self.spec), "grace": 60}
        return self.worker.verbs()[verb]({**described, **args}, sequence)

    @property
    def filtered(self) -> list[str]:
        return list(self.network.protected().get(self.id, ()))

    @property
    def guest(self) -> FakeGuest:
        return self.machine.guests[self.id]


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_guest_is_made_wired_and_started(host: Host) -> None:
    assert host.tell("guest.run", 7) == {"power_state": "running", "filters": 3}
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
    answer = host.tell("guest.reboot", 3, hard=False)
    assert answer == {"power_state": "running", "filters": 3}
    assert (host.guest.boots, host.guest.sequence) == (1, 3)


def test_a_guest_rests_and_goes_on_however_often_it_is_told(host: Host) -> None:
    host.tell("guest.run")
    for verb, state in (
        ("guest.pause", "paused"),
        ("guest.suspend", "suspended"),
        ("guest.run", "running"),
        ("guest.suspend", "suspended"),
        ("guest.stop", "shutdown"),
    ):
        for _ in "twice":
            assert host.tell(verb)["power_state"] == state
            assert host.guest.power_state == state
    assert host.guest.boots == 1


def test_a_guest_can_be_made_without_being_started(host: Host) -> None:
    for sequence in (3, 3, 4):
        host.tell("guest.define", sequence)
        assert (host.guest.power_state, host.guest.sequence) == ("shutdown", sequence)
    assert list(host.network.host.bridges) == ["br100"]


def test_a_guest_gets_the_nics_it_is_told_on_networks_that_are_there(host: Host) -> None:
    host.tell("guest.run")
    another = Nic(uuid4(), "fa:16:3e:00:00:02", Link(uuid4(), "br200"))
    for nics in ((*host.spec.nics, another), (another,), ()):
        host.spec = replace(host.spec, nics=nics)
        for _ in "twice":
            host.tell("guest.plug", 5)
            assert host.guest.macs == tuple(nic.mac for nic in nics)
    assert host.guest.power_state == "running" and host.guest.sequence == 5
    assert "br200" in host.network.host.bridges


def test_a_guest_is_filtered_before_it_runs_and_forgotten_after_it_is_gone(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []

    def watched(name: str) -> None:
        done = getattr(FakeDriver, name)

        def watch(self: FakeDriver, *args: Any, **how: Any) -> Any:
            seen.append((name, host.filtered == ["tap0"]))
            return done(self, *args, **how)

        monkeypatch.setattr(FakeDriver, name, watch)

    for name in ("ensure", "power", "remove"):
        watched(name)
    host.tell("guest.run")
    host.tell("guest.remove")
    assert seen == [("ensure", True), ("power", True), ("remove", True)]
    assert host.filtered == []
    host.tell("guest.define")
    assert host.tell("guest.remove_idle") == {"power_state": None}
    assert host.filtered == []


def test_without_its_filters_a_guest_is_not_made(host: Host) -> None:
    host.network.host.broken["protect"] = NetworkError("no nft")
    with pytest.raises(NetworkError):
        host.tell("guest.run")
    assert not host.machine.guests


def test_a_nic_is_filtered_until_the_guest_has_let_go_of_it(host: Host) -> None:
    host.tell("guest.run")
    (nic,) = host.spec.nics
    another = replace(nic, port_id=uuid4(), mac="fa:16:3e:00:00:02", tap="tap1")
    host.spec = replace(host.spec, nics=(another,))
    host.machine.broken["plug"] = HypervisorError("it does not let go of its NIC")
    with pytest.raises(HypervisorError):
        host.tell("guest.plug")
    assert host.filtered == ["tap0", "tap1"]
    assert host.tell("guest.plug") == {"filters": 3}
    assert host.filtered == ["tap1"]


def test_new_rules_are_in_force_without_touching_the_guest(host: Host) -> None:
    host.tell("guest.run", 1)
    (nic,) = host.spec.nics
    for rules in ((), (SSH, replace(SSH, port_max=23))):
        told = host.tell(
            "guest.protect", 2, nics=[to_json(replace(nic, rules=rules))], filters=4, spec=None
        )
        assert told == {"filters": 4}
        assert host.network.host.filters[host.id]["tap0"].rules == rules
    assert (host.guest.boots, host.guest.sequence) == (1, 1)


def test_a_snapshot_is_sent_to_where_it_belongs_and_told_what_it_is(host: Host) -> None:
    host.tell("guest.run")
    for _ in "twice":
        assert host.tell("guest.snapshot", url="http://api/image?sig=x") == {}
    [(url, content)] = set(host.sent)
    assert url == "http://api/image?sig=x&disk_format=raw"
    assert str(host.id).encode() in content


def test_a_snapshot_that_nobody_takes_is_a_failure_and_leaves_nothing(host: Host) -> None:
    host.tell("guest.run")
    left: list[Path] = []

    def refuse(url: str, path: Path) -> None:
        left.append(path)
        raise HypervisorError("the image service answered 403 to a snapshot")

    host.worker.send = refuse
    with pytest.raises(HypervisorError, match="403"):
        host.tell("guest.snapshot", url="http://api/image?sig=x")
    assert left and not left[0].exists()


def test_a_guest_migrates_to_where_it_is_expected(host: Host) -> None:
    there = Host()
    host.machine.peers = {"there": there.machine}
    host.tell("guest.run")
    there.tell("guest.define", 2, id=str(host.id), spec=to_json(host.spec))
    for _ in "twice":
        assert host.tell("guest.migrate", to="there") == {}
        assert there.machine.guests[host.id].power_state == "running"
    assert not host.machine.guests


def test_a_look_tells_how_a_guest_is_or_that_there_is_none(host: Host) -> None:
    assert host.tell("guest.look") == {"power_state": None}
    host.tell("guest.run")
    assert host.tell("guest.look") == {"power_state": "running"}


def test_a_guest_that_is_not_there_cannot_rest(host: Host) -> None:
    for verb in ("guest.pause", "guest.suspend", "guest.snapshot"):
        with pytest.raises(GuestNotFound):
            host.tell(verb, url="http://api/image?sig=x")


def test_what_a_guest_uses_is_told_in_plain_values(host: Host) -> None:
    host.tell("guest.run")
    told = json.loads(json.dumps(host.ask("guest.diagnostics")))
    assert from_json(Diagnostics, told) == FakeDriver(host.machine).diagnostics(host.id)
    assert told["nics"][0]["mac"] == "fa:16:3e:00:00:01"


def test_a_guest_is_given_a_password_and_an_interrupt(host: Host) -> None:
    host.tell("guest.run")
    assert host.ask("guest.set_password", user="root", password="x") == {}
    assert host.ask("guest.interrupt") == {}
    assert (host.guest.password, host.guest.interrupts) == ("root:x", 1)


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


def test_an_image_is_fetched_before_a_guest_needs_it(host: Host) -> None:
    image = ImageSource(uuid4(), "http://api/image", "qcow2", 10, "sum")
    assert host.tell("image.fetch", image=to_json(image)) == {}
    assert host.machine.images == {image.id}
    host.machine.broken["fetch"] = HypervisorError("the image service answered 404")
    with pytest.raises(HypervisorError, match="404"):
        host.tell("image.fetch", image=to_json(image))
