"""Every table there is."""

from nova_lite.db.base import Base
from nova_lite.db.models.aggregate import Aggregate, AggregateHost
from nova_lite.db.models.assignment import Grant, ImpliedRole, Role
from nova_lite.db.models.catalog import (
    CatalogEndpoint,
    CatalogService,
    Consumer,
    DomainOption,
    EndpointGroup,
    PolicyAssociation,
    PolicyBlob,
    ProjectEndpoint,
    ProjectEndpointGroup,
    Region,
)
from nova_lite.db.models.compute import FLAVOR, Flavor, FlavorAccess, Instance, KeyPair, Migration
from nova_lite.db.models.console import ConsoleToken
from nova_lite.db.models.credential import (
    AccessRule,
    ApplicationCredential,
    ApplicationCredentialRole,
    Credential,
    Trust,
    TrustRole,
)
from nova_lite.db.models.host import Allocation, Host, Service
from nova_lite.db.models.identity import Domain, Group, GroupMember, Project, RevokedToken, User
from nova_lite.db.models.image import Image, ImageMember, ImageStatus, ImageTask, TaskStatus
from nova_lite.db.models.limit import Limit, RegisteredLimit
from nova_lite.db.models.metadef import (
    MetadefEntry,
    MetadefKind,
    MetadefNamespace,
    MetadefResourceType,
)
from nova_lite.db.models.network import COMPUTE, FixedAddress, Network, NetworkHost, Port, Subnet
from nova_lite.db.models.operation import UNFINISHED, Operation, OperationEvent, OperationStatus
from nova_lite.db.models.quota import QuotaLimit
from nova_lite.db.models.security_group import (
    PortSecurityGroup,
    SecurityGroup,
    SecurityGroupChange,
    SecurityGroupRule,
)
from nova_lite.db.models.server_group import ServerGroup

for table in Base.metadata.tables.values():
    # Any text, and "a" is not "A": as on the other databases, whatever the server's default.
    for dialect in ("mysql", "mariadb"):
        table.dialect_options[dialect]["charset"] = "utf8mb4"
        table.dialect_options[dialect]["collate"] = "utf8mb4_bin"

__all__ = [
    "COMPUTE",
    "FLAVOR",
    "UNFINISHED",
    "AccessRule",
    "Aggregate",
    "AggregateHost",
    "Allocation",
    "ApplicationCredential",
    "ApplicationCredentialRole",
    "CatalogEndpoint",
    "CatalogService",
    "ConsoleToken",
    "Consumer",
    "Credential",
    "Domain",
    "DomainOption",
    "EndpointGroup",
    "FixedAddress",
    "Flavor",
    "FlavorAccess",
    "Grant",
    "Group",
    "GroupMember",
    "Host",
    "Image",
    "ImageMember",
    "ImageStatus",
    "ImageTask",
    "ImpliedRole",
    "Instance",
    "KeyPair",
    "Limit",
    "MetadefEntry",
    "MetadefKind",
    "MetadefNamespace",
    "MetadefResourceType",
    "Migration",
    "Network",
    "NetworkHost",
    "Operation",
    "OperationEvent",
    "OperationStatus",
    "PolicyAssociation",
    "PolicyBlob",
    "Port",
    "PortSecurityGroup",
    "Project",
    "ProjectEndpoint",
    "ProjectEndpointGroup",
    "QuotaLimit",
    "Region",
    "RegisteredLimit",
    "RevokedToken",
    "Role",
    "SecurityGroup",
    "SecurityGroupChange",
    "SecurityGroupRule",
    "ServerGroup",
    "Service",
    "Subnet",
    "TaskStatus",
    "Trust",
    "TrustRole",
    "User",
]
