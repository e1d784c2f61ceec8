"""Declarative base, the column types every table shares, and the heart of compare-and-set."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any, cast
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, Session


class UtcDateTime(sa.TypeDecorator[dt.datetime]):
    """Aware UTC in Python, naive UTC with microseconds in the database."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime())

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> Any:
        return value and value.astimezone(dt.UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> dt.datetime | None:
        return None if value is None else cast(dt.datetime, value).replace(tzinfo=dt.UTC)


#: A number the database draws.  SQLite does so for INTEGER only.
SerialNumber = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Base(DeclarativeBase):
    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        dt.datetime: UtcDateTime(),
        UUID: sa.Uuid(),
        dict[str, Any]: sa.JSON(none_as_null=True),
        list[Any]: sa.JSON(none_as_null=True),
        # Words, not ordinals: readable in SQL, and free to grow without a migration.
        enum.StrEnum: sa.Enum(
            enum.StrEnum,
            native_enum=False,
            create_constraint=False,
            length=32,
            values_callable=lambda words: [word.value for word in words],
        ),
    }


def rows_changed(session: Session, statement: sa.Update | sa.Delete | sa.Insert) -> int:
    """Run `statement` and say how many rows it met: the heart of every compare-and-set."""
    # Of an INSERT the count is not kept unless one asks for it.
    options = {"synchronize_session": False, "preserve_rowcount": True}
    result = session.execute(statement, execution_options=options)
    return cast("sa.CursorResult[Any]", result).rowcount


def insert_if_absent(session: Session, table: type[Base], **values: Any) -> bool:
    """Insert a row unless a unique constraint forbids it; say whether it is ours.

    Unlike a caught IntegrityError this leaves the transaction usable on every
    database, and costs one statement.
    """
    dialect = session.get_bind().dialect.name
    if dialect == "sqlite":
        from sqlalchemy.dialects import sqlite

        statement: Any = sqlite.insert(table).values(**values).on_conflict_do_nothing()
    elif dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        statement = postgresql.insert(table).values(**values).on_conflict_do_nothing()
    else:
        statement = mysql.insert(table).values(**values).prefix_with("IGNORE")
    return rows_changed(session, statement) == 1
