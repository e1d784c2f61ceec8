"""nova-manage network.  Options have the names they had in Nova, and new ones beside them."""

from __future__ import annotations

import ipaddress
from typing import Any
from uuid import UUID

import click

from nova_lite.cmd.manage.output import fields, format_option, show_list, show_one
from nova_lite.cmd.manage.paging import by_id_or_name, pages
from nova_lite.cmd.manage.project import find_project
from nova_lite.cmd.manage.site import Site
from nova_lite.db.queries import health
from nova_lite.domain import subnets
from nova_lite.domain.errors import Conflict, Invalid, NotFound
from nova_lite.network.modes import MODES
from nova_lite.services.listing import Listing
from nova_lite.services.network.networks import NewNetwork, NewSubnet

COLUMNS = (
    "id",
    "name",
    "mode",
    "bridge",
    "interface",
    "cidr",
    "gateway",
    "gateway_host",
    "dns",
    "shared",
    "project_id",
)


@click.group()
def command() -> None:
    """Networks of the cloud."""


@command.command()
@click.option("--label", "--name", "name", required=True, help="Its name.")
@click.option(
    "--fixed_range_v4",
    "--fixed-range",
    "--cidr",
    "cidr",
    required=True,
    metavar="CIDR",
    help="The guests' addresses, such as 10.0.0.0/24.",
)
@click.option("--fixed_cidr", "--pool", "pool", metavar="CIDR", help="Give out only these of them.")
@click.option("--mode", type=click.Choice(sorted(MODES)), default="flatdhcp", show_default=True)
@click.option("--bridge", help="Bridge on the hosts; by default as configured, or a new one.")
@click.option(
    "--bridge_interface",
    "--interface",
    "interface",
    help="Physical interface that joins the bridge, when guests live on several hosts.",
)
@click.option("--gateway", metavar="ADDRESS", help="The first address by default.")
@click.option("--dns1", "--dns", "dns1", metavar="ADDRESS", help="The hosts' own by default.")
@click.option("--dns2", metavar="ADDRESS")
@click.option("--project_id", "--project", "project", default="admin", show_default=True)
@click.option("--shared/--private", default=True, show_default=True, help="Who may use it.")
@format_option
@click.pass_obj
def create(
    site: Site,
    name: str,
    cidr: str,
    pool: str | None,
    mode: str,
    bridge: str | None,
    interface: str | None,
    gateway: str | None,
    dns1: str | None,
    dns2: str | None,
    project: str,
    shared: bool,
    format: str,
) -> None:
    """Add a network with its subnet; the workers make bridge, DHCP and routes of it."""
    # As for Nova, these two stand for options of the configuration.
    for option, value in (("flat_network_bridge", bridge), ("flat_interface", interface)):
        if value is not None:
            site.config.set_override(option, value, group="network")
    owner = find_project(site, project).id
    networks = site.services.networks
    [network] = networks.create_networks(
        site.admin, [NewNetwork(project_id=owner, name=name, shared=shared, mode=mode)]
    )
    try:
        if bridge not in (None, _row_of(site, network.id)["bridge"]):
            raise Conflict(f"Bridge {bridge} is another network's.")
        networks.create_subnets(
            site.admin,
            [
                NewSubnet(
                    network_id=network.id,
                    project_id=owner,
                    name=name,
                    cidr=cidr,
                    gateway_ip=gateway or subnets.AUTO,
                    pools=_pools(pool, cidr, gateway),
                    dns_nameservers=[address for address in (dns1, dns2) if address],
                )
            ],
        )
    except BaseException:
        networks.delete_network(site.admin, network.id)
        raise
    show_one(format, _row_of(site, network.id))


@command.command("list")
@format_option
@click.pass_obj
def list_(site: Site, format: str) -> None:
    """All networks."""
    show_list(format, COLUMNS, _rows(site))


@command.command()
@click.argument("network", required=False)
@click.option("--uuid", help="The same as the argument.")
@click.option("--fixed_range", "--cidr", "cidr", metavar="CIDR", help="The one with this range.")
@click.pass_obj
def delete(site: Site, network: str | None, uuid: str | None, cidr: str | None) -> None:
    """Remove a network by id, name or range; refused while it has ports."""
    given = [word for word in (network, uuid, cidr) if word]
    if len(given) != 1:
        raise click.UsageError("Say which network: by id or name, --uuid or --fixed_range.")
    rows = _rows(site)
    if cidr:
        found = [row["id"] for row in rows if cidr in row["cidr"]]
        if not found:
            raise NotFound(f"There is no network of range {cidr}.")
        [id] = found  # ranges of a cloud do not overlap
    else:
        id = by_id_or_name("network", given[0], _networks(site)).id
    site.services.networks.delete_network(site.admin, id)


def _pools(pool: str | None, cidr: str, gateway: str | None) -> list[subnets.Pool] | None:
    """The addresses of `pool` that guests of `cidr` can have."""
    if pool is None:
        return None
    try:
        given, all_of_it = ipaddress.IPv4Network(pool), ipaddress.IPv4Network(cidr)
        first, last = max(given[0], all_of_it[1]), min(given[-1], all_of_it[-2])
        if first == (ipaddress.IPv4Address(gateway) if gateway else all_of_it[1]):
            first += 1
    except ValueError as error:
        raise Invalid(str(error)) from None
    return [{"start": str(first), "end": str(last)}]


def _networks(site: Site) -> list[Any]:
    def page(marker: Any) -> Any:
        listing = Listing(sort=[("name", False)], marker=marker and marker.id)
        return site.services.networks.networks(site.admin, listing).things

    return list(pages(page))


def _rows(site: Site) -> list[dict[str, Any]]:
    def page(marker: Any) -> Any:
        return site.services.networks.subnets(
            site.admin, Listing(marker=marker and marker.id)
        ).things

    of_network: dict[Any, list[Any]] = {}
    for subnet in pages(page):
        of_network.setdefault(subnet.network_id, []).append(subnet)
    networks = _networks(site)
    with site.database.read() as session:
        made = health.networks(session)
    return [
        _row(network, made[network.id], of_network.get(network.id, []))
        for network in networks
        if network.id in made  # and was not forgotten a moment ago
    ]


def _row_of(site: Site, id: UUID) -> dict[str, Any]:
    return next(row for row in _rows(site) if row["id"] == id)


def _row(network: Any, made: Any, its_subnets: list[Any]) -> dict[str, Any]:
    about = {
        **fields(network, ("id", "name", "mode", "shared", "project_id")),
        **fields(made, ("bridge", "gateway_host")),
        "interface": made.parent,
        "cidr": [subnet.cidr for subnet in its_subnets],
        "gateway": [subnet.gateway_ip for subnet in its_subnets],
        "dns": [address for subnet in its_subnets for address in subnet.dns_nameservers],
    }
    return {column: about[column] for column in COLUMNS}
