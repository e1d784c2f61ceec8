"""Does KVM really work here?  Found out by trying.

A processor flag, a device file and libvirt's word can all be there while
accelerated guests hang, as under some software hypervisors.  So a Linux kernel
is booted, without disks, until it gives up for want of a root file system:
that takes a second or two, and it needs timers, interrupts and a serial port.
"""

from __future__ import annotations

import json
import logging
import os
import re
import select
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

LOG = logging.getLogger(__name__)

TIMEOUT = 15  # seconds; a working KVM needs 1 to 3

#: What a kernel says when it has done all it can do without a root file system.
THE_END = re.compile(
    rb"Run /\S+ as init process|VFS: (?:Cannot open root device|Unable to mount root)"
    rb"|Kernel panic - not syncing: (?:VFS|No working init)"
)


@dataclass(frozen=True)
class Choice:
    virt_type: Literal["kvm", "qemu"]
    reason: str


@dataclass(frozen=True)
class Host:
    """Where the evidence lies; tests have their own."""

    cpuinfo: Path = Path("/proc/cpuinfo")
    device: Path = Path("/dev/kvm")
    boot: Path = Path("/boot")
    boot_id: Path = Path("/proc/sys/kernel/random/boot_id")
    emulator: str = "qemu-system-x86_64"
    timeout: float = TIMEOUT


def choose_virt_type(
    configured: str,
    kernel: Path | None = None,
    host: Host | None = None,
    *,
    kept: Path | None = None,
) -> Choice:
    """The type of domain to use: what is configured, or with `auto` what works.

    `kernel` is the Linux kernel to try with; by default the newest in /boot.
    The trial takes up to 15 seconds; how it went is kept in the file `kept`
    until the host is started again, or has another kernel to try with.
    """
    if configured in ("kvm", "qemu"):
        return Choice("kvm" if configured == "kvm" else "qemu", "as configured")
    why_not = obstacle(kernel, host or Host(), kept)
    if why_not is None:
        choice = Choice("kvm", "an accelerated guest started")
        LOG.info("using KVM: %s", choice.reason)
    else:
        choice = Choice("qemu", why_not)
        LOG.warning("KVM is not usable, falling back to slow emulation: %s", why_not)
    return choice


def obstacle(kernel: Path | None, host: Host, kept: Path | None = None) -> str | None:
    """Why KVM cannot be used; None when a guest has shown that it can."""
    if not _has_flag(host.cpuinfo):
        return (
            "the processor shows neither vmx nor svm (is virtualization enabled in its firmware?)"
        )
    if not os.access(host.device, os.R_OK | os.W_OK):
        return f"{host.device} cannot be opened (is the module kvm_intel or kvm_amd loaded?)"
    kernel = kernel or newest_kernel(host.boot)
    if kernel is None or not kernel.is_file():
        return f"there is no kernel to try with: {kernel or host.boot / 'vmlinuz-*'}"
    return _remembered(kernel, host, kept) if kept else _boot(kernel, host)


def _remembered(kernel: Path, host: Host, kept: Path) -> str | None:
    """What the last trial showed, if it was under the same conditions; else what one shows now."""
    file = kernel.stat()
    conditions = [host.boot_id.read_text(), str(kernel), file.st_size, file.st_mtime_ns]
    with suppress(FileNotFoundError, ValueError):  # no trial yet, or power was lost
        last = json.loads(kept.read_text())
        if last["conditions"] == conditions:
            return cast(str | None, last["obstacle"])
    found = _boot(kernel, host)
    kept.parent.mkdir(parents=True, exist_ok=True)
    beside = kept.with_name(f"{kept.name}.new")
    beside.write_text(json.dumps({"conditions": conditions, "obstacle": found}))
    beside.replace(kept)
    return found


def newest_kernel(boot: Path) -> Path | None:
    """The kernel with the highest version, as vmlinuz-6.1.0-9 < vmlinuz-6.1.0-18."""
    return max(boot.glob("vmlinuz-*"), key=_version, default=None)


def _version(kernel: Path) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", kernel.name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _has_flag(cpuinfo: Path) -> bool:
    return bool(re.search(r"^flags\s*:.*\b(vmx|svm)\b", cpuinfo.read_text(), re.MULTILINE))


def _boot(kernel: Path, host: Host) -> str | None:
    command = [
        *(host.emulator, "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults"),
        *("-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"),
        *("-kernel", str(kernel), "-append", "console=ttyS0 panic=-1"),
    ]
    try:
        guest = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        return f"{host.emulator} cannot be started: {error.strerror}"
    with guest:
        try:
            said = _listen(guest, host.timeout)
            status = guest.poll()
        finally:
            guest.kill()
    if THE_END.search(said):
        return None
    last = said.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
    ended = "hung" if status is None else f"ended with status {status}"
    return f"a guest started on trial {ended}; the last it said was: {last[0][:200]}"


def _listen(guest: subprocess.Popen[bytes], timeout: float) -> bytes:
    """What the guest says until it has said enough, ends, or `timeout` seconds have passed."""
    assert guest.stdout
    said, end = b"", time.monotonic() + timeout
    while not THE_END.search(said) and (left := end - time.monotonic()) > 0:
        ready, _, _ = select.select([guest.stdout], [], [], left)
        if ready:
            more = os.read(guest.stdout.fileno(), 65536)
            if not more:
                with suppress(subprocess.TimeoutExpired):
                    guest.wait(1)  # it is ending: let it tell how
                break
            said += more
    return said
