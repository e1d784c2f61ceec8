"""What several resources of the image API ask of a request."""

from __future__ import annotations

from uuid import UUID

from nova_lite.domain.errors import NotFound, NovaLiteError


class UnsupportedMediaType(NovaLiteError):
    """The body is in no form we read."""

    status = 415


class LengthRequired(NovaLiteError):
    """Nobody could tell whether the body is whole."""

    status = 411


def image_id(text: str) -> UUID:
    """Raises NotFound for what is no UUID: names are tried in place of ids."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(f"No image found with ID {text}") from None
