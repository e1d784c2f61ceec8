"""OAuth 1 consumers: /v3/OS-OAUTH1/consumers."""

from __future__ import annotations

from nova_lite.api.declare import Field
from nova_lite.api.identity.registered import Registered
from nova_lite.api.identity.words import DESCRIPTION
from nova_lite.services.identity import consumers

CONSUMER = Registered(
    "consumer",
    "consumers",
    (
        Field("id", lambda consumer: consumer.id),
        Field("description", lambda consumer: consumer.description),
    ),
    # The secret is ours to make, and cannot be changed.
    {"description": DESCRIPTION, "secret": {"not": {}}},
    required=(),
    filters=(),
    kind=consumers.CONSUMER,
    folder="OS-OAUTH1/",
    told_once=(Field("secret", lambda consumer: consumer.secret),),
)
CONSUMERS = CONSUMER.resource()
