"""Networks when many ask at once, and what the facade's tests do not reach."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from nova_lite.context import RequestContext
from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Instance, Network, Project
from nova_lite.db.models.identity import Domain
from nova_lite.db.queries import networks as queries
from nova_lite.domain.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    NovaLiteError,
    QuotaExceeded,
)
from nova_lite.domain.states import VmState
from nova_lite.services.compute.quotas import Quotas
from nova_lite.services.listing import Listing
from nova_lite.services.network.networks import (
    Networks,
    NetworkSettings,
    NewNetwork,
    NewPort,
    NewSubnet,
)

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
ANN = RequestContext("req", "ann", project_id="p", roles=frozenset({"member", "reader"}))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.real),
        pytest.param("postgresql", marks=pytest.mark.real),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    engine = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    database = Database(engine.fresh_database() if engine else f"sqlite:///{tmp_path}/db")
    Base.metadata.create_all(database.engine)
    with database.write() as session:
        session.add(Domain(id="default", name="Default"))
        session.flush()
        session.add(Project(id="p", domain_id="default", name="p"))
    yield database
    database.close()


@pytest.fixture
def service(database: Database) -> Networks:
    limits = {"networks": 12, "subnets": 100, "ports": 100}
    settings = NetworkSettings(page_size=3)
    return Networks(database, Quotas(database, limits), settings, lambda: NOW)


def together(deed: Callable[[int], Any], threads: int = 8) -> list[Any]:
    """What each of several threads gets that begin at the same moment."""
    barrier = threading.Barrier(threads)

    def one(number: int) -> Any:
        barrier.wait()
        try:
            return deed(number)
        except NovaLiteError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, range(threads)))


def test_of_many_first_networks_one_gets_the_configured_bridge(
    service: Networks, database: Database
) -> None:
    together(lambda n: service.create_networks(ANN, [NewNetwork(name=str(n))]))
    with database.read() as session:
        bridges = session.scalars(sa.select(Network.bridge)).all()
    assert len(set(bridges)) == 8 and bridges.count("br100") == 1
    assert all(len(bridge) <= 15 for bridge in bridges)


def test_of_many_that_want_one_interface_one_gets_it(service: Networks) -> None:
    found = together(lambda n: service.create_networks(ANN, [NewNetwork(physical_network="eth2")]))
    assert sum(isinstance(each, list) for each in found) == 1
    assert sum(isinstance(each, Conflict) for each in found) == 7


def test_the_last_places_of_a_quota_are_given_once(service: Networks) -> None:
    service.create_networks(ANN, [NewNetwork()] * 9)
    found = together(lambda n: service.create_networks(ANN, [NewNetwork()]))
    assert sum(isinstance(each, list) for each in found) == 3
    assert sum(isinstance(each, QuotaExceeded) for each in found) == 5


def test_of_many_subnets_that_overlap_one_is_made(service: Networks) -> None:
    made = service.create_networks(ANN, [NewNetwork()] * 8)
    found = together(
        lambda n: (
            service.create_subnets(ANN, [NewSubnet(made[n].id, "10.0.0.0/16")])
            if n % 2
            else service.create_subnets(ANN, [NewSubnet(made[n].id, "10.0.0.0/12")])
        )
    )
    assert sum(isinstance(each, list) for each in found) == 1
    assert sum("overlaps" in str(each) for each in found if isinstance(each, Invalid)) == 7


def test_a_network_goes_or_gets_a_port_but_not_both(service: Networks, database: Database) -> None:
    for _ in range(5):
        (network,) = service.create_networks(ANN, [NewNetwork()])

        def race(n: int, id: Any = network.id) -> Any:
            if n % 2:
                return service.create_ports(ANN, [NewPort(id)])
            return service.delete_network(ANN, id)

        found = together(race, 2)
        # One of them was first; the other is told why it cannot be.
        assert sum(isinstance(each, NovaLiteError) for each in found) == 1
        ports = service.ports(ANN, Listing(filters={"network_id": [str(network.id)]})).things
        alive = not isinstance(found[1], NovaLiteError)
        assert len(ports) == alive
        with database.read() as session:
            assert session.get_one(Network, network.id).deleted is not alive


def test_no_list_is_longer_than_the_service_allows(service: Networks) -> None:
    service.create_networks(ANN, [NewNetwork()] * 5)
    for limit in (None, 100):
        page = service.networks(ANN, Listing(limit=limit))
        assert len(page.things) == 3 and page.more
    rest = service.networks(ANN, Listing(marker=page.things[-1].id))
    assert len(rest.things) == 2 and not rest.more


def test_who_has_no_project_makes_nothing(service: Networks) -> None:
    nobody = RequestContext("req", "ann", roles=frozenset({"member"}))
    with pytest.raises(Forbidden, match="scoped to a project"):
        service.create_networks(nobody, [NewNetwork()])
    assert service.networks(nobody, Listing()).things == []


@pytest.mark.parametrize(
    ("vm_state", "status"),
    [
        (VmState.BUILDING, "BUILD"),
        (VmState.ACTIVE, "ACTIVE"),
        (VmState.PAUSED, "ACTIVE"),
        (VmState.STOPPED, "DOWN"),
        (VmState.ERROR, "DOWN"),
    ],
)
def test_a_port_is_as_alive_as_its_instance(
    service: Networks, database: Database, vm_state: VmState, status: str
) -> None:
    (network,) = service.create_networks(ANN, [NewNetwork()])
    id = uuid4()
    with database.write() as session:
        session.add(an_instance(id, vm_state))
        port = queries.add_port(
            session,
            network.id,
            project_id="p",
            now=NOW,
            device_id=str(id),
            device_owner="compute:nova",
        )
    assert service.port(ANN, port).status == status
    service.create_ports(ANN, [NewPort(network.id)])
    found = service.ports(ANN, Listing(filters={"status": [status], "device_id": [str(id)]}))
    assert [each.id for each in found.things] == [port]
    by_status = service.ports(ANN, Listing(sort=[("status", False)])).things
    assert [each.status for each in by_status] == sorted([status, "DOWN"])


def an_instance(id: Any, vm_state: VmState) -> Instance:
    return Instance(
        id=id,
        project_id="p",
        user_id="ann",
        display_name="vm",
        hostname="vm",
        reservation_id="r-1",
        flavor_id="1",
        flavor_name="tiny",
        memory_mb=1,
        vcpus=1,
        root_gb=1,
        properties={},
        tags=[],
        vm_state=vm_state,
        created_at=NOW,
        updated_at=NOW,
    )


def test_a_subnet_that_went_while_it_was_changed_is_not_found(service: Networks) -> None:
    (network,) = service.create_networks(ANN, [NewNetwork()])
    (subnet,) = service.create_subnets(ANN, [NewSubnet(network.id, "10.0.0.0/24")])
    service.delete_subnet(ANN, subnet.id)
    with pytest.raises(NotFound):
        service.update_subnet(ANN, subnet.id, enable_dhcp=False)


def test_an_agent_nobody_has_heard_of_is_not_found(service: Networks) -> None:
    assert service.agents() == []
    with pytest.raises(NotFound):
        service.agent(uuid4())
