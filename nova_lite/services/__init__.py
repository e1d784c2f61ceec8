"""What can be done, whoever asks: the one layer below all facades.

A service is a class that gets what it works with once, and a RequestContext
with each call.  Each public method is one transaction, and one that writes says
so (`one_transaction`), to be run again after a deadlock.  It answers NotFound for
what is another project's, so that existence does not leak.  Single things come as
detached models, lists as rows of plain columns with the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nova_lite.services.compute.aggregates import Aggregates
    from nova_lite.services.compute.deeds import Deeds
    from nova_lite.services.compute.external_events import ExternalEvents
    from nova_lite.services.compute.flavors import Flavors
    from nova_lite.services.compute.guests import Guests
    from nova_lite.services.compute.hosts import Hosts
    from nova_lite.services.compute.instances import Instances
    from nova_lite.services.compute.interfaces import Interfaces
    from nova_lite.services.compute.keypairs import KeyPairs
    from nova_lite.services.compute.migrations import Migrations
    from nova_lite.services.compute.providers import Providers
    from nova_lite.services.compute.quotas import Quotas
    from nova_lite.services.compute.server_groups import ServerGroups
    from nova_lite.services.compute.snapshots import Snapshots
    from nova_lite.services.compute.usage import Usages
    from nova_lite.services.identity.application_credentials import ApplicationCredentials
    from nova_lite.services.identity.catalog import Catalog
    from nova_lite.services.identity.credentials import Credentials
    from nova_lite.services.identity.domain_config import DomainConfig
    from nova_lite.services.identity.endpoint_filter import EndpointFilter
    from nova_lite.services.identity.grants import Grants
    from nova_lite.services.identity.identity import Identity
    from nova_lite.services.identity.policies import Policies
    from nova_lite.services.identity.registry import Registry
    from nova_lite.services.identity.roles import Roles
    from nova_lite.services.identity.trusts import Trusts
    from nova_lite.services.identity.unified_limits import UnifiedLimits
    from nova_lite.services.image.data import ImageData
    from nova_lite.services.image.images import Images
    from nova_lite.services.image.imports import ImageImports
    from nova_lite.services.image.members import ImageMembers
    from nova_lite.services.image.metadefs import Metadefs
    from nova_lite.services.image.quotas import ImageQuotas
    from nova_lite.services.image.tasks import ImageTasks
    from nova_lite.services.metadata import Metadata
    from nova_lite.services.network.networks import Networks
    from nova_lite.services.network.reports import NetworkReports
    from nova_lite.services.network.security_groups import SecurityGroups


@dataclass(frozen=True)
class Services:
    """All services of one process, put together by `cmd`."""

    identity: Identity
    roles: Roles
    grants: Grants
    application_credentials: ApplicationCredentials
    credentials: Credentials
    trusts: Trusts
    images: Images
    image_data: ImageData
    image_members: ImageMembers
    image_quotas: ImageQuotas
    image_tasks: ImageTasks
    image_imports: ImageImports
    flavors: Flavors
    keypairs: KeyPairs
    networks: Networks
    network_reports: NetworkReports
    security_groups: SecurityGroups
    instances: Instances
    deeds: Deeds
    snapshots: Snapshots
    guests: Guests
    interfaces: Interfaces
    migrations: Migrations
    hosts: Hosts
    providers: Providers
    aggregates: Aggregates
    server_groups: ServerGroups
    quotas: Quotas
    usages: Usages
    external_events: ExternalEvents
    metadata: Metadata
    metadefs: Metadefs
    registry: Registry
    catalog: Catalog
    endpoint_filter: EndpointFilter
    policies: Policies
    domain_config: DomainConfig
    unified_limits: UnifiedLimits
