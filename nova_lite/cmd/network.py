"""nova-network: see docs/architecture.md."""

from __future__ import annotations

import sys

from nova_lite.cmd import daemon
from nova_lite.cmd.workers import add_network


def main() -> None:
    daemon.run("nova-network", sys.argv[1:], add_network)
