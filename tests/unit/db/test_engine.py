"""The same promises on every database: transactions, what passes, what is given up."""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.db import engine as engines
from nova_lite.db.base import Base, insert_if_absent, rows_changed
from nova_lite.db.engine import Database, is_passing, is_undone
from nova_lite.db.models import Allocation, Host, Network, Service
from nova_lite.domain.specs import Role
from nova_lite.testing.haste import within
from tests import engines as servers

NOW = dt.datetime(2030, 1, 1, 12, 30, 15, 123456, tzinfo=dt.UTC)
REAL = [
    pytest.param("mariadb", marks=pytest.mark.real),
    pytest.param("postgresql", marks=pytest.mark.real),
]


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/db"
    server = request.getfixturevalue(request.param)
    assert isinstance(server, servers.Database)
    return server.fresh_database()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


on_every_engine = pytest.mark.parametrize("url", ["sqlite", *REAL], indirect=True)
on_servers = pytest.mark.parametrize("url", REAL, indirect=True)


def add_hosts(database: Database, *names: str) -> None:
    with database.write() as session:
        for name in names:
            session.add(a_host(name))


def a_host(name: str) -> Host:
    return Host(
        name=name,
        zone="nova",
        address="127.0.0.1",
        memory_mb=1024,
        vcpus=4,
        disk_gb=10,
        hypervisor_type="fake",
        hypervisor_version=1,
        cpu_info={"model": "ünïcode \U0001f600", "nested": [1, None, {"a": True}]},
    )


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(sa.select(Host.name).order_by(Host.name)))


# --- transactions --------------------------------------------------------------------------


@on_every_engine
def test_what_is_written_is_there_when_the_block_ends(database: Database) -> None:
    add_hosts(database, "a", "b")
    assert names(database) == ["a", "b"]
    with database.read() as session:
        assert session.scalars(sa.select(Host)).first().cpu_info == {  # type: ignore[union-attr]
            "model": "ünïcode \U0001f600",
            "nested": [1, None, {"a": True}],
        }


@on_every_engine
def test_a_block_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.add(a_host("a"))
        session.flush()
        raise ZeroDivisionError
    assert names(database) == []


@on_every_engine
def test_a_look_changes_nothing(database: Database) -> None:
    with database.read() as session:
        session.add(a_host("a"))
        session.flush()
    assert names(database) == []


@on_every_engine
def test_rows_can_be_read_after_their_transaction(database: Database) -> None:
    with database.write() as session:
        host = a_host("a")
        session.add(host)
    assert (host.name, host.number) == ("a", 1)


@on_every_engine
def test_times_are_kept_to_the_microsecond_and_come_back_in_utc(database: Database) -> None:
    elsewhere = NOW.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30)))
    with database.write() as session:
        see = dict(host="h", zone="z", disabled=False, forced_down=False)
        session.execute(
            sa.insert(Service).values(
                role=Role.COMPUTE, last_seen_at=elsewhere, created_at=NOW, **see
            )
        )
    with database.read() as session:
        row = session.execute(sa.select(Service.last_seen_at, Service.role)).one()
        later = sa.select(Service.host).where(
            Service.last_seen_at > NOW - dt.timedelta(microseconds=1)
        )
        assert session.scalars(later).all() == ["h"]
    assert row.last_seen_at == NOW and row.last_seen_at.tzinfo is dt.UTC
    assert row.role is Role.COMPUTE


@on_every_engine
def test_two_transactions_see_only_what_is_committed(database: Database) -> None:
    with database.write() as session:
        session.add(a_host("a"))
        session.flush()
        assert names(database) == []
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Host)) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_readers_do_not_wait_for_a_writer_nor_he_for_them(database: Database) -> None:
    add_hosts(database, "a")
    with database.read() as reader:
        assert reader.scalars(sa.select(Host.name)).all() == ["a"]
        with within(3, time.monotonic), database.write() as writer:
            writer.execute(sa.update(Host).values(zone="changed"))
            assert names(database) == ["a"]
        # A snapshot: the reader goes on seeing what it began with.
        assert reader.scalars(sa.select(Host.zone)).all() == ["nova"]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_second_writer_waits_at_its_beginning_and_then_succeeds(database: Database) -> None:
    add_hosts(database, "a")
    counting = sa.update(Host).values(instances=Host.instances + 1)

    def count() -> None:
        for _ in range(20):
            with database.write() as session:
                seen = session.scalars(sa.select(Host.instances)).one()
                assert seen >= 0
                session.execute(counting)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.scalars(sa.select(Host.instances)).one() == 80


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_sqlite_keeps_foreign_keys_and_survives_a_power_cut(database: Database) -> None:
    with database.read() as session:
        assert session.scalar(sa.text("PRAGMA foreign_keys")) == 1
        assert session.scalar(sa.text("PRAGMA journal_mode")) == "wal"
        assert session.scalar(sa.text("PRAGMA synchronous")) == 2  # FULL


def test_a_new_sqlite_that_somebody_else_is_just_making_can_be_opened(tmp_path: Path) -> None:
    """Its mode can be changed only while nobody writes, and SQLite does not wait for that."""
    first = sqlite3.connect(tmp_path / "db", isolation_level=None, check_same_thread=False)
    first.execute("CREATE TABLE hosts (name TEXT)")
    first.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.3, first.execute, ("COMMIT",))
    done.start()
    database = Database(f"sqlite:///{tmp_path}/db")
    assert names(database) == []
    database.close()
    done.join()
    first.close()


def test_a_sqlite_that_never_lets_go_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    holder, late = (
        sqlite3.connect(tmp_path / "db", timeout=0, isolation_level=None) for _ in range(2)
    )
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        engines._use_wal(late, seconds=0.05)
    holder.close()
    engines._use_wal(late)
    late.close()


# --- compare and set -------------------------------------------------------------------------


@on_every_engine
def test_the_number_of_rows_met_is_told(database: Database) -> None:
    add_hosts(database, "a", "b")
    with database.write() as session:
        # Met, not changed: MariaDB would tell the latter by itself.
        assert rows_changed(session, sa.update(Host).values(zone="nova")) == 2
        assert rows_changed(session, sa.update(Host).where(Host.name == "c").values(zone="x")) == 0
        assert rows_changed(session, sa.delete(Host).where(Host.name == "a")) == 1


@on_every_engine
def test_a_row_is_inserted_once_and_the_transaction_goes_on(database: Database) -> None:
    mine = dict(instance_id=uuid4(), host="a", memory_mb=1, vcpus=1, disk_gb=1)
    with database.write() as session:
        assert insert_if_absent(session, Allocation, **mine)
        assert not insert_if_absent(session, Allocation, **{**mine, "memory_mb": 2})
        assert insert_if_absent(session, Allocation, **{**mine, "host": "b"})
    with database.read() as session:
        found = session.execute(sa.select(Allocation.host, Allocation.memory_mb)).all()
    assert sorted(map(tuple, found)) == [("a", 1), ("b", 1)]


@on_every_engine
def test_of_many_who_insert_the_same_row_one_does(database: Database) -> None:
    mine = dict(instance_id=uuid4(), host="a", memory_mb=1, vcpus=1, disk_gb=1)
    together, won = threading.Barrier(8), []

    def insert() -> None:
        together.wait()
        with database.write() as session:
            won.append(insert_if_absent(session, Allocation, **mine))

    threads = [threading.Thread(target=insert) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]


# --- what passes -----------------------------------------------------------------------------


@on_servers
def test_a_deadlock_passes(database: Database) -> None:
    add_hosts(database, "a", "b")
    both, errors = threading.Barrier(2), []

    def cross(first: str, second: str) -> None:
        try:
            with database.write() as session:
                session.execute(sa.update(Host).where(Host.name == first).values(zone=first))
                both.wait(10)
                session.execute(sa.update(Host).where(Host.name == second).values(zone=first))
        except sa.exc.DBAPIError as error:
            errors.append(error)

    threads = [threading.Thread(target=cross, args=order) for order in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(errors) == 1 and is_passing(errors[0])
    with database.read() as session:  # of the loser nothing is left, of the winner everything
        assert len(set(session.scalars(sa.select(Host.zone)))) == 1


@on_servers
def test_a_lock_somebody_holds_for_long_passes(database: Database) -> None:
    add_hosts(database, "a")
    impatient = {
        "mysql": "SET SESSION innodb_lock_wait_timeout = 1",
        "postgresql": "SET LOCAL lock_timeout = '300ms'",
    }[database.engine.dialect.name]
    with database.write() as holder:
        holder.execute(sa.update(Host).values(zone="held"))
        with pytest.raises(sa.exc.DBAPIError) as error, database.write() as session:
            session.execute(sa.text(impatient))
            session.execute(sa.update(Host).values(zone="mine"))
    assert is_passing(error.value)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_sqlite_that_stays_locked_passes(database: Database, url: str) -> None:
    impatient = sa.create_engine(url, connect_args={"timeout": 0.1})
    with database.write() as holder:
        holder.execute(sa.update(Host).values(zone="held"))
        with pytest.raises(sa.exc.OperationalError) as error, impatient.begin() as connection:
            connection.execute(sa.update(Host).values(zone="mine"))
    impatient.dispose()
    assert is_passing(error.value)


def killed(database: Database) -> sa.exc.DBAPIError:
    """What a session says whose connection an administrator has cut."""
    with pytest.raises(sa.exc.DBAPIError) as error, database.write() as session:
        cut(database, session)
        session.execute(sa.select(Host.name))
    return error.value


def cut(database: Database, session: Session) -> None:
    if database.engine.dialect.name == "postgresql":
        me = session.scalar(sa.text("SELECT pg_backend_pid()"))
        kill = sa.text(f"SELECT pg_terminate_backend({me})")
    else:
        me = session.scalar(sa.text("SELECT CONNECTION_ID()"))
        kill = sa.text(f"KILL {me}")
    with database.engine.connect() as other:
        other.execute(kill)


@on_servers
def test_a_lost_connection_passes_and_the_next_one_works(database: Database) -> None:
    add_hosts(database, "a")
    error = killed(database)
    assert is_passing(error) and is_undone(error)
    assert names(database) == ["a"]


@on_servers
def test_whoever_loses_his_connection_at_the_commit_cannot_know(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError) as error, database.write() as session:
        session.execute(sa.update(Host).values(zone="perhaps"))
        cut(database, session)
    assert is_passing(error.value) and not is_undone(error.value)


@pytest.mark.real
@pytest.mark.parametrize("dialect", ["mysql+pymysql", "postgresql+psycopg"])
def test_a_server_that_is_not_there_passes(dialect: str) -> None:
    from tests.processes import free_port

    database = Database(f"{dialect}://nova:x@127.0.0.1:{free_port()}/nova")
    with pytest.raises(sa.exc.OperationalError) as error:
        names(database)
    database.close()
    assert is_passing(error.value)


@on_every_engine
def test_what_is_wrong_stays_wrong(database: Database) -> None:
    add_hosts(database, "a")
    with pytest.raises(sa.exc.IntegrityError) as error:
        add_hosts(database, "a")
    assert not is_passing(error.value)
    with pytest.raises(sa.exc.IntegrityError) as error, database.write() as session:
        session.execute(sa.update(Host).values(zone=None))
    assert not is_passing(error.value)
    with pytest.raises(sa.exc.DBAPIError) as bad_sql, database.read() as session:
        session.execute(sa.text("SELECT locked FROM nowhere"))
    assert not is_passing(bad_sql.value)


def test_a_constraint_on_a_column_that_is_called_locked_is_no_lock(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/db")
    with pytest.raises(sa.exc.IntegrityError) as error, database.write() as session:
        session.execute(sa.text("CREATE TABLE t (locked INT NOT NULL)"))
        session.execute(sa.text("INSERT INTO t VALUES (NULL)"))
    database.close()
    assert "locked" in str(error.value) and not is_passing(error.value)


# --- who says nothing any more ----------------------------------------------------------------


@on_servers
def test_a_transaction_that_falls_silent_loses_its_locks(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "IDLE_TRANSACTION_SECONDS", 1)
    database = Database(url)
    Base.metadata.create_all(database.engine)
    add_hosts(database, "a")
    with pytest.raises(sa.exc.DBAPIError) as error, database.write() as silent:
        silent.execute(sa.update(Host).values(zone="silent"))
        with database.write() as living:  # waits until the server has had enough
            living.execute(sa.update(Host).values(zone="living"))
        silent.execute(sa.select(Host.name))
    assert is_passing(error.value)
    with database.read() as session:
        assert session.scalars(sa.select(Host.zone)).one() == "living"
    database.close()


@on_servers
def test_a_long_statement_is_not_silence(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "IDLE_TRANSACTION_SECONDS", 1)
    database = Database(url)
    sleep = {"mysql": "SELECT SLEEP(1.5)", "postgresql": "SELECT pg_sleep(1.5)"}
    with database.write() as session:
        session.execute(sa.text(sleep[database.engine.dialect.name]))
        assert session.scalar(sa.text("SELECT 1")) == 1
    database.close()


@on_every_engine
def test_a_network_that_is_in_use_cannot_be_taken_away(database: Database) -> None:
    from nova_lite.db.models import Subnet

    network = Network(
        project_id="p", name="n", mode="flat", bridge="br1", created_at=NOW, updated_at=NOW
    )
    with database.write() as session:
        session.add(network)
        session.flush()
        session.add(
            Subnet(
                network_id=network.id,
                project_id="p",
                cidr="10.0.0.0/24",
                pools=[],
                created_at=NOW,
                updated_at=NOW,
            )
        )
    with pytest.raises(sa.exc.IntegrityError), database.write() as session:
        session.execute(sa.delete(Network))


@on_every_engine
def test_a_look_sees_what_is_committed_and_holds_nothing(database: Database) -> None:
    query = sa.select(Host.name).where(Host.name == sa.bindparam("name"))
    assert database.look(query, {"name": "a"}) == []
    add_hosts(database, "a")
    with database.write() as session:
        session.add(a_host("b"))
        session.flush()
        assert [row.name for row in database.look(query, {"name": "a"})] == ["a"]
        assert database.look(query, {"name": "b"}) == []
    assert [row.name for row in database.look(query, {"name": "b"})] == ["b"]
    assert len(database.look(sa.select(Host.name))) == 2


@on_every_engine
def test_a_look_whose_connection_was_lost_is_made_again(database: Database) -> None:
    add_hosts(database, "a")
    lost = iter([True, False])

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def lose(*_of_it: object) -> None:
        if next(lost, False):
            raise sa.exc.DBAPIError("SELECT", {}, Exception(), connection_invalidated=True)

    try:
        assert [row.name for row in database.look(sa.select(Host.name))] == ["a"]
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", lose)
    assert next(lost, None) is None
