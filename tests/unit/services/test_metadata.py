"""Who has an address, and what he may know: as the database says at this moment."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import FixedAddress, Instance, Network, Subnet
from nova_lite.db.queries import networks as queries
from nova_lite.domain.errors import NotFound
from nova_lite.services.metadata import Metadata

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


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
    yield database
    database.close()


@pytest.fixture
def metadata(database: Database) -> Metadata:
    return Metadata(database, domain="novalocal", entropy=lambda size: b"x" * size)


def a_network(database: Database, cidr: str, name: str = "net") -> UUID:
    network, prefix = uuid4(), cidr.rpartition(".")[0]
    with database.write() as session:
        session.add(
            Network(
                id=network,
                project_id="p",
                name=name,
                mode="flatdhcp",
                bridge=f"br{network.hex[:8]}",
                created_at=NOW,
                updated_at=NOW,
            )
        )
        session.flush()
        session.add(
            Subnet(
                network_id=network,
                project_id="p",
                cidr=cidr,
                gateway_ip=f"{prefix}.1",
                pools=[{"start": f"{prefix}.2", "end": f"{prefix}.254"}],
                created_at=NOW,
                updated_at=NOW,
            )
        )
    return network


def an_instance(database: Database, *networks: UUID, **values: Any) -> UUID:
    id = uuid4()
    with database.write() as session:
        session.add(
            Instance(
                **{
                    "id": id,
                    "project_id": "p",
                    "user_id": "u",
                    "display_name": "My VM",
                    "hostname": "my-vm",
                    "reservation_id": "r-1",
                    "flavor_id": "1",
                    "flavor_name": "tiny",
                    "memory_mb": 1,
                    "vcpus": 1,
                    "root_gb": 1,
                    "zone": "nova",
                    "properties": {"role": "db"},
                    "tags": [],
                    "created_at": NOW,
                    "updated_at": NOW,
                    **values,
                }
            )
        )
        for i, network in enumerate(networks):
            queries.add_port(session, network, project_id="p", now=NOW, device_id=str(id), order=i)
    return id


def test_a_guest_is_found_by_any_address_and_sees_all_its_nics(
    database: Database, metadata: Metadata
) -> None:
    first, second = a_network(database, "10.0.0.0/24"), a_network(database, "10.1.0.0/24")
    id = an_instance(database, second, first)
    an_instance(database, first)
    for address in ("10.1.0.2", "10.0.0.2"):
        guest = metadata.find(address)
        assert (guest.id, guest.address, guest.hostname) == (id, "10.1.0.2", "my-vm.novalocal")
        assert [nic.network_id for nic in guest.nics] == [second, first]
        assert guest.nics[0].addresses[0].gateway_ip == "10.1.0.1"
        assert guest.properties == {"role": "db"} and guest.random_seed == b"x" * 512
    assert metadata.find("10.0.0.3").id != id


def test_a_nic_may_have_several_addresses_or_none(database: Database, metadata: Metadata) -> None:
    network = a_network(database, "10.0.0.0/24")
    id = an_instance(database)
    with database.write() as session:
        for i, addresses in enumerate([(), ("10.0.0.9", "10.0.0.8")]):
            queries.add_port(
                session,
                network,
                project_id="p",
                now=NOW,
                device_id=str(id),
                order=i,
                addresses=[(None, address) for address in addresses],
            )
    guest = metadata.find("10.0.0.9")
    assert [[at.address for at in nic.addresses] for nic in guest.nics] == [
        [],
        ["10.0.0.8", "10.0.0.9"],
    ]
    assert guest.address == "10.0.0.8"


def test_user_data_are_the_bytes_that_were_meant(database: Database, metadata: Metadata) -> None:
    network = a_network(database, "10.0.0.0/24")
    raw = bytes(range(256))
    an_instance(database, network, user_data=base64.b64encode(raw).decode())
    an_instance(database, network)
    assert metadata.find("10.0.0.2").user_data == raw
    assert metadata.find("10.0.0.3").user_data is None


@pytest.mark.parametrize("address", ["10.0.0.77", "", "::1", "127.0.0.1", "' OR 1=1 --", "%"])
def test_nobody_has_an_address_that_was_not_given(
    database: Database, metadata: Metadata, address: str
) -> None:
    an_instance(database, a_network(database, "10.0.0.0/24"))
    with pytest.raises(NotFound):
        metadata.find(address)


def test_a_port_without_an_instance_is_nobody(database: Database, metadata: Metadata) -> None:
    network = a_network(database, "10.0.0.0/24")
    with database.write() as session:
        queries.add_port(session, network, project_id="p", now=NOW)
    with pytest.raises(NotFound):
        metadata.find("10.0.0.2")


def test_a_deleted_instance_is_nobody_and_its_successor_is_himself_at_once(
    database: Database, metadata: Metadata
) -> None:
    network = a_network(database, "10.0.0.0/24")
    old = an_instance(database, network, user_data=base64.b64encode(b"secret").decode())
    assert metadata.find("10.0.0.2").id == old
    with database.write() as session:
        ports = [port.id for port, _, _ in queries.ports_of(session, old)]
        queries.remove_ports(session, ports)
    with pytest.raises(NotFound):
        metadata.find("10.0.0.2")
    new = an_instance(database, network)
    guest = metadata.find("10.0.0.2")
    assert guest.id == new and guest.user_data is None


def test_one_that_is_marked_deleted_is_nobody_even_with_its_port(
    database: Database, metadata: Metadata
) -> None:
    an_instance(database, a_network(database, "10.0.0.0/24"), deleted=True)
    with pytest.raises(NotFound):
        metadata.find("10.0.0.2")
    with database.read() as session:
        assert session.query(FixedAddress).count() == 1
    assert Metadata(database).domain == ""


def test_without_a_domain_the_hostname_stands_alone(database: Database) -> None:
    an_instance(database, a_network(database, "10.0.0.0/24"), zone=None)
    guest = Metadata(database).find("10.0.0.2")
    assert (guest.hostname, guest.zone, len(guest.random_seed)) == ("my-vm", "", 512)
