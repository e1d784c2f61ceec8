"""The engines of the other real tests: they serve, they forget nothing, they keep to themselves."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import kombu
import psutil
import pytest
import sqlalchemy

from tests.engines import Database, MariaDB, RabbitMQ

pytestmark = pytest.mark.real


@pytest.fixture(params=["mariadb", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    engine = request.getfixturevalue(request.param)
    assert isinstance(engine, Database)
    return engine


def test_what_was_committed_survives_a_killed_database(database: Database) -> None:
    engine = sqlalchemy.create_engine(database.fresh_database(), poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE promises (word VARCHAR(20))"))
        connection.execute(sqlalchemy.text("INSERT INTO promises VALUES ('kept')"))
    database.restart()
    with engine.connect() as connection:
        assert connection.scalar(sqlalchemy.text("SELECT word FROM promises")) == "kept"


def test_each_fresh_database_is_empty_and_another_one(database: Database) -> None:
    first, second = (sqlalchemy.create_engine(database.fresh_database()) for _ in range(2))
    with first.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE mine (word VARCHAR(20))"))
    assert sqlalchemy.inspect(first).get_table_names() == ["mine"]
    assert sqlalchemy.inspect(second).get_table_names() == []
    first.dispose()
    second.dispose()


def send_and_receive(url: str) -> str:
    with kombu.Connection(url.replace("rabbit:", "amqp:")) as connection:
        queue = connection.SimpleQueue("letters")
        queue.put("hello")
        letter = queue.get(timeout=5)
        letter.ack()
        queue.close()
    return str(letter.payload)


def test_a_killed_broker_serves_again_at_the_same_address(rabbitmq: RabbitMQ) -> None:
    assert send_and_receive(rabbitmq.url) == "hello"
    rabbitmq.restart()
    assert send_and_receive(rabbitmq.url) == "hello"


def test_a_fresh_vhost_knows_nothing_of_the_others(rabbitmq: RabbitMQ) -> None:
    def waiting(url: str) -> int:
        with kombu.Connection(url.replace("rabbit:", "amqp:")) as connection:
            return int(connection.SimpleQueue("notes").qsize())

    crowded, fresh = rabbitmq.fresh_vhost(), rabbitmq.fresh_vhost()
    with kombu.Connection(crowded.replace("rabbit:", "amqp:")) as connection:
        connection.SimpleQueue("notes").put("a note")
    assert (waiting(crowded), waiting(fresh)) == (1, 0)


@pytest.mark.parametrize("name", ["rabbitmq", "mariadb", "postgresql"])
def test_an_engine_listens_on_loopback_only(name: str, request: pytest.FixtureRequest) -> None:
    engine = request.getfixturevalue(name)
    listening = [
        ipaddress.ip_address(connection.laddr.ip)
        for process in psutil.process_iter()
        if belongs_to(process, engine.directory)
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert listening
    assert all(address.is_loopback for address in listening)


def belongs_to(process: psutil.Process, directory: Path) -> bool:
    try:
        return Path(process.cwd()).is_relative_to(directory)
    except psutil.Error:
        return False


def test_a_closed_engine_leaves_neither_processes_nor_files() -> None:
    with MariaDB.running() as engine:
        assert engine.answers()
    assert not engine.directory.exists()
    with pytest.raises(ConnectionRefusedError), socket.socket() as probe:
        probe.connect(("127.0.0.1", engine.port))


def test_an_engine_that_dies_while_starting_says_why() -> None:
    with MariaDB.running() as engine:
        engine.kill()
        (engine.directory / "data" / "ibdata1").write_bytes(b"not a tablespace")
        with pytest.raises(RuntimeError, match="mariadb-server ended by itself:\n.*InnoDB"):
            engine.start()
