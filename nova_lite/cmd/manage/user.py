"""nova-manage user."""

from __future__ import annotations

from pathlib import Path

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list, show_one
from nova_lite.cmd.manage.project import find_project
from nova_lite.cmd.manage.role import find_role, grant
from nova_lite.cmd.manage.secret import password_file_option, read_password
from nova_lite.cmd.manage.site import Site

COLUMNS = ("id", "name", "domain_id", "enabled", "default_project_id", "email")


@click.group()
def command() -> None:
    """Users."""


@command.command()
@click.argument("name")
@click.option("--project", help="Where the user gets --role, and is by default.")
@click.option("--role", default="member", show_default=True)
@click.option("--email")
@password_file_option
@format_option
@click.pass_obj
def create(
    site: Site,
    name: str,
    project: str | None,
    role: str,
    email: str | None,
    password_file: Path | None,
    format: str,
) -> None:
    """Add a user; the password is asked for, or read from standard input."""
    # Before there is a user who could not get them.
    project_id = find_project(site, project).id if project else None
    find_role(site, role)
    new = site.services.identity.create_user(
        site.admin,
        name=name,
        password=read_password(password_file),
        default_project_id=project_id,
        email=email,
    )
    if project_id:
        grant(site, new.id, role, project_id)
    show_one(format, fields(new, COLUMNS))


@command.command("list")
@format_option
@click.pass_obj
def list_(site: Site, format: str) -> None:
    """All users."""
    rows = site.services.identity.list_users(site.admin)
    show_list(format, COLUMNS, [fields(row, COLUMNS) for row in rows])
