"""What somebody is somewhere: asked for one token, for all scopes, and as a list."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Grant, ImpliedRole, Project
from nova_lite.db.queries.identity import scopes_of, standing
from nova_lite.domain.scopes import ScopeKind
from tests.directory import SCOPES, World


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/db")
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.mark.parametrize("seed", range(12))
def test_the_effective_list_is_what_tokens_get(database: Database, seed: int) -> None:
    World(database, seed).check(database)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_listed_of_a_subtree_is_that_of_its_projects(database: Database, seed: int) -> None:
    World(database, seed).check_subtree(database)


def test_a_standing_takes_one_query(database: Database) -> None:
    World(database, 1)
    said: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    for kind in SCOPES:
        with database.read() as session:
            standing(session, "ann", kind, "acme-0")
    assert len([text for text in said if not text.startswith("BEGIN")]) == len(SCOPES)


def test_projects_that_are_in_each_other_keep_nobody_waiting(database: Database) -> None:
    World(database, 1)
    with database.write() as session:
        session.execute(sa.update(Project).where(Project.id == "acme-0").values(parent_id="acme-1"))
        session.execute(sa.update(Project).where(Project.id == "acme-1").values(parent_id="acme-0"))
        session.execute(sa.delete(Grant))
        session.add(
            Grant(user_id="ann", scope="project", scope_id="acme-1", role_id="r1", inherited=True)
        )
        session.execute(sa.delete(ImpliedRole))
    with database.read() as session:
        found = standing(session, "ann", ScopeKind.PROJECT, "acme-0")
        assert found is not None and found.role_ids == [("r1", "r1")]
        assert "acme-0" in set(session.scalars(scopes_of("ann", ScopeKind.PROJECT)))
