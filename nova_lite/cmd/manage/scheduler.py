"""nova-manage scheduler: where a server would go, and why not elsewhere."""

from __future__ import annotations

import click

from nova_lite.cmd import wiring
from nova_lite.cmd.manage.flavor import find_flavor
from nova_lite.cmd.manage.output import format_option, show_list, show_one
from nova_lite.cmd.manage.site import Site
from nova_lite.scheduler.base import Placement, Ranking


@click.group()
def command() -> None:
    """Where a server would go, and why."""


@command.command()
@click.option("--flavor", required=True, help="Id or name of the flavor.")
@click.option("--zone", help="Only in this availability zone.")
@click.option("--host", help="Only on this host.")
@click.option("--avoid", multiple=True, metavar="HOST", help="Not on this host; may be repeated.")
@format_option
@click.pass_context
def explain(
    context: click.Context,
    flavor: str,
    zone: str | None,
    host: str | None,
    avoid: tuple[str, ...],
    format: str,
) -> None:
    """Rank the hosts for a server without booting it.

    Tells what each filter was asked and how many hosts it left, which hosts would be tried
    first, and which filter refused the others.  Exits with 1 when no host would do.
    """
    site: Site = context.obj
    size = find_flavor(site, flavor)
    request = Placement(
        memory_mb=size.memory_mb,
        vcpus=size.vcpus,
        disk_gb=size.root_gb + size.ephemeral_gb,
        zone=zone,
        host=host,
        extra_specs=size.extra_specs,
        flavor_name=size.name,
        avoid=frozenset(avoid),
    )
    world = wiring.world(site.config, site.keys, site.now)
    with site.database.read() as session:
        fleet = world.fleet.look(session, fresh=True)
    ranking = world.scheduler.rank(request, fleet, explain=True)
    _show(format, site.config.scheduler.driver, request, ranking)
    context.exit(0 if ranking.hosts else 1)


def _show(format: str, policy: str, request: Placement, ranking: Ranking) -> None:
    filters = [
        {"filter": v.filter, "asked": v.asked, "hosts_left": v.remaining} for v in ranking.verdicts
    ]
    refused = dict(sorted(ranking.refused.items()))
    if format == "json":
        show_one(
            format,
            {
                "scheduler": policy,
                "request": str(request),
                "considered": ranking.considered,
                "filters": filters,
                "hosts": ranking.hosts,
                "refused": refused,
            },
        )
    elif format == "value":
        show_list(format, ["host"], [{"host": host} for host in ranking.hosts])
    else:
        show_one(
            format,
            {"scheduler": policy, "request": str(request), "hosts considered": ranking.considered},
        )
        click.echo()
        show_list(format, ["filter", "asked", "hosts_left"], filters)
        click.echo()
        hosts = [
            *({"host": h, "verdict": f"choice {i}"} for i, h in enumerate(ranking.hosts, start=1)),
            *({"host": h, "verdict": f"refused by {by}"} for h, by in refused.items()),
        ]
        show_list(format, ["host", "verdict"], hosts)
