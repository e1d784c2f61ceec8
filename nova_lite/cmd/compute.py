"""nova-compute: see docs/architecture.md."""

from __future__ import annotations

import sys

from nova_lite.cmd import daemon
from nova_lite.cmd.workers import add_compute


def main() -> None:
    daemon.run("nova-compute", sys.argv[1:], add_compute)
