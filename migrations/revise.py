"""Write the revision that leads from the newest one to the models as they are now.

    python migrations/revise.py 0003 "Instances know their host's rack"

It compares with an empty SQLite database that was brought up to date.  Read
what it wrote: Alembic sees a renamed column as one dropped and one added.
To write the first revision anew, remove versions/0001_*.py before.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from alembic import command

from nova_lite.db import migrate
from nova_lite.db.engine import Database


def main(number: str, message: str) -> None:
    config = migrate.configuration()
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    with tempfile.TemporaryDirectory() as directory:
        with closing(Database(f"sqlite:///{directory}/db")) as database:
            with database.engine.connect() as connection, connection.begin():
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            with database.engine.connect() as connection:
                config.attributes["connection"] = connection
                command.revision(config, message, autogenerate=True, rev_id=number)
    for written in Path(migrate.directory(), "versions").glob(f"{number}_*.py"):
        lines = written.read_text().splitlines(keepends=True)
        written.write_text("".join(line for line in lines if "# ###" not in line))
        for tidy in (["format", "--quiet"], ["check", "--fix", "--quiet"]):
            subprocess.run([sys.executable, "-m", "ruff", *tidy, str(written)], check=True)
        print(written)


if __name__ == "__main__":
    main(*sys.argv[1:])
