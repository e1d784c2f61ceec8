"""Fixed addresses: nobody gets one twice, nobody goes without one while there is one."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import FixedAddress, Instance, Network, NetworkHost, Port, Subnet
from nova_lite.db.queries import networks as queries
from nova_lite.domain.errors import Conflict, Invalid, NoMoreAddresses, NotFound
from nova_lite.domain.ids import mac_of

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
Pools = list[tuple[str, str]]


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("mariadb", marks=pytest.mark.real),
        pytest.param("postgresql", marks=pytest.mark.real),
    ]
)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    engine = None if request.param == "sqlite" else request.getfixturevalue(request.param)
    # One connection for each of forty threads.
    database = Database(engine.fresh_database() if engine else f"sqlite:///{tmp_path}/db", 20)
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


def a_network(database: Database) -> UUID:
    id = uuid4()
    with database.write() as session:
        session.add(
            Network(
                id=id,
                project_id="p",
                name="net",
                mode="flatdhcp",
                bridge=f"br{id.hex[:8]}",
                created_at=NOW,
                updated_at=NOW,
            )
        )
    return id


def a_subnet(
    database: Database,
    network: UUID,
    cidr: str,
    pools: Pools,
    gateway: str | None = None,
    age: int = 0,
) -> UUID:
    id = uuid4()
    with database.write() as session:
        session.add(
            Subnet(
                id=id,
                network_id=network,
                project_id="p",
                cidr=cidr,
                gateway_ip=gateway,
                pools=[{"start": a, "end": b} for a, b in pools],
                created_at=NOW - dt.timedelta(seconds=age),
                updated_at=NOW,
            )
        )
    return id


@pytest.fixture
def network(database: Database) -> UUID:
    """10.0.0.0/29: the gateway and five guests."""
    id = a_network(database)
    a_subnet(database, id, "10.0.0.0/29", [("10.0.0.2", "10.0.0.6")], "10.0.0.1")
    return id


@pytest.fixture
def plug(database: Database, network: UUID) -> Callable[..., str]:
    """A new port; its first address, or ''."""

    def plug(address: str | None = None, on: UUID = network, **how: object) -> str:
        with database.write() as session:
            port = queries.add_port(
                session,
                on,
                project_id="p",
                now=NOW,
                addresses=((None, address),),
                **how,  # type: ignore[arg-type]
            )
            return addresses_of(session, port)

    return plug


def addresses_of(session: sa.orm.Session, port: UUID) -> str:
    return ",".join(
        session.scalars(
            sa.select(FixedAddress.address)
            .where(FixedAddress.port_id == port)
            .order_by(FixedAddress.offset)
        )
    )


def unplug(database: Database, address: str) -> set[UUID]:
    with database.write() as session:
        port = session.scalars(
            sa.select(FixedAddress.port_id).where(FixedAddress.address == address)
        ).one()
        return queries.remove_ports(session, [port])


def test_addresses_are_given_from_the_bottom_until_none_is_left(plug: Callable[..., str]) -> None:
    assert [plug() for _ in range(5)] == [f"10.0.0.{n}" for n in range(2, 7)]
    with pytest.raises(NoMoreAddresses, match="No more IP addresses"):
        plug()


def test_gaps_are_filled_lowest_first(database: Database, plug: Callable[..., str]) -> None:
    for _ in range(5):
        plug()
    for address in ("10.0.0.5", "10.0.0.3"):
        unplug(database, address)
    assert [plug(), plug()] == ["10.0.0.3", "10.0.0.5"]
    unplug(database, "10.0.0.2")
    assert plug() == "10.0.0.2"


def test_a_port_that_found_no_address_leaves_no_trace(
    database: Database, plug: Callable[..., str]
) -> None:
    for _ in range(5):
        plug()
    with pytest.raises(NoMoreAddresses):
        plug()
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Port)) == 5


def test_an_address_one_asks_for_is_given_once(plug: Callable[..., str]) -> None:
    assert plug("10.0.0.4") == "10.0.0.4"
    with pytest.raises(Conflict, match="10.0.0.4 is already in use"):
        plug("10.0.0.4")
    assert [plug() for _ in range(4)] == ["10.0.0.2", "10.0.0.3", "10.0.0.5", "10.0.0.6"]


@pytest.mark.parametrize(
    "address",
    ["10.0.0.0", "10.0.0.1", "10.0.0.7", "10.0.1.2", "fd00::2", "nonsense", "10.0.0.300", ""],
)
def test_addresses_that_are_not_for_guests_are_refused(
    plug: Callable[..., str], address: str
) -> None:
    with pytest.raises(Invalid, match="valid IP"):
        plug(address)


def test_an_address_outside_the_pools_may_be_asked_for_but_is_never_given(
    database: Database, plug: Callable[..., str]
) -> None:
    network = a_network(database)
    a_subnet(database, network, "10.1.0.0/24", [("10.1.0.10", "10.1.0.11")], "10.1.0.1")
    assert plug("10.1.0.200", on=network) == "10.1.0.200"
    assert [plug(on=network), plug(on=network)] == ["10.1.0.10", "10.1.0.11"]
    with pytest.raises(NoMoreAddresses):
        plug(on=network)


def test_several_pools_and_a_gateway_among_them(
    database: Database, plug: Callable[..., str]
) -> None:
    network = a_network(database)
    pools = [("10.1.0.3", "10.1.0.5"), ("10.1.0.9", "10.1.0.9")]
    a_subnet(database, network, "10.1.0.0/24", pools, "10.1.0.4")
    assert [plug(on=network) for _ in range(3)] == ["10.1.0.3", "10.1.0.5", "10.1.0.9"]
    with pytest.raises(NoMoreAddresses):
        plug(on=network)


def test_the_older_subnet_is_filled_first_and_one_may_say_which(
    database: Database, network: UUID, plug: Callable[..., str]
) -> None:
    older = a_subnet(database, network, "10.9.0.0/30", [("10.9.0.2", "10.9.0.2")], age=10)
    with database.write() as session:
        chosen = queries.add_port(
            session, network, project_id="p", now=NOW, addresses=((older, None),)
        )
        assert addresses_of(session, chosen) == "10.9.0.2"
    assert plug() == "10.0.0.2"
    with database.write() as session, pytest.raises(NotFound):
        queries.add_port(session, network, project_id="p", now=NOW, addresses=((uuid4(), None),))
    with database.write() as session, pytest.raises(Invalid):
        wrong = ((older, "10.0.0.5"),)
        queries.add_port(session, network, project_id="p", now=NOW, addresses=wrong)


def test_a_network_without_subnets_has_ports_without_addresses(
    database: Database, plug: Callable[..., str]
) -> None:
    network = a_network(database)
    assert plug(on=network) == ""
    with pytest.raises(Invalid):
        plug("10.0.0.5", on=network)


def test_windows_are_crossed(database: Database, plug: Callable[..., str]) -> None:
    """A gap far from the start, and an end beyond the last window."""
    network = a_network(database)
    a_subnet(database, network, "10.1.0.0/24", [("10.1.0.2", "10.1.0.254")], "10.1.0.1")
    found = [plug(on=network) for _ in range(253)]
    assert found == [f"10.1.0.{n}" for n in range(2, 255)]
    unplug(database, "10.1.0.200")
    assert plug(on=network) == "10.1.0.200"
    with pytest.raises(NoMoreAddresses):
        plug(on=network)


def test_a_taken_window_is_passed_over(database: Database, plug: Callable[..., str]) -> None:
    """The gateway makes the first gap, and all the rest of its window is taken."""
    network = a_network(database)
    a_subnet(database, network, "10.1.0.0/24", [("10.1.0.2", "10.1.0.254")], "10.1.0.2")
    for n in range(3, 3 + queries.WINDOW + 10):
        plug(f"10.1.0.{n}", on=network)
    assert plug(on=network) == f"10.1.0.{3 + queries.WINDOW + 10}"


def test_the_same_port_again_is_the_same_port(database: Database, network: UUID) -> None:
    id = uuid4()
    for _ in range(2):
        with database.write() as session:
            assert queries.add_port(session, network, id=id, project_id="p", now=NOW) == id
    with database.read() as session:
        assert session.scalar(sa.select(Network.generation)) == 2
        assert session.scalar(sa.select(sa.func.count()).select_from(FixedAddress)) == 1


def test_a_mac_one_asks_for_is_given_once_per_network(
    database: Database, plug: Callable[..., str]
) -> None:
    plug(mac="fa:16:3e:00:00:01")
    with pytest.raises(Conflict, match="fa:16:3e:00:00:01 is in use"):
        plug(mac="fa:16:3e:00:00:01")
    plug(mac="fa:16:3e:00:00:01", on=a_network(database))


def test_ports_whose_ids_ask_for_the_same_mac_get_different_ones(
    database: Database, network: UUID
) -> None:
    """Three bytes of the id make the MAC: among thousands of ports some agree in them."""
    twins = [UUID(int=(0xABCDEF << 104) + n) for n in range(3)]
    with database.write() as session:
        for id in twins:
            queries.add_port(session, network, id=id, project_id="p", now=NOW)
        macs = session.scalars(sa.select(Port.mac).order_by(Port.id)).all()
    assert macs[0] == mac_of(twins[0])
    assert len(set(macs)) == 3 and all(mac.startswith("fa:16:3e:") for mac in macs)


def test_a_mac_that_cannot_be_had_is_told(
    database: Database, network: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "MAC_TRIES", 1)
    twins = [UUID(int=(0xABCDEF << 104) + n) for n in range(2)]
    with database.write() as session:
        queries.add_port(session, network, id=twins[0], project_id="p", now=NOW)
    with database.write() as session, pytest.raises(Conflict, match="in use"):
        queries.add_port(session, network, id=twins[1], project_id="p", now=NOW)


def test_who_made_the_same_port_while_we_waited_is_us(
    database: Database, network: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    id, touch = uuid4(), queries.touch

    def slow(session: sa.orm.Session, network: UUID) -> None:
        monkeypatch.setattr(queries, "touch", touch)
        queries.add_port(session, network, id=id, project_id="p", now=NOW)
        touch(session, network)

    monkeypatch.setattr(queries, "touch", slow)
    with database.write() as session:
        assert queries.add_port(session, network, id=id, project_id="p", now=NOW) == id
        assert addresses_of(session, id) == "10.0.0.2"


def test_a_network_that_is_going_gets_no_new_ports(
    database: Database, network: UUID, plug: Callable[..., str]
) -> None:
    with database.write() as session:
        session.execute(sa.update(Network).values(deleted=True))
    for gone in (network, uuid4()):
        with pytest.raises(NotFound, match=str(gone)):
            plug(on=gone)


def test_every_change_of_ports_is_news_for_the_gateway(
    database: Database, network: UUID, plug: Callable[..., str]
) -> None:
    def generation() -> int:
        with database.read() as session:
            return queries.generation(session, network)

    plug()
    plug()
    assert generation() == 3
    assert unplug(database, "10.0.0.2") == {network}
    assert generation() == 4
    with database.write() as session:
        assert queries.remove_ports(session, [uuid4()]) == set()
    assert generation() == 4


def test_forty_threads_share_twenty_addresses(database: Database) -> None:
    network = a_network(database)
    a_subnet(database, network, "10.1.0.0/24", [("10.1.0.10", "10.1.0.29")], "10.1.0.1")
    together = threading.Barrier(40)

    def one(_: int) -> str | None:
        together.wait()
        try:
            with database.write() as session:
                port = queries.add_port(session, network, project_id="p", now=NOW)
                return addresses_of(session, port)
        except NoMoreAddresses:
            return None

    with ThreadPoolExecutor(40) as pool:
        found = list(pool.map(one, range(40)))
    given = [address for address in found if address]
    assert sorted(given) == sorted(f"10.1.0.{n}" for n in range(10, 30))
    with database.read() as session:
        assert queries.generation(session, network) == 21


def test_who_loses_the_race_for_an_address_takes_the_next(
    plug: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    take = queries._take

    def lose(*_: object) -> bool:
        monkeypatch.setattr(queries, "_take", take)
        return False

    monkeypatch.setattr(queries, "_take", lose)
    assert plug() == "10.0.0.3"


def test_threads_that_want_one_address_have_one_winner(database: Database, network: UUID) -> None:
    together = threading.Barrier(8)

    def one(_: int) -> bool:
        together.wait()
        try:
            with database.write() as session:
                wanted = ((None, "10.0.0.5"),)
                queries.add_port(session, network, project_id="p", now=NOW, addresses=wanted)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 1


def test_ports_that_come_and_go_in_threads_leave_an_exact_account(
    database: Database, network: UUID
) -> None:
    """Five addresses, eight threads: an address is never held twice, and all come back."""
    held: set[str] = set()
    lock, clashes = threading.Lock(), []

    def one(_: int) -> None:
        for _ in range(15):
            try:
                with database.write() as session:
                    port = queries.add_port(session, network, project_id="p", now=NOW)
                    address = addresses_of(session, port)
            except NoMoreAddresses:
                continue
            with lock:
                clashes.extend([address] if address in held else [])
                held.add(address)
            with lock:
                held.discard(address)
            with database.write() as session:
                queries.remove_ports(session, [port])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    assert clashes == []
    with database.read() as session:
        assert session.scalars(sa.select(FixedAddress.address)).all() == []
        assert session.scalars(sa.select(Port.id)).all() == []


def test_the_instance_of_a_port_is_found_whatever_else_ports_say(
    database: Database, network: UUID
) -> None:
    instance = Instance(
        id=uuid4(),
        project_id="p",
        user_id="u",
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
        created_at=NOW,
        updated_at=NOW,
    )
    with database.write() as session:
        session.add(instance)
        gone = str(uuid4())
        for device in (str(instance.id), "", gone):
            queries.add_port(session, network, project_id="p", now=NOW, device_id=device)
        join = sa.select(Port.device_id, Instance.display_name).join(
            Instance, Instance.id == queries.instance_of(Port.device_id), isouter=True
        )
        found = {device: name for device, name in session.execute(join)}
    assert found == {str(instance.id): "vm", "": None, gone: None}


def test_the_instance_of_a_port_is_found_by_its_index(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/db")
    Base.metadata.create_all(database.engine)
    join = sa.select(Port.device_id, Instance.display_name).join(
        Instance, Instance.id == queries.instance_of(Port.device_id), isouter=True
    )
    with database.read() as session:
        asked = f"EXPLAIN QUERY PLAN {join.compile(session.get_bind())}"
        plan = session.execute(sa.text(asked)).all()
    database.close()
    assert "SEARCH instances USING INDEX" in str(plan)


def test_hosts_provide_a_network_once_and_leases_are_in_order(
    database: Database, network: UUID, plug: Callable[..., str]
) -> None:
    plug(hostname="b", mac="fa:16:3e:00:00:02")
    plug(hostname="a", mac="fa:16:3e:00:00:01", device_id="d", order=1)
    with database.write() as session:
        assert queries.provide_on(session, network, "net1")
        assert not queries.provide_on(session, network, "net1")
        row = session.get_one(Network, network)
        assert queries.provided(session, row) == (0, None)
        row.gateway_host = "net1"
        report = sa.update(NetworkHost).values(applied=3, error="no dnsmasq")
        session.execute(report)
        assert queries.provided(session, row) == (3, "no dnsmasq")
        leases = {mac: (name, at) for mac, name, at in queries.leases(session, network)}
    assert leases == {
        "fa:16:3e:00:00:01": ("a", ["10.0.0.3"]),
        "fa:16:3e:00:00:02": ("b", ["10.0.0.2"]),
    }


def test_the_nics_of_an_instance_are_in_its_order(
    database: Database, network: UUID, plug: Callable[..., str]
) -> None:
    device = uuid4()
    other = a_network(database)
    plug(on=other, device_id=str(device), order=1)
    plug(device_id=str(device), order=0)
    plug(device_id=str(uuid4()))
    with database.read() as session:
        found = queries.ports_of(session, device)
    assert [(net.id, addresses) for _, net, addresses in found] == [
        (network, ["10.0.0.2"]),
        (other, []),
    ]
