"""What one rule of a security group can say, in the words of the network API.

Clients name the same thing in several ways: a protocol by name or number, all
addresses by 0.0.0.0/0 or by nothing.  What is kept is what they said, and
beside it the rule's one `meaning`, by which equal rules are known.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface
from uuid import UUID

from nova_lite.domain.errors import Invalid

INGRESS, EGRESS = "ingress", "egress"
IPV4, IPV6 = "IPv4", "IPv6"
VERSIONS = {4: IPV4, 6: IPV6}
ANY = "any"

#: Names of IP protocols, by the registry of IANA and by what clients call them.
PROTOCOLS = {
    **{"ip": 0, "hopopt": 0, "icmp": 1, "igmp": 2, "ipip": 4, "tcp": 6, "egp": 8, "udp": 17},
    **{"dccp": 33, "ipv6-encap": 41, "ipv6-route": 43, "ipv6-frag": 44, "rsvp": 46, "gre": 47},
    **{"esp": 50, "ah": 51, "ipv6-icmp": 58, "icmpv6": 58, "ipv6-nonxt": 59, "ipv6-opts": 60},
    **{"ospf": 89, "vrrp": 112, "pgm": 113, "sctp": 132, "udplite": 136},
}
#: Without two names that are not what the kernel's tools call theirs.
NAMES = {PROTOCOLS[name]: name for name in PROTOCOLS if name not in ("ip", "icmpv6")}
WITH_PORTS = {PROTOCOLS[name] for name in ("tcp", "udp", "dccp", "sctp", "udplite")}
ICMP, ICMP_V6 = PROTOCOLS["icmp"], PROTOCOLS["ipv6-icmp"]
ONLY_V6 = {name for name in PROTOCOLS if name.startswith("ipv6-") or name == "icmpv6"}
HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Rule:
    """A rule as it is kept; `port_range` is for ICMP type and code."""

    direction: str
    ethertype: str = IPV4
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: UUID | None = None

    @property
    def meaning(self) -> str:
        """The same for all rules that let the same through."""
        remote = self.remote_group_id or cidr(self.remote_ip_prefix)
        parts = (
            *(self.direction, self.ethertype, number(self.protocol, self.ethertype)),
            *(self.port_range_min, self.port_range_max, remote),
        )
        return " ".join("*" if part is None else str(part) for part in parts)


def rule(
    direction: str,
    ethertype: str = IPV4,
    protocol: str | int | None = None,
    port_range_min: str | int | None = None,
    port_range_max: str | int | None = None,
    remote_ip_prefix: str | None = None,
    remote_group_id: UUID | None = None,
) -> Rule:
    """The rule that a client describes.  Raises Invalid for what cannot be."""
    said = Rule(
        direction,
        ethertype,
        _protocol(protocol),
        _port(port_range_min),
        _port(port_range_max),
        _prefix(remote_ip_prefix),
        remote_group_id,
    )
    _check_remote(said)
    _check_protocol(said)
    _check_range(said)
    return said


def number(protocol: str | None, ethertype: str) -> int | None:
    """The protocol's number; None is any.  ICMP is that of the rule's IP version."""
    if protocol is None:
        return None
    found = int(protocol) if protocol.isdecimal() else PROTOCOLS[protocol]
    return ICMP_V6 if (found, ethertype) == (ICMP, IPV6) else found


def protocol_name(protocol: str | None, ethertype: str) -> str | None:
    """Its one name, or its number where it has none."""
    found = number(protocol, ethertype)
    return None if found is None else NAMES.get(found, str(found))


def normalized(prefix: str | None) -> str | None:
    """The network that a prefix is of: 10.2.3.124/24 is 10.2.3.0/24."""
    return None if prefix is None else str(ip_interface(prefix).network)


def cidr(prefix: str | None) -> str | None:
    """As `normalized`; None where it is everybody."""
    network = normalized(prefix)
    return None if network is None or network.endswith("/0") else network


# --- what may be said ---------------------------------------------------------------------------


def _protocol(said: str | int | None) -> str | None:
    if said is None:
        return None
    text = str(said).lower()
    if text in ("", ANY):
        return None
    if text in PROTOCOLS or (text.isascii() and text.isdecimal() and int(text) <= 255):
        return text if text in PROTOCOLS else str(int(text))
    raise Invalid(
        f"Security group rule protocol {said} not supported. Only protocol values "
        f"{', '.join(sorted(PROTOCOLS))} and integer representations (0 to 255) are supported."
    )


def _port(said: str | int | None) -> int | None:
    if said is None:
        return None
    try:
        found = int(said)
    except ValueError:
        found = -1
    if not 0 <= found <= HIGHEST_PORT:
        raise Invalid(f"Invalid value for port {said}")
    return found


def _prefix(said: str | None) -> str | None:
    if not said:
        return None
    try:
        if "%" in said:  # an interface of ours would mean nothing to a client
            raise ValueError(said)
        return str(ip_interface(said))
    except ValueError:
        raise Invalid(f"Invalid CIDR {said} given as IP prefix.") from None


def _check_remote(said: Rule) -> None:
    if said.remote_ip_prefix is None:
        return
    if said.remote_group_id is not None:
        raise Invalid("Only remote_ip_prefix or remote_group_id may be provided.")
    if VERSIONS[ip_interface(said.remote_ip_prefix).version] != said.ethertype:
        raise Invalid(
            f"Conflicting value ethertype {said.ethertype} for CIDR {said.remote_ip_prefix}"
        )


def _check_protocol(said: Rule) -> None:
    if said.ethertype == IPV4 and said.protocol in ONLY_V6:
        raise Invalid(
            f"Invalid ethertype {said.ethertype} for protocol {said.protocol}: that is IPv6's."
        )


def _check_range(said: Rule) -> None:
    low, high = said.port_range_min, said.port_range_max
    if low is None and high is None:
        return
    if said.protocol is None:
        raise Invalid("Must also specify protocol if port range is given.")
    protocol = number(said.protocol, said.ethertype)
    if protocol in (ICMP, ICMP_V6):
        for name, attribute in (("type", "port_range_min"), ("code", "port_range_max")):
            value = getattr(said, attribute)
            if value is not None and value > 255:
                raise Invalid(
                    f"Invalid value for ICMP {name} ({attribute}) {value}. It must be 0 to 255."
                )
        if low is None:
            raise Invalid(
                f"ICMP code (port-range-max) {high} is provided "
                "but ICMP type (port-range-min) is missing."
            )
    elif protocol not in WITH_PORTS:
        raise Invalid(f"Port range cannot be specified for protocol {said.protocol}.")
    elif 0 in (low, high):
        raise Invalid("Invalid value for port 0")
    elif low is None or high is None or low > high:
        raise Invalid("For TCP/UDP protocols, port_range_min must be <= port_range_max")
