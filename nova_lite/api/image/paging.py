"""A page of a list, and where the next one is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from nova_lite.api.declare import Request
from nova_lite.api.image.attributes import Json


def page_body(
    request: Request, word: str, page: Sequence[Any], more: bool, shown: Callable[[Any], Json]
) -> Json:
    """The answer of `GET /v2/{word}`: what `page` has, and a link when there is `more`."""
    body: Json = {
        word: [shown(each) for each in page],
        "first": _link(request, word, None),
        "schema": f"/v2/schemas/{word}",
    }
    if more and page:
        body["next"] = _link(request, word, page[-1].id)
    return body


def _link(request: Request, word: str, marker: UUID | None) -> str:
    """This list from its beginning, or from behind `marker`; relative, as clients expect it."""
    query = [(name, value) for name, value in request.GET.items() if name != "marker"]
    if marker is not None:
        query.append(("marker", str(marker)))
    return f"/v2/{word}" + (f"?{urlencode(query)}" if query else "")
