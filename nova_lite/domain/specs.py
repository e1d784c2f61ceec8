"""Complete descriptions that cross the bus.  A worker acts on these alone.

On the bus they are JSON: `to_json` and `from_json` turn any of the frozen
dataclasses here into plain values and back, so that a message is readable in
the broker's own tools and holds no class names.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from nova_lite.domain.states import PowerState

T = TypeVar("T")


@dataclass(frozen=True)
class ImageSource:
    """Where a worker finds the bytes of an image, and how it knows that they are right."""

    id: UUID
    url: str  # carries a signature that is good for this image and a while
    disk_format: str  # as declared and checked; never guessed again
    size: int  # bytes
    sha512: str

    @property
    def kept_as(self) -> str:
        """What a worker makes of it for its guests: qcow2 or raw."""
        return "qcow2" if self.disk_format == "qcow2" else "raw"


@dataclass(frozen=True)
class Disk:
    target: str  # vda, vdb, ...
    size_gb: int  # 0: as large as its image
    image: ImageSource | None = None  # None: an empty disk
    boot: bool = False  # the guest starts from this one instead of the first


@dataclass(frozen=True)
class Link:
    """What a host needs for guests to reach a network at layer 2: a bridge, and its uplink."""

    network_id: UUID
    bridge: str
    parent: str | None = None  # physical interface to enslave; None: the bridge is the network
    vlan: int | None = None
    mtu: int = 1500


@dataclass(frozen=True)
class FilterRule:
    """Packets of new connections that a port lets through; what answers them passes anyway."""

    direction: str  # ingress: to the guest; egress: from it
    ethertype: str  # IPv4 or IPv6
    protocol: str | None = None  # tcp, udp, icmp, ipv6-icmp, ... or a number; None: any
    port_min: int | None = None  # for ICMP the type
    port_max: int | None = None  # for ICMP the code
    remotes: tuple[str, ...] | None = None  # CIDRs of the other side; None: anybody, (): nobody


@dataclass(frozen=True)
class Nic:
    port_id: UUID
    mac: str
    link: Link
    addresses: tuple[str, ...] = ()  # fixed addresses, for the filters that stop spoofing
    tap: str = ""  # name of the interface on the host: at most 15 characters
    rules: tuple[FilterRule, ...] | None = None  # None: its port is not filtered

    def __post_init__(self) -> None:
        if not self.tap:
            object.__setattr__(self, "tap", f"tap{self.port_id.hex[:11]}")


@dataclass(frozen=True)
class GuestSpec:
    """All there is to know to make a guest exist."""

    id: UUID
    name: str  # instance-0000002a: the name of the domain
    display_name: str
    project_id: str
    vcpus: int
    memory_mb: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]
    disk_generation: int = 0  # disks made for an earlier one are thrown away first
    sequence: int = 0  # grows with each command about this guest; older ones are refused
    filters: int = 0  # generation of the rules of its NICs; reported back


@dataclass(frozen=True)
class Guest:
    """What a hypervisor says about one of its guests."""

    id: UUID
    power_state: PowerState
    vcpus: int
    memory_mb: int
    sequence: int = 0


@dataclass(frozen=True)
class DiskUse:
    """What a guest has done with one of its disks since it was started."""

    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0
    errors: int = -1  # -1: the hypervisor does not count them


@dataclass(frozen=True)
class NicUse:
    """The same of one of its NICs."""

    mac: str
    rx_octets: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_drop: int = 0
    tx_octets: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_drop: int = 0


@dataclass(frozen=True)
class Diagnostics:
    """What a running guest uses."""

    power_state: PowerState
    driver: str  # libvirt, fake
    hypervisor: str  # qemu, kvm, fake
    uptime_seconds: int
    memory_mb: int
    memory_used_mb: int
    cpu_nanoseconds: tuple[int, ...]  # one for each virtual processor
    disks: tuple[DiskUse, ...]
    nics: tuple[NicUse, ...]


#: What not every hypervisor can do: carry a guest's disks to another host, and a running guest.
MOVE, LIVE_MIGRATE = "move", "live-migrate"
ABILITIES = (MOVE, LIVE_MIGRATE)


@dataclass(frozen=True)
class Capacity:
    """What a hypervisor has in all, before over-commit and whoever uses it."""

    vcpus: int
    memory_mb: int
    disk_gb: int
    hypervisor_type: str = "fake"
    hypervisor_version: int = 0
    cpu_info: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = "x86_64"
    abilities: tuple[str, ...] = ()  # of ABILITIES


@dataclass(frozen=True)
class Lease:
    """One line of DHCP: who gets which address under which name."""

    mac: str
    address: str
    hostname: str


@dataclass(frozen=True)
class Gateway:
    """What a host does for a network beyond layer 2: router, DHCP, DNS, NAT, metadata."""

    address: str  # with prefix: 10.0.0.1/24; first address on the bridge
    leases: tuple[Lease, ...] | None = None  # DHCP to serve; None: serve none
    dns_servers: tuple[str, ...] = ()  # forwarders; empty: the host's own
    domain: str = "novalocal"
    lease_seconds: int = 86400
    snat: bool = True  # hide the network behind the host's own address towards the outside
    metadata: str | None = None  # host:port that 169.254.169.254:80 leads to


@dataclass(frozen=True)
class NetworkPlan:
    """Everything one host has to provide for one network, complete each time."""

    link: Link
    generation: int  # of the network; reported back, so that waiters know
    gateway: Gateway | None = None


class Role(StrEnum):
    """The kinds of workers, by the names operators know."""

    COMPUTE = "nova-compute"
    NETWORK = "nova-network"
    SCHEDULER = "nova-scheduler"


def to_json(value: Any) -> Any:
    """Plain values for any spec: UUIDs and enums become strings, tuples lists."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, UUID):
        return str(value)
    return value


def from_json(cls: type[T], value: Any) -> T:
    """The spec that `value` came from; keys that are not known are passed over.

    Raises TypeError or ValueError when `value` does not describe a `cls`: a
    poisonous message is refused before any of it is acted on.
    """
    return typing.cast(T, _decode(cls, value))


@cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _decode(wanted: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _decode(next(a for a in arguments if a is not type(None)), value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise TypeError(f"expected an object, got {type(value).__name__}")
        return {key: _decode(arguments[1], item) for key, item in value.items()}
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise TypeError(f"expected a list, got {type(value).__name__}")
        return tuple(_decode(arguments[0], item) for item in value)
    if dataclasses.is_dataclass(wanted):
        if not isinstance(value, Mapping):
            raise TypeError(f"expected an object, got {type(value).__name__}")
        hints = _hints(typing.cast(type, wanted))
        known = {name: _decode(hints[name], item) for name, item in value.items() if name in hints}
        return typing.cast(Any, wanted)(**known)
    if wanted is UUID or (isinstance(wanted, type) and issubclass(wanted, StrEnum)):
        if not isinstance(value, str):
            raise TypeError(f"expected {wanted.__name__}, got {type(value).__name__}")
        return wanted(value)
    if wanted in (int, str, bool, float) and type(value) is not wanted:
        raise TypeError(f"expected {wanted.__name__}, got {type(value).__name__}")
    return value
