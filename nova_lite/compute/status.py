"""What a compute worker says of its host every few seconds."""

from __future__ import annotations

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
    )
