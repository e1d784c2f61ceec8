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


# -1 is a limit here, not an option.
@command.command(context_settings={"ignore_unknown_options": True})
@click.argument("project")
@click.argument("name", required=False)
@click.argument("limit", required=False, type=click.IntRange(min=-1))
@click.option("--force", is_flag=True, help="Also below what is used.")
@format_option
@click.pass_obj
def quota(
    site: Site, project: str, name: str | None, limit: int | None, force: bool, format: str
) -> None:
    """What a project has and may have; or let it have so much of one thing, -1 being no limit."""
    id, quotas = find_project(site, project).id, site.services.quotas
    if name is not None:
        if limit is None or name not in quotas.limits:
            raise click.UsageError(f"a NAME and its LIMIT; the names: {', '.join(quotas.limits)}")
        quotas.set_limits(site.admin, id, {name: limit}, force=force)
    rows = [
        {"name": name, **fields(usage, ("used", "limit"))}
        for name, usage in quotas.usage(site.admin, id).items()
        if name in quotas.limits
    ]
    show_list(format, ("name", "used", "limit"), rows)


def find_project(site: Site, word: str) -> Any:
    """By id or name.  Raises NotFound."""
    return by_id_or_name("project", word, site.services.identity.list_projects(site.admin))
