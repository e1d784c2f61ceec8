"""A look at images by who needs no bytes of them: hosts that make guests of nothing.

They refuse what a host with disks would refuse.
"""

from __future__ import annotations

import logging
from uuid import UUID

from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import ImageSource
from nova_lite.images.cache import Fetch, fetch_http, verified
from nova_lite.images.inspection import Inspection

LOG = logging.getLogger(__name__)


class Looks:
    def __init__(self, fetch: Fetch = fetch_http) -> None:
        self._fetch = fetch
        self._good: set[UUID] = set()  # bytes of an image never change

    def look(self, image: ImageSource) -> None:
        """Raises ImageUnacceptable when the bytes are not what was declared."""
        if image.id in self._good:
            return
        try:
            chunks = verified(self._fetch(image.url), size=image.size, sha512=image.sha512)
            for _ in Inspection(image.disk_format).of(chunks):
                pass
        except HypervisorError as error:
            # Nothing is made of them, so nothing is lost; the next guest looks again.
            LOG.warning("image %s was not looked at: %s", image.id, error)
        else:
            self._good.add(image.id)
