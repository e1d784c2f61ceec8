"""nova-manage project."""

from __future__ import annotations

from typing import Any

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list, show_one
from nova_lite.cmd.manage.paging import by_id_or_name
from nova_lite.cmd.manage.site import Site

COLUMNS = ("id", "name", "domain_id", "enabled", "description")


@click.group()
def command() -> None:
    """Projects, which own things."""


@command.command()
@click.argument("name")
@click.option("--description", default="")
@format_option
@click.pass_obj
def create(site: Site, name: str, description: str, format: str) -> None:
    """Add a project."""
    new = site.services.identity.create_project(site.admin, name=name, description=description)
    show_one(format, fields(new, COLUMNS))


@command.command("list")
@format_option
@click.pass_obj
def list_(site: Site, format: str) -> None:
    """All projects."""
    rows = site.services.identity.list_projects(site.admin)
    show_list(format, COLUMNS, [fields(row, COLUMNS) for row in rows])


def find_project(site: Site, word: str) -> Any:
    """By id or name.  Raises NotFound."""
    return by_id_or_name("project", word, site.services.identity.list_projects(site.admin))
