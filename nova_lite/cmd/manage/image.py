"""nova-manage image."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list, show_one
from nova_lite.cmd.manage.paging import by_id_or_name, pages
from nova_lite.cmd.manage.project import find_project
from nova_lite.cmd.manage.site import Site
from nova_lite.services.image.images import NewImage
from nova_lite.services.image.lists import Filters

COLUMNS = ("id", "name", "status", "visibility", "disk_format", "size", "owner", "created_at")


@click.group()
def command() -> None:
    """Images that servers start from."""


@command.command()
@click.argument("name")
@click.option(
    "--file",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--disk-format", type=click.Choice(["raw", "qcow2"]), default="raw", show_default=True
)
@click.option("--public/--private", default=True, show_default=True, help="Who may use it.")
@click.option("--project", default="admin", show_default=True, help="Whose it is.")
@click.option("--min-disk", default=0, type=click.IntRange(min=0), metavar="GB")
@click.option("--min-ram", default=0, type=click.IntRange(min=0), metavar="MB")
@click.option("--id", type=click.UUID, help="By default one is drawn.")
@format_option
@click.pass_obj
def upload(
    site: Site,
    format: str,
    name: str,
    path: Path,
    disk_format: str,
    public: bool,
    project: str,
    min_disk: int,
    min_ram: int,
    id: UUID | None,
) -> None:
    """Make an image of a file.  What is in it must be what --disk-format says."""
    new = NewImage(
        name=name,
        disk_format=disk_format,
        container_format="bare",
        visibility="public" if public else "private",
        owner=find_project(site, project).id,
        min_disk=min_disk,
        min_ram=min_ram,
        id=id,
    )
    images, admin = site.services.images, site.admin
    with path.open("rb") as file:
        image = images.create(admin, new)
        try:
            site.services.image_data.upload(admin, image.id, file, path.stat().st_size)
        except BaseException:
            images.delete(admin, image.id)
            raise
    show_one(format, fields(images.get(admin, image.id), COLUMNS))


@command.command("list")
@format_option
@click.pass_obj
def list_(site: Site, format: str) -> None:
    """All images of all projects, the newest first."""
    show_list(format, COLUMNS, [fields(image, COLUMNS) for image in _all(site)])


@command.command()
@click.argument("image")
@click.pass_obj
def delete(site: Site, image: str) -> None:
    """Remove an image, by id or name; servers made of it run on."""
    site.services.images.delete(site.admin, by_id_or_name("image", image, _all(site)).id)


def _all(site: Site) -> list[Any]:
    def page(marker: Any) -> Any:
        found, _ = site.services.images.list(
            site.admin, Filters(visibility="all"), limit=1000, marker=marker and marker.id
        )
        return found

    return list(pages(page))
