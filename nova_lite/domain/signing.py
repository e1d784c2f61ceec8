"""Links that carry their own permission: good for one thing, and for a while."""

from __future__ import annotations

import hashlib
import hmac


def sign(key: bytes, what: str, expires: int) -> str:
    """The signature that lets whoever has it do `what` until `expires` (seconds since 1970)."""
    return hmac.new(key, f"{what}\n{expires}".encode(), hashlib.sha256).hexdigest()


def is_signed(key: bytes, what: str, expires: str, signature: str, now: float) -> bool:
    """Whether `signature` was made for this and has not run out; takes the same time either way."""
    if not expires.isascii() or not expires.isdigit() or len(expires) > 12:
        return False
    # As bytes: of text only ASCII may be compared so.
    genuine = hmac.compare_digest(
        sign(key, what, int(expires)).encode(), signature.encode(errors="replace")
    )
    return genuine and int(expires) > now
