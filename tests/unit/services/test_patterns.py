"""Names are found by the expressions clients use, on every database alike."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from nova_lite.db.engine import Database
from nova_lite.services.patterns import matches

NAMES = ("web-1", "web-22", "Web 3", "db.old", "a%b_c|d", "x+y", "cafe-instance-77")
TEXTS = sa.table("texts", sa.column("name", sa.String(64)))


@pytest.fixture(
    scope="module",
    params=[
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.real),
        pytest.param("postgresql", marks=pytest.mark.real),
    ],
)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    engine = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    url = engine.fresh_database() if engine else f"sqlite:///{tmp_path_factory.mktemp('p')}/db"
    database = Database(url)
    with database.write() as session:
        session.execute(sa.text("CREATE TABLE texts (name VARCHAR(64))"))
        session.execute(sa.insert(TEXTS), [{"name": name} for name in NAMES])
    yield database
    database.close()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("web", {"web-1", "web-22"}),
        ("^web-1$", {"web-1"}),
        ("b.1", {"web-1"}),
        ("b-.", {"web-1", "web-22"}),
        ("^web.*2$", {"web-22"}),
        ("^.*-[0-9]+$", {"web-1", "web-22", "cafe-instance-77"}),
        (r"^.*\-instance\-[0-9]+$", {"cafe-instance-77"}),
        (r"^.*\-instance\-.*$", {"cafe-instance-77"}),
        (r"^web-\d$", {"web-1"}),
        (r"^web-\d\d?$", {"web-1", "web-22"}),
        ("^[^w]+$", {"Web 3", "db.old", "a%b_c|d", "x+y", "cafe-instance-77"}),
        (r"db\.old", {"db.old"}),
        ("%b_c|d", {"a%b_c|d"}),
        (r"x\+y", {"x+y"}),
        ("x+y", set()),
        ("(a+)+$", set()),  # more than is understood: looked for as it stands
        (".*.*.*.*.*[a]", set()),  # would cost too much: the same
        ("[", set()),
        ("", set(NAMES)),
    ],
)
def test_what_a_pattern_finds(database: Database, pattern: str, found: set[str]) -> None:
    with database.read() as session:
        query = sa.select(TEXTS.c.name).where(matches(TEXTS.c.name, pattern))
        names = set(session.scalars(query))
    # SQLite's LIKE does not tell case apart, as Nova's filters on it do not.
    assert found - {"Web 3"} <= names <= found | {"Web 3"}
