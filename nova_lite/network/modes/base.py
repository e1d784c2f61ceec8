"""What every mode plans from, and what it answers.

A mode only decides: it is a pure function from what the database says to what
one host must provide.  Carrying a plan out is the same for all modes, and is
the business of a NetworkDriver.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from nova_lite.domain.specs import Link, NetworkPlan


@dataclass(frozen=True)
class SubnetView:
    cidr: str
    gateway_ip: str | None
    dns_servers: tuple[str, ...] = ()  # forwarders of this subnet, instead of the host's settings
    dhcp: bool = True


@dataclass(frozen=True)
class NetworkView:
    id: UUID
    bridge: str
    generation: int
    parent: str | None = None  # physical interface the bridge shares with other hosts
    vlan: int | None = None
    mtu: int = 1500
    subnets: tuple[SubnetView, ...] = ()


@dataclass(frozen=True)
class PortView:
    mac: str
    addresses: tuple[str, ...]  # of any subnet of the network, any family
    hostname: str  # as its owner wrote it: anything at all


@dataclass(frozen=True)
class HostSettings:
    """What is the same for all networks a host is the gateway of."""

    domain: str = "novalocal"
    lease_seconds: int = 86400
    dns_servers: tuple[str, ...] = ()
    metadata: str | None = None  # IPv4 address:port of the metadata service


class Mode(Protocol):
    has_gateway: bool  # some host serves the network beyond layer 2, and must know its ports

    def on_compute(self, network: NetworkView) -> Link:
        """What a host needs whose guests have ports in `network`."""

    def on_gateway(
        self, network: NetworkView, ports: Iterable[PortView], settings: HostSettings
    ) -> NetworkPlan:
        """All that the gateway host of `network` has to provide.

        Of two ports with the same hostname the first keeps it: give the oldest first.
        """
