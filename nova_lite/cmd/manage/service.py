"""nova-manage service."""

from __future__ import annotations

from typing import Any

import click

from nova_lite.cmd.manage.output import format_option, show_list
from nova_lite.cmd.manage.site import Site

COLUMNS = ("binary", "host", "zone", "status", "state", "last_seen_at", "disabled_reason")


@click.group()
def command() -> None:
    """The workers of the cloud."""


@command.command("list")
@click.option("--host", help="Only those on this host.")
@click.option("--service", "binary", help="Only those of this kind: nova-compute, ...")
@format_option
@click.pass_obj
def list_(site: Site, host: str | None, binary: str | None, format: str) -> None:
    """Every worker that has ever reported: whether it is up, and whether it may be used."""
    rows = site.services.hosts.services(site.admin, host=host, binary=binary)
    show_list(format, COLUMNS, map(_row, rows))


@command.command()
@click.argument("host")
@click.argument("binary", default="nova-compute", metavar="[SERVICE]")
@click.option("--reason", help="For those who wonder.")
@click.pass_obj
def disable(site: Site, host: str, binary: str, reason: str | None) -> None:
    """Give a worker nothing new to do; SERVICE is nova-compute unless said."""
    values = {"disabled": True, "disabled_reason": reason}
    site.services.hosts.configure(site.admin, host, binary, **values)


@command.command()
@click.argument("host")
@click.argument("binary", default="nova-compute", metavar="[SERVICE]")
@click.pass_obj
def enable(site: Site, host: str, binary: str) -> None:
    """Use a worker again; SERVICE is nova-compute unless said."""
    values = {"disabled": False, "disabled_reason": None}
    site.services.hosts.configure(site.admin, host, binary, **values)


def _row(service: Any) -> dict[str, Any]:
    return {
        "binary": service.role,
        "host": service.host,
        "zone": service.zone,
        "status": "disabled" if service.disabled else "enabled",
        "state": "up" if service.up else "down",
        "last_seen_at": service.last_seen_at,
        "disabled_reason": service.disabled_reason,
    }
