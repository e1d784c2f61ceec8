"""What a compute worker says of its host every few seconds."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from nova_lite.bus.messages import HostStatus
from nova_lite.domain.specs import Role, to_json
from nova_lite.virt.driver import VirtDriver


def compute_status(
    host: str,
    virt: VirtDriver,
    *,
    zone: str,
    address: str,
    started: bool,
    reserved_memory_mb: int,
    reserved_disk_gb: int,
) -> HostStatus:
    capacity = to_json(virt.capacity())
    capacity["memory_mb"] = max(capacity["memory_mb"] - reserved_memory_mb, 0)
    capacity["disk_gb"] = max(capacity["disk_gb"] - reserved_disk_gb, 0)
    return HostStatus(
        role=Role.COMPUTE,
        host=host,
        started=started,
        zone=zone,
        address=address,
        capacity=capacity,
        guests={str(id): str(guest.power_state) for id, guest in virt.guests().items()},
        uptime=uptime(dt.datetime.now(dt.UTC).time()),
    )


def uptime(now: dt.time, root: Path = Path("/")) -> str:
    """How long this machine has been up and how busy it is, as uptime(1) says it; time is UTC."""
    proc = root / "proc"
    minutes = int(float((proc / "uptime").read_text().split()[0])) // 60
    days, (hours, minutes) = minutes // 1440, divmod(minutes % 1440, 60)
    since = f"{hours:2}:{minutes:02}" if hours else f"{minutes} min"
    if days:
        since = f"{days} day{'s' if days > 1 else ''}, {since}"
    sessions = [each for each in (root / "run/systemd/sessions").glob("*") if not each.suffix]
    users = f"{len(sessions)} user{'' if len(sessions) == 1 else 's'}"
    load = ", ".join((proc / "loadavg").read_text().split()[:3])
    return f" {now:%H:%M:%S} up {since},  {users},  load average: {load}"
