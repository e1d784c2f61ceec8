"""Networks by the kernel of this host: bridges, addresses, nftables; and dnsmasq.

What is ours can be told from the host itself: our bridges carry a group number
and the network's id as their alias, our rules are one table, and each dnsmasq
is known by its command line.  Files keep only what the host cannot tell: the
plan that was carried out, and how the host was before.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import logging
import os
import shutil
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from pathlib import Path
from typing import Any
from uuid import UUID

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.specs import Gateway, Link, NetworkPlan, Nic, from_json, to_json
from nova_lite.network import nft, nftables
from nova_lite.network.dnsmasq import Dnsmasq, hosts, write_whole
from nova_lite.network.guests import GuestFilters
from nova_lite.network.plans import check_link, check_nics, check_plan, metadata_target

LOG = logging.getLogger(__name__)

GROUP = 0x6E6C  # "nl": bridges we made are born with it, so no crash can orphan one

#: A guest's packets find no way into a host that has no address on the bridge:
#: IPv6 is off, and IPv4 takes only senders that are at home there.
CLOSED_BRIDGE = {
    "ipv6/conf/{}/disable_ipv6": "1",
    "ipv4/conf/{}/rp_filter": "1",
    "ipv4/conf/{}/arp_ignore": "1",
}
ROUTE_LOCALNET = "ipv4/conf/{}/route_localnet"
IP_FORWARD = "ipv4/ip_forward"
#: What br_netfilter does to every bridge of the host, unless told not to.
ALL_BRIDGES = ("bridge/bridge-nf-call-iptables", "bridge/bridge-nf-call-ip6tables")


class LinuxDriver:
    """A NetworkDriver for the network namespace that its calls are made in; needs root.

    `state_path` is this driver's own directory.  Processes that share it take
    turns.  Everybody must be able to pass through it (o+x): dnsmasq is nobody.
    """

    def __init__(self, state_path: Path) -> None:
        self.state = state_path
        self.guests = GuestFilters(state_path / "guests")

    def connect(self, link: Link) -> None:
        check_link(link)
        with self._alone(), _kernel() as kernel:
            _ensure_bridge(kernel, link)

    def ensure(self, plan: NetworkPlan) -> None:
        check_plan(plan)
        network, wanted = plan.link.network_id, Provision.of(plan)
        with self._alone(), _kernel() as kernel:
            record = Record(self.state, network)
            applied = record.applied()
            if applied is None or applied.plan.link.bridge != plan.link.bridge:
                self._refuse_shared_bridge(plan.link)
                if applied:
                    self._withdraw(kernel, record)
            if record.interrupted():
                # Whom it gave addresses meanwhile is not known: it begins anew.
                self._dnsmasq(network).stop()
            elif applied == wanted:
                self._provide(kernel, plan, applied.plan)
                return
            record.begin(wanted)
            self._provide(kernel, plan, applied.plan if applied else None)
            record.finish()
            LOG.info("network %s: generation %d", network, plan.generation)

    def remove(self, network: UUID) -> None:
        with self._alone(), _kernel() as kernel:
            self._withdraw(kernel, Record(self.state, network))

    def networks(self) -> Mapping[UUID, int]:
        with self._alone(), _kernel() as kernel:
            shared, addresses = self._shared_stands(), _addresses(kernel)
            return {
                record.network: applied.plan.generation
                for record in self._records()
                if (applied := record.applied())
                and not record.interrupted()
                and self._provides(kernel, applied, shared, addresses)
            }

    def protect(self, guest: UUID, nics: Sequence[Nic]) -> None:
        check_nics(nics)
        with _kernel() as kernel:
            for bridge in sorted({nic.link.bridge for nic in nics if nic.rules is not None}):
                _ensure_tracked(kernel, bridge)
        self.guests.protect(guest, nics)

    def unprotect(self, guest: UUID, but: Sequence[Nic] = ()) -> None:
        self.guests.unprotect(guest, but)

    def protected(self) -> Mapping[UUID, Sequence[str]]:
        return self.guests.protected()

    def watch(self) -> None:
        self.guests.watch()

    def remove_all(self) -> None:
        """Leave nothing of ours on this host: the end of nova_lite here."""
        self.guests.remove_all()
        with self._alone(), _kernel() as kernel:
            for record in self._records():
                self._withdraw(kernel, record)
            for link in kernel.get_links(group=GROUP):
                kernel.link("del", index=link["index"])
        shutil.rmtree(self.state, ignore_errors=True)

    # --- one network --------------------------------------------------------------------

    def _provide(self, kernel: IPRoute, plan: NetworkPlan, before: NetworkPlan | None) -> None:
        """Closed before it is reachable: rules first, then addresses, then services."""
        link, gateway = plan.link, plan.gateway
        index = _ensure_bridge(kernel, link)
        # Guests come and go more often than networks: for them alone, the
        # plans of all others need not be read again.
        if not (before and _differs_in_guests_only(before, plan) and self._shared_stands()):
            self._ensure_shared()
        _ensure_addresses(kernel, index, plan, before)
        dnsmasq = self._dnsmasq(link.network_id)
        if gateway is None:
            _sysctl(ROUTE_LOCALNET.format(link.bridge), "0")
            dnsmasq.remove()
        else:
            _sysctl(ROUTE_LOCALNET.format(link.bridge), "1" if _leads_to_loopback(gateway) else "0")
            dnsmasq.ensure(plan, gateway)

    def _provides(
        self,
        kernel: IPRoute,
        applied: Provision,
        shared: bool,
        addresses: Mapping[int, list[IPv4Interface]],
    ) -> bool:
        plan, gateway = applied.plan, applied.plan.gateway
        bridge = _find(kernel, plan.link.bridge)
        if bridge is None or bridge["state"] != "up":
            return False
        return gateway is None or (
            shared
            and IPv4Interface(gateway.address) in addresses[bridge["index"]]
            and self._dnsmasq(plan.link.network_id).provides(plan, gateway, applied.marker)
        )

    def _withdraw(self, kernel: IPRoute, record: Record) -> None:
        """Undo whatever there is, also of a plan that was carried out half."""
        self._dnsmasq(record.network).remove()
        for provision in filter(None, (record.applied(), record.begun())):
            link = provision.plan.link
            if bridge := _find(kernel, link.bridge):
                _ensure_addresses(kernel, bridge["index"], NetworkPlan(link, 0), provision.plan)
                _sysctl(ROUTE_LOCALNET.format(link.bridge), "0")
        for bridge in kernel.get_links(group=GROUP):
            if bridge.get("ifalias") == _alias(record.network):
                _remove_bridge(kernel, bridge)
        self._ensure_shared(without=record.network)
        record.remove()

    def _refuse_shared_bridge(self, link: Link) -> None:
        for plan in self._plans(without=link.network_id):
            if plan.link.bridge == link.bridge:
                raise NetworkError(
                    f"Bridge {link.bridge} of network {link.network_id} already serves "
                    f"network {plan.link.network_id}"
                )

    # --- what all networks share --------------------------------------------------------

    def _ensure_shared(self, without: UUID | None = None) -> None:
        plans = self._plans(without)
        serving = any(plan.gateway for plan in plans)
        self._ensure_filter(plans, serving)
        self._ensure_forwarding(serving)

    def _shared_stands(self) -> bool:
        """Whether rules and routing are as we left them, for one gateway or more."""
        known = _read(self.state / "nftables.json")
        return (
            known is not None
            and known["fingerprint"] == nftables.fingerprint()
            and _sysctl(IP_FORWARD) == "1"
        )

    def _ensure_filter(self, plans: Sequence[NetworkPlan], serving: bool) -> None:
        """Our table as all plans need it; replaced only if they, or it, have changed."""
        wanted = nftables.transaction(plans)
        digest = hashlib.sha256(json.dumps(wanted).encode()).hexdigest()
        file, found = self.state / "nftables.json", nftables.fingerprint()
        if not serving:
            if found:
                nft.apply(wanted)
            file.unlink(missing_ok=True)
        elif _read(file) != {"transaction": digest, "fingerprint": found}:
            nft.apply(wanted)
            applied = {"transaction": digest, "fingerprint": nftables.fingerprint()}
            write_whole(file, json.dumps(applied))

    def _ensure_forwarding(self, serving: bool) -> None:
        """The host routes while it is a gateway, and afterwards does as it did before."""
        before = self.state / "ip_forward"
        if serving:
            if not before.exists():
                write_whole(before, _sysctl(IP_FORWARD))
            _sysctl(IP_FORWARD, "1")
        elif before.exists():
            _sysctl(IP_FORWARD, before.read_text())
            before.unlink()

    def _plans(self, without: UUID | None = None) -> list[NetworkPlan]:
        """Of every network the newest plan, carried out or begun, by bridge."""
        newest = [
            record.begun() or record.applied()
            for record in self._records()
            if record.network != without
        ]
        return sorted((p.plan for p in newest if p), key=lambda plan: plan.link.bridge)

    def _records(self) -> list[Record]:
        return [Record(self.state, network) for network in Record.all(self.state)]

    def _dnsmasq(self, network: UUID) -> Dnsmasq:
        return Dnsmasq(self.state / "dnsmasq" / str(network))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One call at a time, of all threads and processes on this state."""
        self.state.mkdir(parents=True, exist_ok=True)
        with open(self.state / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Provision:
    """A plan as it is kept: without its leases, of which `marker` tells enough."""

    plan: NetworkPlan
    marker: str = ""

    @classmethod
    def of(cls, plan: NetworkPlan) -> Provision:
        if plan.gateway is None:
            return cls(plan)
        # None stays None: then there is no DHCP at all.
        leases = None if plan.gateway.leases is None else ()
        outline = replace(plan, gateway=replace(plan.gateway, leases=leases))
        return cls(outline, hosts(plan.gateway).marker)


def _differs_in_guests_only(before: NetworkPlan, plan: NetworkPlan) -> bool:
    return replace(before, generation=plan.generation) == Provision.of(plan).plan


class Record:
    """What is known of one network: what is provided, and what is about to be.

    The new stands in a file of its own until it is done, then takes the place
    of the old: whoever is killed in between leaves both.
    """

    def __init__(self, state: Path, network: UUID) -> None:
        self.network = network
        self._done = state / "networks" / f"{network}.json"
        self._next = state / "networks" / f"{network}.next"

    @staticmethod
    def all(state: Path) -> list[UUID]:
        files = (state / "networks").glob("*")
        return sorted({UUID(file.stem) for file in files if file.suffix in (".json", ".next")})

    def applied(self) -> Provision | None:
        return self._provision(self._done)

    def begun(self) -> Provision | None:
        return self._provision(self._next)

    def interrupted(self) -> bool:
        return self._next.exists()

    def begin(self, provision: Provision) -> None:
        self._next.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._next, json.dumps(to_json(provision)))

    def finish(self) -> None:
        self._next.replace(self._done)

    def remove(self) -> None:
        for file in self._done.parent.glob(f"{self.network}.*"):
            file.unlink()

    @staticmethod
    def _provision(file: Path) -> Provision | None:
        content = _read(file)
        return None if content is None else from_json(Provision, content)


# --- the kernel -----------------------------------------------------------------------------


@contextmanager
def _kernel() -> Iterator[IPRoute]:
    """A netlink socket; what the kernel refuses is a NetworkError."""
    try:
        with IPRoute() as kernel:
            yield kernel
    except (NetlinkError, OSError) as error:
        raise NetworkError(f"The host refused: {error}") from error


def _find(kernel: IPRoute, name: str) -> Any:
    """The interface with this name, or None."""
    try:
        return next(iter(kernel.link("get", ifname=name)))
    except NetlinkError as error:
        if error.code != errno.ENODEV:
            raise
        return None


def _ensure_bridge(kernel: IPRoute, link: Link) -> int:
    """The index of the bridge, which is up; only if it is ours is anything else changed."""
    bridge = _find(kernel, link.bridge) or _create_bridge(kernel, link.bridge)
    index: int = bridge["index"]
    if bridge.get(("linkinfo", "kind")) != "bridge":
        raise NetworkError(f"{link.bridge} is there already, and is not a bridge")
    if bridge.get("group") == GROUP:
        if bridge.get("ifalias") != _alias(link.network_id):
            kernel.link("set", index=index, ifalias=_alias(link.network_id))
        if bridge.get("mtu") != link.mtu:
            kernel.link("set", index=index, mtu=link.mtu)
        for name, value in CLOSED_BRIDGE.items():
            if Path("/proc/sys/net", name.format(link.bridge)).exists():  # IPv6 may be missing
                _sysctl(name.format(link.bridge), value)
    if bridge["state"] != "up":
        kernel.link("set", index=index, state="up")
    if link.parent:
        _ensure_uplink(kernel, link.parent, link.bridge, index)
    return index


def _create_bridge(kernel: IPRoute, name: str) -> Any:
    # A bridge takes the lowest address of its ports unless it is born with one;
    # then guests would lose their gateway whenever another guest comes.
    address = f"02:{os.urandom(5).hex(':')}"
    shape = {"kind": "bridge", "br_forward_delay": 0, "br_stp_state": 0}
    try:
        kernel.link("add", ifname=name, group=GROUP, address=address, **shape)
    except NetlinkError as error:
        if error.code != errno.EEXIST:  # another process was faster: its bridge is as good
            raise
    return next(iter(kernel.link("get", ifname=name)))


def _ensure_tracked(kernel: IPRoute, name: str) -> None:
    """Frames through this bridge pass the inet hooks, where connection tracking is."""
    bridge = _find(kernel, name)
    if bridge is None:
        raise NetworkError(f"There is no bridge {name}")
    shape = dict(bridge.get("linkinfo", {}).get("data", {}).get("attrs", ()))
    wanted = {"br_nf_call_iptables": 1, "br_nf_call_ip6tables": 1}
    _load_br_netfilter()
    if any(shape.get(f"IFLA_{key.upper()}") != value for key, value in wanted.items()):
        kernel.link("set", index=bridge["index"], kind="bridge", **wanted)


def _load_br_netfilter() -> None:
    settings = [Path("/proc/sys/net", name) for name in ALL_BRIDGES]
    if all(file.exists() for file in settings):
        return
    with suppress(OSError):
        subprocess.run(["modprobe", "br_netfilter"], capture_output=True)
    if not all(file.exists() for file in settings):
        raise NetworkError("Guests cannot be filtered: this kernel has no br_netfilter")
    for file in settings:
        file.write_text("0")  # bridges of others are as they were


def _ensure_uplink(kernel: IPRoute, name: str, bridge: str, index: int) -> None:
    uplink = _find(kernel, name)
    if uplink is None:
        raise NetworkError(f"Uplink {name} of bridge {bridge} does not exist")
    master = uplink.get("master")
    if master not in (None, index):
        raise NetworkError(f"Uplink {name} of bridge {bridge} is in another bridge or bond")
    if master is None:
        # Inside a bridge they would be dead, and with them perhaps the way
        # the operator came in.
        if addresses := _addresses(kernel)[uplink["index"]]:
            raise NetworkError(
                f"Uplink {name} of bridge {bridge} has an address of the host "
                f"({addresses[0]}): give guests an interface of their own"
            )
        kernel.link("set", index=uplink["index"], master=index)
    if uplink["state"] != "up":
        kernel.link("set", index=uplink["index"], state="up")


def _remove_bridge(kernel: IPRoute, bridge: Any) -> None:
    """Delete a bridge of ours, unless guests of this host are still on it."""
    ports = kernel.get_links(master=bridge["index"])
    if any(port.get(("linkinfo", "kind")) == "tun" for port in ports):
        LOG.warning("bridge %s stays: guests are on it", bridge.get("ifname"))
    else:
        kernel.link("del", index=bridge["index"])


def _addresses(kernel: IPRoute) -> Mapping[int, list[IPv4Interface]]:
    """The IPv4 addresses of every interface, by its index."""
    found = defaultdict(list)
    for address in kernel.get_addr(family=socket.AF_INET):
        interface = IPv4Interface(f"{address.get('address')}/{address['prefixlen']}")
        found[address["index"]].append(interface)
    return found


def _ensure_addresses(
    kernel: IPRoute, index: int, plan: NetworkPlan, before: NetworkPlan | None
) -> None:
    """The gateway's address on the bridge, and none of ours besides it."""
    wanted = {IPv4Interface(plan.gateway.address)} if plan.gateway else set()
    found = set(_addresses(kernel)[index])
    bridge = next(iter(kernel.link("get", index=index)))
    ours = found if bridge.get("group") == GROUP else set()
    if before and before.gateway:
        ours = ours | ({IPv4Interface(before.gateway.address)} & found)
    for address in ours - wanted:
        kernel.addr("del", index=index, address=str(address.ip), prefixlen=_prefix(address))
    for address in wanted - found:
        kernel.addr(
            "add",
            index=index,
            address=str(address.ip),
            prefixlen=_prefix(address),
            broadcast=str(address.network.broadcast_address),
        )


def _prefix(address: IPv4Interface) -> int:
    return address.network.prefixlen


def _alias(network: UUID) -> str:
    return f"nova_lite {network}"


def _leads_to_loopback(gateway: Gateway) -> bool:
    target = metadata_target(gateway)
    return target is not None and target[0].is_loopback


def _sysctl(name: str, value: str | None = None) -> str:
    """What a setting under /proc/sys/net was; with `value`, it is that afterwards."""
    file = Path("/proc/sys/net", name)
    before = file.read_text().strip()
    if value is not None and before != value:
        file.write_text(value)
    return before


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (FileNotFoundError, ValueError):  # a file that power loss has emptied says nothing
        return None
