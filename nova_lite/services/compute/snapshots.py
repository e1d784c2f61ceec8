"""Images made from instances: asked for by name, as a backup in turn, or by shelving.

The image is there, queued, as soon as it was asked for; its bytes come with the
operation.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from nova_lite.context import RequestContext
from nova_lite.db.engine import Database, one_transaction
from nova_lite.db.models import Instance
from nova_lite.domain.errors import QuotaExceeded, TooLarge
from nova_lite.operations import FLOWS
from nova_lite.services.compute.instance_access import begun, ready
from nova_lite.services.compute.quotas import Quotas
from nova_lite.services.image.images import Images, NewImage

#: What is true of one image only: how it was signed, and what we keep in columns.
NOT_INHERITED = frozenset(
    {
        "cache_in_nova",
        "container_format",
        "disk_format",
        "img_signature",
        "img_signature_certificate_uuid",
        "img_signature_hash_method",
        "img_signature_key_type",
        "min_disk",
        "min_ram",
    }
)


class Snapshots:
    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        images: Images,
        wake: Callable[[Sequence[UUID]], None],
        now: Callable[[], dt.datetime],
    ) -> None:
        self.database = database
        self.quotas = quotas
        self.images = images
        self.wake = wake
        self.now = now

    def create_image(
        self, context: RequestContext, id: UUID, name: str, properties: Mapping[str, str]
    ) -> UUID:
        """The image; `properties` are its owner's.  Raises QuotaExceeded."""
        return self._copy(context, id, "instance.snapshot", lambda instance: name, properties)

    def create_backup(
        self,
        context: RequestContext,
        id: UUID,
        name: str,
        properties: Mapping[str, str],
        *,
        backup_type: str,
        rotation: int,
    ) -> UUID:
        """The same; of the backups of this type the newest `rotation` are kept."""
        return self._copy(
            context,
            id,
            "instance.backup",
            lambda instance: name,
            {**properties, "image_type": "backup", "backup_type": backup_type},
            backup_type=backup_type,
            rotation=rotation,
        )

    def shelve(self, context: RequestContext, id: UUID) -> UUID:
        """Turn it off and keep its disk as an image."""
        return self._copy(
            context, id, "instance.shelve", lambda instance: f"{instance.display_name}-shelved", {}
        )

    @one_transaction
    def _copy(
        self,
        context: RequestContext,
        id: UUID,
        kind: str,
        name: Callable[[Instance], str],
        properties: Mapping[str, str],
        **args: Any,
    ) -> UUID:
        with self.database.write() as session:
            instance = ready(session, context, id, FLOWS[kind].action)
            allowance = self.quotas.of(session, instance.project_id, context.user_id)
            allowance.check_metadata(len(properties))
            try:
                new = _image_of(context, instance, name(instance), properties)
                image = self.images.add(session, context, new).id
            except TooLarge as error:
                raise QuotaExceeded(str(error)) from None
            operations = begun(
                session, context, instance, kind, self.now(), image_id=str(image), **args
            )
        self.wake(operations)
        return image


def _image_of(
    context: RequestContext, instance: Instance, name: str, properties: Mapping[str, str]
) -> NewImage:
    """An image that runs as the one the instance was made from."""
    base = instance.image_properties
    inherited = {
        key: value
        for key, value in base.items()
        if key not in NOT_INHERITED and isinstance(value, str)
    }
    mine = {
        "instance_uuid": str(instance.id),
        "user_id": context.user_id,
        "owner_id": instance.project_id,
        "image_type": "snapshot",
        "base_image_ref": str(instance.image_id or ""),
    }
    return NewImage(
        name=name[:255],
        # As the worker will say when it has made the copy.
        disk_format=base.get("disk_format") or "raw",
        container_format="bare",
        visibility="private",
        min_disk=max(int(base.get("min_disk") or 0), instance.root_gb),
        min_ram=int(base.get("min_ram") or 0),
        owner=instance.project_id,
        properties={**inherited, **mine, **properties},
    )
