"""What requests cost: a token, one server, a page of a thousand, by how many servers there are.

    python -m benchmarks.api [sqlite] [mariadb] [--quick]

A real nova-api with one worker process; servers are rows that nobody booted.  CPU
is that of its processes and of the database's, so figures hold on a machine that
is busy with other things; requests/s and milliseconds do not.  "per core" is what
one core of nova-api would answer if it did nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import http.client
import itertools
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import psutil
import requests
import sqlalchemy as sa

from nova_lite import config as options
from nova_lite.db.base import Base
from nova_lite.db.models import FixedAddress, Instance, Network, Port, Subnet
from nova_lite.domain.states import PowerState, VmState
from tests.deployment import PASSWORD, Deployment
from tests.engines import MariaDB
from tests.processes import wait_until

PAGE = 1000
VERSION = "2.96"
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
CLIENTS = (1, 16)


@dataclass(frozen=True)
class Plan:
    """How much is asked: of a quick look less, so that its figures are rougher."""

    sizes: tuple[int, ...] = (1_000, 25_000)
    deleted: int = 100_000
    tokens: int = 200
    gets: int = 4_000
    lists: int = 48


QUICK = Plan(sizes=(1_000, 4_000), deleted=10_000, tokens=40, gets=800, lists=16)


# --- a cloud ----------------------------------------------------------------------------------


@contextlib.contextmanager
def deployed(engine: str) -> Iterator[Deployment]:
    """nova-api alone, over an empty database."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nova-lite-bench-")))
        directory = root / "cloud"
        database = f"sqlite:///{directory}/nova.sqlite"
        if engine == "mariadb":
            database = stack.enter_context(MariaDB.running()).fresh_database()
        identity = options.load(files=()).identity
        cloud = Deployment(
            directory,
            database=database,
            transport="kombu+memory://",
            daemons={"api": "nova-api"},
            options={
                "api": {"workers": 1},
                # What a password costs is a choice; here it is the one that is made by default.
                "identity": {
                    name: identity[name]
                    for name in ("password_hash_memory_kib", "password_hash_rounds")
                },
            },
        )
        stack.callback(cloud.close)
        cloud.start("api")
        wait_until(lambda: answers(cloud), seconds=60, what=f"the API answers; see {directory}")
        yield cloud


def answers(cloud: Deployment) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"{cloud.url}/identity/v3", timeout=2).ok
    return False


class Servers:
    """Rows of servers as they are once they run, each with an address; more can be added."""

    def __init__(self, cloud: Deployment) -> None:
        self.cloud = cloud
        self.project = str(cloud.get("/identity/v3/auth/projects")["projects"][0]["id"])
        self.image = UUID(cloud.image())
        self.network, self.subnet, self.count = uuid4(), uuid4(), 0
        owned = {"project_id": self.project, "created_at": NOW, "updated_at": NOW}
        network = {"id": self.network, "name": "private", "mode": "flat", "bridge": "br-bench"}
        subnet = {"id": self.subnet, "network_id": self.network, "cidr": "10.0.0.0/8"}
        self._insert(Network, [{**network, **owned}])
        self._insert(Subnet, [{**subnet, "pools": [], **owned}])

    def add(self, count: int, *, deleted: bool = False) -> None:
        for begin in range(self.count, self.count + count, 5000):
            numbers = range(begin, min(begin + 5000, self.count + count))
            instances = [self._instance(number, deleted) for number in numbers]
            self._insert(Instance, instances)
            if not deleted:
                self._addresses(numbers, [row["id"] for row in instances])
        self.count += count
        with self.cloud.database.engine.connect() as connection:
            # As databases do by themselves after a while.
            mysql = connection.dialect.name == "mysql"
            connection.execute(sa.text("ANALYZE TABLE instances, ports" if mysql else "ANALYZE"))

    def _instance(self, number: int, deleted: bool) -> dict[str, Any]:
        made = NOW + dt.timedelta(seconds=number)
        return {
            "id": uuid4(),
            "project_id": self.project,
            "user_id": "bench",
            "display_name": f"server-{number}",
            "hostname": f"server-{number}",
            "reservation_id": f"r-{number:08}",
            "flavor_id": "tiny",
            "flavor_name": "tiny",
            "memory_mb": 64,
            "vcpus": 1,
            "root_gb": 1,
            "image_id": self.image,
            "properties": {"role": "web", "stage": "production"},
            "tags": ["bench"],
            "host": None if deleted else f"host{number % 100}",
            "zone": "nova",
            "vm_state": VmState.DELETED if deleted else VmState.ACTIVE,
            "power_state": PowerState.NOSTATE if deleted else PowerState.RUNNING,
            "created_at": made,
            "updated_at": made,
            "launched_at": made,
            "terminated_at": made if deleted else None,
            "deleted": deleted,
        }

    def _addresses(self, numbers: range, instances: list[UUID]) -> None:
        owned = {"project_id": self.project, "created_at": NOW, "updated_at": NOW}
        ports = [
            {
                "id": uuid4(),
                "network_id": self.network,
                "mac": "fa:16:" + ":".join(f"{byte:02x}" for byte in number.to_bytes(4, "big")),
                "device_id": str(instance),
                "device_owner": "compute:nova",
                **owned,
            }
            for number, instance in zip(numbers, instances, strict=True)
        ]
        self._insert(Port, ports)
        addresses = [
            {
                "subnet_id": self.subnet,
                "offset": number + 2,
                "address": "10." + ".".join(str(byte) for byte in (number + 2).to_bytes(3, "big")),
                "port_id": port["id"],
            }
            for number, port in zip(numbers, ports, strict=True)
        ]
        self._insert(FixedAddress, addresses)

    def _insert(self, table: type[Base], rows: list[dict[str, Any]]) -> None:
        with self.cloud.database.write() as session:
            session.execute(sa.insert(table), rows)


# --- asking it --------------------------------------------------------------------------------


class Client:
    """One connection that stays open, and reads answers without looking at them."""

    def __init__(self, cloud: Deployment) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=120)

    def ask(self, method: str, path: str, token: str, body: bytes | None = None) -> bytes:
        headers = {"X-Auth-Token": token, "OpenStack-API-Version": f"compute {VERSION}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        assert answer.status < 300, (answer.status, data)
        return data


@dataclass(frozen=True)
class Cost:
    requests: int
    wall: float  # seconds
    median_ms: float
    p95_ms: float
    api_ms: float  # CPU per request
    database_ms: float


def cpu_seconds(process: psutil.Process) -> float:
    total = 0.0
    for member in [process, *process.children(recursive=True)]:
        times = member.cpu_times()
        total += times.user + times.system
    return total


class Meter:
    def __init__(self, cloud: Deployment) -> None:
        self.cloud = cloud
        self.api = psutil.Process(cloud.processes["api"].pid)
        self._local = threading.local()

    def cost(self, work: Callable[[Client, int], object], count: int, clients: int) -> Cost:
        """Of `count` times `work`, by so many clients at once; some are done before, unseen."""
        times: list[float] = []

        def one(number: int) -> None:
            if not hasattr(self._local, "client"):
                self._local.client = Client(self.cloud)
            began = time.perf_counter()
            work(self._local.client, number)
            times.append(time.perf_counter() - began)

        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(one, range(max(clients, count // 20))))
            times.clear()
            api, everything, began = *self._cpu(), time.perf_counter()
            list(threads.map(one, range(count)))
            wall = time.perf_counter() - began
            api_after, everything_after = self._cpu()
        spent = api_after - api
        return Cost(
            count,
            wall,
            statistics.median(times) * 1000,
            statistics.quantiles(times, n=20)[-1] * 1000,
            spent / count * 1000,
            (everything_after - everything - spent) / count * 1000,
        )

    def _cpu(self) -> tuple[float, float]:
        """Of the API, and of all that this program has started: the API and the database."""
        here = psutil.Process()
        others = sum(cpu_seconds(child) for child in here.children())
        return cpu_seconds(self.api), others


HEADER = (
    f"{'what':34} {'clients':>7} {'req/s':>8} {'median ms':>10} {'p95 ms':>8}"
    f" {'CPU ms':>8} {'DB CPU ms':>10} {'per core':>9} {'us/server':>10}"
)


def say(what: str, clients: int, cost: Cost, servers: int = 0) -> None:
    each = f"{cost.api_ms / servers * 1000:10.1f}" if servers else f"{'':10}"
    print(
        f"{what:34} {clients:7} {cost.requests / cost.wall:8.1f} {cost.median_ms:10.2f}"
        f" {cost.p95_ms:8.2f} {cost.api_ms:8.2f} {cost.database_ms:10.2f}"
        f" {1000 / cost.api_ms:9.0f} {each}",
        flush=True,
    )


def log_in(by: dict[str, Any]) -> bytes:
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    return orjson.dumps({"auth": {"identity": by, "scope": scope}})


def measure(cloud: Deployment, plan: Plan) -> None:
    servers, meter = Servers(cloud), Meter(cloud)
    user = {"name": "admin", "domain": {"id": "default"}, "password": PASSWORD}
    token = cloud.token()
    print(HEADER)
    for what, by in (
        ("token by password", {"methods": ["password"], "password": {"user": user}}),
        ("token by token", {"methods": ["token"], "token": {"id": token}}),
    ):
        body = log_in(by)
        for clients in CLIENTS:
            cost = meter.cost(
                lambda client, _, body=body: client.ask(  # type: ignore[misc]
                    "POST", "/identity/v3/auth/tokens", "", body
                ),
                plan.tokens,
                clients,
            )
            say(what, clients, cost)
    steps = [(size, False) for size in plan.sizes] + [(plan.deleted, True)]
    known = 0
    for size, deleted in steps:
        servers.add(size if deleted else size - known, deleted=deleted)
        known = known if deleted else size
        ask_about_servers(meter, token, plan, f"{known:,}" + (f"+{size:,} gone" * deleted), known)


def ask_about_servers(meter: Meter, token: str, plan: Plan, there: str, known: int) -> None:
    path = "/compute/v2.1/servers"
    client = Client(meter.cloud)
    newest = orjson.loads(client.ask("GET", path, token))["servers"]
    ids = itertools.cycle([server["id"] for server in newest])
    for clients in CLIENTS:
        cost = meter.cost(
            lambda client, _: client.ask("GET", f"{path}/{next(ids)}", token), plan.gets, clients
        )
        say(f"one server of {there}", clients, cost)
    for clients in CLIENTS:
        cost = meter.cost(
            lambda client, _: client.ask("GET", f"{path}/detail?limit={PAGE}", token),
            plan.lists,
            clients,
        )
        say(f"{PAGE:,} of {there}", clients, cost, PAGE)
    marker = ""

    def next_page(client: Client, number: int) -> None:
        nonlocal marker
        page = orjson.loads(client.ask("GET", f"{path}/detail?limit={PAGE}{marker}", token))
        links = page.get("servers_links")
        # The last page is followed by the first.
        marker = f"&marker={page['servers'][-1]['id']}" if links and page["servers"] else ""

    pages = known // PAGE + (known % PAGE == 0)  # a full page does not know that it is the last
    if known > PAGE:
        say(f"all {there}, page by page", 1, meter.cost(next_page, pages, 1), PAGE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engines", nargs="*", default=["sqlite", "mariadb"])
    parser.add_argument("--quick", action="store_true", help="less of everything")
    arguments = parser.parse_args()
    for engine in arguments.engines:
        print(f"\n{engine}", flush=True)
        with deployed(engine) as cloud:
            measure(cloud, QUICK if arguments.quick else Plan())


if __name__ == "__main__":
    main()
