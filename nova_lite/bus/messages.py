"""The whole vocabulary between the control plane and its workers.

Two directions, both one-way.  A `Command` carries everything the worker needs,
because the worker cannot look anything up; a `Report` says what became of it.
A `HostStatus` is a worker's heartbeat and all it can be asked about its host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from nova_lite.domain.specs import Role

Json = dict[str, Any]


@dataclass(frozen=True)
class Command:
    id: UUID  # the same on every re-send, so that a worker can tell a repeat
    operation_id: UUID  # who asks: an operation, or the network whose plan this is
    role: Role  # which kind of worker on that host
    host: str
    verb: str  # "guest.ensure", "guest.power", "network.ensure", ...
    args: Json
    sequence: int = 0  # per guest; a worker refuses what is older than what it has done
    request_id: str = ""  # for the logs: the request this began with


@dataclass(frozen=True)
class Report:
    command_id: UUID
    operation_id: UUID
    role: Role
    host: str
    verb: str
    result: Json = field(default_factory=dict)
    error: str | None = None
    request_id: str = ""


@dataclass(frozen=True)
class HostStatus:
    """What a worker says every few seconds, and first of all when it starts."""

    role: Role
    host: str
    started: bool = False  # the first after a start: whatever it was doing is forgotten
    zone: str = "nova"
    address: str = "127.0.0.1"
    capacity: Json = field(default_factory=dict)  # domain.specs.Capacity; {}: not looked
    guests: Mapping[str, str] | None = None  # guest id -> power state; None: not looked
    uptime: str | None = None  # of the host, as uptime(1) says it; None: not looked
    networks: Mapping[str, int] | None = None  # network id -> generation it provides
