"""nova-manage bootstrap: from nothing to a cloud one can log in to."""

from __future__ import annotations

from pathlib import Path

import click

from nova_lite import config as options
from nova_lite.cmd import keys
from nova_lite.cmd.manage.db import upgrade
from nova_lite.cmd.manage.secret import password_file_option, read_password
from nova_lite.cmd.manage.site import Site
from nova_lite.domain.errors import Conflict
from nova_lite.services.compute.flavors import NewFlavor

VARIABLE = "NOVA_LITE_ADMIN_PASSWORD"
#: Nova's classics by the ids they had, and one that is small enough for a test guest.
FLAVORS = [
    NewFlavor(name="m1.nano", flavorid="42", memory_mb=128, vcpus=1, root_gb=1),
    NewFlavor(name="m1.tiny", flavorid="1", memory_mb=512, vcpus=1, root_gb=1),
    NewFlavor(name="m1.small", flavorid="2", memory_mb=2048, vcpus=1, root_gb=20),
    NewFlavor(name="m1.medium", flavorid="3", memory_mb=4096, vcpus=2, root_gb=40),
    NewFlavor(name="m1.large", flavorid="4", memory_mb=8192, vcpus=4, root_gb=80),
    NewFlavor(name="m1.xlarge", flavorid="5", memory_mb=16384, vcpus=8, root_gb=160),
]


@click.command()
@click.option("--username", default="admin", show_default=True)
@click.option("--project", default="admin", show_default=True)
@click.option("--flavors/--no-flavors", default=True, help="Whether to make the default flavors.")
@password_file_option
@click.pass_obj
def command(
    site: Site, username: str, project: str, flavors: bool, password_file: Path | None
) -> None:
    """Make keys, database, administrator and default flavors.

    May be run again: what is there stays, but the administrator has the password given.
    It is taken from --password-file, from NOVA_LITE_ADMIN_PASSWORD, or from standard input.
    """
    secret = read_password(password_file, variable=VARIABLE)
    directory = options.state(site.config, "keys")
    keys.create(directory)
    click.echo(f"keys       in {directory}")
    click.echo(f"database   at revision {upgrade(site)}")
    identity = site.services.identity
    made = identity.bootstrap(secret, username=username, project=project)
    click.echo(
        f"admin      user {username} ({made.user_id}), project {project} ({made.project_id})"
    )
    site.services.catalog.ensure()
    site.services.metadefs.bootstrap()
    if flavors:
        new = [flavor.name for flavor in FLAVORS if _make(site, flavor)]
        click.echo(f"flavors    {', '.join(new) or 'nothing new'}")


def _make(site: Site, flavor: NewFlavor) -> bool:
    try:
        site.services.flavors.create(site.admin, flavor)
    except Conflict:
        return False  # it is there, or the operator has one of that name
    return True
