"""Uploading a file to the image service, as a worker does with a snapshot."""

from __future__ import annotations

import logging
from pathlib import Path
from urllib.parse import urlsplit

import requests

from nova_lite.domain.errors import HypervisorError

# Seconds.  The first is also how long the receiver may be too busy to take more,
# for example while its disk catches up; the answer comes once all is checked.
CONNECT_TIMEOUT, ANSWER_TIMEOUT = 60, 300

# At DEBUG it logs the path of every request, and ours carry signatures.
logging.getLogger("urllib3.connectionpool").setLevel(logging.INFO)


def send(url: str, path: Path) -> None:
    """Upload the file at `path` to `url`, which is good for one image and a while.

    Raises HypervisorError for whatever goes wrong; its text never holds the URL.
    """
    try:
        if urlsplit(url).scheme not in ("http", "https"):
            raise HypervisorError("an image's address must be http or https")
        with path.open("rb") as stream, requests.Session() as session:
            # No proxy, .netrc or CA bundle from the environment: the API told us where to go.
            session.trust_env = False
            answer = session.put(
                url,
                data=stream,
                allow_redirects=False,
                timeout=(CONNECT_TIMEOUT, ANSWER_TIMEOUT),
                headers={"Content-Type": "application/octet-stream"},
            )
        if answer.status_code != 204:
            raise HypervisorError(f"the image service answered {answer.status_code} to a snapshot")
    except (requests.RequestException, OSError, ValueError) as error:
        # Not chained: the messages of these errors contain the URL.
        raise HypervisorError(f"upload failed: {type(error).__name__}") from None
