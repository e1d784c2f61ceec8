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
    from nova_lite.services.flavors import Flavors
    from nova_lite.services.hosts import Hosts
    from nova_lite.services.identity import Identity
    from nova_lite.services.images import Images
    from nova_lite.services.instances import Instances
    from nova_lite.services.keypairs import KeyPairs
    from nova_lite.services.metadata import Metadata
    from nova_lite.services.networks import Networks
    from nova_lite.services.quotas import Quotas


@dataclass(frozen=True)
class Services:
    """All services of one process, put together by `cmd`."""

    identity: Identity
    images: Images
    flavors: Flavors
    keypairs: KeyPairs
    networks: Networks
    instances: Instances
    hosts: Hosts
    quotas: Quotas
    metadata: Metadata
