"""The schema of a database: which revision it is at, and bringing it up to the newest.

The revisions are in `migrations/` beside the package, in a checkout and once installed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from nova_lite.db.engine import Database
from nova_lite.domain.errors import Conflict

#: Two who upgrade one database do so in turn.  SQLite's BEGIN IMMEDIATE does it by itself.
_ALONE = {
    "postgresql": "SELECT pg_advisory_xact_lock(hashtext('nova_lite migrations'))",
    "mysql": "SELECT GET_LOCK(CONCAT(DATABASE(), ' nova_lite'), {seconds})",
    "mariadb": "SELECT GET_LOCK(CONCAT(DATABASE(), ' nova_lite'), {seconds})",
}


def upgrade(url: str, patience: int = 60, to: str = "head") -> str:
    """Bring the database to the newest revision and return that; run again it changes nothing.

    With `to` it ends at an older one.

    All or nothing on SQLite and PostgreSQL; MariaDB commits each statement.
    Raises `alembic.util.CommandError` for a revision this program does not know,
    Conflict when somebody else is at it for longer than `patience` seconds.
    """
    with _connection(url) as connection, connection.begin():
        if alone := _ALONE.get(connection.dialect.name):
            if connection.exec_driver_sql(alone.format(seconds=patience)).scalar() == 0:
                raise Conflict("Somebody else is upgrading this database.")
        config = configuration()
        config.attributes["connection"] = connection
        command.upgrade(config, to)
        _check_references(connection)
    return head() if to == "head" else to


def version(url: str) -> str | None:
    """The revision a database is at; None for one that has never been migrated."""
    with _connection(url) as connection:
        return current(connection)


def current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The newest revision there is."""
    newest = ScriptDirectory.from_config(configuration()).get_current_head()
    if newest is None:
        raise FileNotFoundError(f"There are no revisions in {directory()}")
    return newest


def configuration() -> Config:
    config = Config()
    # Alembic reads options with interpolation.
    config.set_main_option("script_location", str(directory()).replace("%", "%%"))
    return config


def directory() -> Path:
    return Path(__file__).resolve().parents[2] / "migrations"


@contextmanager
def _connection(url: str) -> Iterator[sa.Connection]:
    with closing(Database(url, pool_size=1)) as database:
        if database.engine.dialect.name == "sqlite":
            # It will hold password hashes: nobody else is to read it.
            os.close(os.open(database.engine.url.database or "", os.O_CREAT, 0o600))

            # SQLite changes a table by writing it anew and dropping the old one,
            # which must not take the rows that refer to it along.
            @sa.event.listens_for(database.engine, "connect")
            def connect(connection: sa.engine.interfaces.DBAPIConnection, _: object) -> None:
                with closing(connection.cursor()) as cursor:
                    cursor.execute("PRAGMA foreign_keys=OFF")

        with database.engine.connect() as connection:
            yield connection


def _check_references(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        if broken:
            raise ValueError(f"Rows refer to what is not there, in {broken[0][0]} and maybe others")
