"""A network of its own to test on: a host, guests on its bridges, and an outside, as namespaces."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pyroute2 import netns

from nova_lite.network.linux import LinuxDriver

HOST_ADDRESS, OUTSIDE_ADDRESS = "192.0.2.2", "192.0.2.1"

# What a guest does with its lease; it also notes what it was given.
UDHCPC_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
[ -z "$mtu" ] || ip link set "$interface" mtu "$mtu"
ip route add default via "$router"
echo "$ip/$mask router=$router dns=$dns mtu=$mtu domain=$domain hostname=$hostname"
"""


def run(*command: str, check: bool = True, timeout: float = 60) -> str:
    """The output of a command; AssertionError with all it said when it fails."""
    answer = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
    )
    assert not check or answer.returncode == 0, f"{command}: {answer.stdout}"
    return answer.stdout


class Namespace:
    def __init__(self, name: str) -> None:
        self.name = name
        run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        return run("ip", "netns", "exec", self.name, *command, check=check, timeout=timeout)

    def works(self, *command: str) -> bool:
        """Whether the command succeeds in here."""
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.run(*command, timeout=20)
            return True
        return False

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A process in here that runs on; it ends with the namespace."""
        return subprocess.Popen(
            ["ip", "netns", "exec", self.name, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread, in here."""
        netns.pushns(self.name)
        try:
            yield
        finally:
            netns.popns()

    def remove(self) -> None:
        for pid in run("ip", "netns", "pids", self.name).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        run("ip", "netns", "del", self.name)


class Lab:
    """A host with an uplink to an outside, and as many guests as are asked for."""

    numbers = itertools.count()

    def __init__(self) -> None:
        self.prefix = f"nlnet-{os.getpid()}-{next(self.numbers)}"
        self.directory = Path(tempfile.mkdtemp(prefix="nlnet-"))
        self.directory.chmod(0o755)
        self.state = self.directory / "state"
        self.namespaces: list[Namespace] = []
        self.processes: list[subprocess.Popen[str]] = []
        self.host, self.outside = self.namespace("host"), self.namespace("outside")
        cable("up0", self.host, "up0", self.outside)
        self.host.run("ip", "addr", "add", f"{HOST_ADDRESS}/24", "dev", "up0")
        self.host.run("ip", "route", "add", "default", "via", OUTSIDE_ADDRESS)
        self.outside.run("ip", "addr", "add", f"{OUTSIDE_ADDRESS}/24", "dev", "up0")

    def driver(self) -> LinuxDriver:
        return LinuxDriver(self.state)

    def namespace(self, name: str) -> Namespace:
        self.namespaces.append(Namespace(f"{self.prefix}-{name}"))
        return self.namespaces[-1]

    def guest(self, bridge: str, mac: str) -> Guest:
        number = len(self.namespaces)
        namespace = self.namespace(f"guest{number}")
        cable("eth0", namespace, f"port{number}", self.host, mac=mac)
        self.host.run("ip", "link", "set", f"port{number}", "master", bridge)
        return Guest(namespace, self.directory)

    def serve(self, namespace: Namespace, *command: str, ready: str = "") -> subprocess.Popen[str]:
        """Start a server there and wait for the first line it prints with `ready` in it."""
        process = namespace.start(*command)
        self.processes.append(process)
        assert process.stdout is not None
        assert any(ready in line for line in process.stdout), f"{command} ended early"
        return process

    def remove(self) -> None:
        for namespace in self.namespaces:
            namespace.remove()
        for process in self.processes:
            with process:
                process.kill()
        shutil.rmtree(self.directory)


class Guest:
    def __init__(self, namespace: Namespace, directory: Path) -> None:
        self.run, self.works, self.inside = namespace.run, namespace.works, namespace.inside
        self.namespace, self.name = namespace, namespace.name
        self._script = directory / "udhcpc.sh"
        self._script.write_text(UDHCPC_SCRIPT)
        self._script.chmod(0o755)

    def lease(self, *options: str, tries: int = 3) -> str:
        """What DHCP gives it, in one line; empty when nobody answers."""
        client = (
            "busybox",
            "udhcpc",
            "-f",
            "-q",
            "-n",
            "-i",
            "eth0",
            "-s",
            str(self._script),
            "-O",
            "mtu",
        )
        said = self.run(*client, "-t", str(tries), "-T", "1", *options, check=False)
        return next((line for line in said.splitlines() if "router=" in line), "")

    def drop_lease(self) -> None:
        self.run("ip", "addr", "flush", "dev", "eth0")


def cable(name: str, at: Namespace, other_name: str, to: Namespace, mac: str = "") -> None:
    address = ("address", mac) if mac else ()
    run(
        *("ip", "link", "add", name, *address, "netns", at.name),
        *("type", "veth", "peer", "name", other_name, "netns", to.name),
    )
    at.run("ip", "link", "set", name, "up")
    to.run("ip", "link", "set", other_name, "up")
