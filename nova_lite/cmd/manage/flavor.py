"""nova-manage flavor."""

from __future__ import annotations

from typing import Any

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list, show_one
from nova_lite.cmd.manage.paging import by_id_or_name, pages
from nova_lite.cmd.manage.site import Site
from nova_lite.services.compute.flavors import NewFlavor

COLUMNS = (
    "id",
    "name",
    "memory_mb",
    "vcpus",
    "root_gb",
    "ephemeral_gb",
    "swap_mb",
    "is_public",
    "extra_specs",
)


@click.group()
def command() -> None:
    """Sizes of servers."""


@command.command()
@click.argument("name")
@click.option("--memory", "--ram", required=True, type=click.IntRange(min=1), metavar="MB")
@click.option("--cpu", "--vcpus", required=True, type=click.IntRange(min=1), metavar="N")
@click.option("--root_gb", "--disk", default=0, type=click.IntRange(min=0), metavar="GB")
@click.option("--ephemeral_gb", "--ephemeral", default=0, type=click.IntRange(min=0), metavar="GB")
@click.option("--swap", default=0, type=click.IntRange(min=0), metavar="MB")
@click.option("--rxtx_factor", "--rxtx-factor", default=1.0, type=click.FloatRange(min=0.1))
@click.option("--flavor", "--id", "flavorid", metavar="ID", help="By default one is drawn.")
@click.option("--public/--private", "is_public", default=True, help="Whether all may use it.")
@format_option
@click.pass_obj
def create(site: Site, /, format: str, memory: int, cpu: int, swap: int, **values: Any) -> None:
    """Add a flavor."""
    new = NewFlavor(memory_mb=memory, vcpus=cpu, swap_mb=swap, **values)
    show_one(format, _row(site.services.flavors.create(site.admin, new)))


@command.command("list")
@format_option
@click.pass_obj
def list_(site: Site, format: str) -> None:
    """All flavors, also those not everybody may use."""
    show_list(format, COLUMNS, map(_row, _all(site)))


@command.command()
@click.argument("flavor")
@click.pass_obj
def delete(site: Site, flavor: str) -> None:
    """Remove a flavor, by id or name; servers keep what they were bought as."""
    site.services.flavors.delete(site.admin, find_flavor(site, flavor).flavorid)


def find_flavor(site: Site, word: str) -> Any:
    """By id or name.  Raises NotFound."""
    return by_id_or_name("flavor", word, _all(site), id="flavorid")


def _all(site: Site) -> list[Any]:
    def page(marker: Any) -> Any:
        return site.services.flavors.list(
            site.admin, is_public=None, marker=marker and marker.flavorid
        )

    return list(pages(page))


def _row(flavor: Any) -> dict[str, Any]:
    return {"id": flavor.flavorid, **fields(flavor, COLUMNS[1:])}
