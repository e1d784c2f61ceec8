"""The libvirt driver with guests that have an operating system, and so a say in the matter."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.specs import Disk, GuestSpec, ImageSource, Link, Nic
from nova_lite.domain.states import PowerState
from nova_lite.images.cache import ImageCache
from nova_lite.virt.libvirt.driver import LibvirtDriver
from tests.real.libvirtd import Libvirtd, private_libvirtd

pytestmark = pytest.mark.real
P = PowerState


def source(file: Path) -> ImageSource:
    """The image in `file`; its URL is where it lies."""
    checksum = hashlib.sha512(file.read_bytes()).hexdigest()
    return ImageSource(uuid4(), str(file), "qcow2", file.stat().st_size, checksum)


class Site:
    def __init__(self, daemon: Libvirtd, image: Path) -> None:
        instances = daemon.directory / "instances"
        cache = ImageCache(instances / "_base", lambda url: iter([Path(url).read_bytes()]))
        self.daemon = daemon
        self.driver = LibvirtDriver(daemon.uri, instances, cache, "qemu")
        self.web = self.spec(source(image), Nic(uuid4(), "fa:16:3e:00:00:01", self.link))
        self.boot(self.web)

    @property
    def link(self) -> Link:
        return Link(uuid4(), Libvirtd.bridge)

    def spec(self, image: ImageSource, *nics: Nic) -> GuestSpec:
        id = uuid4()
        disks = (Disk("vda", 1, image),)
        return GuestSpec(id, f"instance-{id.hex[:8]}", "web", "p", 1, 128, disks, nics)

    def boot(self, spec: GuestSpec) -> None:
        self.driver.ensure(spec)
        self.driver.power(spec.id, P.RUNNING)
        self.wait(lambda: self.said(spec.id, b"boot-complete"))

    def said(self, guest: UUID, words: bytes) -> int:
        return self.driver.console_log(guest, 1 << 20).count(words)

    def wait(self, condition: Callable[[], object], seconds: float = 240) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def site(guest_image: Path) -> Iterator[Site]:
    """One guest, booted once; every test leaves it running."""
    with private_libvirtd() as daemon:
        site = Site(daemon, guest_image)
        yield site
        site.driver.close()


def test_a_running_guest_is_seen_at_work(site: Site) -> None:
    found = site.driver.diagnostics(site.web.id)
    assert found.hypervisor == "qemu" and found.memory_used_mb == found.memory_mb == 128
    assert found.cpu_nanoseconds[0] > 10**8
    assert found.disks[0].read_bytes > found.disks[0].read_requests > 10
    assert found.nics[0].mac == site.web.nics[0].mac and found.nics[0].tx_octets > 0


def test_a_guest_goes_on_where_it_was_suspended(site: Site) -> None:
    guest = site.web.id
    site.driver.power(guest, P.SUSPENDED)
    assert not site.daemon.inside("virsh", "-q", "list").strip()
    site.daemon.restart()
    assert site.driver.guests()[guest].power_state == P.SUSPENDED
    site.driver.power(guest, P.RUNNING)
    site.driver.power(guest, P.SHUTDOWN, grace=120)
    assert site.said(guest, b"nova-lite-guest: shutdown") == 1, "it still hears the button"
    assert site.said(guest, b"boot-complete") == 1
    site.driver.power(guest, P.RUNNING)
    site.wait(lambda: site.said(guest, b"boot-complete") == 2)


def test_a_guest_lets_go_of_its_nic_and_gets_another(site: Site) -> None:
    old = site.web.nics[0]
    new = Nic(uuid4(), "fa:16:3e:00:00:02", site.link)
    for nic in (new, old):
        for _ in "twice":
            site.driver.plug(replace(site.web, nics=(nic,)))
            shown = site.daemon.inside("virsh", "-q", "domiflist", site.web.name).split()
            assert shown[4:] == [nic.mac] and shown[0] == nic.tap


def test_a_snapshot_of_a_running_guest_boots(site: Site, tmp_path: Path) -> None:
    with site.driver.snapshot(site.web.id) as snapshot:
        kept = snapshot.path.rename(tmp_path / "kept")
    copy = site.spec(source(kept))
    site.boot(copy)
    assert site.driver.guests()[site.web.id].power_state == P.RUNNING
    site.driver.remove(copy.id)
