from __future__ import annotations

import sqlite3
import stat
import threading
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.util import CommandError

from nova_lite.db import migrate
from nova_lite.db.engine import Database
from nova_lite.testing.migrations import (
    check_that_first_light_lives_on,
    check_upgrade,
    differences,
)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/database"


def test_an_empty_database_becomes_what_the_models_say_and_stays_so(url: str) -> None:
    check_upgrade(url)


def test_a_column_that_is_missing_would_be_noticed(url: str) -> None:
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.write() as session:
        session.execute(sa.text("ALTER TABLE flavors DROP COLUMN rxtx_factor"))
    assert "rxtx_factor" in differences(url)[0]


def test_a_database_of_a_newer_release_is_refused(url: str) -> None:
    migrate.upgrade(url)
    with closing(Database(url)) as database, database.write() as session:
        session.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        migrate.upgrade(url)
    assert migrate.version(url) == "9999"


def test_two_who_upgrade_at_once_do_so_in_turn(url: str) -> None:
    reached: list[str] = []
    both = [threading.Thread(target=lambda: reached.append(migrate.upgrade(url))) for _ in "ab"]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert reached == [migrate.head()] * 2


def test_an_upgrade_that_fails_leaves_nothing_behind(tmp_path: Path, url: str) -> None:
    with closing(sqlite3.connect(tmp_path / "database")) as connection:
        connection.execute("CREATE TABLE users (id TEXT)")  # in the way
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        migrate.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "database")) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
    assert tables == [("users",)]


def test_rows_that_refer_to_nothing_are_not_let_through(tmp_path: Path, url: str) -> None:
    migrate.upgrade(url)
    with closing(sqlite3.connect(tmp_path / "database")) as connection:
        connection.execute("INSERT INTO flavor_access VALUES ('no such flavor', 'a project')")
        connection.commit()
    with pytest.raises(ValueError, match="flavor_access"):
        migrate.upgrade(url)


def test_nobody_else_may_read_a_new_database_file(tmp_path: Path, url: str) -> None:
    migrate.upgrade(url)
    assert stat.S_IMODE((tmp_path / "database").stat().st_mode) == 0o600


def test_revisions_that_are_not_there_are_told_with_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    monkeypatch.setattr(migrate, "__file__", str(tmp_path / "nova_lite" / "db" / "migrate.py"))
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        migrate.head()


def test_what_the_first_release_kept_is_there_after_it(url: str) -> None:
    check_that_first_light_lives_on(url)
