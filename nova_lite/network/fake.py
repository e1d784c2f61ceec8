"""A host whose networks exist only in memory, but which is as strict as a real one.

The host and the driver are two objects, because in life they are two: a worker
that is killed leaves its networks running, and the next one finds them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Link, NetworkPlan, Nic, from_json, to_json
from nova_lite.network.plans import check_link, check_nics, check_plan


@dataclass
class FakeHost:
    """Bridges, plans and filters; with a `directory` plans outlive the process, in files."""

    directory: Path | None = None
    bridges: dict[str, Link] = field(default_factory=dict)
    plans: dict[UUID, NetworkPlan] = field(default_factory=dict)
    filters: dict[UUID, dict[str, Nic]] = field(default_factory=dict)  # by guest and interface
    broken: dict[str, Exception] = field(default_factory=dict)  # verb -> raised once
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.directory is not None:
            self.directory.mkdir(parents=True, exist_ok=True)
            for file in self.directory.glob("*.json"):
                self._hold(from_json(NetworkPlan, json.loads(file.read_text())))

    def provide(self, plan: NetworkPlan) -> None:
        self._hold(plan)
        if file := self._file(plan.link.network_id):
            beside = file.with_suffix(".new")
            beside.write_text(json.dumps(to_json(plan)))
            beside.replace(file)

    def withdraw(self, network: UUID) -> None:
        self.plans.pop(network, None)
        self.bridges = {n: link for n, link in self.bridges.items() if link.network_id != network}
        if file := self._file(network):
            file.unlink(missing_ok=True)

    def lose_power(self) -> None:
        """What a reboot does: nothing is provided until somebody asks for it again."""
        for network in list(self.plans):
            self.withdraw(network)
        self.bridges.clear()
        self.filters.clear()

    def _hold(self, plan: NetworkPlan) -> None:
        self.plans[plan.link.network_id] = plan
        self.bridges[plan.link.bridge] = plan.link

    def _file(self, network: UUID) -> Path | None:
        return self.directory / f"{network}.json" if self.directory else None


class FakeNetwork:
    """A NetworkDriver over a FakeHost."""

    def __init__(self, host: FakeHost | None = None) -> None:
        self.host = host or FakeHost()

    def connect(self, link: Link) -> None:
        with self.host.lock:
            self._break("connect")
            check_link(link)
            self.host.bridges[link.bridge] = link

    def ensure(self, plan: NetworkPlan) -> None:
        with self.host.lock:
            self._break("ensure")
            check_plan(plan)
            network, bridge = plan.link.network_id, plan.link.bridge
            for other in self.host.plans.values():
                if other.link.bridge == bridge and other.link.network_id != network:
                    raise NetworkError(
                        f"Bridge {bridge} of network {network} already serves "
                        f"network {other.link.network_id}"
                    )
            before = self.host.plans.get(network)
            if before and before.link.bridge != bridge:
                self.host.withdraw(network)
            self.host.provide(plan)

    def remove(self, network: UUID) -> None:
        with self.host.lock:
            self._break("remove")
            self.host.withdraw(network)

    def networks(self) -> Mapping[UUID, int]:
        with self.host.lock:
            self._break("networks")
            return {network: plan.generation for network, plan in self.host.plans.items()}

    def protect(self, guest: UUID, nics: Sequence[Nic]) -> None:
        with self.host.lock:
            self._break("protect")
            check_nics(nics)
            for nic in nics:
                if nic.link.bridge not in self.host.bridges:
                    raise NetworkError(f"There is no bridge {nic.link.bridge}")
            known = self.host.filters.get(guest, {}) | {nic.tap: nic for nic in nics}
            self._hold(guest, {tap: nic for tap, nic in known.items() if nic.rules is not None})

    def unprotect(self, guest: UUID, but: Sequence[Nic] = ()) -> None:
        with self.host.lock:
            self._break("unprotect")
            stay = {nic.tap for nic in but}
            known = self.host.filters.get(guest, {})
            self._hold(guest, {tap: nic for tap, nic in known.items() if tap in stay})

    def protected(self) -> Mapping[UUID, Sequence[str]]:
        with self.host.lock:
            return {guest: sorted(nics) for guest, nics in self.host.filters.items()}

    def watch(self) -> None:
        """Nobody else is on this host."""

    def _hold(self, guest: UUID, nics: dict[str, Nic]) -> None:
        self.host.filters.pop(guest, None)
        if nics:
            self.host.filters[guest] = nics

    def _break(self, verb: str) -> None:
        if error := self.host.broken.pop(verb, None):
            raise error
