"""How the parts of a daemon are put together, in this process; tests/real has them apart."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import webob
import webob.dec
from oslo_config import cfg

from nova_lite import config as options
from nova_lite.bus.transport import AmqpBus
from nova_lite.cmd import all as nova_all
from nova_lite.cmd import api, compute, controllers, daemon, keys, network, scheduler, wiring
from nova_lite.cmd.process import Process
from nova_lite.cmd.workers import add_compute, add_network, network_driver
from nova_lite.db.base import Base
from nova_lite.network.linux import LinuxDriver
from nova_lite.services.identity.identity import admin_context
from tests.processes import free_port, wait_until

# What oslo.messaging says of its own future.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration of everything in one process, bootstrapped as far as is needed here."""
    monkeypatch.setattr("nova_lite.cmd.log.setup", lambda config: None)
    file = tmp_path / "nova.conf"
    file.write_text(
        f"""[DEFAULT]
state_path = {tmp_path}
host = node
report_interval = 1
[api]
port = {free_port()}
[metadata]
port = {free_port()}
[compute]
driver = fake
fake_hosts = 2
[network]
driver = fake
"""
    )
    keys.create(tmp_path / "keys")
    database = wiring.database(options.load(["--config-file", str(file)]))
    Base.metadata.create_all(database.engine)
    database.close()
    return file


def configured(file: Path, more: str = "") -> cfg.ConfigOpts:
    file.write_text(file.read_text() + more)
    return options.load(["--config-file", str(file)])


@pytest.fixture
def process() -> Iterator[Process]:
    process = Process("nova-test")
    yield process
    process.stop()


def test_all_parts_in_one_process_find_each_other(file: Path, process: Process) -> None:
    config = configured(file)
    bus = daemon.connect(config)
    process.on_stop(bus.close)
    for part in (controllers.add_scheduler, add_network, add_compute, controllers.add_api):
        part(config, process, bus)
    database = wiring.database(config)
    services = wiring.services(config, database, keys.load(file.parent / "keys"), bus)

    def hosts() -> set[tuple[str, str]]:
        found = services.hosts.services(admin_context())
        return {(str(each.role), each.host) for each in found}

    everybody = {
        ("nova-compute", "node-1"),
        ("nova-compute", "node-2"),
        ("nova-network", "node"),
        ("nova-scheduler", "node"),
    }
    wait_until(lambda: hosts() == everybody, seconds=20, what="everybody says that they are here")
    database.close()
    url = f"http://127.0.0.1:{config.api.port}"
    assert requests.get(url, timeout=10).status_code == 300
    assert requests.get(f"{url}/compute/v2.1/servers", timeout=10).status_code == 401
    guest = requests.get(f"http://127.0.0.1:{config.metadata.port}/latest", timeout=10)
    assert guest.status_code == 404, "this machine is no guest"


PROGRAMS: dict[str, Callable[[], None]] = {
    "nova-all": nova_all.main,
    "nova-scheduler": scheduler.main,
    "nova-compute": compute.main,
    "nova-network": network.main,
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_runs_its_parts_until_a_signal(
    file: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    ran: list[str] = []

    def run(process: Process) -> None:
        ran.append(process.name)
        process.stop()

    monkeypatch.setattr("sys.argv", [program, "--config-file", str(file)])
    monkeypatch.setattr(Process, "run", run)
    PROGRAMS[program]()
    assert ran == [program]


def test_a_part_that_cannot_start_ends_the_program_with_a_line(file: Path) -> None:
    stopped = []

    def first(_config: cfg.ConfigOpts, process: Process, _bus: AmqpBus) -> None:
        process.on_stop(lambda: stopped.append("first"))

    def second(_config: cfg.ConfigOpts, _process: Process, _bus: AmqpBus) -> None:
        raise PermissionError(13, "Permission denied", "/dev/kvm")

    with pytest.raises(SystemExit) as caught:
        daemon.run("nova-test", ["--config-file", str(file)], first, second)
    assert caught.value.code == "nova-test: [Errno 13] Permission denied: '/dev/kvm'"
    assert stopped == ["first"]


@pytest.mark.parametrize("url", ["hunter2", "x://u:hunter2@h", "rabbit://u:hun/ter2@h:x/"])
def test_a_broker_that_cannot_be_is_told_without_its_password(file: Path, url: str) -> None:
    config = configured(file)
    config.set_override("transport_url", url)
    with pytest.raises(ValueError, match="transport_url is not the URL of a broker") as caught:
        daemon.connect(config)
    assert "ter2" not in str(caught.value)


def test_a_database_without_tables_is_told(file: Path) -> None:
    (file.parent / "nova.sqlite").unlink()
    config = configured(file)
    bus = daemon.connect(config)
    process = Process("nova-test")
    with pytest.raises(ConnectionError, match="The database cannot be used: no such table"):
        controllers.add_api(config, process, bus)
    process.stop()
    bus.close()


def test_a_port_that_is_taken_is_named(file: Path, process: Process) -> None:
    config = configured(file)
    bus = daemon.connect(config)
    process.on_stop(bus.close)
    with socket.create_server(("127.0.0.1", config.api.port)):
        with pytest.raises(OSError, match=f"in use: 127.0.0.1 port {config.api.port}"):
            controllers.add_api(config, process, bus)


def test_what_is_being_answered_is_answered_before_the_server_stops(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config, process = configured(file), Process("nova-test")
    asked, answer = threading.Event(), threading.Event()

    @webob.dec.wsgify
    def slow(_request: webob.Request) -> str:
        asked.set()
        assert answer.wait(10)
        return "at last"

    controllers.add_metadata(config, process, slow)
    with ThreadPoolExecutor() as threads:
        url = f"http://127.0.0.1:{config.metadata.port}/"
        client = threads.submit(requests.get, url, timeout=10)
        assert asked.wait(10)
        stopping = threads.submit(process.stop)
        time.sleep(0.2)
        assert not stopping.done()
        answer.set()
        stopping.result(timeout=10)
        assert client.result(timeout=10).text == "at last"
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_configuration_that_is_wrong_ends_the_program_with_a_line(file: Path) -> None:
    file.write_text("[quota]\ncores = many\n")
    with pytest.raises(SystemExit, match=r"configuration: \[quota\] cores: "):
        daemon.run("nova-test", ["--config-file", str(file)])


@pytest.mark.parametrize("group", ["api", "metadata"])
def test_nova_api_looks_before_it_starts_workers(file: Path, group: str) -> None:
    config = configured(file)
    with socket.create_server(("127.0.0.1", config[group].port)):
        with pytest.raises(SystemExit, match=f"Address already in use.*{config[group].port}"):
            api.main(["--config-file", str(file)])
    (file.parent / "keys" / "fernet" / "1").unlink()
    with pytest.raises(SystemExit, match="nova-manage bootstrap"):
        api.main(["--config-file", str(file)])


def test_nova_api_gives_its_arguments_to_its_workers(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, Any]] = []

    class Granian:
        def __init__(self, target: str, **how: Any) -> None:
            started.append({"target": target, **how})

        def serve(self) -> None:
            started.append({"serves": True})

    monkeypatch.setattr("granian.Granian", Granian)
    monkeypatch.setenv(api.ARGUMENTS, "")
    monkeypatch.setattr("sys.argv", ["nova-api", "--config-file", str(file)])
    api.main()
    config = configured(file)
    assert started[0]["target"] == "nova_lite.cmd.api:application"
    assert (started[0]["address"], started[0]["port"]) == ("127.0.0.1", config.api.port)
    process = Process("nova-api")
    monkeypatch.setattr("nova_lite.cmd.process.Process", lambda name: process)
    bus = daemon.connect(config)
    process.on_stop(bus.close)
    monkeypatch.setattr(daemon, "connect", lambda config: bus)
    assert webob.Request.blank("/").get_response(api.application()).status_int == 300
    guest = requests.get(f"http://127.0.0.1:{config.metadata.port}/latest", timeout=10)
    assert guest.status_code == 404
    process.stop()


def test_a_worker_of_nova_api_says_in_a_line_what_is_wrong(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(api.ARGUMENTS, f'["--config-file", "{file}"]')
    configured(file, "[database]\nconnection = nonsense\n")
    with pytest.raises(SystemExit, match=r"nova-api: \[database\] connection is not a URL"):
        api.application()


def test_a_host_that_plays_itself_has_its_own_name_and_the_kernel_its_networks(
    file: Path, process: Process
) -> None:
    config = configured(file)
    config.set_override("fake_hosts", 1, group="compute")
    bus = daemon.connect(config)
    process.on_stop(bus.close)
    add_compute(config, process, bus)
    assert not list(file.parent.glob("fake/node-*"))
    config.set_override("driver", "linux", group="network")
    assert isinstance(network_driver(config, "node"), LinuxDriver)
