"""How bin/quickstart furnishes a cloud: also one that an earlier run left half furnished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from nova_lite.cmd.quickstart import furniture
from nova_lite.cmd.quickstart.client import Refused
from nova_lite.cmd.quickstart.terminal import Refusal
from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.testing.cloud import Cloud, ComputeHost, Facade

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyAYyW9Y8VaWfzLHIYeAzQvCtSGiUQmIcWqIvZoBLqB joe"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKH7tFuWqK3ZF8G0rYRJ5rUuR0g3oYf9Cm0oZ3PqY8mM joe"
SUBNET = IPv4Network("10.100.7.0/24")
SERVERS = "/compute/v2.1/servers"


class Api:
    """The cloud, which lives on between two questions."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.facade = Facade(cloud, "")

    def ask(self, method: str, path: str, body: Any = None, data: bytes | None = None) -> Any:
        self.cloud.settle()
        response = self.facade.call(method, path, body, data=data)
        if response.status_int >= 400:
            raise Refused(f"{method} {path}: {response.status} {response.text}")
        return response.json if response.body else None

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def post(self, path: str, body: Any) -> Any:
        return self.ask("POST", path, body)

    def delete(self, path: str) -> None:
        self.ask("DELETE", path)

    def upload(self, path: str, file: Path) -> None:
        self.ask("PUT", path, data=file.read_bytes())


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with closing(Cloud(tmp_path)) as cloud:
        yield with_flavor(cloud)


def with_flavor(cloud: Cloud) -> Cloud:
    flavor = NewFlavor(name=furniture.FLAVOR, memory_mb=128, vcpus=1, root_gb=1)
    cloud.services.flavors.create(cloud.admin, flavor)
    return cloud


@pytest.fixture
def api(cloud: Cloud) -> Api:
    return Api(cloud)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(bytes(4096))
    return disk


def furnish(api: Api, disk: Path) -> furniture.Server:
    furniture.ensure_key(api, KEY)
    network, _ = furniture.ensure_network(api, lambda: SUBNET)
    furniture.ensure_rules(api, network)
    image = furniture.ensure_image(api, furniture.IMAGE, disk, "raw")
    return furniture.ensure_server(api, image, network)


def test_the_first_server_can_be_pinged_and_logged_in_to(api: Api, disk: Path) -> None:
    for _ in "twice":
        server = furnish(api, disk)
    (machine,) = api.cloud.hosts.values()
    (nic,) = machine.network.filters[UUID(server.id)].values()
    inwards = [
        (rule.protocol, rule.port_min, rule.port_max)
        for rule in nic.rules or ()
        if rule.direction == "ingress" and rule.remotes is None
    ]
    assert sorted(inwards) == [("icmp", None, None), ("tcp", 22, 22)]


def test_an_empty_cloud_gets_a_server_that_has_all_it_needs(api: Api, disk: Path) -> None:
    server = furnish(api, disk)
    shown = api.get(f"{SERVERS}/{server.id}")["server"]
    assert shown["status"] == "ACTIVE"
    assert shown["key_name"] == furniture.KEY
    assert server.address in [str(address) for address in SUBNET.hosts()]
    assert server.began is not None
    assert isinstance(furniture.console_log(api, server), str)


def test_a_second_time_nothing_is_made(api: Api, disk: Path) -> None:
    first, second = furnish(api, disk), furnish(api, disk)
    assert (second.id, second.address, second.began) == (first.id, first.address, None)
    assert len(api.get(SERVERS)["servers"]) == 1
    assert len(api.get("/image/v2/images")["images"]) == 1
    assert len(api.get("/network/v2.0/subnets")["subnets"]) == 1


def test_a_network_left_without_subnet_gets_one(api: Api) -> None:
    body = {"network": {"name": furniture.NETWORK, "shared": True}}
    made = api.post("/network/v2.0/networks", body)["network"]["id"]
    assert furniture.ensure_network(api, lambda: SUBNET) == (made, str(SUBNET))


def test_an_image_whose_upload_was_interrupted_is_made_anew(api: Api, disk: Path) -> None:
    body = {"name": furniture.IMAGE, "disk_format": "raw", "container_format": "bare"}
    half = api.post("/image/v2/images", body)["id"]
    whole = furniture.ensure_image(api, furniture.IMAGE, disk, "raw")
    images = api.get("/image/v2/images")["images"]
    assert [(image["id"], image["status"]) for image in images] == [(whole, "active")]
    assert whole != half


def test_a_key_pair_whose_private_half_is_lost_is_replaced(api: Api) -> None:
    furniture.ensure_key(api, OTHER_KEY)
    furniture.ensure_key(api, KEY)
    (pair,) = api.get("/compute/v2.1/os-keypairs")["keypairs"]
    assert pair["keypair"]["public_key"].split()[1] == KEY.split()[1]


def test_a_first_server_that_is_off_is_started(api: Api, disk: Path) -> None:
    server = furnish(api, disk)
    api.post(f"{SERVERS}/{server.id}/action", {"os-stop": None})
    again = furnish(api, disk)
    assert again.id == server.id
    assert api.get(f"{SERVERS}/{server.id}")["server"]["status"] == "ACTIVE"


def test_a_first_server_that_failed_tells_why_and_is_made_anew_next_time(
    tmp_path: Path, disk: Path
) -> None:
    with closing(with_flavor(Cloud(tmp_path, hosts=0))) as cloud:
        api = Api(cloud)
        with pytest.raises(Refusal, match="the server failed: No valid host"):
            furnish(api, disk)
        (failed,) = api.get(SERVERS)["servers"]
        cloud.hosts["late"] = ComputeHost("late")
        cloud.start_compute("late")
        server = furnish(api, disk)
        assert server.id != failed["id"]
        assert len(api.get(SERVERS)["servers"]) == 1


def test_a_server_that_lets_nobody_in_is_given_up_with_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(furniture, "SSH", 0.1)
    server = furniture.Server("id", "10.100.7.2", None)
    with pytest.raises(Refusal, match="not open to ssh; the last it said:\nKernel panic"):
        furniture.wait_for_ssh(server, ["false"], lambda: "Kernel panic")
    furniture.wait_for_ssh(server, ["true"], lambda: "")


def test_without_its_flavor_the_remedy_is_told(api: Api, disk: Path) -> None:
    (flavor,) = api.get("/compute/v2.1/flavors")["flavors"]
    api.delete(f"/compute/v2.1/flavors/{flavor['id']}")
    with pytest.raises(Refusal, match="no flavor m1.nano -> create it, or run with --no-server"):
        furnish(api, disk)
