"""What a server's guest uses, how its processors are laid out, and its password."""

from __future__ import annotations

from typing import Any

from nova_lite.api.compute.common import uuid_of
from nova_lite.api.declare import Request, Resource
from nova_lite.domain.states import PowerState

Json = dict[str, Any]
diagnostics = Resource("/v2.1/servers/{id}/diagnostics")
topology = Resource("/v2.1/servers/{id}/topology")
password = Resource("/v2.1/servers/{id}/os-server-password")
POLICY = "os_compute_api:os-server-diagnostics"

#: The drivers that clients of this API know; any other is like this one.
DRIVERS = ("libvirt", "xenapi", "vmwareapi", "ironic", "hyperv")
STATES = {PowerState.NOSTATE: "pending"}  # others are called as we call them


@diagnostics.on("GET", policy=POLICY, until=(2, 47))
def flat(request: Request, id: str) -> Json:
    """Numbers by the names of devices."""
    _, said = request.services.guests.diagnostics(request.context, uuid_of("Instance", id))
    shown = {f"cpu{i}_time": time for i, time in enumerate(said["cpu_nanoseconds"])}
    for i, disk in enumerate(said["disks"]):
        device = f"vd{chr(ord('a') + i)}"
        shown |= {
            f"{device}_read": disk["read_bytes"],
            f"{device}_read_req": disk["read_requests"],
            f"{device}_write": disk["write_bytes"],
            f"{device}_write_req": disk["write_requests"],
            f"{device}_errors": disk["errors"],
        }
    for i, nic in enumerate(said["nics"]):
        shown |= {
            f"vnet{i}_{way}{name}": nic[f"{way}_{counted}"]
            for way in ("rx", "tx")
            for name, counted in (
                ("", "octets"),
                ("_packets", "packets"),
                ("_errors", "errors"),
                ("_drop", "drop"),
            )
        }
    memory = {"memory": said["memory_mb"] * 1024, "memory-actual": said["memory_mb"] * 1024}
    return {**shown, **memory}


@diagnostics.on("GET", policy=POLICY, since=(2, 48))
def show(request: Request, id: str) -> Json:
    """The same of every hypervisor."""
    instance, said = request.services.guests.diagnostics(request.context, uuid_of("Instance", id))
    state = PowerState(said["power_state"])
    return {
        "state": STATES.get(state, state.value),
        "driver": said["driver"] if said["driver"] in DRIVERS else DRIVERS[0],
        "hypervisor": said["hypervisor"],
        "hypervisor_os": "linux",
        "uptime": said["uptime_seconds"],
        "config_drive": instance.config_drive,
        "num_cpus": len(said["cpu_nanoseconds"]),
        "num_nics": len(said["nics"]),
        "num_disks": len(said["disks"]),
        "memory_details": {"maximum": said["memory_mb"], "used": said["memory_used_mb"]},
        "cpu_details": [
            {"id": i, "time": time, "utilisation": None}
            for i, time in enumerate(said["cpu_nanoseconds"])
        ],
        "nic_details": [
            {
                "mac_address": nic["mac"],
                **{
                    f"{way}_{name}": nic[f"{way}_{name}"]
                    for way in ("rx", "tx")
                    for name in ("octets", "errors", "drop", "packets")
                },
                "rx_rate": None,
                "tx_rate": None,
            }
            for nic in said["nics"]
        ],
        "disk_details": [
            {
                **{name: disk[name] for name in disk if name != "errors"},
                "errors_count": max(disk["errors"], 0),
            }
            for disk in said["disks"]
        ],
    }


@topology.on("GET", policy="compute:server:topology:index", since=(2, 78))
def nodes(request: Request, id: str) -> Json:
    """None: processors and memory of a guest are in no NUMA nodes of their own."""
    request.services.instances.get(request.context, uuid_of("Instance", id))
    return {"nodes": [], "pagesize_kb": None}


@password.on("GET", policy="os_compute_api:os-server-password:show")
def show_password(request: Request, id: str) -> Json:
    """As the guest encrypted it for its key; empty until it has."""
    instance = request.services.instances.get(request.context, uuid_of("Instance", id))
    return {"password": instance.password or ""}


@password.on("DELETE", policy="os_compute_api:os-server-password:clear", status=204)
def forget_password(request: Request, id: str) -> None:
    request.services.guests.forget_password(request.context, uuid_of("Instance", id))
