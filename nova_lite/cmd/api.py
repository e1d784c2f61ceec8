"""nova-api: the facades and the metadata service, in worker processes.

The first process only watches over the others, and loads next to nothing.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nova_lite import config as options
from nova_lite.cmd import keys
from nova_lite.cmd.configure import configure
from nova_lite.cmd.frugality import settle

if TYPE_CHECKING:
    from nova_lite.api.middleware import Application

#: How a worker process learns the command line: it starts from nothing.
ARGUMENTS = "NOVA_LITE_API_ARGUMENTS"


def main(arguments: Sequence[str] | None = None) -> None:
    import granian
    from granian.constants import Interfaces

    arguments = sys.argv[1:] if arguments is None else arguments
    config = configure(arguments)
    try:
        keys.find(options.state(config, "keys"))
        free(config.api.listen, config.api.port)
        free(config.metadata.listen, config.metadata.port)
        if config.image.port:
            free(config.api.listen, config.image.port)
    except OSError as error:
        sys.exit(f"nova-api: {error}")
    os.environ[ARGUMENTS] = json.dumps(list(arguments))
    granian.Granian(
        "nova_lite.cmd.api:application",
        factory=True,
        interface=Interfaces.WSGI,
        address=config.api.listen,
        port=config.api.port,
        workers=config.api.workers,
        blocking_threads=config.api.threads,
        respawn_failed_workers=True,
        log_access=False,
        websockets=False,
    ).serve()


def application() -> Application:
    """What one worker process serves; the metadata service listens beside it."""
    from nova_lite.cmd import controllers, daemon, wiring
    from nova_lite.cmd.process import Process

    config = configure(json.loads(os.environ[ARGUMENTS]))
    try:
        secrets = keys.load(options.state(config, "keys"))
        services = wiring.services(config, wiring.database(config), secrets, daemon.connect(config))
        controllers.clean(services)
        metadata = wiring.application(config, services, "metadata")
        process = Process("nova-api")
        controllers.add_metadata(config, process, metadata, shared=True)
        controllers.add_imports(config, process, services)
        controllers.keep_bodies_beside_images(config)
        application = wiring.application(config, services)
        controllers.add_uploads(config, process, application, shared=True)
        settle()
        return application
    except (OSError, ValueError) as error:
        sys.exit(f"nova-api: {error}")


def free(listen: str, port: int) -> None:
    """Raises OSError when nothing can listen there; said before workers are started in vain."""
    family, _, _, _, address = socket.getaddrinfo(listen, port, type=socket.SOCK_STREAM)[0]
    socket.create_server(address[:2], family=family).close()
