"""How client and service agree on a microversion.

See the guideline of OpenStack's API group, "Microversion Specification".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nova_lite.api.declare import Request, Version
from nova_lite.domain.errors import Invalid, NotAcceptable

HEADER = "OpenStack-API-Version"
_VERSION = re.compile(r"([1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})")


def said(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


@dataclass(frozen=True)
class Microversions:
    """What a service speaks; who asks for none gets the oldest.

    `old_header` is one that only says a version, from before there was one for all services.
    """

    service: str
    oldest: Version
    latest: Version
    old_header: str | None = None

    def agree(self, request: Request) -> dict[str, str]:
        """Settle the version of `request`; the headers that say which.

        Raises Invalid for what is no version, NotAcceptable for one that is not served.
        """
        version = self._asked(request)
        if not self.oldest <= version <= self.latest:
            raise NotAcceptable(
                f"Version {said(version)} is not supported by the API. "
                f"Minimum is {said(self.oldest)} and maximum is {said(self.latest)}."
            )
        request.environ["nova_lite.version"] = version
        headers = {HEADER: f"{self.service} {said(version)}"}
        if self.old_header:
            headers[self.old_header] = said(version)
        return {**headers, "Vary": ", ".join(headers)}

    def _asked(self, request: Request) -> Version:
        """The new header counts where it speaks of this service; then the old one."""
        word = said(self.oldest)
        if self.old_header:
            word = request.headers.get(self.old_header, word).strip()
        for part in request.headers.get(HEADER, "").split(","):
            service, _, version = part.strip().partition(" ")
            if service.lower() == self.service:
                word = version.strip()
                break
        if word == "latest":
            return self.latest
        match = _VERSION.fullmatch(word)
        if match is None:
            raise Invalid(
                f"API Version String {word} is of invalid format. "
                "Must be of format MajorNum.MinorNum."
            )
        return int(match[1]), int(match[2])
