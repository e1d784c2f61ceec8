"""Taking a NIC away needs the guest's agreement; giving it one does not."""

from __future__ import annotations

from uuid import uuid4
from xml.etree import ElementTree as ET

import libvirt
import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Link, Nic
from nova_lite.virt.libvirt.hotplug import disks, plug
from nova_lite.virt.libvirt.xml import interface_xml
from tests.unit.virt.libvirt.errors import libvirt_error

LINK = Link(uuid4(), "br100")
FIRST, SECOND = (Nic(uuid4(), f"fa:16:3e:00:00:0{i}", LINK) for i in "ab")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Domain:
    """A guest that agrees when it was asked `agrees_after` times, and not before."""

    def __init__(self, *nics: Nic, agrees_after: int = 1) -> None:
        self.nics = [interface_xml(nic).replace(nic.mac, nic.mac.upper()) for nic in nics]
        self.agrees_after = agrees_after
        self.asked = 0

    def name(self) -> str:
        return "instance-1"

    def XMLDesc(self) -> str:
        odd = "<interface type='hostdev'/><disk><target dev='vda'/></disk>"
        return f"<domain><devices>{odd}{''.join(self.nics)}</devices></domain>"

    def attachDeviceFlags(self, xml: str, flags: int) -> None:
        assert flags == libvirt.VIR_DOMAIN_AFFECT_LIVE
        self.nics.append(xml)

    def detachDeviceFlags(self, xml: str, flags: int) -> None:
        assert flags == libvirt.VIR_DOMAIN_AFFECT_LIVE
        self.asked += 1
        if self.asked >= self.agrees_after:
            self.nics = [nic for nic in self.nics if _mac(nic) != _mac(xml)]
        elif self.asked > 1:
            raise libvirt_error(libvirt.VIR_ERR_INTERNAL_ERROR, "already in the process of unplug")

    @property
    def macs(self) -> list[str]:
        return [_mac(nic) for nic in self.nics]


def _mac(xml: str) -> str:
    mac = ET.fromstring(xml).find("mac")
    assert mac is not None
    return mac.get("address", "").lower()


def test_a_guest_has_the_nics_it_should_whatever_it_had() -> None:
    domain = Domain(FIRST)
    for wanted in ((FIRST,), (FIRST, SECOND), (FIRST, SECOND), (SECOND,), ()):
        plug(domain, wanted, Clock())
        assert domain.macs == [nic.mac for nic in wanted]
    assert domain.asked == 2


def test_a_guest_that_is_still_booting_is_asked_again() -> None:
    domain, clock = Domain(FIRST, agrees_after=3), Clock()
    plug(domain, (), clock, patience=30)
    assert domain.macs == [] and 20 <= clock.now < 30


def test_a_guest_that_does_not_agree_is_not_waited_for_longer() -> None:
    domain, clock = Domain(FIRST, agrees_after=99), Clock()
    with pytest.raises(HypervisorError, match="instance-1 does not let go .*:0a: already in the"):
        plug(domain, (SECOND,), clock, patience=15)
    assert 15 <= clock.now < 16 and domain.asked == 2
    assert domain.macs == [FIRST.mac], "and nothing else is changed"


def test_the_disks_in_use_are_known_by_their_targets() -> None:
    assert disks(Domain(FIRST)) == {"vda"}
