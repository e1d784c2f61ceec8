"""Security groups that are made, joined and deleted at the same time, on every database."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import sqlalchemy as sa

from nova_lite.db.models import PortSecurityGroup, SecurityGroup, SecurityGroupRule
from nova_lite.domain.security_rules import INGRESS, rule
from nova_lite.services.listing import Listing
from nova_lite.services.network.networks import NewPort
from nova_lite.services.network.security_groups import NewGroup, NewRule
from tests.real.test_races import Site, at_once, kinds
from tests.real.test_races import build as build  # noqa: F401 (the fixture)


def a_network(site: Site) -> UUID:
    site.add_network("10.0.0.0/24")
    (network,) = site.services.networks.networks(site.admin, Listing()).things
    id: UUID = network.id
    return id


def test_a_project_gets_one_default_group(build: Callable[..., Site]) -> None:  # noqa: F811
    site = build(start=False)
    of = site.services.security_groups
    network = a_network(site)
    port = NewPort(network, project_id=site.admin.project_id)
    results = at_once(
        [lambda: of.groups(site.admin, Listing())] * 8
        + [lambda: site.services.networks.create_ports(site.admin, [port])] * 8
    )
    assert kinds(results) == {"Page": 8, "list": 8}, results
    with site.database.read() as session:
        (group,) = session.scalars(sa.select(SecurityGroup)).all()
        assert len(session.scalars(sa.select(SecurityGroupRule)).all()) == 4
        assert set(session.scalars(sa.select(PortSecurityGroup.group_id))) == {group.id}


def test_equal_rules_are_made_once(build: Callable[..., Site]) -> None:  # noqa: F811
    site = build(start=False)
    of = site.services.security_groups
    (group,) = of.create_groups(site.admin, [NewGroup("web")])
    new = NewRule(group.id, rule(INGRESS, protocol="tcp"))
    results = at_once([lambda: of.create_rules(site.admin, [new])] * 12)
    assert kinds(results) == {"list": 1, "Conflict": 11}, results


def test_a_group_is_deleted_or_joined_and_never_both(
    build: Callable[..., Site],  # noqa: F811
) -> None:
    site = build(start=False)
    network = a_network(site)
    of, networks = site.services.security_groups, site.services.networks
    for round in range(8):
        (group,) = of.create_groups(site.admin, [NewGroup(f"group {round}")])
        port = NewPort(network, security_groups=[group.id])

        def delete(id: UUID = group.id) -> str:
            of.delete_group(site.admin, id)
            return "deleted"

        def join(port: NewPort = port) -> str:
            networks.create_ports(site.admin, [port])
            return "joined"

        results = at_once([delete, join])
        done = [result for result in results if isinstance(result, str)]
        (refused,) = [result for result in results if not isinstance(result, str)]
        assert len(done) == 1
        assert type(refused).__name__ == {"deleted": "NotFound", "joined": "Conflict"}[done[0]]
