"""The libvirt driver with a real libvirtd, real QEMU (emulating) and real disks.

The guest is a boot sector: 40 bytes of program that print a text on the serial
port.  It boots in a tenth of a second, from an image that went the whole way
through cache, overlay and virtio.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Disk, GuestSpec, ImageSource, Link, Nic
from nova_lite.domain.states import PowerState
from nova_lite.images.cache import ImageCache
from nova_lite.testing.virt import (
    AGENT,
    AGREEMENT,
    CONTENT,
    IMAGE,
    Connect,
    VirtDriverConformance,
)
from nova_lite.virt.libvirt.disks import virtual_size
from nova_lite.virt.libvirt.driver import LibvirtDriver
from nova_lite.virt.libvirt.probe import Host, choose_virt_type
from tests.real.libvirtd import Libvirtd, private_libvirtd

pytestmark = pytest.mark.real
P = PowerState

TEXT = b"hello from the guest\r\n"


def boot_sector(at_the_end: bytes, text: bytes = TEXT) -> bytes:
    program = (
        b"\x31\xc0\x8e\xd8"  # xor ax,ax; mov ds,ax
        b"\xbe\x16\x7c\xfc"  # mov si,text; cld
        b"\xac\x84\xc0\x74\x06"  # next: lodsb; test al,al; jz done
        b"\xba\xf8\x03\xee\xeb\xf5"  # mov dx,3f8h; out dx,al; jmp next
    ) + at_the_end
    assert len(program) == 0x16
    sector = (program + text + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    return sector.ljust(1 << 20, b"\0")


IMAGES = {
    "once": boot_sector(b"\xf4\xeb\xfd"),  # done: hlt; jmp done
    "for-ever": boot_sector(b"\xeb\xeb\x90"),  # done: jmp start
    "rescue": boot_sector(b"\xf4\xeb\xfd", b"to the rescue\r\n"),
    IMAGE.url: CONTENT,
}


def source(name: str) -> ImageSource:
    content = IMAGES[name]
    id = UUID(hashlib.md5(name.encode()).hexdigest())
    return ImageSource(id, name, "raw", len(content), hashlib.sha512(content).hexdigest())


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[Libvirtd]:
    with private_libvirtd() as daemon:
        yield daemon


def driver_of(daemon: Libvirtd) -> LibvirtDriver:
    instances = daemon.directory / "instances"
    images = ImageCache(instances / "_base", lambda url: iter([IMAGES[url]]))
    return LibvirtDriver(daemon.uri, instances, images, "qemu", patience=8)


class TestRealLibvirt(VirtDriverConformance):
    lacks = frozenset({AGENT, AGREEMENT})  # its guests are a boot sector
    bridge = Libvirtd.bridge

    @pytest.fixture
    def connect(self, libvirtd: Libvirtd) -> Iterator[Connect]:
        drivers: list[LibvirtDriver] = []

        def connect() -> LibvirtDriver:
            drivers.append(driver_of(libvirtd))
            return drivers[-1]

        yield connect
        assert os.listdir(libvirtd.directory / "instances") in ([], ["_base"])
        for driver in drivers:
            driver.close()


@pytest.fixture
def driver(libvirtd: Libvirtd) -> Iterator[LibvirtDriver]:
    driver = driver_of(libvirtd)
    yield driver
    for guest in driver.guests():
        driver.remove(guest)
    driver.close()


def spec(image: str = "once", *nics: Nic) -> GuestSpec:
    id = uuid4()
    disks = (Disk("vda", 1, source(image)), Disk("vdb", 1))
    return GuestSpec(id, f"instance-{id.hex[:8]}", "web", "p", 1, 64, disks, nics)


def started(driver: LibvirtDriver, wanted: GuestSpec) -> UUID:
    driver.ensure(wanted)
    driver.power(wanted.id, P.RUNNING)
    return wanted.id


def wait(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_guest_boots_from_its_image_and_can_be_heard(driver: LibvirtDriver) -> None:
    guest = started(driver, spec())
    wait(lambda: driver.console_log(guest).endswith(TEXT))
    once = driver.console_log(guest)
    driver.reset(guest)
    wait(lambda: driver.console_log(guest) == once * 2)
    driver.power(guest, P.SHUTDOWN)
    driver.power(guest, P.RUNNING)
    wait(lambda: driver.console_log(guest) == once * 3)
    assert driver.console_log(guest, len(TEXT)) == TEXT


def test_without_virtlogd_a_guest_can_be_heard_as_well() -> None:
    with private_libvirtd(stdio_handler="file") as daemon:
        driver = driver_of(daemon)
        guest = started(driver, spec())
        wait(lambda: driver.console_log(guest).endswith(TEXT))
        driver.remove(guest)
        driver.close()


def test_qemu_is_nobody_and_owns_only_the_disks_of_its_guest(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    guest = started(driver, spec())
    instances = libvirtd.directory / "instances"
    qemu = pwd.getpwnam("libvirt-qemu").pw_uid
    assert (instances / str(guest) / "disk").stat().st_uid == qemu
    base = (instances / "_base" / str(source("once").id)).stat()
    assert (base.st_uid, base.st_mode & 0o777) == (0, 0o644)
    assert (instances / str(guest)).stat().st_uid == 0
    driver.power(guest, P.SHUTDOWN)
    assert (instances / str(guest) / "disk").stat().st_uid == 0


def test_a_guest_that_never_stops_talking_does_not_fill_the_disk(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    guest = started(driver, spec("for-ever"))
    directory = libvirtd.directory / "instances" / str(guest)
    wait(lambda: (directory / "console.log.2").exists(), seconds=120)
    time.sleep(0.5)
    driver.power(guest, P.PAUSED)
    logs = sorted(file.name for file in directory.glob("console.log*"))
    assert logs == ["console.log", "console.log.0", "console.log.1", "console.log.2"]
    assert sum((directory / log).stat().st_size for log in logs) <= 4 * 65536
    log = driver.console_log(guest)
    assert len(log) == 102_400, "it goes on in the part before"
    assert log in TEXT * 5000, "and nothing is missing between"


def heard(driver: LibvirtDriver, guest: UUID, text: bytes) -> None:
    """The guest is started and says so, and nothing else."""
    before = len(driver.console_log(guest))
    driver.power(guest, P.RUNNING)
    wait(lambda: len(driver.console_log(guest)) > before)
    wait(lambda: driver.console_log(guest).endswith(text))
    driver.power(guest, P.SHUTDOWN)


def test_a_guest_in_need_starts_from_another_disk(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    wanted = spec()
    rescue = replace(wanted, disks=(*wanted.disks, Disk("vdr", 0, source("rescue"), boot=True)))
    for described, text in ((wanted, TEXT), (rescue, b"to the rescue\r\n"), (wanted, TEXT)):
        driver.ensure(described)
        heard(driver, wanted.id, text)
    files = os.listdir(libvirtd.directory / "instances" / str(wanted.id))
    assert sorted(file for file in files if "disk" in file) == ["disk", "disk.vdb"]


def test_a_guest_that_is_built_anew_starts_from_its_new_image(driver: LibvirtDriver) -> None:
    wanted = spec("rescue")
    driver.ensure(wanted)
    heard(driver, wanted.id, b"to the rescue\r\n")
    other = replace(wanted, disks=(Disk("vda", 1, source("once")),))
    driver.ensure(other)
    heard(driver, wanted.id, b"to the rescue\r\n")
    driver.ensure(replace(other, disk_generation=1))
    heard(driver, wanted.id, TEXT)
    assert driver.console_log(wanted.id).count(TEXT) == 1, "and the log goes on"


def test_a_guest_starts_after_its_image_was_deleted(driver: LibvirtDriver) -> None:
    wanted = spec()
    driver.ensure(wanted)
    gone = replace(source("once"), url="", disk_format="", size=0, sha512="")
    driver.ensure(replace(wanted, disks=(Disk("vda", 1, gone),)))
    heard(driver, wanted.id, TEXT)


@pytest.mark.parametrize("state", [P.SHUTDOWN, P.RUNNING, P.PAUSED, P.SUSPENDED])
def test_a_disk_has_the_size_it_should(
    driver: LibvirtDriver, libvirtd: Libvirtd, state: PowerState
) -> None:
    wanted = spec()
    driver.ensure(wanted)
    if state != P.SHUTDOWN:
        driver.power(wanted.id, P.RUNNING)
        driver.power(wanted.id, state)
    for size_gb, found_gb in ((2, 2), (3, 3), (1, 3)):
        driver.ensure(replace(wanted, disks=(Disk("vda", size_gb), wanted.disks[1])))
        file = libvirtd.directory / "instances" / str(wanted.id) / "disk"
        assert virtual_size(file, "qcow2") == found_gb << 30
    driver.power(wanted.id, P.RUNNING)
    told = libvirtd.inside("virsh", "-q", "domblkinfo", wanted.name, "vda").split()
    assert told[1] == str(3 << 30)


@pytest.mark.parametrize("state", [P.SHUTDOWN, P.RUNNING, P.PAUSED, P.SUSPENDED])
def test_a_snapshot_is_the_root_disk_as_it_is(
    driver: LibvirtDriver, tmp_path: Path, state: PowerState
) -> None:
    wanted = spec()
    driver.ensure(wanted)
    if state != P.SHUTDOWN:
        driver.power(wanted.id, P.RUNNING)
        driver.power(wanted.id, state)
    with driver.snapshot(wanted.id) as snapshot:
        assert virtual_size(snapshot.path, "qcow2") == 1 << 30
        assert snapshot.path.stat().st_blocks * 512 < 4 << 20, "what is empty takes no room"
        raw = tmp_path / "raw"
        convert = ["qemu-img", "convert", "-f", "qcow2", "-O", "raw"]
        subprocess.run([*convert, str(snapshot.path), str(raw)], check=True)
    with raw.open("rb") as disk:
        assert disk.read(1 << 20) == IMAGES["once"]


def test_what_snapshots_left_behind_is_removed(driver: LibvirtDriver, libvirtd: Libvirtd) -> None:
    guest = started(driver, spec())
    left = libvirtd.directory / "instances" / str(guest) / "snapshot"
    left.mkdir()
    (left / "disk").write_bytes(b"half")
    with driver.snapshot(guest) as snapshot:
        assert snapshot.path.read_bytes()[:4] == b"QFI\xfb"
    left.mkdir()
    (left / "disk").write_bytes(b"half")
    driver.clean()
    assert not left.exists()


def test_a_snapshot_can_be_taken_after_one_that_was_cut_short(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    wanted = replace(spec(), disks=(Disk("vda", 1),))
    driver.ensure(wanted)
    disk = libvirtd.directory / "instances" / str(wanted.id) / "disk"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 700M", str(disk)], check=True)
    driver.power(wanted.id, P.RUNNING)
    copy = disk.parent / "snapshot" / "disk"

    def interfere() -> None:
        wait(lambda: copy.exists() and copy.stat().st_size > 10 << 20)
        libvirtd.restart()

    with ThreadPoolExecutor(1) as threads:
        interference = threads.submit(interfere)
        # It may be there again before it is missed.
        with suppress(HypervisorError), driver.snapshot(wanted.id):
            pass
        interference.result()
    with driver.snapshot(wanted.id) as snapshot:
        compare = ["qemu-img", "compare", "-U", "-f", "qcow2", "-F", "qcow2"]
        subprocess.run([*compare, str(disk), str(snapshot.path)], check=True)
    assert driver.guests()[wanted.id].power_state == P.RUNNING


def test_a_snapshot_of_a_guest_that_goes_off_is_taken_of_what_is_left(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    wanted = replace(spec(), disks=(Disk("vda", 1),))
    driver.ensure(wanted)
    disk = libvirtd.directory / "instances" / str(wanted.id) / "disk"
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 700M", str(disk)], check=True)
    driver.power(wanted.id, P.RUNNING)
    copy = disk.parent / "snapshot" / "disk"

    def interfere() -> None:
        wait(lambda: copy.exists() and copy.stat().st_size > 10 << 20)
        libvirtd.inside("virsh", "-q", "destroy", wanted.name)

    with ThreadPoolExecutor(1) as threads:
        interference = threads.submit(interfere)
        with driver.snapshot(wanted.id) as snapshot:
            interference.result()
            compare = ["qemu-img", "compare", "-f", "qcow2", "-F", "qcow2"]
            subprocess.run([*compare, str(disk), str(snapshot.path)], check=True)
    assert driver.guests()[wanted.id].power_state == P.SHUTDOWN


def test_a_restart_of_libvirtd_disturbs_nobody(driver: LibvirtDriver, libvirtd: Libvirtd) -> None:
    guest = started(driver, spec())
    before = driver.guests()
    libvirtd.restart()
    assert driver.guests() == before
    libvirtd.restart()
    driver.power(guest, P.PAUSED)
    libvirtd.restart()
    driver.power(guest, P.SUSPENDED)
    libvirtd.restart()
    assert driver.guests()[guest].power_state == P.SUSPENDED
    driver.remove(guest)
    assert guest not in driver.guests()


def test_a_guest_whose_qemu_dies_has_crashed_and_can_be_started(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    guest = started(driver, spec())
    pid = libvirtd.inside("pgrep", "-f", f"uuid {guest}").split()[0]
    libvirtd.inside("kill", f"-{signal.SIGKILL.value}", pid)
    wait(lambda: driver.guests()[guest].power_state == P.CRASHED)
    driver.power(guest, P.SHUTDOWN)
    driver.power(guest, P.RUNNING)
    assert driver.guests()[guest].power_state == P.RUNNING


def test_a_nic_is_on_its_bridge_and_goes_with_its_guest(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    link = Link(uuid4(), libvirtd.bridge, mtu=1400)
    nic = Nic(uuid4(), "fa:16:3e:01:02:03", link)
    guest = started(driver, spec("once", nic))
    shown = libvirtd.inside("ip", "link", "show", nic.tap)
    assert f"master {libvirtd.bridge}" in shown and "mtu 1400" in shown
    driver.remove(guest)
    assert nic.tap not in libvirtd.inside("ip", "link")


def test_a_missing_bridge_is_an_error_with_its_name_and_can_be_put_right(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    nic = Nic(uuid4(), "fa:16:3e:01:02:03", Link(uuid4(), "brmissing"))
    wanted = spec("once", nic)
    with pytest.raises(HypervisorError, match="brmissing"):
        started(driver, wanted)
    assert driver.guests()[wanted.id].power_state == P.SHUTDOWN
    started(driver, replace(wanted, nics=()))
    assert driver.guests()[wanted.id].power_state == P.RUNNING


def test_the_screen_is_for_this_host_only(driver: LibvirtDriver, libvirtd: Libvirtd) -> None:
    started(driver, spec())
    listening = libvirtd.inside("ss", "-ltnH").split()
    screens = [word for word in listening if ":59" in word]
    assert screens and all(screen.startswith("127.0.0.1:") for screen in screens)


def test_two_workers_that_start_one_guest_start_it_once(
    driver: LibvirtDriver, libvirtd: Libvirtd
) -> None:
    """As when a worker is killed while libvirt works for it, and its successor does it again."""
    wanted, another = spec(), driver_of(libvirtd)
    driver.ensure(wanted)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda one: one.power(wanted.id, P.RUNNING), (driver, another)))
    assert driver.guests()[wanted.id].power_state == P.RUNNING
    assert len(libvirtd.inside("pgrep", "-f", f"uuid {wanted.id}").split()) == 1
    another.close()


def test_whatever_hangs_on_a_guest_goes_with_it(driver: LibvirtDriver, libvirtd: Libvirtd) -> None:
    wanted = spec()
    guest = started(driver, wanted)
    libvirtd.inside("virsh", "-q", "snapshot-create-as", wanted.name, "by-hand")
    libvirtd.inside("virsh", "-q", "managedsave", wanted.name)
    driver.remove(guest)
    assert wanted.name not in libvirtd.inside("virsh", "list", "--all")
    assert not (libvirtd.directory / "instances" / str(guest)).exists()


def test_guests_made_by_hand_are_not_ours(driver: LibvirtDriver, libvirtd: Libvirtd) -> None:
    definition = libvirtd.directory / "by-hand.xml"
    definition.write_text(
        "<domain type='qemu'><name>by-hand</name><memory unit='MiB'>32</memory>"
        "<os><type arch='x86_64' machine='pc'>hvm</type></os></domain>"
    )
    libvirtd.inside("virsh", "-q", "define", str(definition))
    by_hand = UUID(libvirtd.inside("virsh", "domuuid", "by-hand").strip())
    assert driver.guests() == {}
    driver.remove(by_hand)
    assert "by-hand" in libvirtd.inside("virsh", "list", "--all")
    libvirtd.inside("virsh", "-q", "undefine", "by-hand")


def test_a_kernel_that_does_not_boot_is_no_evidence_for_kvm(tmp_path: Path) -> None:
    """With the real QEMU, on whatever /dev/kvm this machine has."""
    (tmp_path / "cpuinfo").write_text("flags : vmx\n")
    (tmp_path / "kernel").write_bytes(IMAGES["once"])
    host = Host(cpuinfo=tmp_path / "cpuinfo", timeout=5)
    choice = choose_virt_type("auto", tmp_path / "kernel", host)
    assert choice.virt_type == "qemu" and choice.reason
