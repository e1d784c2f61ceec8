"""Every table there is."""

from nova_lite.db.base import Base
from nova_lite.db.models.compute import Flavor, FlavorAccess, Instance, KeyPair
from nova_lite.db.models.host import Allocation, Host, Service
from nova_lite.db.models.identity import Domain, Project, RevokedToken, Role, RoleAssignment, User
from nova_lite.db.models.image import Image, ImageStatus
from nova_lite.db.models.network import FixedAddress, Network, NetworkHost, Port, Subnet
from nova_lite.db.models.operation import UNFINISHED, Operation, OperationEvent, OperationStatus

for table in Base.metadata.tables.values():
    # Any text, and "a" is not "A": as on the other databases, whatever the server's default.
    for dialect in ("mysql", "mariadb"):
        table.dialect_options[dialect]["charset"] = "utf8mb4"
        table.dialect_options[dialect]["collate"] = "utf8mb4_bin"

__all__ = [
    "UNFINISHED",
    "Allocation",
    "Domain",
    "FixedAddress",
    "Flavor",
    "FlavorAccess",
    "Host",
    "Image",
    "ImageStatus",
    "Instance",
    "KeyPair",
    "Network",
    "NetworkHost",
    "Operation",
    "OperationEvent",
    "OperationStatus",
    "Port",
    "Project",
    "RevokedToken",
    "Role",
    "RoleAssignment",
    "Service",
    "Subnet",
    "User",
]
