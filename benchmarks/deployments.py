"""What a boot costs in each deployment: time, throughput, memory.

    python -m benchmarks.deployments [a] [b] [c] [--hosts N] [--servers N] [--keep]

a: nova-all on SQLite and the broker inside; b: separate processes over RabbitMQ
and MariaDB; c: the same over PostgreSQL.  With --keep the deployment stays up
after its figures, and prints what a client needs to reach it.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.deployment import ALL_IN_ONE, Deployment, separate
from tests.engines import MariaDB, PostgreSQL, RabbitMQ


@contextlib.contextmanager
def deployed(which: str, hosts: int) -> Iterator[Deployment]:
    """One of the deployments, up and empty."""
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nova-lite-bench-")))
        root.chmod(0o711)
        directory = root / "cloud"
        if which == "a":
            database, transport = f"sqlite:///{directory}/nova.sqlite", "kombu+memory://"
        else:
            engine = stack.enter_context((MariaDB if which == "b" else PostgreSQL).running())
            broker = stack.enter_context(RabbitMQ.running())
            database, transport = engine.fresh_database(), broker.fresh_vhost()
        cloud = Deployment(
            directory,
            database=database,
            transport=transport,
            daemons=ALL_IN_ONE if which == "a" else separate(),
            options={"compute": {"fake_hosts": hosts}},
        )
        stack.callback(cloud.close)
        cloud.start()
        yield cloud


def memory(cloud: Deployment) -> dict[str, float]:
    """RSS in MiB of each daemon with its children."""
    found = {}
    for name, process in cloud.processes.items():
        root = psutil.Process(process.pid)
        family = [root, *root.children(recursive=True)]
        found[name] = sum(member.memory_info().rss for member in family) / 2**20
    return found


def cpu_seconds(cloud: Deployment) -> float:
    total = 0.0
    for process in cloud.processes.values():
        root = psutil.Process(process.pid)
        for member in [root, *root.children(recursive=True)]:
            times = member.cpu_times()
            total += times.user + times.system
    return total


def active_after(cloud: Deployment, name: str) -> tuple[float, float]:
    """Seconds from POST to its answer, and to ACTIVE."""
    began = time.perf_counter()
    id = cloud.boot(name)
    accepted = time.perf_counter() - began
    while cloud.server(id)["status"] != "ACTIVE":
        time.sleep(0.002)
    return accepted, time.perf_counter() - began


def say(what: str, value: str) -> None:
    print(f"  {what:<44} {value}", flush=True)


def measure(cloud: Deployment, servers: int) -> None:
    time.sleep(2)
    for name, rss in memory(cloud).items():
        say(f"RSS idle, {name}", f"{rss:.0f} MiB")
    busy = cpu_seconds(cloud)
    time.sleep(5)
    say("CPU idle", f"{(cpu_seconds(cloud) - busy) / 5:.3f} of a core")
    active_after(cloud, "warm-up")
    times = [active_after(cloud, f"one-{i}") for i in range(20)]
    say("POST accepted, median of 20", f"{statistics.median(t for t, _ in times) * 1000:.1f} ms")
    say("POST to ACTIVE, median of 20", f"{statistics.median(t for _, t in times) * 1000:.1f} ms")

    busy, began = cpu_seconds(cloud), time.perf_counter()
    with ThreadPoolExecutor(8) as clients:
        ids = list(clients.map(lambda i: cloud.boot(f"many-{i}"), range(servers)))
    cloud.wait_for(ids[-1:], "ACTIVE")
    count(cloud, "many-", servers)
    wall = time.perf_counter() - began
    say(f"{servers} servers from 8 clients", f"{servers / wall:.1f} boots/s")
    say("CPU per boot, our processes", f"{(cpu_seconds(cloud) - busy) / servers * 1000:.1f} ms")
    time.sleep(2)
    for name, rss in memory(cloud).items():
        say(f"RSS with {servers + 21} servers, {name}", f"{rss:.0f} MiB")

    began = time.perf_counter()
    cloud.boot("batch", max_count=100, min_count=100)
    count(cloud, "batch-", 100)
    say("one POST of 100 servers, all ACTIVE", f"{time.perf_counter() - began:.2f} s")


def count(cloud: Deployment, prefix: str, wanted: int) -> None:
    """Until so many servers with that prefix are ACTIVE."""
    path = f"/compute/v2.1/servers?name=^{prefix}&status=ACTIVE&limit=1000"
    while len(cloud.get(path)["servers"]) < wanted:
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", nargs="*", default=["a", "b", "c"])
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    for which in arguments.which:
        print(f"deployment ({which}), {arguments.hosts} fake hosts", flush=True)
        with deployed(which, arguments.hosts) as cloud:
            measure(cloud, arguments.servers)
            if arguments.keep:
                for name, value in cloud.environment.items():
                    print(f"export {name}={value}")
                with contextlib.suppress(KeyboardInterrupt):
                    time.sleep(1_000_000)


if __name__ == "__main__":
    main()
