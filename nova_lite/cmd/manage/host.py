"""nova-manage host."""

from __future__ import annotations

from typing import Any

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list
from nova_lite.cmd.manage.site import Site

COUNTERS = (
    "instances",
    "vcpus_used",
    "vcpus",
    "memory_mb_used",
    "memory_mb",
    "disk_gb_used",
    "disk_gb",
)
COLUMNS = ("host", "zone", "address", "status", "state", *COUNTERS)


@click.group()
def command() -> None:
    """Compute hosts."""


@command.command("list")
@click.option("--zone", help="Only those of this availability zone.")
@format_option
@click.pass_obj
def list_(site: Site, zone: str | None, format: str) -> None:
    """All compute hosts, with what is claimed of what they have."""
    rows = site.services.hosts.hypervisors(site.admin)
    show_list(format, COLUMNS, [_row(row) for row in rows if zone in (None, row.zone)])


def _row(host: Any) -> dict[str, Any]:
    return {
        "host": host.name,
        "zone": host.zone,
        "address": host.address,
        "status": "disabled" if host.disabled else "enabled",
        "state": "up" if host.up else "down",
        **fields(host, COUNTERS),
    }
