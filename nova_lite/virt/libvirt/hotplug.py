"""NICs that come and go while a guest runs.

Giving one is the hypervisor's doing; taking one away needs the guest's
agreement, which a guest that is booting, paused or out of its mind does not
give.  So it is asked, asked again, and not waited for longer than its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET

import libvirt

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Nic
from nova_lite.virt.libvirt.power import ASK_AGAIN, POLL, Clock
from nova_lite.virt.libvirt.xml import interface_xml

PATIENCE = 30  # seconds for a guest to let go of a NIC


def plug(domain: Any, wanted: Iterable[Nic], clock: Clock, patience: float = PATIENCE) -> None:
    """Give a running guest the NICs that it does not have yet, and take away what is not wanted."""
    nics = {nic.mac.lower(): nic for nic in wanted}
    present = interfaces(domain)
    for mac in present.keys() - nics.keys():
        _take(domain, mac, clock, patience)
    for mac, nic in nics.items():
        if mac not in present:
            domain.attachDeviceFlags(interface_xml(nic), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def interfaces(domain: Any) -> dict[str, ET.Element]:
    """What a running guest has at this moment, by MAC address."""
    found = {}
    for interface in ET.fromstring(domain.XMLDesc()).iterfind("devices/interface"):
        mac = interface.find("mac")
        if mac is not None:
            found[mac.get("address", "").lower()] = interface
    return found


def disks(domain: Any) -> set[str]:
    """The targets of the disks that a running guest has at this moment."""
    found = ET.fromstring(domain.XMLDesc()).iterfind("devices/disk/target")
    return {target.get("dev", "") for target in found}


def _take(domain: Any, mac: str, clock: Clock, patience: float) -> None:
    ask_at = clock.monotonic()
    end, refused = ask_at + patience, ""
    while (interface := interfaces(domain).get(mac)) is not None:
        now = clock.monotonic()
        if now >= end:
            raise HypervisorError(f"{domain.name()} does not let go of its NIC {mac}{refused}")
        if now >= ask_at:
            ask_at = now + ASK_AGAIN
            try:
                domain.detachDeviceFlags(
                    ET.tostring(interface, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE
                )
            except libvirt.libvirtError as error:
                # Gone meanwhile, or asked already and thinking about it.
                refused = f": {error}"
        clock.sleep(POLL)
