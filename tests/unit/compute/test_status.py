"""A compute worker says what its host has, less what is the host's own, and who is on it."""

from __future__ import annotations

from uuid import uuid4

from nova_lite.compute.status import compute_status
from nova_lite.domain.specs import Capacity, Role
from nova_lite.domain.states import PowerState
from nova_lite.virt.fake import FakeDriver, FakeGuest, Machine


def test_it_says_all_there_is_to_know() -> None:
    machine = Machine(Capacity(vcpus=8, memory_mb=4096, disk_gb=100, cpu_info={"model": "EPYC"}))
    guest = FakeGuest(uuid4(), "i", "i", "p", 1, 64, power_state=PowerState.RUNNING)
    machine.keep(guest)
    status = compute_status(
        "host1",
        FakeDriver(machine),
        zone="attic",
        address="10.9.9.9",
        started=True,
        reserved_memory_mb=512,
        reserved_disk_gb=10,
    )
    assert (status.role, status.host, status.started) == (Role.COMPUTE, "host1", True)
    assert (status.zone, status.address) == ("attic", "10.9.9.9")
    assert (status.capacity["memory_mb"], status.capacity["disk_gb"]) == (3584, 90)
    assert (status.capacity["vcpus"], status.capacity["cpu_info"]) == (8, {"model": "EPYC"})
    assert status.guests == {str(guest.id): "running"} and status.networks is None


def test_a_host_that_keeps_more_than_it_has_has_nothing_to_give() -> None:
    status = compute_status(
        "host1",
        FakeDriver(Machine(Capacity(vcpus=1, memory_mb=256, disk_gb=5))),
        zone="nova",
        address="127.0.0.1",
        started=False,
        reserved_memory_mb=512,
        reserved_disk_gb=10,
    )
    assert (status.capacity["memory_mb"], status.capacity["disk_gb"]) == (0, 0)
    assert status.guests == {}
