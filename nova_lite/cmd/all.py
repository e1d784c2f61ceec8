"""nova-all: API, scheduler, compute and network worker in one process."""

from __future__ import annotations

import sys

from nova_lite.cmd import daemon
from nova_lite.cmd.controllers import add_api, add_scheduler
from nova_lite.cmd.workers import add_compute, add_network


def main() -> None:
    daemon.run("nova-all", sys.argv[1:], add_scheduler, add_network, add_compute, add_api)
