"""The libvirtd that serves us: the host's where it has one, else one of our own.

Our own lives in a mount namespace, where the directories that libvirt has
compiled in are directories of the state: nothing of the host's configuration is
read or changed, its own libvirtd may come and go, and what is left at the end
is gone with the state.  Guests, their network and their processes are the
host's, as always.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from nova_lite.cmd.quickstart import processes
from nova_lite.cmd.quickstart.place import Place, write
from nova_lite.cmd.quickstart.terminal import Refusal, note
from nova_lite.domain.errors import HypervisorError
from nova_lite.images.cache import ImageCache
from nova_lite.virt.libvirt.connection import Connection
from nova_lite.virt.libvirt.driver import LibvirtDriver
from nova_lite.virt.libvirt.xml import definition

SYSTEM = "qemu:///system"
START = 60.0  # seconds
STOP = 10.0  # seconds
SYSTEMD = Path("/run/systemd/system")  # is there where systemd is the init
UNITS = (
    *("libvirtd.service", "libvirtd.socket", "libvirtd-ro.socket", "libvirtd-admin.socket"),
    *("virtlogd.service", "virtlogd.socket", "virtlogd-admin.socket"),
)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
KVM = Path("/dev/kvm")
#: What the host's libvirtd keeps of guests that are gone.
LOGS = Path("/var/log/libvirt/qemu")
PROFILES = Path("/etc/apparmor.d/libvirt")

CONFIG = {
    # Others pass through the state directory, but not through this socket.
    "libvirtd.conf": 'auth_unix_rw = "none"\nauth_unix_ro = "none"\n'
    'unix_sock_rw_perms = "0700"\nunix_sock_ro_perms = "0700"\n',
    "virtlogd.conf": "",
    # Without systemd nobody hands out control groups.  And libvirt cannot take
    # the /dev/kvm that we put in the place of the host's into a /dev of QEMU's own.
    "qemu.conf": "cgroup_controllers = []\nnamespaces = []\n",
}

#: $0 is the directory; the arguments are daemons to start.
BEGIN = """
set -e
for pair in etc:/etc/libvirt lib:/var/lib/libvirt log:/var/log/libvirt \
            cache:/var/cache/libvirt run:/run/libvirt; do
    mkdir -p "${pair#*:}"
    mount --bind "$0/${pair%%:*}" "${pair#*:}"
done
[ ! -e /dev/kvm ] || mount --bind "$0/kvm" /dev/kvm
for daemon; do
    "$daemon" --daemon --pid-file "$0/run/$daemon.pid"
done
"""


def choose(place: Place) -> str:
    """The URI of the libvirt to use from now on."""
    return SYSTEM if SYSTEMD.is_dir() or answers(SYSTEM) else own_uri(place)


def own_uri(place: Place) -> str:
    return f"qemu+unix:///system?socket={place.libvirt}/run/libvirt-sock"


def answers(uri: str) -> bool:
    connection = Connection(uri)
    try:
        connection.run(lambda live: live.getLibVersion())
        return True
    except HypervisorError:
        return False
    finally:
        connection.close()


def ensure(place: Place, uri: str, *, kvm: bool) -> None:
    """It runs, and it answers."""
    if answers(uri):
        return
    if uri == own_uri(place):
        _start_own(place, kvm)
    elif uri == SYSTEM and SYSTEMD.is_dir():
        write(place.started_libvirtd, BOOT_ID.read_text())
        _systemctl("start", UNITS[0])
    end = time.monotonic() + START
    while not answers(uri):
        if time.monotonic() > end or uri not in (SYSTEM, own_uri(place)):
            raise Refusal(f"libvirt does not answer at {uri}", _remedy(place, uri))
        time.sleep(0.1)


def _remedy(place: Place, uri: str) -> str:
    if uri == own_uri(place):
        return f"see {place.libvirt}/log"
    return "start libvirtd, or change [libvirt] connection_uri in nova.conf"


def _start_own(place: Place, kvm: bool) -> None:
    directory = place.libvirt
    for part in ("etc", "lib", "log", "cache", "run"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    for name, text in CONFIG.items():
        (directory / "etc" / name).write_text(text)
    _make_kvm(directory / "kvm", kvm)
    # What it keeps for guests, virtlogd does not tell a successor: it may have stayed.
    wanted = [name for name in ("virtlogd", "libvirtd") if not _own(place, name)]
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "slave", "sh", "-c", BEGIN, directory, *wanted],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        umask=0o022,
    )
    if done.returncode:
        raise Refusal(f"libvirtd does not start: {done.stderr.strip()}", _remedy(place, ""))
    note("there is no libvirtd and no systemd to start it: started our own")


def _make_kvm(node: Path, works: bool) -> None:
    """What is /dev/kvm for QEMU: something it can open, or nothing.

    One that root can open and QEMU's user cannot makes libvirt ask QEMU for its
    abilities again with each guest that it defines, which takes half a minute.
    """
    node.unlink(missing_ok=True)
    if works:
        os.mknod(node, stat.S_IFCHR | 0o600, KVM.stat().st_rdev)
        shutil.chown(node, pwd.getpwnam("libvirt-qemu").pw_uid)
    else:
        node.touch()


def _own(place: Place, program: str) -> list[int]:
    return processes.running(program, _pid_file(place, program))


def _pid_file(place: Place, program: str) -> str:
    return f"{place.libvirt}/run/{program}.pid"


def release(place: Place, uri: str) -> None:
    """Stop what we have started, unless guests need it."""
    ours = [name for name in ("libvirtd", "virtlogd") if _own(place, name)]
    started = _started_by_us(place)
    if not ours and not started:
        return
    if active(uri):
        note("the libvirtd that we have started stays for them")
        return
    for program in ours:
        processes.end(program, _pid_file(place, program), STOP)
    if ours:
        with suppress(OSError):  # the host's own is in use, or was never there
            Path("/run/libvirt").rmdir()
    if started:
        _systemctl("stop", *UNITS)
        place.started_libvirtd.unlink()
    note("the libvirtd that we have started is stopped")


def _started_by_us(place: Place) -> bool:
    """Since the host was started: before, it was us; now, it is the host."""
    try:
        return place.started_libvirtd.read_text() == BOOT_ID.read_text()
    except FileNotFoundError:
        return False


def _systemctl(*words: str) -> None:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True)
    if done.returncode:
        raise Refusal(f"systemctl {words[0]}: {done.stderr.strip()}", "see journalctl -u libvirtd")


def active(uri: str) -> int:
    """How many guests run there, anybody's."""
    connection = Connection(uri)
    try:
        return connection.run(lambda live: int(live.numOfDomains()))
    except HypervisorError:
        return 0
    finally:
        connection.close()


def remove_guests(uri: str, instances: Path) -> int:
    """Every guest whose files are under `instances`, with its files; how many there were."""
    connection = Connection(uri)
    driver = LibvirtDriver(uri, instances, ImageCache(instances / "_base"))
    try:
        descriptions = connection.run(
            lambda live: [(d.UUIDString(), d.XMLDesc()) for d in live.listAllDomains()]
        )
        ours = [UUID(id) for id, xml in descriptions if definition(xml) and f"{instances}/" in xml]
        for guest in ours:
            driver.remove(guest)
        return len(ours)
    finally:
        driver.close()
        connection.close()


def remove_traces(guests: Iterable[UUID], instances: Path) -> None:
    """What the host's libvirtd has kept of guests that were under `instances`."""
    for log in LOGS.glob("instance-*.log"):
        if f"{instances}/" in log.read_text(errors="replace"):
            log.unlink()
    for guest in guests:
        (PROFILES / f"libvirt-{guest}").unlink(missing_ok=True)
