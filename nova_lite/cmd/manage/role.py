"""nova-manage role."""

from __future__ import annotations

from typing import Any

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list, show_one
from nova_lite.cmd.manage.paging import by_id_or_name
from nova_lite.cmd.manage.project import find_project
from nova_lite.cmd.manage.site import Site
from nova_lite.domain.scopes import ScopeKind
from nova_lite.services.identity.grants import Place

COLUMNS = ("id", "name", "description")


@click.group()
def command() -> None:
    """Roles, and who has them where."""


@command.command()
@click.argument("name")
@click.option("--description", default="")
@format_option
@click.pass_obj
def create(site: Site, name: str, description: str, format: str) -> None:
    """Add a role, for rules of your own policy file."""
    new = site.services.roles.create_role(site.admin, name=name, description=description)
    show_one(format, fields(new, COLUMNS))


@command.command("list")
@format_option
@click.pass_obj
def list_(site: Site, format: str) -> None:
    """All roles."""
    rows = site.services.roles.list_roles(site.admin)
    show_list(format, COLUMNS, [fields(row, COLUMNS) for row in rows])


@command.command("grant")
@click.argument("role")
@click.argument("user")
@click.option("--project", help="Where, by id or name.")
@click.option("--system", is_flag=True, help="On the whole cloud instead.")
@click.pass_obj
def grant_(site: Site, role: str, user: str, project: str | None, system: bool) -> None:
    """Give a user a role on a project; said twice is said once."""
    if system == (project is not None):
        raise click.UsageError("Say either --project or --system.")
    users = site.services.identity.list_users(site.admin)
    grant(site, by_id_or_name("user", user, users).id, role, project)


def grant(site: Site, user_id: str, role: str, project: str | None) -> None:
    """On a project, or without one on the system."""
    place = Place(ScopeKind.SYSTEM, user_id=user_id)
    if project is not None:
        place = Place(ScopeKind.PROJECT, find_project(site, project).id, user_id=user_id)
    site.services.grants.grant(site.admin, find_role(site, role).id, place)


def find_role(site: Site, word: str) -> Any:
    """By id or name.  Raises NotFound."""
    return by_id_or_name("role", word, site.services.roles.list_roles(site.admin))
