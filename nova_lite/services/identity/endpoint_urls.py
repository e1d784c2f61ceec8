"""URLs of endpoints: with paths for our own APIs, and with names for whoever asks.

`$(project_id)s` and `%(project_id)s` stand for the project that a token is for,
as in Keystone.  Only these names are filled in, never Python's formats: what an
operator writes is data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from nova_lite.domain.errors import Invalid

NAMES = ("project_id", "tenant_id", "user_id")
_NAME = re.compile(rf"[$%]\(({'|'.join(NAMES)})\)s")
_ESCAPE = "%%"


def check(url: str) -> None:
    """Raises Invalid when something in it looks like a name and is none."""
    rest = _NAME.sub("", url).replace(_ESCAPE, "")
    if "%" in rest or "$(" in rest:
        raise Invalid(
            "Invalid input for field/attribute url. It names something that is not known, or "
            f"is malformed: {' and '.join(f'$({name})s' for name in NAMES)} can be named."
        )


def located(url: str, outside_url: str, known: Mapping[str, str] | None = None) -> str | None:
    """Where a client finds it who knows us as `outside_url`.

    Names are filled in from `known`, and stay what they are without; None when
    one of them is not there.
    """
    if url.startswith("/"):
        url = outside_url + url
    if known is None or ("%" not in url and "$" not in url):
        return url
    if any(name not in known for name in _NAME.findall(url)):
        return None
    return _NAME.sub(lambda found: known[found[1]], url).replace(_ESCAPE, "%")
