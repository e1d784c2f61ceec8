"""How large a body waitress takes: it reads all of it before anybody looks at it."""

from __future__ import annotations

import copy
import re
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser

#: JSON has a smaller limit of its own, whose answer says so in JSON.
SMALL = 4 << 20
IMAGE_DATA = re.compile(r"/v2/images/[^/]+/(file|stage)/?\Z")


class Parser(HTTPRequestParser):  # type: ignore[misc]  # waitress has no types
    """Large bodies are the data of images, from those who at least say who they are."""

    adj: Any

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        named = "X_AUTH_TOKEN" in self.headers or "signature=" in self.query
        if not (named and IMAGE_DATA.search(self.path)):
            small = copy.copy(self.adj)
            small.max_request_body_size = SMALL
            self.adj = small


class Channel(HTTPChannel):  # type: ignore[misc]
    parser_class = Parser
