"""DHCP and DNS of one network, by one dnsmasq.

Guests are told to it in two files; options change only with the network.  What
it serves is not believed but asked: the file of names ends in a name made of
the digest of both files, and who can look that up knows that both were read.
SIGHUP alone would not do: it returns before the files are read, and a guest
that asks at once could go away empty-handed.
"""

from __future__ import annotations

import hashlib
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Gateway, NetworkPlan

USER = "nobody"  # it parses what guests send
TIMEOUT = 10  # seconds to start, or to read its files
GRACE = 2  # seconds to end by itself
NETWORK_TROUBLE = 2  # exit status (dnsmasq(8)): an address is in use, for one


# --- what it is told: pure ------------------------------------------------------------------


@dataclass(frozen=True)
class Files:
    directory: Path

    @property
    def pid(self) -> Path:
        return self.directory / "pid"

    @property
    def dhcp(self) -> Path:
        return self.directory / "dhcp-hosts"

    @property
    def dns(self) -> Path:
        return self.directory / "dns-hosts"


def arguments(plan: NetworkPlan, gateway: Gateway, files: Files) -> list[str]:
    """The command line for a checked plan; nothing in it changes as guests come and go."""
    interface = IPv4Interface(gateway.address)
    found = [
        "dnsmasq",
        "--conf-file=/dev/null",  # not the host's own configuration
        f"--pid-file={files.pid}",
        f"--user={USER}",
        # Unlike bind-interfaces it also looks where a question came in, so
        # that nobody outside can ask the address of the bridge.
        "--bind-dynamic",
        f"--interface={plan.link.bridge}",
        "--except-interface=lo",
        "--no-hosts",
        f"--addn-hosts={files.dns}",
        f"--domain={gateway.domain}",
        f"--local=/{gateway.domain}/",
        "--local=/invalid/",  # where the marker is
        "--domain-needed",
        "--bogus-priv",
    ]
    if gateway.dns_servers:
        found += ["--no-resolv", *(f"--server={server}" for server in gateway.dns_servers)]
    if gateway.leases is not None:
        network = interface.network
        found += [
            f"--dhcp-range={network.network_address},static,{network.netmask},"
            f"{gateway.lease_seconds}s",
            "--dhcp-ignore=tag:!known",
            f"--dhcp-hostsfile={files.dhcp}",
            f"--dhcp-lease-max={network.num_addresses}",
            # Who has which address is the database's to know: no file of its
            # own, and leases from before a restart are confirmed.
            "--leasefile-ro",
            "--dhcp-authoritative",
            f"--dhcp-option=option:router,{interface.ip}",
            f"--dhcp-option=option:dns-server,{interface.ip}",
            f"--dhcp-option=option:mtu,{plan.link.mtu}",
        ]
    return found


@dataclass(frozen=True)
class Hosts:
    """The two files of guests, and a name that is known while exactly these are served."""

    dhcp: str
    dns: str
    marker: str


def hosts(gateway: Gateway) -> Hosts:
    leases = gateway.leases or ()
    # The MAC alone counts: a guest with a new system has another client id.
    dhcp = "".join(f"{lease.mac},id:*,{lease.address},{lease.hostname}\n" for lease in leases)
    # From a file, so that a guest is found before it has asked for its lease.
    dns = "".join(
        f"{lease.address} {lease.hostname}.{gateway.domain} {lease.hostname}\n" for lease in leases
    )
    marker = f"{hashlib.sha256(f'{dhcp}{dns}'.encode()).hexdigest()[:32]}.invalid"
    return Hosts(dhcp, f"{dns}0.0.0.0 {marker}\n", marker)


# --- doing it -------------------------------------------------------------------------------


class Dnsmasq:
    """The dnsmasq whose files are in `directory`: at most one, found again by its command line."""

    def __init__(self, directory: Path) -> None:
        self.files = Files(directory)

    def ensure(self, plan: NetworkPlan, gateway: Gateway) -> None:
        """Serve exactly `gateway`; when this returns, whoever asks gets the new answers.

        It is restarted only for new options, told only of new leases, and left
        alone otherwise.
        """
        server = IPv4Interface(gateway.address).ip
        wanted, told = arguments(plan, gateway, self.files), hosts(gateway)
        gone = self._owners() - owners(told.dhcp)
        self._write(told)
        pid = self._running()
        if pid is None or _command_line(pid) != wanted:
            self.stop()
            self._start(wanted)
        elif not resolves(told.marker, server):
            os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + TIMEOUT
        while not resolves(told.marker, server):
            if time.monotonic() > deadline:
                raise NetworkError(f"dnsmasq on {plan.link.bridge} does not take up its leases")
            time.sleep(0.001)
        for mac, address in sorted(gone):
            self._release(plan.link.bridge, server, mac, address)
            # An answer shows that it goes on reading; else a burst would be lost.
            resolves(told.marker, server)

    def provides(self, plan: NetworkPlan, gateway: Gateway, marker: str) -> bool:
        """Whether it runs with these options and serves the leases of `marker`, now."""
        pid = self._running()
        return (
            pid is not None
            and _command_line(pid) == arguments(plan, gateway, self.files)
            and resolves(marker, IPv4Interface(gateway.address).ip)
        )

    def stop(self) -> None:
        """End every dnsmasq of this directory, and nothing else."""
        argument = f"--pid-file={self.files.pid}"
        for pid in _processes_with(argument):
            _terminate(pid, argument)
        self.files.pid.unlink(missing_ok=True)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.files.directory, ignore_errors=True)

    def _owners(self) -> set[tuple[str, str]]:
        try:
            return owners(self.files.dhcp.read_text())
        except FileNotFoundError:
            return set()

    def _write(self, told: Hosts) -> None:
        # dnsmasq reads them again long after it has become nobody.
        self.files.directory.mkdir(parents=True, exist_ok=True)
        self.files.directory.chmod(0o755)
        for above in self.files.directory.resolve().parents:
            if not above.stat().st_mode & 0o001:
                raise NetworkError(f"dnsmasq, as {USER}, cannot enter {above}: chmod o+x it")
        for file, text in ((self.files.dhcp, told.dhcp), (self.files.dns, told.dns)):
            if not file.exists() or file.read_text() != text:
                write_whole(file, text)

    def _release(self, bridge: str, server: IPv4Address, mac: str, address: str) -> None:
        """Make it forget who had the address, or the next owner would be refused it."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            # To dnsmasq it then comes in from the bridge, where it listens.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, bridge.encode())
            sock.sendto(release_packet(mac, address, server), (str(server), 67))

    def _start(self, wanted: list[str]) -> None:
        deadline = time.monotonic() + GRACE
        while True:
            try:
                # It serves when it has become a daemon, which is when this returns.
                answer = subprocess.run(wanted, capture_output=True, text=True, timeout=TIMEOUT)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise NetworkError(f"dnsmasq cannot be run: {error}") from error
            if answer.returncode == 0:
                return
            # The address can be in use still by the one before, if that was killed.
            if answer.returncode != NETWORK_TROUBLE or time.monotonic() > deadline:
                raise NetworkError(f"dnsmasq does not start: {answer.stderr.strip()}")
            time.sleep(0.02)

    def _running(self) -> int | None:
        try:
            pid = int(self.files.pid.read_text())
        except (FileNotFoundError, ValueError):
            return None
        # After a reboot the number may be anybody's.
        return pid if f"--pid-file={self.files.pid}" in _command_line(pid) else None


def write_whole(file: Path, text: str) -> None:
    """Replace `file` so that a reader finds the old text or the new, never a part."""
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(text)
    beside.chmod(0o644)
    beside.replace(file)


def resolves(name: str, server: IPv4Address, timeout: float = 0.2) -> bool:
    """Whether the DNS at `server` knows an address of `name` (RFC 1035)."""
    query_id = os.urandom(2)
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + struct.pack("!HH", 1, 1)  # A, IN
    query = query_id + struct.pack("!HHHHH", 0x0100, 1, 0, 0, 0) + question
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        try:
            sock.connect((str(server), 53))
            sock.send(query)
            answer = sock.recv(512)
        except OSError:
            return False  # nobody there, or not yet
    return answer[:2] == query_id and struct.unpack("!H", answer[6:8])[0] > 0


def owners(dhcp_hosts: str) -> set[tuple[str, str]]:
    """MAC and address of every line of the file of leases; a new name makes no new owner."""
    lines = (line.split(",") for line in dhcp_hosts.splitlines())
    return {(mac, address) for mac, _, address, _ in lines}


def release_packet(mac: str, address: str, server: IPv4Address) -> bytes:
    """DHCPRELEASE as the guest itself would send it (RFC 2131)."""
    header = struct.pack("!BBBB4sHH", 1, 1, 6, 0, os.urandom(4), 0, 0)
    hardware = bytes.fromhex(mac.replace(":", "")).ljust(16, b"\0")
    addresses = IPv4Address(address).packed + bytes(12) + hardware
    cookie, message = b"\x63\x82\x53\x63", bytes([53, 1, 7])
    return (
        header + addresses + bytes(192) + cookie + message + b"\x36\x04" + server.packed + b"\xff"
    )


def _command_line(pid: int) -> list[str]:
    """The arguments of a process; none when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _processes_with(argument: str) -> list[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if argument in _command_line(pid)]


def _terminate(pid: int, argument: str) -> None:
    """End the process with this argument and wait; what does not end by itself is killed."""
    with suppress(ProcessLookupError):  # gone is what we want
        # A handle stays with the process, while its number can pass to another.
        handle = os.pidfd_open(pid)
        try:
            for demand in (signal.SIGTERM, signal.SIGKILL):
                if argument in _command_line(pid):
                    signal.pidfd_send_signal(handle, demand)
                if select.select([handle], [], [], GRACE)[0]:
                    return
        finally:
            os.close(handle)
