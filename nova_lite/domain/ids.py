"""Names of things: request ids, EC2 ids, MAC addresses, domain names."""

from __future__ import annotations

import hashlib
from ipaddress import IPv6Address
from uuid import UUID, uuid4


def request_id() -> str:
    """req-<uuid>: follows one request through every log, as in OpenStack."""
    return f"req-{uuid4()}"


def reservation_id(of: UUID) -> str:
    """r-xxxxxxxx: what one request for several servers has in common."""
    return f"r-{of.hex[:8]}"


def domain_name(number: int) -> str:
    """instance-0000002a: the guest's name on its hypervisor."""
    return f"instance-{number:08x}"


def ec2_instance_id(number: int) -> str:
    return f"i-{number:08x}"


def ec2_image_id(of: UUID, kind: str = "ami") -> str:
    """ami-xxxxxxxx: the same for the same image on every controller, without a table."""
    return f"{kind}-{hashlib.sha256(of.bytes).hexdigest()[:8]}"


def mac_of(port: UUID) -> str:
    """fa:16:3e:xx:xx:xx, from the port's id: nothing to draw, and no second try."""
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in port.bytes[:3])


def link_local(mac: str) -> str:
    """The IPv6 address that an interface gives itself, from its MAC address (RFC 4291)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes([octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]])
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + interface))
