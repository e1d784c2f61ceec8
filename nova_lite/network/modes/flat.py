"""Flat: the operator's bridge and the operator's router.

The controller gives out addresses, and nothing on any host serves them: they
reach the guest by its configuration drive or by the operator's own DHCP.
"""

from __future__ import annotations

from collections.abc import Iterable

from nova_lite.domain.specs import Link, NetworkPlan
from nova_lite.network.modes.base import HostSettings, NetworkView, PortView


class Flat:
    has_gateway = False

    def on_compute(self, network: NetworkView) -> Link:
        # No parent, whatever the network says: which interfaces are in this
        # bridge is the operator's affair.
        return Link(network.id, network.bridge, mtu=network.mtu)

    def on_gateway(
        self, network: NetworkView, ports: Iterable[PortView], settings: HostSettings
    ) -> NetworkPlan:
        return NetworkPlan(self.on_compute(network), network.generation)
