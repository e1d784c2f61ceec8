"""A whole cloud in one process: real services, runner and workers on fake machines.

Nothing happens by itself.  Messages wait in the bus until `settle` delivers
them, and time passes only when there is nothing else to do; so a test sees
each state, and can lose, double, delay or forge any message (`bus.faults`).
"""

from __future__ import annotations

import copy
import datetime as dt
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
import webob
from cryptography.fernet import Fernet, MultiFernet

from nova_lite import config as options
from nova_lite.api.middleware import Application
from nova_lite.bus.messages import HostStatus
from nova_lite.bus.worker import Worker
from nova_lite.cmd import wiring
from nova_lite.cmd.control import Control
from nova_lite.cmd.keys import Keys
from nova_lite.compute.status import compute_status
from nova_lite.compute.verbs import ComputeVerbs
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Instance, Operation
from nova_lite.domain.errors import HypervisorError
from nova_lite.domain.specs import Role
from nova_lite.network.fake import FakeHost, FakeNetwork
from nova_lite.network.verbs import NetworkVerbs
from nova_lite.operations.world import World
from nova_lite.services.identity.identity import admin_context
from nova_lite.testing.audit import leftovers, unfinished
from nova_lite.testing.bus import PatientBus
from nova_lite.virt.fake import FakeDriver, Machine

PASSWORD = "correct horse"


class Clock:
    def __init__(self) -> None:
        self.time = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        # Time never stands quite still: what happened later is later.
        self.time += dt.timedelta(microseconds=1)
        return self.time

    def pass_seconds(self, seconds: float) -> None:
        self.time += dt.timedelta(seconds=seconds)


@dataclass
class ComputeHost:
    """The machine outlives its worker, as in life."""

    name: str
    machine: Machine = field(default_factory=Machine)
    network: FakeHost = field(default_factory=FakeHost)


@dataclass(frozen=True)
class Picture:
    """A cloud at one moment."""

    content: sqlite3.Connection
    time: dt.datetime
    parts: Sequence[tuple[Any, str, Any]]


class Cloud:
    """`hosts` compute hosts named host1.. and one network host named net1, all up.

    `options_` are options as "group.name" -> value.  `database` may be a URL of
    any database that is empty.
    """

    def __init__(
        self,
        directory: Path,
        hosts: int = 1,
        *,
        database: str | None = None,
        seed: int = 1,
        options_: Mapping[str, Any] | None = None,
    ) -> None:
        self.directory = directory
        self.clock = Clock()
        self.bus = PatientBus()
        self.config = options.load((), files=())
        cheap = {
            "state_path": str(directory),
            "identity.password_hash_memory_kib": 8,
            "identity.password_hash_rounds": 1,
            **(options_ or {}),
        }
        for name, value in cheap.items():
            group, _, option = name.rpartition(".")
            self.config.set_override(option, value, group=group or None)
        self.database = Database(database or f"sqlite:///{directory}/nova.sqlite")
        if database is None:
            _hurry(self.database.engine)
        Base.metadata.create_all(self.database.engine)
        self.keys = Keys(MultiFernet([Fernet(Fernet.generate_key())]), b"signing")
        self.seed = seed
        self.hosts = {f"host{i}": ComputeHost(f"host{i}") for i in range(1, hosts + 1)}
        machines = {name: host.machine for name, host in self.hosts.items()}
        for machine in machines.values():
            machine.peers = machines
        self.network = FakeNetwork()
        self.start_control()
        self.services = wiring.services(self.config, self.database, self.keys, self.bus, self.clock)
        admin = self.services.identity.bootstrap(PASSWORD)
        self.admin = admin_context(admin.project_id)
        self.services.catalog.ensure()
        self.services.metadefs.bootstrap()
        for host in self.hosts:
            self.start_compute(host)
        self.start_network()
        self.settle()
        self.identity, self.compute = Facade(self, "/identity"), Facade(self, "/compute/v2.1")
        self.image, self.networks = Facade(self, "/image"), Facade(self, "/network")

    def close(self) -> None:
        self.database.close()

    @cached_property
    def _world(self) -> World:
        """What every scheduler process begins with; to find its plug-ins takes a while."""
        return wiring.world(self.config, self.keys, self.clock)

    @cached_property
    def application(self) -> Application:
        return wiring.application(self.config, self.services)

    # --- processes ------------------------------------------------------------------------

    def start_control(self) -> None:
        """A new scheduler process; what the one before knew is lost with it."""
        world = replace(self._world)  # another, that knows nothing of hosts yet
        self.control = Control(self.database, world, self.bus, random.Random(self.seed))

    def start_compute(self, host: str) -> None:
        self._compute_worker(host)
        self.bus.status(self._compute_status(host, started=True))

    def _compute_worker(self, host: str) -> None:
        virt = FakeDriver(self.hosts[host].machine)
        network = FakeNetwork(self.hosts[host].network)
        verbs = ComputeVerbs(virt, network, self._upload)
        done = {str(id): guest.sequence for id, guest in virt.guests().items()}
        worker = Worker(host, verbs.verbs(), verbs.questions(), self.bus.report, done)
        self.bus.workers[Role.COMPUTE, host] = worker

    def start_network(self) -> None:
        self._network_worker()
        self.bus.status(self._network_status(started=True))

    def _network_worker(self) -> None:
        worker = Worker("net1", NetworkVerbs(self.network).verbs(), {}, self.bus.report)
        self.bus.workers[Role.NETWORK, "net1"] = worker

    def _upload(self, url: str, path: Path) -> None:
        """What a worker does by HTTP."""
        request = webob.Request.blank(url, method="PUT", body=path.read_bytes())
        request.content_type = "application/octet-stream"
        status = request.get_response(self.application).status_int
        if status != 204:
            raise HypervisorError(f"the image service answered {status} to a snapshot")

    def kill(self, role: Role, host: str) -> None:
        """The worker is gone with all it was doing; its machine runs on."""
        self.bus.workers.pop((role, host), None)

    def start_missing(self) -> None:
        """Whoever was killed is started again."""
        for host in self.hosts:
            if (Role.COMPUTE, host) not in self.bus.workers:
                self.start_compute(host)
        if (Role.NETWORK, "net1") not in self.bus.workers:
            self.start_network()

    def _compute_status(self, host: str, *, started: bool) -> HostStatus:
        return compute_status(
            host,
            FakeDriver(self.hosts[host].machine),
            zone="nova",
            address="127.0.0.1",
            started=started,
            reserved_memory_mb=0,
            reserved_disk_gb=0,
        )

    def _network_status(self, *, started: bool) -> HostStatus:
        networks = {str(id): generation for id, generation in self.network.networks().items()}
        return HostStatus(Role.NETWORK, "net1", started=started, zone="internal", networks=networks)

    def heartbeat(self) -> None:
        """Every worker that is alive says so."""
        for role, host in list(self.bus.workers):
            if role is Role.COMPUTE:
                self.bus.status(self._compute_status(host, started=False))
            else:
                self.bus.status(self._network_status(started=False))

    # --- as it was ---------------------------------------------------------------------------

    def picture(self) -> Picture:
        """All there is, while nothing is under way; on SQLite only."""
        assert not self.bus.waiting
        content = sqlite3.connect(":memory:", check_same_thread=False)
        self._copy(lambda database: database.backup(content))
        parts = [(*part, copy.deepcopy(getattr(*part))) for part in self._parts()]
        return Picture(content, self.clock.time, parts)

    def show(self, picture: Picture) -> None:
        """Everything is as it was then, but for the processes, which are new."""
        self._copy(picture.content.backup)
        self.clock.time = picture.time
        for thing, name, value in picture.parts:
            setattr(thing, name, copy.deepcopy(value))
        self.bus.waiting.clear()
        self.bus.sent.clear()
        self.bus.workers.clear()
        self.start_control()
        for host in self.hosts:
            self._compute_worker(host)
        self._network_worker()

    def _copy(self, work: Callable[[sqlite3.Connection], None]) -> None:
        with closing(self.database.engine.raw_connection()) as connection:
            database = connection.driver_connection
            assert isinstance(database, sqlite3.Connection)
            work(database)

    def _parts(self) -> Iterator[tuple[Any, str]]:
        """What of the machines may change, as things and names of their attributes."""
        for host in self.hosts.values():
            yield from ((host.machine, name) for name in ("guests", "images", "_memory_mb_used"))
        for network in (self.network.host, *(host.network for host in self.hosts.values())):
            yield from ((network, name) for name in ("bridges", "plans", "filters"))

    # --- time -------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Messages, and what they lead to at once; time stands still."""
        while self.bus.deliver(self.control) or self.control.drain():
            pass

    def settle(self, hours: float = 2) -> None:
        """Until every operation is at its end and no message is on its way.

        Time jumps to what is due next; live workers send their heartbeats.
        Raises AssertionError when something is still unfinished after `hours`.
        """
        end = self.clock.time + dt.timedelta(hours=hours)
        self.services.image_imports.run_all()
        while True:
            self.deliver()
            self.control.reconcile()
            self.deliver()
            due = self._next_due()
            if due is None:
                return
            assert self.clock.time < end, f"still unfinished: {self.unfinished()}"
            wait = (due - self.clock.time).total_seconds()
            self.clock.pass_seconds(min(max(wait, 0.001), self.config.report_interval))
            self.heartbeat()
            self.deliver()
            self.control.look()

    def pass_time(self, seconds: float, every: float = 5) -> None:
        """Let time go by, with a heartbeat `every` so many seconds, and all that is due."""
        end = self.clock.time + dt.timedelta(seconds=seconds)
        while self.clock.time < end:
            left = (end - self.clock.time).total_seconds()
            self.clock.pass_seconds(min(every, left))
            self.heartbeat()
            self.deliver()
            self.control.look()
            self.control.reconcile()
            self.deliver()

    def _next_due(self) -> dt.datetime | None:
        with self.database.read() as session:
            return session.scalar(sa.select(sa.func.min(Operation.wake_at)))

    def unfinished(self) -> list[str]:
        with self.database.read() as session:
            return list(unfinished(session))

    # --- who asks -----------------------------------------------------------------------------

    def token(self, user: str = "admin", password: str = PASSWORD, project: str = "admin") -> str:
        """A project-scoped token, by password."""
        domain = {"id": "default"}
        body = {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": user, "domain": domain, "password": password}},
                },
                "scope": {"project": {"name": project, "domain": domain}},
            }
        }
        response = Facade(self, "/identity").call(
            "POST", "/v3/auth/tokens", body, status=201, token=""
        )
        return str(response.headers["X-Subject-Token"])

    # --- what an operator would look at --------------------------------------------------------

    def instances(self) -> list[Instance]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Instance).order_by(Instance.number)))

    def guests(self) -> dict[tuple[str, UUID], str]:
        """(host, guest) -> power state, of every machine."""
        return {
            (name, id): str(guest.power_state)
            for name, host in self.hosts.items()
            for id, guest in FakeDriver(host.machine).guests().items()
        }

    def leftovers(self) -> list[str]:
        """Every claim, address or guest that no living instance accounts for; should be none."""
        with self.database.read() as session:
            return list(leftovers(session, self.guests()))


def _hurry(engine: sa.Engine) -> None:
    """Do not wait for the disk: a test's process may die, its machine does not."""

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA synchronous=OFF")


class Facade:
    """One API of the cloud, called as a WSGI application, by the admin unless told otherwise."""

    def __init__(self, cloud: Cloud, prefix: str) -> None:
        self.cloud, self.prefix = cloud, prefix
        self._token: str | None = None

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        status: int | None = None,
        token: str | None = None,
        version: str | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
    ) -> webob.Response:
        """The response; with `status`, asserts that it has this one.

        `token` "" is none at all, None the admin's.
        """
        if token is None:
            token = self._token = self._token or self.cloud.token()
        request = webob.Request.blank(self.prefix + path, method=method)
        if token:
            request.headers["X-Auth-Token"] = token
        if version:
            service = (self.prefix + path).split("/")[1]
            request.headers["OpenStack-API-Version"] = f"{service} {version}"
            if service == "compute":
                request.headers["X-OpenStack-Nova-API-Version"] = version
        if body is not None:
            request.body = orjson.dumps(body)
            request.content_type = "application/json"
        if data is not None:
            request.body = data
            request.content_type = "application/octet-stream"
        for name, value in (headers or {}).items():
            request.headers[name] = value
        response = request.get_response(self.cloud.application)
        if status is not None:
            assert response.status_int == status, f"{response.status}: {response.text}"
        return response

    def get(self, path: str, **how: Any) -> Any:
        return self._json("GET", path, None, 200, how)

    def post(self, path: str, body: Any, **how: Any) -> Any:
        return self._json("POST", path, body, None, how)

    def put(self, path: str, body: Any, **how: Any) -> Any:
        return self._json("PUT", path, body, None, how)

    def patch(self, path: str, body: Any, **how: Any) -> Any:
        return self._json("PATCH", path, body, None, how)

    def delete(self, path: str, **how: Any) -> Any:
        return self._json("DELETE", path, None, 204, how)

    def _json(
        self, method: str, path: str, body: Any, status: int | None, how: dict[str, Any]
    ) -> Any:
        how.setdefault("status", status)
        response = self.call(method, path, body, **how)
        if how["status"] is None:
            assert response.status_int < 400, f"{response.status}: {response.text}"
        return orjson.loads(response.body) if response.body else None
