"""Who may do what where is the same on every database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nova_lite.db import engine
from nova_lite.db.base import Base
from tests.directory import World
from tests.engines import Database

pytestmark = pytest.mark.real


@pytest.fixture(params=["mariadb", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[engine.Database]:
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Database)
    database = engine.Database(server.fresh_database())
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_effective_list_is_what_tokens_get(database: engine.Database, seed: int) -> None:
    world = World(database, seed)
    world.check(database)
    world.check_subtree(database)
