"""Opening a database: the same promises on SQLite, MariaDB and PostgreSQL.

A transaction that writes is `database.write()`, one that only reads is
`database.read()`.  On SQLite the first takes the one write lock at its BEGIN,
so that it cannot fail half way because somebody else was quicker; the second
never waits for it.  Everywhere isolation is READ COMMITTED or better, and code
relies on conditional UPDATEs, unique constraints and row locks alone.  One
statement that only reads needs no transaction: that is `database.look()`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session, sessionmaker

P = ParamSpec("P")
T = TypeVar("T")

#: A transaction that says nothing for so long has lost its process or its
#: network; its locks are given back to the living.
IDLE_TRANSACTION_SECONDS = 60


class Database:
    def __init__(self, url: str, pool_size: int = 10) -> None:
        dialect = sa.make_url(url).get_backend_name()
        options: dict[str, Any] = {
            # What is written may be private; an error's text ends up in a log.
            "hide_parameters": True,
            "json_serializer": lambda value: orjson.dumps(value).decode(),
            "json_deserializer": orjson.loads,
        }
        if dialect == "sqlite":
            options["connect_args"] = {"timeout": 30, "check_same_thread": False}
        else:
            options["isolation_level"] = "READ COMMITTED"
            options["pool_recycle"] = 1800
            options["pool_pre_ping"] = False
        options.update(pool_size=pool_size, max_overflow=pool_size)
        self.engine = sa.create_engine(url, **options)
        options.update(isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)
        # Where tables are joined by a parameter that both have, it would see no join.
        options["enable_from_linting"] = False
        self._looks = sa.create_engine(url, execution_options={"looks": True}, **options)
        for engine in (self.engine, self._looks):
            _PREPARE[dialect](engine)
        self._write = sessionmaker(self.engine, expire_on_commit=False)
        self._read = sessionmaker(
            self.engine.execution_options(read_only=True), expire_on_commit=False
        )

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end of the block, rolled back if it raises."""
        with self._write.begin() as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A look at what is committed."""
        with self._read() as session:
            yield session

    def look(
        self, statement: sa.Select[Any], parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Any]:
        """The rows that one SELECT finds; run again if it failed for a passing reason.

        For where it counts: `read` costs two more round trips and a session.
        """

        def rows() -> Sequence[Any]:
            with self._looks.connect() as connection:
                return connection.execute(statement, parameters).all()

        return again_if_passing(rows)

    def close(self) -> None:
        self.engine.dispose()
        self._looks.dispose()


def is_passing(error: sa.exc.DBAPIError) -> bool:
    """Whether the same transaction may well succeed when it is run again.

    Deadlocks, serialisation failures, lock time-outs and lost connections are;
    constraint violations and bad SQL are not.
    """
    if error.connection_invalidated:
        return True
    operational = isinstance(error, sa.exc.OperationalError)
    arguments = getattr(error.orig, "args", ())
    if arguments and isinstance(arguments[0], int):
        # PyMySQL; it has an sqlstate, too, but not one that tells these apart.
        return arguments[0] in _PASSING_MARIADB
    if hasattr(error.orig, "sqlstate"):  # psycopg; there is no code for a server it cannot reach
        code = getattr(error.orig, "sqlstate", None) or ("08001" if operational else "")
        return str(code).startswith(_PASSING_POSTGRESQL)
    return operational and "locked" in str(error.orig)  # sqlite3


def again_if_passing(
    work: Callable[[], T],
    tries: int = 3,
    passing: Callable[[sa.exc.DBAPIError], bool] = is_passing,
) -> T:
    """What `work`, one whole transaction, gives; run again if it failed for a passing reason."""
    for _ in range(tries - 1):
        try:
            return work()
        except sa.exc.DBAPIError as error:
            if not passing(error):
                raise
    return work()


def is_undone(error: sa.exc.DBAPIError) -> bool:
    """Whether the error is passing, and its transaction left nothing behind for certain.

    A connection that is lost at the COMMIT may have taken the answer with it.
    """
    return is_passing(error) and not (error.statement is None and error.connection_invalidated)


def one_transaction(method: Callable[P, T]) -> Callable[P, T]:
    """Declare that a method is one transaction: another's deadlock is no reason to fail.

    It runs again when the database undid it for a passing reason.  So it changes
    nothing else before its transaction ends, and takes no argument that can be
    read but once.
    """

    @wraps(method)
    def again(*args: P.args, **kwargs: P.kwargs) -> T:
        return again_if_passing(partial(method, *args, **kwargs), tries=5, passing=is_undone)

    return again


#: Connections, deadlocks, lock time-outs, idle transactions, shutdown, too many connections.
_PASSING_POSTGRESQL = ("08", "40001", "40P01", "55P03", "25P03", "57P0", "53300")
_PASSING_MARIADB = {1020, 1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013, 4031}


def _sqlite(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        # The driver's own idea of transactions hides BEGIN and SAVEPOINT.
        connection.isolation_level = None
        _use_wal(connection)
        # A 202 is a promise: it holds across power loss, too.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("looks"):
            return
        mode = "DEFERRED" if connection.get_execution_options().get("read_only") else "IMMEDIATE"
        connection.exec_driver_sql(f"BEGIN {mode}")


def _use_wal(connection: sqlite3.Connection, seconds: float = 30.0) -> None:
    """The first to open a new file changes its mode; SQLite does not let the others wait for it.

    Raises sqlite3.OperationalError when it is locked for so long.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _mariadb(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 20, time_zone = '+00:00'")
            # It would read all of a project's servers by two indexes, intersect and sort them,
            # where one index has the first page in order.
            cursor.execute("SET SESSION optimizer_switch = 'index_merge_intersection=off'")
            if "MariaDB" in connection.server_version:
                cursor.execute(f"SET SESSION idle_transaction_timeout = {IDLE_TRANSACTION_SECONDS}")


def _postgresql(engine: sa.Engine) -> None:
    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: Any) -> None:
        was, connection.autocommit = connection.autocommit, True
        connection.execute(
            f"SET idle_in_transaction_session_timeout = '{IDLE_TRANSACTION_SECONDS}s'"
        )
        connection.execute("SET lock_timeout = '20s'")
        connection.execute("SET timezone = 'UTC'")
        connection.autocommit = was


_PREPARE = {
    "sqlite": _sqlite,
    "mysql": _mariadb,
    "mariadb": _mariadb,
    "postgresql": _postgresql,
}
