"""A compute worker says what its host has, less what is the host's own, and who is on it."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from uuid import uuid4

import pytest

from nova_lite.compute.status import compute_status, uptime
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
    assert status.uptime
    assert re.fullmatch(r" \d\d:\d\d:\d\d up .+,  \d+ users?,  load average: .+", status.uptime)


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


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (59, "0 min"),
        (3599, "59 min"),
        (3600, " 1:00"),
        (86399, "23:59"),
        (86400, "1 day, 0 min"),
        (86400 * 27 + 3600 * 22 + 60 * 28, "27 days, 22:28"),
    ],
)
def test_how_long_a_host_has_been_up_is_said_as_by_uptime(
    tmp_path: Path, seconds: int, said: str
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text(f"{seconds}.51 1000.00\n")
    (tmp_path / "proc/loadavg").write_text("0.26 0.22 1.18 2/813 4711\n")
    now = dt.time(14, 1, 10)
    load = "load average: 0.26, 0.22, 1.18"
    assert uptime(now, tmp_path) == f" 14:01:10 up {said},  0 users,  {load}"
    sessions = tmp_path / "run/systemd/sessions"
    sessions.mkdir(parents=True)
    (sessions / "1").touch()
    (sessions / "1.ref").touch()
    assert ",  1 user,  " in uptime(now, tmp_path)
    (sessions / "c2").touch()
    assert ",  2 users,  " in uptime(now, tmp_path)
