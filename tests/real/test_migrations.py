from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import sqlalchemy as sa

from nova_lite.db import migrate
from nova_lite.domain.errors import Conflict
from nova_lite.testing.migrations import check_that_first_light_lives_on, check_upgrade
from tests.engines import Database

pytestmark = pytest.mark.real


@pytest.fixture(params=["mariadb", "postgresql"])
def engine(request: pytest.FixtureRequest) -> Database:
    engine: Database = request.getfixturevalue(request.param)
    return engine


def test_an_empty_database_becomes_what_the_models_say_and_stays_so(engine: Database) -> None:
    check_upgrade(engine.fresh_database())


def test_two_who_upgrade_at_once_do_so_in_turn(engine: Database) -> None:
    url = engine.fresh_database()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(migrate.upgrade, [url] * 2)) == [migrate.head()] * 2


def test_who_waits_too_long_for_another_to_upgrade_is_told(mariadb: Database) -> None:
    url = mariadb.fresh_database()
    with closing(sa.create_engine(url).connect()) as other:
        other.execute(sa.text("SELECT GET_LOCK(CONCAT(DATABASE(), ' nova_lite'), 0)"))
        with pytest.raises(Conflict, match="Somebody else"):
            migrate.upgrade(url, patience=1)


def test_what_the_first_release_kept_is_there_after_it(engine: Database) -> None:
    check_that_first_light_lives_on(engine.fresh_database())
