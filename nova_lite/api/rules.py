"""Policy rules by the names operators know, with their defaults: those of all facades.

The words: a `reader` may look, a `member` may change what is the project's, an
`admin` may do both to everybody's.  Roles imply each other before a rule is
asked (admin > manager > member > reader), so one role per rule is enough.
"""

from __future__ import annotations

from nova_lite.api.compute.rules import RULES as COMPUTE
from nova_lite.api.identity.rules import RULES as IDENTITY
from nova_lite.api.image.rules import RULES as IMAGE
from nova_lite.api.network.rules import RULES as NETWORK
from nova_lite.api.placement.rules import RULES as PLACEMENT

RULES: dict[str, str] = {**IDENTITY, **COMPUTE, **IMAGE, **NETWORK, **PLACEMENT}
