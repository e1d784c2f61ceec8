"""oslo.messaging is loaded here, where it may: it asks for a module that oslo.utils deprecates."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import nova_lite.bus.transport  # noqa: F401
