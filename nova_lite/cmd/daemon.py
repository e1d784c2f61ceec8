"""What every daemon's main does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from oslo_config import cfg

from nova_lite.bus.transport import AmqpBus
from nova_lite.cmd.configure import configure
from nova_lite.cmd.frugality import settle
from nova_lite.cmd.process import Process

Part = Callable[[cfg.ConfigOpts, Process, AmqpBus], None]


def run(name: str, arguments: Sequence[str], *parts_of_it: Part) -> None:
    config = configure(arguments)
    process = Process(name)
    try:
        bus = connect(config)
        process.on_stop(bus.close)
        for part in parts_of_it:
            part(config, process, bus)
    except (OSError, ValueError) as error:
        process.stop()
        sys.exit(f"{name}: {error}")
    settle()
    process.run()


def connect(config: cfg.ConfigOpts) -> AmqpBus:
    """The bus.  Raises ValueError, without the URL's password, for a URL that is none."""
    # Not at the top: `transport` has to prepare the ground for it.
    from oslo_messaging import MessagingException

    try:
        return AmqpBus(config.transport_url, threads=config.compute.workers)
    except (MessagingException, ValueError):
        raise ValueError("[DEFAULT] transport_url is not the URL of a broker.") from None
