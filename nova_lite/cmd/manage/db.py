"""nova-manage db."""

from __future__ import annotations

from pathlib import Path

import click

from nova_lite import config as options
from nova_lite.cmd.manage.output import format_option, show_one
from nova_lite.cmd.manage.site import Site
from nova_lite.db import migrate


@click.group()
def command() -> None:
    """The schema of the database."""


@command.command()
@click.pass_obj
def sync(site: Site) -> None:
    """Bring the database to the newest revision; all data stays."""
    click.echo(f"The database is at revision {upgrade(site)}.")


@command.command()
@format_option
@click.pass_obj
def version(site: Site, format: str) -> None:
    """Which revision the database is at, and which is the newest."""
    is_at = migrate.version(options.database_url(site.config))
    show_one(format, {"version": is_at, "newest": migrate.head()})


def upgrade(site: Site) -> str:
    url = options.database_url(site.config)
    if not site.config.database.connection:
        Path(site.config.state_path).mkdir(mode=0o755, parents=True, exist_ok=True)
    return migrate.upgrade(url)
