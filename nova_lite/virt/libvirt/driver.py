"""A VirtDriver on libvirt.

libvirt's definitions are the only memory: which guests are ours, how they look
and which command described them last is read back from there.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import libvirt

from nova_lite.domain.errors import GuestNotFound, HypervisorError
from nova_lite.domain.specs import Capacity, Guest, GuestSpec
from nova_lite.domain.states import PowerState
from nova_lite.virt.libvirt import consoles, power
from nova_lite.virt.libvirt.connection import Connection
from nova_lite.virt.libvirt.disks import Disks, Images
from nova_lite.virt.libvirt.power import Clock
from nova_lite.virt.libvirt.xml import Definition, VirtType, cpu_info, definition, domain_xml

#: What may hang on a definition and goes with it; the mock knows only some of it.
UNDEFINE_MOCK = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
)
UNDEFINE = (
    UNDEFINE_MOCK
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


class LibvirtDriver:
    """`uri` is the libvirt to talk to, on this host; `instances_path` holds the guests' files."""

    def __init__(
        self,
        uri: str,
        instances_path: Path,
        images: Images,
        virt_type: VirtType = "kvm",
        *,
        clock: Clock = time,
    ) -> None:
        self._libvirt = Connection(uri)
        self._disks = Disks(instances_path, images)
        self._virt_type = virt_type
        self._undefine = UNDEFINE_MOCK if virt_type == "test" else UNDEFINE
        self._clock = clock

    def close(self) -> None:
        """Let go of the connection; the next call makes a new one."""
        self._libvirt.close()

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
        files = self._disks.ensure(spec)
        xml = domain_xml(
            spec,
            files,
            console_log=self._disks.console_log(spec.id),
            virt_type=self._virt_type,
        )
        flags = libvirt.VIR_DOMAIN_DEFINE_VALIDATE
        self._libvirt.run(lambda connection: connection.defineXMLFlags(xml, flags))

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
            if domain.isActive():
                with power.it_may_have_moved():
                    domain.reset(0)
            power.bring(domain, PowerState.RUNNING, self._clock)

        self._libvirt.run(work)

    def remove(self, guest: UUID) -> None:
        with suppress(GuestNotFound):  # then only files can be left
            self._libvirt.run(lambda connection: _erase(connection, guest, self._undefine))
        self._disks.remove(guest)

    def console_log(self, guest: UUID, max_bytes: int = 102_400) -> bytes:
        self._libvirt.run(lambda connection: _find(connection, guest))
        return consoles.tail(self._disks.console_log(guest), max_bytes)

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
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                raise
            continue  # removed since the first call
        if known:
            id = UUID(domain.UUIDString())
            state = power.power_state(stats["state.state"], stats["state.reason"])
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
