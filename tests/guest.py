"""The test guest: its image, and a machine to boot it on without any of our own code."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

from tests.processes import free_port, kill_tree, spawn, wait_until

REPOSITORY = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nova-lite" / "guest"


@pytest.fixture(scope="session")
def guest_image() -> Path:
    """The disk image of the test guest (qcow2); its kernel and ramdisk lie beside it.

    Kept between runs; the builder sees by itself whether it is still what its recipe says.
    Open it as a backing file or copy it, never write to it.
    """
    subprocess.run([REPOSITORY / "bin" / "build-test-guest", CACHE], check=True)
    return CACHE / "disk.qcow2"


class Machine:
    """A plain QEMU without acceleration, watched through its serial console.

    Its network holds nothing but `services` (address of the guest's side: command that serves one
    connection on stdin and stdout) and its own port 22, which is `ssh_port` of 127.0.0.1.
    """

    def __init__(self, directory: Path, process: subprocess.Popen[bytes], ssh_port: int) -> None:
        self._directory = directory
        self._process = process
        self.ssh_port = ssh_port

    @classmethod
    @contextmanager
    def booted(
        cls,
        directory: Path,
        *,
        disks: Sequence[str] = (),
        arguments: Sequence[str | Path] = (),
        services: dict[str, str] | None = None,
    ) -> Iterator[Self]:
        """`disks` are values of -drive; the guest sees them as virtio disks."""
        ssh_port = free_port()
        # The network is the one the metadata address lies in: only what is on its own network
        # can QEMU answer for, and nothing the guest sends may reach the metadata of this machine.
        network = (
            f"user,id=lan,restrict=on,net=169.254.169.0/24,hostfwd=tcp:127.0.0.1:{ssh_port}-:22"
        )
        for address, command in (services or {}).items():
            network += f",guestfwd=tcp:{address}-cmd:{command}"
        nic = ["-netdev", network, "-device", "virtio-net-pci,netdev=lan"]
        process = spawn(
            [
                *("qemu-system-x86_64", "-accel", "tcg,tb-size=32", "-m", "128"),
                *("-nodefaults", "-no-user-config", "-display", "none"),
                *("-serial", f"file:{directory / 'console'}"),
                *("-qmp", f"unix:{directory / 'qmp'},server=on,wait=off"),
                *(nic if services is not None else ()),
                *(word for disk in disks for word in ("-drive", f"{disk},if=virtio")),
                *arguments,
            ],
            log=directory / "qemu.log",
        )
        try:
            yield cls(directory, process, ssh_port)
        finally:
            kill_tree(process)

    @property
    def console(self) -> str:
        path = self._directory / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, words: str, *, times: int = 1, seconds: float = 120) -> None:
        """Wait until the serial console has said so, so many times since power on."""

        def said() -> bool:
            log = (self._directory / "qemu.log").read_text()
            assert self._process.poll() is None, f"QEMU ended: {log}\n{self.console}"
            return self.console.count(words) >= times

        try:
            wait_until(said, seconds=seconds, what=f"{times} times {words!r} on the console")
        except TimeoutError as error:
            raise AssertionError(f"{error}:\n{self.console[-3000:]}") from None

    def ssh(self, key: Path, command: str) -> subprocess.CompletedProcess[str]:
        options = ("BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
        return subprocess.run(
            [
                *("ssh", "-q", "-i", key, "-p", str(self.ssh_port), "-o", "ConnectTimeout=30"),
                *(word for option in options for word in ("-o", option)),
                *("root@127.0.0.1", command),
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    def press_power_button(self) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(str(self._directory / "qmp"))
            for command in ("qmp_capabilities", "system_powerdown"):
                monitor.sendall(json.dumps({"execute": command}).encode() + b"\n")
            # The greeting and both answers: a monitor hung up on at once may forget the second.
            answers = monitor.makefile()
            assert [next(answers) for _ in range(3)]

    def wait_for_power_off(self, *, seconds: float) -> None:
        self._process.wait(timeout=seconds)
