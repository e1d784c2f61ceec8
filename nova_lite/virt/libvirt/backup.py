"""A copy of a disk that a guest is using, as it is at one moment.

QEMU makes it itself, by a backup job: before the guest overwrites a block that
was not copied yet, the old one is copied first.  So the guest is not stopped,
not even for a moment, and what comes out is what a power failure would leave.
The job belongs to the guest, not to the worker that began it: whoever comes
after a worker that died abandons it and begins anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from nova_lite.domain.errors import HypervisorError
from nova_lite.virt.libvirt import power
from nova_lite.virt.libvirt.power import Clock

POLL = 0.1  # seconds
GOING_OFF_POLLS = 20  # until a guest whose QEMU does not answer is seen to be off
ENDED = frozenset(
    {
        libvirt.VIR_DOMAIN_JOB_NONE,
        libvirt.VIR_DOMAIN_JOB_COMPLETED,
        libvirt.VIR_DOMAIN_JOB_FAILED,
        libvirt.VIR_DOMAIN_JOB_CANCELLED,
    }
)


def copy(domain: Any, target: str, to: Path, clock: Clock) -> bool:
    """Copy the disk `target` of a running or paused guest to `to`, a qcow2 of its own.

    False when the guest went off before all was copied.  HypervisorError when
    the copy failed for any other reason.
    """
    try:
        _abandon(domain, clock)
        to.unlink(missing_ok=True)
        domain.backupBegin(_xml(target, to), None)
        _wait(domain, clock)
        job = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        if job.get("type") == libvirt.VIR_DOMAIN_JOB_COMPLETED:
            return True
        why = str(job.get("errmsg", ""))
    except libvirt.libvirtError as error:
        # Of a guest that goes off in the middle of it anything may be said, and before it is off.
        why = str(error)
        for _ in range(GOING_OFF_POLLS):
            if not domain.isActive():
                break
            clock.sleep(POLL)
    if domain.isActive():
        raise HypervisorError(f"Disk {target} of {domain.name()} could not be copied: {why}")
    return False


def _abandon(domain: Any, clock: Clock) -> None:
    job = domain.jobStats()
    if job.get("operation") == libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP and _goes_on(job):
        with power.it_may_have_moved():
            domain.abortJob()
        _wait(domain, clock)


def _wait(domain: Any, clock: Clock) -> None:
    while _goes_on(domain.jobStats()):
        clock.sleep(POLL)


def _goes_on(job: dict[str, Any]) -> bool:
    return job["type"] not in ENDED


def _xml(target: str, to: Path) -> str:
    backup = ET.Element("domainbackup", mode="push")
    # Disks that are not named here are left out.
    disk = ET.SubElement(ET.SubElement(backup, "disks"), "disk", name=target, type="file")
    ET.SubElement(disk, "driver", type="qcow2")
    ET.SubElement(disk, "target", file=str(to))
    return ET.tostring(backup, encoding="unicode")
