"""What a running guest uses: from libvirt's flat list of counters to our words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from nova_lite.domain.specs import Diagnostics, DiskUse, NicUse
from nova_lite.domain.states import PowerState

STATS = (
    libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
)
Stats = Mapping[str, Any]

#: Our word and libvirt's.
DISK = {
    "read_bytes": "rd.bytes",
    "read_requests": "rd.reqs",
    "write_bytes": "wr.bytes",
    "write_requests": "wr.reqs",
}
NIC = {
    "rx_octets": "rx.bytes",
    "rx_packets": "rx.pkts",
    "rx_errors": "rx.errs",
    "rx_drop": "rx.drop",
    "tx_octets": "tx.bytes",
    "tx_packets": "tx.pkts",
    "tx_errors": "tx.errs",
    "tx_drop": "tx.drop",
}


def diagnostics(xml: str, stats: Stats, power_state: PowerState, now: float) -> Diagnostics:
    """From the definition of a running guest and its STATS.  `now` in seconds since 1970.

    Of what libvirt does not count, nothing has been used.
    """
    domain = ET.fromstring(xml)
    memory = int(domain.findtext("memory", "0"))  # KiB, as all of libvirt's answers
    disks = {stats.get(f"block.{i}.name"): i for i in range(stats.get("block.count", 0))}
    nics = {stats.get(f"net.{i}.name"): i for i in range(stats.get("net.count", 0))}
    return Diagnostics(
        power_state=power_state,
        driver="libvirt",
        hypervisor=domain.get("type", ""),
        uptime_seconds=_uptime(domain, now),
        memory_mb=memory // 1024,
        memory_used_mb=stats.get("balloon.current", memory) // 1024,
        cpu_nanoseconds=tuple(
            stats.get(f"vcpu.{i}.time", 0) for i in range(int(domain.findtext("vcpu", "1")))
        ),
        disks=tuple(
            DiskUse(**_counted(stats, f"block.{disks.get(_target(disk))}", DISK))
            for disk in domain.iterfind("devices/disk")
        ),
        nics=tuple(
            NicUse(_mac(nic), **_counted(stats, f"net.{nics.get(_target(nic))}", NIC))
            for nic in domain.iterfind("devices/interface")
        ),
    )


def _counted(stats: Stats, prefix: str, words: Mapping[str, str]) -> dict[str, int]:
    return {word: stats.get(f"{prefix}.{theirs}", 0) for word, theirs in words.items()}


def _target(device: ET.Element) -> str | None:
    target = device.find("target")
    return None if target is None else target.get("dev")


def _mac(interface: ET.Element) -> str:
    mac = interface.find("mac")
    return "" if mac is None else mac.get("address", "")


def _uptime(domain: ET.Element, now: float) -> int:
    """Seconds since QEMU started: libvirt does not say, but the agent's socket is as old."""
    sockets = [source.get("path", "") for source in domain.iterfind("devices/channel/source")]
    try:
        return max([0, *(int(now - Path(socket).stat().st_mtime) for socket in sockets if socket)])
    except OSError:
        return 0  # it lies where we cannot see it
