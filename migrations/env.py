"""How Alembic meets our database: always on the connection it is handed.

`nova_lite.db.migrate` and `migrations/revise.py` run this; there is no
alembic.ini, because where the database is says nova.conf.
"""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext

from nova_lite.db import models  # noqa: F401 - registers the tables
from nova_lite.db.base import Base, SerialNumber, UtcDateTime
from nova_lite.db.models.identity import Tags


def render(kind: str, thing: Any, _: AutogenContext) -> str | Literal[False]:
    """Types as plain SQLAlchemy: a revision must not change when the package does."""
    if kind != "type":
        return False
    if isinstance(thing, UtcDateTime):
        return "MOMENT"  # defined by script.py.mako
    if thing is SerialNumber:
        return "SERIAL"
    if isinstance(thing, sa.Enum):
        return f"sa.String({thing.length})"
    if isinstance(thing, sa.JSON):
        return "sa.JSON()"
    if isinstance(thing, Tags):
        return 'sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")'
    return False


connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_item=render,
    render_as_batch=True,
    # Alembic does not expect it of SQLite, and with our BEGIN it is so.
    transactional_ddl=True if connection.dialect.name == "sqlite" else None,
)
context.run_migrations()
