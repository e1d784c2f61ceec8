"""Real engines for tests: RabbitMQ, MariaDB and PostgreSQL, started by hand.

Each runs on ports of its own on loopback, with its data in a directory of its own and default
durability, as the account its package made for it (or as whoever runs the tests, if that is not
root).  One of each serves the whole test run; what a test must have to itself, it asks for:
`mariadb.fresh_database()`, `rabbitmq.fresh_vhost()`.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar, Self

import kombu
import psycopg
import pymysql
import pytest
from kombu.exceptions import OperationalError

from tests.processes import free_port, kill_tree, spawn, wait_until


class Engine(ABC):
    """One server process that can be pulled the plug on, and started again with its data."""

    package: ClassVar[str]
    account: ClassVar[str]
    start_seconds: ClassVar[float] = 60.0

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self.password = secrets.token_urlsafe(16)
        self.environment: dict[str, str] = {}
        self.run_as = self.account if os.geteuid() == 0 else None
        self._names = (f"nova_{number}" for number in itertools.count(1))
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Self]:
        """A new engine, gone without a trace at the end.

        Not below pytest's own temporary directory: that is closed to other accounts.
        """
        directory = Path(tempfile.mkdtemp(prefix=f"nova-lite-{cls.package}-"))
        engine = cls(directory)
        try:
            if engine.run_as:
                shutil.chown(directory, engine.run_as, engine.run_as)
            engine.prepare()
            engine.start()
            yield engine
        finally:
            engine.close()
            shutil.rmtree(directory)

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and the first data; happens once."""

    @abstractmethod
    def command(self) -> list[str]:
        """The server, in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether a client is served by now."""

    def start(self) -> None:
        self._process = process = spawn(
            self.command(), log=self.log, account=self.run_as, environment=self.environment
        )

        def up() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"{self.package} ended by itself:\n{self._last_words()}")
            return self.answers()

        try:
            wait_until(up, seconds=self.start_seconds, what=f"{self.package} answers")
        except TimeoutError as error:
            raise RuntimeError(f"{error}:\n{self._last_words()}") from None

    def kill(self) -> None:
        """SIGKILL, at once and in the middle of whatever it does; `start` goes on from its data."""
        if self._process:
            kill_tree(self._process)
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    def close(self) -> None:
        self.kill()

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def _run(self, *command: str) -> None:
        """One of the engine's own tools, run to its end."""
        tool = spawn(command, log=self.log, account=self.run_as, environment=self.environment)
        if tool.wait(timeout=self.start_seconds) != 0:
            raise RuntimeError(f"{command[0]} failed:\n{self._last_words()}")

    def _write(self, name: str, text: str) -> Path:
        """A file only the engine can read: it may hold the password."""
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_text(text)
        if self.run_as:
            shutil.chown(path, self.run_as, self.run_as)
        return path

    @classmethod
    def _program(cls, *places: str) -> str:
        """The last existing file among the patterns: the newest version, where they hold one."""
        found = [str(path) for place in places for path in sorted(Path("/").glob(place[1:]))]
        if not found:
            raise RuntimeError(f"{places[0]} is missing: apt-get install {cls.package}")
        return found[-1]


class RabbitMQ(Engine):
    package = "rabbitmq-server"
    account = "rabbitmq"

    def prepare(self) -> None:
        self._name_service = free_port()
        self._node = f"nova-lite-{self.port}@localhost"
        config = self._write(
            "rabbitmq.conf",
            f"""
            listeners.tcp.1 = 127.0.0.1:{self.port}
            default_user = nova
            default_pass = {self.password}
            default_vhost = nova
            log.file = false
            log.console = true
            log.console.level = warning
            # How much the broker may take before it slows publishers down.
            vm_memory_high_watermark.absolute = 512MB
            disk_free_limit.absolute = 50MB
            """,
        )
        self.environment = {
            "HOME": str(self.directory),  # where the cookie of the distribution lives
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._name_service),
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_CONFIG_FILE": str(config),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._write("plugins", "[].")),
            # Idle schedulers sleep instead of spinning: the cores are for the tests.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1}",
            # Makes the start script become the server instead of waiting beside it.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        # Erlang would leave one of its own running for ever.
        self._epmd = spawn(
            [self._program("/usr/bin/epmd")],
            log=self.log,
            account=self.run_as,
            environment=self.environment,
        )

    def command(self) -> list[str]:
        return [self._program("/usr/lib/rabbitmq/bin/rabbitmq-server")]

    def answers(self) -> bool:
        with kombu.Connection(self.url.replace("rabbit:", "amqp:"), connect_timeout=5) as client:
            try:
                client.connect()
            except (OperationalError, OSError):
                return False
        return True

    def close(self) -> None:
        super().close()
        kill_tree(self._epmd)

    @property
    def url(self) -> str:
        """The transport_url of a vhost shared by all tests that do not ask for their own."""
        return self._url("nova")

    def fresh_vhost(self) -> str:
        """The transport_url of a vhost that holds nothing yet."""
        name = next(self._names)
        control = self._program("/usr/lib/rabbitmq/bin/rabbitmqctl")
        self._run(control, "--node", self._node, "add_vhost", name)
        self._run(
            control, "--node", self._node, "set_permissions", "-p", name, "nova", ".*", ".*", ".*"
        )
        return self._url(name)

    def _url(self, vhost: str) -> str:
        return f"rabbit://nova:{self.password}@127.0.0.1:{self.port}/{vhost}"


class Database(Engine):
    """An engine that SQLAlchemy speaks to."""

    dialect: ClassVar[str]

    def fresh_database(self) -> str:
        """The SQLAlchemy URL of a database that holds nothing yet."""
        name = next(self._names)
        self.execute(f"CREATE DATABASE {name}")
        return f"{self.dialect}://nova:{self.password}@127.0.0.1:{self.port}/{name}"

    @abstractmethod
    def execute(self, statement: str) -> None:
        """One statement, as administrator and outside of any database of the tests."""

    def answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except (psycopg.OperationalError, pymysql.OperationalError):
            return False
        return True


class MariaDB(Database):
    package = "mariadb-server"
    account = "mysql"
    dialect = "mysql+pymysql"

    def prepare(self) -> None:
        self._data = str(self.directory / "data")
        # Read at each start: the password is on no command line, and in no table before this.
        self._accounts = self._write(
            "accounts.sql",
            f"CREATE OR REPLACE USER nova@'127.0.0.1' IDENTIFIED BY '{self.password}';\n"
            "GRANT ALL ON *.* TO nova@'127.0.0.1';\n",
        )
        # A server that starts removes the temporary tables of any other in the same place.
        self.environment = {"TMPDIR": str(self.directory)}
        self._run(
            self._program("/usr/bin/mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self._data}",
            "--skip-test-db",
            "--skip-name-resolve",
        )

    def command(self) -> list[str]:
        return [
            self._program("/usr/sbin/mariadbd"),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self.directory / 'socket'}",
            f"--pid-file={self.directory / 'pid'}",
            f"--init-file={self._accounts}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
        ]

    def execute(self, statement: str) -> None:
        connection = pymysql.connect(
            host="127.0.0.1", port=self.port, user="nova", password=self.password
        )
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(statement)


class PostgreSQL(Database):
    package = "postgresql"
    account = "postgres"
    dialect = "postgresql+psycopg"

    def prepare(self) -> None:
        self._data = str(self.directory / "data")
        self._run(
            self._program("/usr/lib/postgresql/*/bin/initdb"),
            f"--pgdata={self._data}",
            "--username=nova",
            f"--pwfile={self._write('password', self.password)}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
        )

    def command(self) -> list[str]:
        return [
            self._program("/usr/lib/postgresql/*/bin/postgres"),
            "-D",
            self._data,
            "-h",
            "127.0.0.1",
            "-p",
            str(self.port),
            "-k",
            str(self.directory),
        ]

    def execute(self, statement: str) -> None:
        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="nova",
            password=self.password,
            dbname="postgres",
            autocommit=True,
        ) as connection:
            # Bytes: the type of psycopg's str is a literal, to keep out what was pasted together.
            connection.execute(statement.encode())


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    with RabbitMQ.running() as engine:
        yield engine


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    with MariaDB.running() as engine:
        yield engine


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    with PostgreSQL.running() as engine:
        yield engine
