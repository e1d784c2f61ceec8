"""nova-scheduler: see docs/architecture.md."""

from __future__ import annotations

import sys

from nova_lite.cmd import daemon
from nova_lite.cmd.controllers import add_scheduler


def main() -> None:
    daemon.run("nova-scheduler", sys.argv[1:], add_scheduler)
