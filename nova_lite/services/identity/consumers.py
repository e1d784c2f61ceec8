"""OAuth 1 consumers, as a kind of the registry: who may ask users to delegate roles to him."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy.orm import Session

from nova_lite.db.models import Consumer
from nova_lite.services.identity.registry import Kind


def _settle(_session: Session, values: dict[str, Any], found: Any) -> None:
    if found is None:
        values["secret"] = secrets.token_hex(16)


CONSUMER = Kind("consumer", Consumer, settle=_settle)
