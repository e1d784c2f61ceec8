"""Claims: a host is never promised more than it has, and gets back what it gave."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Aggregate, AggregateHost, Allocation, Host, Service
from nova_lite.db.queries import hosts
from nova_lite.domain.capacity import AggregateRow, Ratios, Room
from nova_lite.domain.specs import Role
from tests.unit.db.test_engine import add_hosts

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
EXACT = Ratios(1, 1, 1)


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.real),
        pytest.param("postgresql", marks=pytest.mark.real),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    engine = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    database = Database(engine.fresh_database() if engine else f"sqlite:///{tmp_path}/db", 20)
    Base.metadata.create_all(database.engine)
    add_hosts(database, "a", "b")  # 1024 MiB, 4 CPUs, 10 GB each
    yield database
    database.close()


def claim(
    database: Database,
    instance: UUID | None = None,
    host: str = "a",
    ratios: Ratios = EXACT,
    memory_mb: int = 0,
    vcpus: int = 0,
    disk_gb: int = 0,
    zone: str | None = None,
) -> bool:
    with database.write() as session:
        return hosts.claim(
            session,
            instance or uuid4(),
            host,
            memory_mb=memory_mb,
            vcpus=vcpus,
            disk_gb=disk_gb,
            ratios=ratios,
            zone=zone,
        )


def used(database: Database, host: str = "a") -> tuple[int, int, int, int]:
    with database.read() as session:
        row = session.scalars(sa.select(Host).where(Host.name == host)).one()
    return row.memory_mb_used, row.vcpus_used, row.disk_gb_used, row.instances


@pytest.mark.parametrize(
    ("resource", "all_of_it"), [("memory_mb", 1024), ("vcpus", 4), ("disk_gb", 10)]
)
def test_all_of_a_host_can_be_claimed_and_not_one_more(
    database: Database, resource: str, all_of_it: int
) -> None:
    def take(amount: int) -> bool:
        how_much: dict[str, Any] = {"memory_mb": 0, "vcpus": 0, "disk_gb": 0, resource: amount}
        with database.write() as session:
            return hosts.claim(session, uuid4(), "a", ratios=EXACT, **how_much)

    assert not take(all_of_it + 1)
    assert take(all_of_it)
    assert not take(1)
    assert claim(database)  # of the others there is as much as before


def test_over_commit_is_counted_in(database: Database) -> None:
    generous = Ratios(memory=1.5, vcpus=4, disk=1)
    assert claim(database, ratios=generous, memory_mb=1536, vcpus=16)
    assert not claim(database, ratios=generous, memory_mb=1)
    assert not claim(database, ratios=generous, vcpus=1)


def test_a_refused_claim_leaves_no_trace(database: Database) -> None:
    assert not claim(database, memory_mb=2000, vcpus=1)
    assert not claim(database, host="nowhere")
    assert used(database) == (0, 0, 0, 0)
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Allocation)) == 0


@pytest.mark.parametrize("why", ["disabled", "forced_down"])
def test_a_host_that_has_just_been_taken_out_of_service_is_not_claimed(
    database: Database, why: str
) -> None:
    with database.write() as session:
        hosts.see(session, Role.COMPUTE, "a", "nova", NOW)
        hosts.see(session, Role.NETWORK, "b", "internal", NOW)
        session.execute(sa.update(Service).values({why: True}))
    assert not claim(database, host="a", vcpus=1)
    assert claim(database, host="b", vcpus=1)  # it is another worker that is out of service


def test_a_host_that_has_just_left_its_zone_is_not_claimed(database: Database) -> None:
    with database.read() as session:
        zone = hosts.zone_of(session, "a")
    assert not claim(database, vcpus=1, zone=f"not {zone}")
    assert claim(database, vcpus=1, zone=zone)


def test_aggregates_come_with_their_hosts(database: Database) -> None:
    with database.write() as session:
        assert hosts.aggregates(session) == []
        fast = Aggregate(name="fast", properties={"ssd": "true"}, created_at=NOW)
        empty = Aggregate(name="empty", properties={}, created_at=NOW)
        session.add_all([fast, empty])
        session.flush()
        session.add_all(AggregateHost(aggregate=fast.number, host=host) for host in "ab")
    with database.read() as session:
        found = {row.id: row for row in hosts.aggregates(session)}
    assert found[fast.number] == AggregateRow(fast.number, {"ssd": "true"}, frozenset("ab"))
    assert found[empty.number].hosts == frozenset()


def test_what_was_claimed_is_given_back_once(database: Database) -> None:
    mine, other = uuid4(), uuid4()
    claim(database, mine, memory_mb=512, vcpus=2, disk_gb=3)
    claim(database, other, memory_mb=256, vcpus=1, disk_gb=1)
    assert used(database) == (768, 3, 4, 2)
    with database.write() as session:
        assert hosts.release(session, mine, "a")
        assert not hosts.release(session, mine, "a")
        assert not hosts.release(session, other, "b")
    assert used(database) == (256, 1, 1, 1)


def test_two_who_give_back_the_same_give_back_once(database: Database) -> None:
    mine = uuid4()
    claim(database, mine, memory_mb=512)
    together, gave = threading.Barrier(4), []

    def release() -> None:
        together.wait()
        with database.write() as session:
            gave.append(hosts.release(session, mine, "a"))

    threads = [threading.Thread(target=release) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(gave) == [False, False, False, True]
    assert used(database) == (0, 0, 0, 0)


def test_the_last_place_goes_to_one_of_many(database: Database) -> None:
    claim(database, memory_mb=960)
    together, won = threading.Barrier(10), []

    def take() -> None:
        together.wait()
        won.append(claim(database, memory_mb=64))

    threads = [threading.Thread(target=take) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 9 + [True]
    assert used(database)[0] == 1024


def test_an_instance_knows_where_it_may_have_left_something(database: Database) -> None:
    mine = uuid4()
    assert claim(database, mine, "b", vcpus=1) and claim(database, mine, "a", vcpus=1)
    with database.read() as session:
        assert hosts.allocated(session, mine) == ["a", "b"]
        assert hosts.allocated(session, uuid4()) == []


def test_hosts_somebody_is_claiming_come_last(database: Database) -> None:
    add_hosts(database, "c")
    with database.read() as alone:
        assert list(hosts.in_turn(alone, ["c", "a", "b"])) == ["c", "a", "b"]
    if database.engine.dialect.name == "sqlite":
        return  # there is one writer at a time, and nobody to give way to
    with database.write() as busy:
        busy.execute(sa.update(Host).where(Host.name == "c").values(zone="x"))
        with database.write() as session:
            assert list(hosts.in_turn(session, ["c", "a", "b"])) == ["a", "b", "c"]


def test_a_worker_is_registered_when_it_first_speaks_and_seen_ever_after(
    database: Database,
) -> None:
    later = NOW + dt.timedelta(seconds=10)
    with database.write() as session:
        hosts.see(session, Role.COMPUTE, "a", "nova", NOW)
        hosts.see(session, Role.NETWORK, "a", "internal", NOW)
    with database.write() as session:
        hosts.see(session, Role.COMPUTE, "a", "attic", later)
    with database.read() as session:
        found = session.scalars(sa.select(Service).order_by(Service.number)).all()
    assert [(s.role, s.host, s.zone, s.last_seen_at, s.created_at) for s in found] == [
        (Role.COMPUTE, "a", "attic", later, NOW),
        (Role.NETWORK, "a", "internal", NOW, NOW),
    ]


def test_the_scheduler_sees_who_is_up_and_who_may_be_used(database: Database) -> None:
    add_hosts(database, "c", "d", "unheard")
    with database.write() as session:
        for host, ago in (("a", 5), ("b", 30), ("c", 5), ("d", 5)):
            seen = NOW - dt.timedelta(seconds=ago)
            service = hosts.see(session, Role.COMPUTE, host, "nova", seen)
            service.disabled, service.forced_down = host == "c", host == "d"
        hosts.see(session, Role.NETWORK, "a", "internal", NOW - dt.timedelta(hours=1))
    claim(database, memory_mb=512, vcpus=1, disk_gb=2)
    with database.read() as session:
        found = {row.name: row for row in hosts.rows(session, NOW - dt.timedelta(seconds=20))}
    assert {name: (row.up, row.enabled) for name, row in found.items()} == {
        "a": (True, True),
        "b": (False, True),
        "c": (True, False),
        "d": (False, True),
    }
    assert (found["a"].memory_mb, found["a"].memory_mb_used, found["a"].instances) == (1024, 512, 1)
    assert (found["a"].vcpus_used, found["a"].disk_gb_used, found["a"].disk_gb) == (1, 2, 10)


def test_a_promise_grows_where_there_is_room_and_shrinks_anywhere(database: Database) -> None:
    mine, other = uuid4(), uuid4()
    assert claim(database, mine, memory_mb=512, vcpus=1) and claim(database, other, memory_mb=256)

    def change(room: Room, ratios: Ratios | None = EXACT, instance: UUID = mine) -> bool:
        with database.write() as session:
            return hosts.reallocate(session, instance, "a", room, ratios)

    def used() -> tuple[int, int]:
        with database.read() as session:
            host = session.scalars(sa.select(Host).where(Host.name == "a")).one()
            promise = hosts.promised(session, mine, "a")
            assert (promise.memory_mb, promise.vcpus) == (
                host.memory_mb_used - 256,
                host.vcpus_used,
            )
            return host.memory_mb_used, host.vcpus_used

    assert change(Room(768, 2, 0)) and used() == (1024, 2)
    assert change(Room(768, 2, 0)) and used() == (1024, 2)
    assert not change(Room(769, 2, 0)) and used() == (1024, 2)
    assert change(Room(769, 2, 0), None) and used() == (1025, 2)
    assert change(Room(100, 1, 0)) and used() == (356, 1)
    assert not change(Room(1, 1, 1), instance=uuid4()) and used() == (356, 1)
