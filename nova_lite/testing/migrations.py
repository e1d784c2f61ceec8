"""What every database must see of the migrations."""

from __future__ import annotations

from contextlib import closing

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nova_lite.db import migrate, models  # noqa: F401 - registers the tables
from nova_lite.db.base import Base
from nova_lite.db.engine import Database


def check_upgrade(url: str) -> None:
    """The empty database at `url` comes to exactly what the models say, and stays there."""
    assert migrate.version(url) is None
    assert migrate.upgrade(url) == migrate.head() == migrate.version(url)
    assert not (left := differences(url)), left
    assert migrate.upgrade(url) == migrate.head()
    assert not (left := differences(url)), left


def differences(url: str) -> list[str]:
    """What would have to be changed in the database for it to be what the models say."""
    with closing(Database(url)) as database, database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, Base.metadata)]
