"""Many at once, on every database: real threads, several schedulers, one last place."""

from __future__ import annotations

import dataclasses
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet, MultiFernet

from nova_lite import config as options
from nova_lite.bus.messages import Command, HostStatus, Json, Report
from nova_lite.bus.worker import Worker
from nova_lite.cmd import wiring
from nova_lite.cmd.control import Control
from nova_lite.cmd.keys import Keys
from nova_lite.compute.status import compute_status
from nova_lite.compute.verbs import ComputeVerbs
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Host, Instance, Operation, OperationEvent, OperationStatus
from nova_lite.domain.errors import InvalidState, NotFound, QuotaExceeded
from nova_lite.domain.specs import Capacity, Role
from nova_lite.network.fake import FakeNetwork
from nova_lite.network.verbs import NetworkVerbs
from nova_lite.operations import FLOWS
from nova_lite.operations.flow import Step, StepContext
from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.services.compute.instances import NewInstance
from nova_lite.services.identity.identity import admin_context
from nova_lite.services.network.networks import NewNetwork, NewSubnet
from nova_lite.testing.audit import leftovers, unfinished
from nova_lite.virt.fake import FakeDriver, Machine

SEED = 20101021
CLIENTS = 16


class ThreadBus:
    """Delivers at once, in threads of its own; each message to a scheduler meets another one."""

    def __init__(self) -> None:
        self.workers: dict[tuple[Role, str], Worker] = {}
        self.controls: list[Control] = []
        self._next = itertools.count()
        self._threads = ThreadPoolExecutor(8)

    def _scheduler(self) -> Control:
        return self.controls[next(self._next) % len(self.controls)]

    def wake(self, operations: Sequence[UUID]) -> None:
        for _ in range(2):  # twice is once
            self._scheduler().wake(operations)

    def publish(self, command: Command) -> None:
        self._threads.submit(self.workers[command.role, command.host].handle, command)

    def report(self, report: Report) -> None:
        self._scheduler().report(report)

    def status(self, status: HostStatus) -> None:
        self._scheduler().status(status)

    def call(self, role: Role, host: str, question: str, args: Json, timeout: float) -> Json:
        return self.workers[role, host].answer(question, args)

    def close(self) -> None:
        self._threads.shutdown()


class Site:
    """Some schedulers, each with a database connection of its own, and fake hosts."""

    def __init__(self, directory: Path, url: str, *, hosts: int, places: int) -> None:
        self.config = options.load((), files=())
        for name, value in {
            "state_path": str(directory),
            "service_down_time": 3600,
            "identity.password_hash_memory_kib": 8,
            "identity.password_hash_rounds": 1,
            "quota.instances": -1,
            "quota.cores": -1,
            "quota.ram": -1,
            "quota.ports": -1,
        }.items():
            group, _, option = name.rpartition(".")
            self.config.set_override(option, value, group=group or None)
        self.bus, self.keys = ThreadBus(), Keys(MultiFernet([Fernet(Fernet.generate_key())]), b"k")
        self.url, self.databases = url, list[Database]()
        self.database = self.open()
        Base.metadata.create_all(self.database.engine)
        self.services = wiring.services(self.config, self.open(), self.keys, self.bus)
        self.admin = admin_context(self.services.identity.bootstrap("password").project_id)
        self.services.flavors.create(self.admin, NewFlavor("s", 64, 1, 1, flavorid="s"))
        for i in range(3):
            world = wiring.world(self.config, self.keys)
            control = Control(self.open(), world, self.bus, random.Random(SEED + i))
            self.bus.controls.append(control)
        self.machines = {
            f"host{i}": Machine(Capacity(4 * places, 64 * places, places))
            for i in range(1, hosts + 1)
        }
        self.network = FakeNetwork()
        self._add_workers()

    def open(self) -> Database:
        # One connection for each client.
        self.databases.append(Database(self.url, CLIENTS))
        return self.databases[-1]

    def _add_workers(self) -> None:
        control = self.bus.controls[0]
        for host, machine in self.machines.items():
            virt = FakeDriver(machine)
            verbs = ComputeVerbs(virt, self.network)
            self.bus.workers[Role.COMPUTE, host] = Worker(
                host, verbs.verbs(), verbs.questions(), self.bus.report
            )
            status = compute_status(
                host,
                virt,
                zone="nova",
                address="127.0.0.1",
                started=True,
                reserved_memory_mb=0,
                reserved_disk_gb=0,
            )
            control.status(status)
        self.bus.workers[Role.NETWORK, "net1"] = Worker(
            "net1", NetworkVerbs(self.network).verbs(), {}, self.bus.report
        )
        control.status(HostStatus(Role.NETWORK, "net1", zone="internal", networks={}))
        while control.drain():
            pass

    def start(self) -> None:
        for control in self.bus.controls:
            control.start(threads=2)

    def close(self) -> None:
        for control in self.bus.controls:
            control.stop()
        self.bus.close()
        for database in self.databases:
            database.close()

    def add_network(self, cidr: str, **how: Any) -> None:
        networks = self.services.networks
        network = networks.create_networks(self.admin, [NewNetwork(name="n")])[0].id
        networks.create_subnets(self.admin, [NewSubnet(network, cidr, **how)])

    def boot(self, **how: Any) -> UUID:
        return self.services.instances.create(self.admin, NewInstance("s", "s", None, **how))[0].id

    def settle(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with self.database.read() as session:
                left = list(unfinished(session))
            if not left:
                return
            assert time.monotonic() < deadline, left
            time.sleep(0.05)

    def instances(self) -> list[Instance]:
        with self.database.read() as session:
            return list(session.scalars(sa.select(Instance).order_by(Instance.number)))

    def guests(self) -> list[tuple[str, UUID]]:
        return [(host, id) for host, machine in self.machines.items() for id in machine.guests]

    def assert_nothing_is_left_over(self) -> None:
        with self.database.read() as session:
            assert not (found := list(leftovers(session, self.guests()))), found


def at_once(work: Sequence[Callable[[], object]]) -> list[object]:
    """Do all of it from CLIENTS threads that begin together; results or exceptions."""
    begin = threading.Barrier(min(CLIENTS, len(work)))
    started = threading.local()

    def do(one: Callable[[], object]) -> object:
        if not hasattr(started, "yes"):
            started.yes = True
            begin.wait(30)
        try:
            return one()
        except Exception as error:
            return error

    with ThreadPoolExecutor(min(CLIENTS, len(work))) as pool:
        return list(pool.map(do, work))


def kinds(results: Sequence[object]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.real),
        pytest.param("postgresql", marks=pytest.mark.real),
    ]
)
def build(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def build(*, hosts: int = 3, places: int = 20, start: bool = True) -> Site:
        engine = None if request.param == "sqlite" else request.getfixturevalue(request.param)
        url = engine.fresh_database() if engine else f"sqlite:///{tmp_path}/db"
        sites.append(Site(tmp_path, url, hosts=hosts, places=places))
        if start:
            sites[0].start()
        return sites[0]

    yield build
    for site in sites:
        site.close()


def test_two_hundred_requests_for_the_last_hundred_places(build: Callable[..., Site]) -> None:
    site = build(hosts=5, places=20)
    site.add_network("10.0.0.0/23")
    results = at_once([site.boot] * 200)
    assert kinds(results) == {"UUID": 200}, results
    site.settle(300)
    found = site.instances()
    assert Counter(i.vm_state for i in found) == {"active": 100, "error": 100}
    for instance in found:
        if instance.vm_state == "error":
            assert instance.fault and "No valid host was found" in instance.fault["message"]
    site.assert_nothing_is_left_over()
    assert sorted(site.guests()) == sorted(
        (i.host or "", i.id) for i in found if i.vm_state == "active"
    )
    with site.database.read() as session:
        assert set(session.scalars(sa.select(Host.instances))) == {20}
        journal = session.execute(
            sa.select(OperationEvent.operation_id, OperationEvent.name, sa.func.count()).group_by(
                OperationEvent.operation_id, OperationEvent.name
            )
        ).all()
    assert {count for _, _, count in journal} == {1}  # no step of any was done twice


def test_the_last_addresses_are_given_once_each(build: Callable[..., Site]) -> None:
    site = build()
    site.add_network("10.0.0.0/29")  # the gateway has one; there are five
    at_once([site.boot] * 24)
    site.settle()
    found = site.instances()
    assert Counter(i.vm_state for i in found) == {"active": 5, "error": 19}
    reasons = {i.fault["message"] for i in found if i.vm_state == "error" and i.fault}
    assert reasons == {"No more IP addresses available on the network."}
    site.assert_nothing_is_left_over()


def test_a_hundred_parallel_creates_fill_a_quota_exactly(build: Callable[..., Site]) -> None:
    site = build(start=False)
    site.services.quotas.limits = {**site.services.quotas.limits, "instances": 17}
    results = at_once([site.boot] * 100)
    assert kinds(results) == {"UUID": 17, "QuotaExceeded": 83}
    assert all(
        "Quota exceeded for instances" in str(e) for e in results if isinstance(e, Exception)
    )
    assert len(site.instances()) == 17


def test_requests_for_several_servers_fill_a_quota_exactly(build: Callable[..., Site]) -> None:
    site = build(start=False)
    site.services.quotas.limits = {**site.services.quotas.limits, "cores": 10}
    results = at_once([lambda: site.boot(min_count=1, max_count=3)] * 20)
    assert set(kinds(results)) == {"UUID", "QuotaExceeded"}
    assert len(site.instances()) == 10
    refused = [error for error in results if isinstance(error, Exception)]
    assert all(isinstance(error, QuotaExceeded) for error in refused)


def test_of_many_reboots_of_one_server_one_is_begun(build: Callable[..., Site]) -> None:
    site = build()
    server = site.boot()
    site.settle()
    for round in range(10):
        boots = next(iter(m.guests[server].boots for m in site.machines.values() if m.guests))
        reboot = lambda: site.services.instances.reboot(site.admin, server, hard=True)  # noqa: E731
        results = at_once([reboot] * 4)
        begun = [result for result in results if result is None]
        refused = [result for result in results if isinstance(result, InvalidState)]
        assert begun and len(begun) + len(refused) == 4, results
        assert all(error.status == 409 for error in refused)
        site.settle()
        after = next(iter(m.guests[server].boots for m in site.machines.values() if m.guests))
        assert after == boots + len(begun), f"round {round}"


def test_two_reboots_at_once_while_nobody_runs_them(build: Callable[..., Site]) -> None:
    site = build(start=False)
    server = site.boot()
    while any(control.drain() for control in site.bus.controls):
        time.sleep(0.05)
    reboot = lambda: site.services.instances.reboot(site.admin, server, hard=True)  # noqa: E731
    for _ in range(5):
        results = at_once([reboot] * 2)
        assert kinds(results) == {"NoneType": 1, "InvalidState": 1}, results
        deadline = time.monotonic() + 20
        while site.instances()[0].operation_id and time.monotonic() < deadline:
            for control in site.bus.controls:
                control.drain()


BEGIN: dict[str, Callable[[Site, UUID], object]] = {
    "create": lambda site, id: None,
    "stop": lambda site, id: site.services.instances.stop(site.admin, id),
    "start": lambda site, id: site.services.instances.start(site.admin, id),
    "reboot": lambda site, id: site.services.instances.reboot(site.admin, id, hard=False),
    "delete": lambda site, id: site.services.instances.delete(site.admin, id),
    "pause": lambda site, id: site.services.instances.pause(site.admin, id),
    "suspend": lambda site, id: site.services.instances.suspend(site.admin, id),
}


@pytest.mark.parametrize("action", BEGIN)
def test_a_delete_wins_against_everything(build: Callable[..., Site], action: str) -> None:
    site, rng = build(), random.Random(SEED)
    # Those that need nothing but the server; the generic attack deletes under each flow there is.
    assert set(BEGIN) <= {flow.action for flow in FLOWS.values()}
    site.add_network("10.0.0.0/24")
    before = [site.boot() for _ in range(0 if action == "create" else 12)]
    site.settle()
    if action == "start":
        for id in before:
            site.services.instances.stop(site.admin, id)
        site.settle()

    def attack(n: int, pause: float) -> object:
        id = before[n] if before else site.boot()
        BEGIN[action](site, id)
        time.sleep(pause)
        # A DELETE is accepted, whatever is going on; or the server is gone already.
        answers = at_once([lambda: site.services.instances.delete(site.admin, id)] * 2)
        assert all(a is None or isinstance(a, NotFound) for a in answers), answers
        return None

    pauses = [rng.uniform(0, 0.08) for _ in range(12)]
    work = [lambda n=n, pause=pause: attack(n, pause) for n, pause in enumerate(pauses)]
    results = at_once(work)
    assert kinds(results) == {"NoneType": 12}, results
    site.settle()
    assert {instance.vm_state for instance in site.instances()} == {"deleted"}
    assert not site.guests()
    site.assert_nothing_is_left_over()


def test_a_real_deadlock_costs_a_turn_and_nothing_else(build: Callable[..., Site]) -> None:
    """Two steps each, in opposite order on two hosts: one of the transactions is lost whole."""
    site = build(start=False, hosts=2)
    servers = [site.boot(), site.boot()]
    with site.database.write() as session:
        session.execute(sa.update(Host).values(disk_gb_used=0))
    alone = site.database.engine.dialect.name == "sqlite"
    both, tries = threading.Barrier(2), Counter[UUID]()

    def add(host: str, context: StepContext) -> None:
        more = sa.update(Host).where(Host.name == host).values(disk_gb_used=Host.disk_gb_used + 1)
        context.session.execute(more)

    def first(context: StepContext) -> None:
        mine = servers.index(context.instance.id)
        tries[context.instance.id] += 1
        add(("host1", "host2")[mine], context)
        if tries[context.instance.id] == 1 and not alone:
            both.wait(20)  # each holds one host, and goes for the other's

    def second(context: StepContext) -> None:
        add(("host2", "host1")[servers.index(context.instance.id)], context)

    flow = dataclasses.replace(
        FLOWS["instance.create"],
        steps=(Step("place", first), Step("second", second)),
        start_over_from=None,
    )
    operations = [instance.operation_id for instance in site.instances()]
    runners = [control.runner for control in site.bus.controls[:2]]
    for runner in runners:
        runner.flows = {flow.kind: flow}
    threads = [
        threading.Thread(target=runner.run, args=([id],))
        for runner, id in zip(runners, operations, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(tries.values()) == (2 if alone else 3)  # one had to begin again
    with site.database.read() as session:
        assert session.scalars(sa.select(Host.disk_gb_used)).all() == [2, 2]
        assert set(session.scalars(sa.select(Operation.status))) == {OperationStatus.SUCCEEDED}
        names = session.scalars(sa.select(OperationEvent.name)).all()
        assert sorted(names) == ["place", "place", "second", "second"]
        assert not any(session.scalars(sa.select(Operation.error)))
