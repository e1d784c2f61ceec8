"""The parts that know the database: API and scheduler."""

from __future__ import annotations

import logging
import random
import socket
import tempfile
import threading

import sqlalchemy as sa
import waitress
from oslo_config import cfg

from nova_lite import config as options
from nova_lite.api.middleware import Application
from nova_lite.bus.bus import Bus
from nova_lite.bus.messages import HostStatus
from nova_lite.bus.transport import AmqpBus
from nova_lite.cmd import keys, wiring
from nova_lite.cmd.bodies import Channel
from nova_lite.cmd.control import Control
from nova_lite.cmd.process import Process
from nova_lite.domain.specs import Role
from nova_lite.services import Services

LOG = logging.getLogger(__name__)
IMPORT_LOOK_SECONDS = 5  # between two looks for imports that another process left
IMAGE_REPAIR_SECONDS = 60
STOP_SECONDS = 3  # that a server which stops waits for the requests it is answering


def add_api(config: cfg.ConfigOpts, process: Process, bus: Bus) -> None:
    """All facades on one port, the metadata service on another, in threads of this process."""
    database = wiring.database(config)
    process.on_stop(database.close)
    services = wiring.services(config, database, keys.load(options.state(config, "keys")), bus)
    clean(services)
    keep_bodies_beside_images(config)
    add_imports(config, process, services)
    _serve(
        process,
        wiring.application(config, services),
        config.api.listen,
        config.api.port,
        config.api.threads,
    )
    add_metadata(config, process, wiring.application(config, services, "metadata"))


def clean(services: Services) -> None:
    """Repair what died; the first use of the database.

    Raises ConnectionError, in one line, when that cannot be used.
    """
    try:
        services.image_data.clean()
    except sa.exc.DBAPIError as error:
        first = str(error.orig).splitlines()[0]
        raise ConnectionError(f"The database cannot be used: {first}") from None


def keep_bodies_beside_images(config: cfg.ConfigOpts) -> None:
    """Where waitress keeps bodies until they are whole: /tmp may be in memory."""
    directory = options.state(config, "uploads")
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    tempfile.tempdir = str(directory)


def add_imports(config: cfg.ConfigOpts, process: Process, services: Services) -> None:
    """Threads that carry out imports of images, also those that another process left undone."""
    imports = services.image_imports

    def work() -> None:
        while not process.stopping.is_set():
            try:
                if not imports.run_one():
                    imports.wait(IMPORT_LOOK_SECONDS)
            except Exception:
                # Most likely the database is away; the imports are still there afterwards.
                LOG.exception("looking for imports failed; it will be tried again")
                process.stopping.wait(IMPORT_LOOK_SECONDS)

    def repair() -> None:
        services.image_data.repair()
        imports.forget_old()

    for number in range(config.image.import_threads):
        threading.Thread(target=work, name=f"import-{number}", daemon=True).start()
    process.every(IMAGE_REPAIR_SECONDS, repair, "repair of images")


def add_uploads(
    config: cfg.ConfigOpts, process: Process, application: Application, *, shared: bool
) -> None:
    """All facades on [image] port, too, for what only waitress takes: chunked uploads."""
    if config.image.port:
        listen, threads = config.api.listen, config.api.threads
        _serve(process, application, listen, config.image.port, threads, shared=shared)


def add_metadata(
    config: cfg.ConfigOpts, process: Process, application: Application, *, shared: bool = False
) -> None:
    """The metadata service; `shared` when other processes serve it on the same port."""
    metadata = config.metadata
    _serve(process, application, metadata.listen, metadata.port, metadata.threads, shared=shared)


def _serve(
    process: Process,
    application: Application,
    listen: str,
    port: int,
    threads: int,
    *,
    shared: bool = False,
) -> None:
    server = waitress.create_server(
        application,
        sockets=[_socket(listen, port, shared)],
        threads=threads,
        ident=None,
        # Slow and idle clients do not keep others out.
        connection_limit=1000,
        channel_timeout=60,
        max_request_header_size=65536,
        max_request_body_size=1 << 41,  # of images; see Channel
        asyncore_use_poll=True,
    )
    server.channel_class = Channel
    threading.Thread(target=server.run, name=f"http-{port}", daemon=True).start()

    def stop() -> None:
        # What is being answered comes first: its threads use what close() takes away.
        server.task_dispatcher.shutdown(timeout=STOP_SECONDS)
        server.close()

    process.on_stop(stop)
    LOG.info("listening on http://%s:%s", listen, port)


def _socket(listen: str, port: int, shared: bool) -> socket.socket:
    """A listening socket; `shared` with the other worker processes of one API."""
    family, _, _, _, address = socket.getaddrinfo(listen, port, type=socket.SOCK_STREAM)[0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise OSError(error.errno, f"{error.strerror}: {listen} port {port}") from None
    return bound


def add_scheduler(config: cfg.ConfigOpts, process: Process, bus: AmqpBus) -> None:
    database = wiring.database(config)
    world = wiring.world(config, keys.load(options.state(config, "keys")))
    control = Control(database, world, bus, random.Random())
    process.on_stop(database.close)
    control.start(config.scheduler.workers)
    process.on_stop(control.stop)
    bus.serve_scheduler(config.host, control)

    def alive() -> None:
        bus.status(HostStatus(Role.SCHEDULER, config.host, zone="internal"))

    process.every(config.report_interval, alive, "status of scheduler")
    alive()
