"""Groups: /v3/groups."""

from __future__ import annotations

from nova_lite.api.declare import Field, Resource
from nova_lite.api.identity.kinds import Kind, directory
from nova_lite.api.identity.words import DESCRIPTION, ID, LABEL

GROUPS = Resource("/v3/groups")
GROUP = Kind(
    name="group",
    plural="groups",
    fields=(
        Field("id", lambda group: group.id),
        Field("name", lambda group: group.name),
        Field("domain_id", lambda group: group.domain_id),
        Field("description", lambda group: group.description),
    ),
    properties={"name": LABEL, "domain_id": ID, "description": DESCRIPTION},
    filters=("name", "domain_id"),
)
GROUP.serve(GROUPS, directory)
