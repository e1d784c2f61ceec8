"""A hypervisor that exists only in memory, but in all else behaves like one.

The machine and the driver are two objects, because in life they are two: when
a worker is killed its guests run on.  A test that restarts the worker makes a
new FakeDriver on the same Machine; a worker process that is killed and started
again finds its guests in the machine's directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any
from uuid import UUID

from nova_lite.domain.errors import GuestNotFound, HypervisorError
from nova_lite.domain.specs import (
    ABILITIES,
    LIVE_MIGRATE,
    Capacity,
    Diagnostics,
    Disk,
    DiskUse,
    Guest,
    GuestSpec,
    ImageSource,
    NicUse,
    from_json,
)
from nova_lite.domain.states import PowerState
from nova_lite.virt.driver import Console, Snapshot

PLENTY = Capacity(
    vcpus=64, memory_mb=262_144, disk_gb=10_000, hypervisor_version=1, abilities=ABILITIES
)

#: What each target may be reached from.  As with real hardware, a guest that
#: is off cannot pause, and nobody can order a crash.
REACHABLE: dict[PowerState, frozenset[PowerState]] = {
    PowerState.RUNNING: frozenset(PowerState),
    PowerState.PAUSED: frozenset({PowerState.RUNNING, PowerState.PAUSED}),
    PowerState.SUSPENDED: frozenset({PowerState.RUNNING, PowerState.PAUSED, PowerState.SUSPENDED}),
    PowerState.SHUTDOWN: frozenset(PowerState),
}
OFF = frozenset({PowerState.SHUTDOWN, PowerState.CRASHED})
WITHOUT_MEMORY = OFF | {PowerState.SUSPENDED}
SECTOR = 512
FIRST_VNC_PORT = 5900


@dataclass(frozen=True)
class FakeGuest:
    """All the machine knows of a guest.  No addresses of images: they carry signatures."""

    id: UUID
    name: str
    display_name: str
    project_id: str
    vcpus: int
    memory_mb: int
    sequence: int = 0
    power_state: PowerState = PowerState.SHUTDOWN
    boots: int = 0
    disks: tuple[str, ...] = ()  # target and image of each: "vda 5e0c...", "vdb"
    disk_generation: int = 0
    macs: tuple[str, ...] = ()
    password: str = ""  # that its agent was told
    interrupts: int = 0


class Machine:
    """The hardware: it survives every driver, and with a `directory` every process.

    `peers` are the machines that guests can migrate to, by host.  `guests` is
    for tests to look at.  `broken` maps a verb to the error that
    its next call raises, once.
    """

    def __init__(self, capacity: Capacity = PLENTY, directory: Path | None = None) -> None:
        self.capacity = capacity
        self.peers: Mapping[str, Machine] = {}
        self.guests: dict[UUID, FakeGuest] = {}
        self.images: set[UUID] = set()  # at hand before any guest needed them
        self.broken: dict[str, Exception] = {}
        self._directory = str(directory) if directory else None
        self._memory_mb_used = 0
        self._lock = Lock()
        if directory:
            directory.mkdir(parents=True, exist_ok=True)
            for file in directory.glob("*.json"):
                guest = from_json(FakeGuest, json.loads(file.read_bytes()))
                self.guests[guest.id] = guest
                self._memory_mb_used += _memory_mb_used(guest)

    def keep(self, guest: FakeGuest) -> None:
        """Add a guest or change one; HypervisorError when there is no memory for it to run in."""
        with self._lock:
            before = self.guests.get(guest.id)
            more = _memory_mb_used(guest) - (_memory_mb_used(before) if before else 0)
            if more > 0 and self._memory_mb_used + more > self.capacity.memory_mb:
                raise HypervisorError(f"Cannot allocate {guest.memory_mb} MiB for guest {guest.id}")
            if self._directory:
                self._write(guest)
            self._memory_mb_used += more
            self.guests[guest.id] = guest

    def drop(self, guest: UUID) -> None:
        with self._lock:
            if known := self.guests.get(guest):
                if self._directory:
                    os.unlink(self._file(guest))
                self._memory_mb_used -= _memory_mb_used(known)
                del self.guests[guest]

    def listing(self) -> list[FakeGuest]:
        with self._lock:
            return list(self.guests.values())

    def crash_guest(self, guest: UUID) -> None:
        self.keep(replace(self.guests[guest], power_state=PowerState.CRASHED))

    def lose_power(self) -> None:
        """Everything that ran is off."""
        for guest in self.listing():
            if guest.power_state not in WITHOUT_MEMORY:
                self.keep(replace(guest, power_state=PowerState.SHUTDOWN))

    def _file(self, guest: UUID) -> str:
        return f"{self._directory}/{guest}.json"

    def _write(self, guest: FakeGuest) -> None:
        # Renamed into place, so that a process killed here leaves the old
        # state or the new one; not synced, since only processes die in tests.
        file = self._file(guest.id)
        with open(file + ".part", "wb", buffering=0) as part:
            part.write(json.dumps({**vars(guest), "id": str(guest.id)}).encode())
        os.replace(file + ".part", file)


class FakeDriver:
    """A VirtDriver on a Machine; it keeps nothing itself.

    `look` is asked before a disk is made of an image, and may refuse it.
    """

    def __init__(
        self, machine: Machine, look: Callable[[ImageSource], None] = lambda image: None
    ) -> None:
        self.machine = machine
        self._look = look

    def capacity(self) -> Capacity:
        self._break("capacity")
        return self.machine.capacity

    def guests(self) -> Mapping[UUID, Guest]:
        self._break("guests")
        return {
            guest.id: Guest(
                guest.id, guest.power_state, guest.vcpus, guest.memory_mb, guest.sequence
            )
            for guest in self.machine.listing()
        }

    def ensure(self, spec: GuestSpec) -> None:
        self._break("ensure")
        if spec.memory_mb > self.machine.capacity.memory_mb:
            raise HypervisorError(f"Cannot allocate {spec.memory_mb} MiB for guest {spec.id}")
        known = self.machine.guests.get(spec.id)
        generation = known.disk_generation if known else -1
        fresh = generation < spec.disk_generation
        made = {} if known is None or fresh else {disk[:3]: disk for disk in known.disks}
        described: dict[str, Any] = {
            "name": spec.name,
            "display_name": spec.display_name,
            "project_id": spec.project_id,
            "vcpus": spec.vcpus,
            "memory_mb": spec.memory_mb,
            "sequence": spec.sequence,
            "disks": tuple(made.get(disk.target) or self._new_disk(disk) for disk in spec.disks),
            "disk_generation": max(generation, spec.disk_generation),
            "macs": tuple(nic.mac for nic in spec.nics),
        }
        if known:
            state = PowerState.SHUTDOWN if fresh else known.power_state
            self.machine.keep(replace(known, power_state=state, **described))
        else:
            self.machine.keep(FakeGuest(id=spec.id, **described))

    def plug(self, spec: GuestSpec) -> None:
        self._break("plug")
        self.ensure(spec)

    def power(self, guest: UUID, target: PowerState, *, grace: float = 0) -> None:
        self._break("power")
        known = self._find(guest)
        if known.power_state not in REACHABLE.get(target, ()):
            raise HypervisorError(f"Guest {guest} is {known.power_state}: cannot become {target}")
        if known.power_state != target:
            boots = target == PowerState.RUNNING and known.power_state in OFF
            self.machine.keep(replace(known, power_state=target, boots=known.boots + boots))

    def reset(self, guest: UUID) -> None:
        self._break("reset")
        known = self._find(guest)
        self.machine.keep(replace(known, power_state=PowerState.RUNNING, boots=known.boots + 1))

    def remove(self, guest: UUID) -> None:
        self._break("remove")
        self.machine.drop(guest)

    @contextmanager
    def snapshot(self, guest: UUID) -> Iterator[Snapshot]:
        self._break("snapshot")
        known = self._find(guest)
        with TemporaryDirectory(prefix="nova-lite-fake-") as directory:
            path = Path(directory, "disk")
            # A disk that tells whose it is, in whole sectors as every disk.
            text = f"{known.id} {known.disks} {known.boots}\n".encode()
            path.write_bytes(text.ljust(-(-len(text) // SECTOR) * SECTOR, b"\0"))
            yield Snapshot(path, "raw")

    def migrate(self, guest: UUID, to: str) -> None:
        self._break("migrate")
        if LIVE_MIGRATE not in self.machine.capacity.abilities:
            raise HypervisorError(f"Guest {guest} cannot be moved to {to}: this hypervisor cannot")
        if guest not in self.machine.guests:
            return
        known = self._running(guest)
        there = self.machine.peers.get(to)
        if there is None or guest not in there.guests:
            raise HypervisorError(f"Nothing is prepared for guest {guest} on {to}")
        there.keep(replace(known, sequence=there.guests[guest].sequence))
        self.machine.drop(guest)

    def diagnostics(self, guest: UUID) -> Diagnostics:
        self._break("diagnostics")
        known = self._running(guest)
        return Diagnostics(
            power_state=known.power_state,
            driver="fake",
            hypervisor="fake",
            uptime_seconds=0,
            memory_mb=known.memory_mb,
            memory_used_mb=0,
            cpu_nanoseconds=(0,) * known.vcpus,
            disks=(DiskUse(),) * len(known.disks),
            nics=tuple(map(NicUse, known.macs)),
        )

    def set_password(self, guest: UUID, user: str, password: str) -> None:
        self._break("set_password")
        self.machine.keep(replace(self._running(guest), password=f"{user}:{password}"))

    def interrupt(self, guest: UUID) -> None:
        self._break("interrupt")
        known = self._running(guest)
        self.machine.keep(replace(known, interrupts=known.interrupts + 1))

    def console(self, guest: UUID, kind: str) -> Console:
        self._break("console")
        running = [known.id for known in self.machine.listing()]
        self._running(guest)
        if kind != "vnc":
            raise HypervisorError(f"Guest {guest} has no {kind} console")
        return Console("127.0.0.1", FIRST_VNC_PORT + sorted(running).index(guest))

    def console_log(self, guest: UUID, max_bytes: int = 102_400) -> bytes:
        self._break("console_log")
        known = self._find(guest)
        text = _boot_text(known)
        enough = min(known.boots, max_bytes // len(text) + 1)
        return (text * enough)[-max_bytes:] if max_bytes > 0 else b""

    def fetch(self, image: ImageSource) -> None:
        self._break("fetch")
        self._look(image)
        self.machine.images.add(image.id)

    def _new_disk(self, disk: Disk) -> str:
        if disk.image is None:
            return disk.target
        if not disk.image.url:
            raise HypervisorError(f"Disk {disk.target}: image {disk.image.id} is gone")
        self._look(disk.image)
        return f"{disk.target} {disk.image.id}"

    def _find(self, guest: UUID) -> FakeGuest:
        try:
            return self.machine.guests[guest]
        except KeyError:
            raise GuestNotFound(f"Guest {guest} does not exist on this hypervisor") from None

    def _running(self, guest: UUID) -> FakeGuest:
        """The guest, if it is running or paused."""
        known = self._find(guest)
        if known.power_state in WITHOUT_MEMORY:
            raise HypervisorError(f"Guest {guest} is {known.power_state}")
        return known

    def _break(self, verb: str) -> None:
        if error := self.machine.broken.pop(verb, None):
            raise error


def _memory_mb_used(guest: FakeGuest) -> int:
    return 0 if guest.power_state in WITHOUT_MEMORY else guest.memory_mb


def _boot_text(guest: FakeGuest) -> bytes:
    return (
        "[    0.000000] Linux version 6.1.0-fake (nova-lite@nowhere)\n"
        "[    0.000000] Command line: root=/dev/vda1 console=ttyS0\n"
        f"[    0.010000] Memory: {guest.memory_mb * 1024}K/{guest.memory_mb * 1024}K available\n"
        f"[    0.020000] smp: Brought up 1 node, {guest.vcpus} CPUs\n"
        "[    0.500000] EXT4-fs (vda1): mounted filesystem with ordered data mode\n"
        "[    0.700000] Run /sbin/init as init process\n"
        f"\nDebian GNU/Linux 12 {guest.name} ttyS0\n\n{guest.name} login: \n"
    ).encode(errors="replace")
