"""What every database must see of the migrations."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from uuid import uuid4

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from nova_lite.db import migrate, models  # noqa: F401 - registers the tables
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Image, Instance, Port
from nova_lite.db.queries.identity import standing
from nova_lite.db.queries.security_groups import rules_of
from nova_lite.domain.scopes import ScopeKind


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


def check_that_first_light_lives_on(url: str) -> None:
    """What revision 0001 held is there after it, and means what it meant."""
    migrate.upgrade(url, to="0001")
    now, instance, network, port = dt.datetime(2030, 1, 1), uuid4(), uuid4(), uuid4()
    with closing(Database(url)) as database:
        with database.write() as session:
            tables = sa.MetaData()
            tables.reflect(session.connection())

            def insert(table: str, **values: object) -> None:
                session.execute(sa.insert(tables.tables[table]).values(**values))

            # As the first revision keeps a UUID on this database.
            native = session.get_bind().dialect.supports_native_uuid

            def key(id: object) -> object:
                return id if native else str(id).replace("-", "")

            insert("domains", id="default", name="Default", description="", enabled=True)
            insert("projects", id="p", domain_id="default", name="p", description="", enabled=True)
            insert(
                "users",
                id="u",
                domain_id="default",
                name="u",
                password_hash="x",
                enabled=True,
                description="",
            )
            for role in ("admin", "manager", "member", "reader"):
                insert("roles", id=f"id of {role}", name=role, description="")
            insert(
                "role_assignments",
                user_id="u",
                scope="project",
                scope_id="p",
                role_id="id of member",
            )
            times = {"created_at": now, "updated_at": now}
            insert(
                "networks",
                id=key(network),
                project_id="p",
                **{c.name: _some(c) for c in tables.tables["networks"].c if _needed(c)},
                **times,
            )
            insert(
                "ports",
                id=key(port),
                network_id=key(network),
                project_id="p",
                mac="fa:16:3e:00:00:01",
                **{c.name: _some(c) for c in tables.tables["ports"].c if _needed(c)},
                **times,
            )
            insert(
                "instances",
                id=key(instance),
                project_id="p",
                **{c.name: _some(c) for c in tables.tables["instances"].c if _needed(c)},
                **times,
            )
            insert(
                "images",
                id=key(instance),
                owner="p",
                **{c.name: _some(c) for c in tables.tables["images"].c if _needed(c)},
                **times,
            )
    migrate.upgrade(url)
    assert not (left := differences(url)), left
    with closing(Database(url)) as database, database.read() as session:
        found = standing(session, "u", ScopeKind.PROJECT, "p", "audit")
        assert found is not None and found.roles == {"member", "reader"}
        server = session.scalars(sa.select(Instance)).one()
        assert (server.extra_specs, server.files, server.disk_generation) == ({}, [], 0)
        assert session.scalars(sa.select(Image)).one().stores is None
        # Guests of that time were not filtered, and must not be cut off.
        assert session.scalars(sa.select(Port)).one().keep is False
        assert rules_of(session, [port]) == {port: None}


_GIVEN = {"id", "project_id", "network_id", "mac", "created_at", "updated_at", "owner", "number"}


def _needed(column: sa.Column[object]) -> bool:
    return not column.nullable and column.name not in _GIVEN


def _some(column: sa.Column[object]) -> object:
    """A value that fits the column."""
    words = {"vm_state": "active", "power_state": "running", "status": "active", "mode": "flat"}
    if column.name in words:
        return words[column.name]
    if isinstance(column.type, sa.Boolean | sa.Integer):
        return 0 if not isinstance(column.type, sa.Boolean) else False
    if isinstance(column.type, sa.JSON) or column.name in ("metadata", "tags", "properties"):
        return "[]" if column.name == "tags" else "{}"
    return "x"
