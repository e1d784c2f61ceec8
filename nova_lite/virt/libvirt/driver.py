"""A VirtDriver on libvirt.

libvirt's definitions are the only memory: which guests are ours, how they look
and which command described them last is read back from there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import libvirt

from nova_lite.domain.errors import GuestNotFound, HypervisorError
from nova_lite.domain.specs import Capacity, Diagnostics, Guest, GuestSpec, ImageSource
from nova_lite.domain.states import PowerState
from nova_lite.virt.driver import Console, Snapshot
from nova_lite.virt.libvirt import backup, consoles, hotplug, power, usage
from nova_lite.virt.libvirt.connection import Connection
from nova_lite.virt.libvirt.disks import ROOT, Disks, Images, resize
from nova_lite.virt.libvirt.power import Clock
from nova_lite.virt.libvirt.xml import (
    Definition,
    DiskFile,
    VirtType,
    cpu_info,
    definition,
    domain_xml,
)

#: What may hang on a definition and goes with it; the mock knows only some of it.
UNDEFINE_MOCK = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
)
UNDEFINE = (
    UNDEFINE_MOCK
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


#: What libvirt says when nobody in the guest is there to listen.
NO_AGENT = frozenset(
    {
        libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
        libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
        libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        libvirt.VIR_ERR_NO_SUPPORT,
    }
)
AGENT_TIMEOUT = 10  # seconds; an agent is the guest's, and may keep us waiting for ever


class LibvirtDriver:
    """`uri` is the libvirt to talk to, on this host; `instances_path` holds the guests' files.

    `patience` is how many seconds a guest is given to let go of a NIC.
    """

    def __init__(
        self,
        uri: str,
        instances_path: Path,
        images: Images,
        virt_type: VirtType = "kvm",
        *,
        clock: Clock = time,
        patience: float = hotplug.PATIENCE,
    ) -> None:
        self._libvirt = Connection(uri)
        self._disks = Disks(instances_path, images)
        self._virt_type = virt_type
        self._undefine = UNDEFINE_MOCK if virt_type == "test" else UNDEFINE
        self._clock = clock
        self._patience = patience

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        self._libvirt.close()

    def clean(self) -> None:
        """Remove what a worker that died left behind; only before anything else is begun."""
        self._disks.clean()

    def capacity(self) -> Capacity:
        kind, version = self._libvirt.run(lambda c: (c.getType(), c.getVersion()))
        return Capacity(
            vcpus=os.cpu_count() or 1,
            memory_mb=host_memory_mb(),
            disk_gb=self._disks.total_gb(),
            hypervisor_type=kind,
            hypervisor_version=version,
            cpu_info=self._cpu_info,
            architecture=os.uname().machine,
        )

    def guests(self) -> Mapping[UUID, Guest]:
        return self._libvirt.run(_guests)

    def ensure(self, spec: GuestSpec) -> None:
        known = self._known(spec.id)
        generation = known.disk_generation if known else 0
        if known and generation < spec.disk_generation:
            # All that could go wrong goes wrong before anything is thrown away.
            self._disks.prepare(spec)
            self.power(spec.id, PowerState.SHUTDOWN)
            self._disks.keep(spec.id, ())
        files = self._disks.ensure(spec, lambda file, size: self._grow(spec.id, file, size))
        xml = domain_xml(
            replace(spec, disk_generation=max(generation, spec.disk_generation)),
            files,
            console_log=self._disks.console_log(spec.id),
            virt_type=self._virt_type,
        )
        flags = libvirt.VIR_DOMAIN_DEFINE_VALIDATE
        self._libvirt.run(lambda connection: connection.defineXMLFlags(xml, flags))
        self._disks.keep(spec.id, [disk.target for disk in spec.disks])

    def plug(self, spec: GuestSpec) -> None:
        self.ensure(spec)

        def work(connection: Any) -> None:
            domain = _find(connection, spec.id)
            if domain.isActive():
                hotplug.plug(domain, spec.nics, self._clock, self._patience)

        self._libvirt.run(work)

    def power(self, guest: UUID, target: PowerState, *, grace: float = 0) -> None:
        if target not in power.SATISFIED_BY:
            raise HypervisorError(f"No guest can be told to become {target}")

        def work(connection: Any) -> None:
            domain = _find(connection, guest)
            if target == PowerState.SHUTDOWN and grace > 0:
                power.ask_to_shut_down(domain, grace, self._clock)
            power.bring(domain, target, self._clock)

        self._libvirt.run(work)

    def reset(self, guest: UUID) -> None:
        def work(connection: Any) -> None:
            domain = _find(connection, guest)
            if power.state_of(domain) == PowerState.SUSPENDED:
                # What it had in memory is what a reset is to be rid of.
                power.bring(domain, PowerState.SHUTDOWN, self._clock)
            elif domain.isActive():
                with power.it_may_have_moved():
                    domain.reset(0)
            power.bring(domain, PowerState.RUNNING, self._clock)

        self._libvirt.run(work)

    def remove(self, guest: UUID) -> None:
        with suppress(GuestNotFound):  # then only files can be left
            self._libvirt.run(lambda connection: _erase(connection, guest, self._undefine))
        self._disks.remove(guest)

    @contextmanager
    def snapshot(self, guest: UUID) -> Iterator[Snapshot]:
        self._libvirt.run(lambda connection: _find(connection, guest))
        with self._disks.scratch(guest) as copy:
            self._libvirt.run(lambda connection: self._copy_root(connection, guest, copy))
            yield Snapshot(copy, "qcow2")

    def migrate(self, guest: UUID, to: str) -> None:
        raise HypervisorError(f"Guests on libvirt cannot be moved to {to} or any other host yet")

    def diagnostics(self, guest: UUID) -> Diagnostics:
        def work(connection: Any) -> Diagnostics:
            domain = _find(connection, guest)
            state = power.state_of(domain)
            if not domain.isActive():
                raise HypervisorError(f"Guest {guest} is {state}")
            [(_, stats)] = connection.domainListGetStats([domain], usage.STATS)
            return usage.diagnostics(domain.XMLDesc(), stats, state, time.time())

        return self._libvirt.run(work)

    def set_password(self, guest: UUID, user: str, password: str) -> None:
        def work(connection: Any) -> None:
            domain = _find(connection, guest)
            try:
                domain.agentSetResponseTimeout(AGENT_TIMEOUT)
                domain.setUserPassword(user, password)
            except libvirt.libvirtError as error:
                if error.get_error_code() not in NO_AGENT:
                    raise
                raise HypervisorError(f"Guest {guest} has no guest agent that answers") from None

        self._libvirt.run(work)

    def interrupt(self, guest: UUID) -> None:
        self._libvirt.run(lambda connection: _find(connection, guest).injectNMI())

    def console(self, guest: UUID, kind: str) -> Console:
        def work(connection: Any) -> Console:
            domain = _find(connection, guest)
            if not domain.isActive():
                raise HypervisorError(f"Guest {guest} is {power.state_of(domain)}")
            return consoles.address(domain.XMLDesc(), kind)

        return self._libvirt.run(work)

    def console_log(self, guest: UUID, max_bytes: int = 102_400) -> bytes:
        self._libvirt.run(lambda connection: _find(connection, guest))
        return consoles.tail(self._disks.console_log(guest), max_bytes)

    def _known(self, guest: UUID) -> Definition | None:
        try:
            return self._libvirt.run(lambda connection: _definition(_find(connection, guest)))
        except GuestNotFound:
            return None

    def _grow(self, guest: UUID, file: DiskFile, size: int) -> None:
        def by_itself(connection: Any) -> bool:
            domain = _find(connection, guest)
            with power.it_may_have_moved():
                if domain.isActive() and file.target in hotplug.disks(domain):
                    domain.blockResize(file.target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
                    return True
            return False

        grown = False
        with suppress(GuestNotFound):  # then nobody uses it
            grown = self._libvirt.run(by_itself)
        if not grown:
            resize(file.path, size)

    def _copy_root(self, connection: Any, guest: UUID, to: Path) -> None:
        domain = _find(connection, guest)
        if not (domain.isActive() and backup.copy(domain, ROOT, to, self._clock)):
            self._disks.copy(guest, to)

    def fetch(self, image: ImageSource) -> None:
        self._disks.fetch(image)

    @cached_property
    def _cpu_info(self) -> Mapping[str, Any]:
        # 40 KB of XML that never changes while a host is up.
        return cpu_info(self._libvirt.run(lambda connection: connection.getCapabilities()))


def host_memory_mb(meminfo: Path = Path("/proc/meminfo")) -> int:
    """Memory of this host.  libvirt's own figure is wrong in some virtual machines."""
    found = re.search(r"^MemTotal:\s+(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    if not found:
        raise HypervisorError(f"{meminfo} does not tell the host's memory")
    return int(found[1]) // 1024


def _guests(connection: Any) -> dict[UUID, Guest]:
    # One call for all states; without waiting for guests that are busy.  The
    # definitions, which libvirtd has in memory, take one short call each.
    found: dict[UUID, Guest] = {}
    for domain, stats in connection.getAllDomainStats(
        libvirt.VIR_DOMAIN_STATS_STATE, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    ):
        try:
            known = _definition(domain)
            state = power.or_suspended(
                power.power_state(stats["state.state"], stats["state.reason"]), domain
            )
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            continue  # removed since the first call
        if known:
            id = UUID(domain.UUIDString())
            found[id] = Guest(id, state, known.vcpus, known.memory_mb, known.sequence)
    return found


def _erase(connection: Any, guest: UUID, flags: int) -> None:
    domain = _find(connection, guest)
    with power.it_may_have_moved():
        if domain.isActive():
            domain.destroy()
    domain.undefineFlags(flags)


def _find(connection: Any, guest: UUID) -> Any:
    """The domain of a guest of ours; GuestNotFound also when it is somebody else's."""
    domain = connection.lookupByUUIDString(str(guest))
    if _definition(domain) is None:
        raise GuestNotFound(f"Guest {guest} is not ours")
    return domain


def _definition(domain: Any) -> Definition | None:
    """What will hold from the next start; None when the domain is not ours."""
    return definition(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
