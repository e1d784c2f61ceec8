"""nova-manage instance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list
from nova_lite.cmd.manage.paging import pages
from nova_lite.cmd.manage.site import Site
from nova_lite.services.compute.instance_lists import Filters
from nova_lite.services.compute.instance_sight import Address

COLUMNS = (
    "id",
    "name",
    "project_id",
    "host",
    "vm_state",
    "task_state",
    "power_state",
    "addresses",
    "flavor",
    "created_at",
)
PAGE = 1000


@click.group()
def command() -> None:
    """Servers of all projects."""


@command.command("list")
@click.option("--host", help="Only those on this host.")
@click.option("--project", metavar="ID", help="Only those of this project.")
@click.option("--deleted", is_flag=True, help="Those that are gone.")
@format_option
@click.pass_obj
def list_(site: Site, host: str | None, project: str | None, deleted: bool, format: str) -> None:
    """All servers, the newest first."""
    filters = Filters(all_projects=True, project_id=project, host=host, deleted=deleted)
    show_list(format, COLUMNS, _rows(site, filters))


def _rows(site: Site, filters: Filters) -> Iterator[dict[str, Any]]:
    instances = site.services.instances
    addresses: dict[UUID, Sequence[Address]] = {}

    def page(marker: Any) -> Sequence[Any]:
        found = instances.list(site.admin, filters, limit=PAGE, marker=marker and marker.id)
        addresses.update(instances.addresses([row.id for row in found]))
        return found

    for row in pages(page):
        yield {
            **fields(row, ("id", "project_id", "host", "vm_state", "task_state", "power_state")),
            "created_at": row.created_at,
            "name": row.display_name,
            "flavor": row.flavor_name,
            "addresses": [each.address for each in addresses[row.id]],
        }
