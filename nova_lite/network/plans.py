"""Which plans a driver may act on.

Plans come over the bus, and parts of them end up in files and options of
programs that run as root.  So every driver, the fake one too, looks before it
acts: what passes here can be written down without quoting.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, ip_network

from nova_lite.domain.errors import NetworkError
from nova_lite.domain.security_rules import (
    EGRESS,
    HIGHEST_PORT,
    INGRESS,
    VERSIONS,
    WITH_PORTS,
    number,
)
from nova_lite.domain.specs import FilterRule, Gateway, Lease, Link, NetworkPlan, Nic

_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def check_link(link: Link) -> None:
    """Raises NetworkError when `link` names what cannot be an interface."""
    for name in (link.bridge, link.parent):
        if name is not None and not _INTERFACE.fullmatch(name):
            raise NetworkError(f"{name!r} is no name for a network interface")
    if link.vlan is not None:
        raise NetworkError(
            f"Network {link.network_id} asks for VLAN {link.vlan}: not provided here"
        )
    if not 576 <= link.mtu <= 65535:
        raise NetworkError(f"Network {link.network_id} has an impossible MTU: {link.mtu}")


def check_plan(plan: NetworkPlan) -> None:
    """Raises NetworkError, naming the field, when any part of `plan` cannot be provided."""
    check_link(plan.link)
    if plan.gateway is None:
        return
    try:
        _check_gateway(plan.gateway)
    except ValueError as error:
        raise NetworkError(f"Plan of network {plan.link.network_id}: {error}") from error


def check_nics(nics: Iterable[Nic]) -> None:
    """Raises NetworkError when the filters of any of these cannot be what they say."""
    for nic in nics:
        check_link(nic.link)
        try:
            if not _INTERFACE.fullmatch(nic.tap):
                raise ValueError(f"{nic.tap!r} is no name for a network interface")
            _match(_MAC, nic.mac.lower(), "MAC address")
            for address in nic.addresses:
                ip_network(address)
            for rule in nic.rules or ():
                _check_rule(rule)
        except (ValueError, KeyError) as error:
            raise NetworkError(f"Port {nic.port_id}: {error}") from error


def metadata_target(gateway: Gateway) -> tuple[IPv4Address, int] | None:
    """Where the metadata service is.  Raises ValueError unless it is an IPv4 address and a port."""
    if gateway.metadata is None:
        return None
    host, _, port = gateway.metadata.rpartition(":")
    address = IPv4Address(host)
    if address.is_unspecified or not 0 < int(port) < 65536:
        raise ValueError(f"metadata service at {gateway.metadata} cannot be reached")
    return address, int(port)


def _check_gateway(gateway: Gateway) -> None:
    interface = IPv4Interface(gateway.address)
    for server in gateway.dns_servers:
        IPv4Address(server)
    for label in gateway.domain.split("."):
        _match(_LABEL, label, "domain")
    if gateway.lease_seconds < 120:  # the least that dnsmasq gives
        raise ValueError(f"lease_seconds {gateway.lease_seconds} is less than 120")
    metadata_target(gateway)
    taken: set[str] = {str(interface.ip)}
    for lease in gateway.leases or ():
        _check_lease(lease, interface)
        # Given out twice it would not be refused by the server, but served at random.
        for what in (lease.address, lease.mac):
            if what in taken:
                raise ValueError(f"{what} is given out twice")
            taken.add(what)


def _check_rule(rule: FilterRule) -> None:
    if rule.direction not in (INGRESS, EGRESS) or rule.ethertype not in VERSIONS.values():
        raise ValueError(f"no rule is about {rule.direction} {rule.ethertype}")
    for remote in rule.remotes or ():
        if VERSIONS[ip_network(remote).version] != rule.ethertype:
            raise ValueError(f"{remote} is not {rule.ethertype}")
    with_ports = number(rule.protocol, rule.ethertype) in WITH_PORTS
    low, high = rule.port_min or 0, HIGHEST_PORT if rule.port_max is None else rule.port_max
    if not 0 <= low <= HIGHEST_PORT or not (low if with_ports else 0) <= high <= HIGHEST_PORT:
        raise ValueError(f"from {low} to {high} there are no ports")


def _check_lease(lease: Lease, interface: IPv4Interface) -> None:
    _match(_MAC, lease.mac, "MAC address")
    _match(_LABEL, lease.hostname, "hostname")
    if IPv4Address(lease.address) not in interface.network:
        raise ValueError(f"lease of {lease.address} is outside {interface.network}")


def _match(pattern: re.Pattern[str], value: str, what: str) -> None:
    if not pattern.fullmatch(value):
        raise ValueError(f"{value!r} is no {what}")
