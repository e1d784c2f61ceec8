"""169.254.169.254 as a guest sees it."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
import sqlalchemy as sa
import webob

from nova_lite.cmd import wiring
from nova_lite.db.models import Instance, Network, Port, Subnet
from nova_lite.db.queries import networks as queries
from nova_lite.domain.ids import ec2_image_id
from nova_lite.services.metadata import Metadata
from nova_lite.testing.cloud import Cloud

IMAGE = UUID("11111111-2222-3333-4444-555555555555")
USER_DATA = b"#!/bin/sh\n\x00\xff\r\n"
KEY = "ssh-ed25519 AAAA ann@home"
HERE = "10.0.0.2"


class Guest:
    """Asks the metadata service from an address."""

    def __init__(self, cloud: Cloud) -> None:
        self.application = wiring.application(cloud.config, cloud.services, "metadata")

    def call(
        self, path: str, address: str = HERE, method: str = "GET", **headers: str
    ) -> webob.Response:
        request = webob.Request.blank(path, method=method)
        request.environ["REMOTE_ADDR"] = address
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value
        return request.get_response(self.application)

    def get(self, path: str, address: str = HERE) -> str:
        answer = self.call(path, address)
        assert answer.status_int == 200, f"{path}: {answer.status} {answer.text}"
        return str(answer.body.decode())

    def json(self, path: str) -> Any:
        assert self.call(path).content_type == "application/json"
        return orjson.loads(self.get(path))

    def list(self, path: str) -> list[str]:
        return self.get(path).split("\n")


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path)
    yield cloud
    cloud.close()


def boot(cloud: Cloud, cidr: str = "10.0.0.0/24", *, mode: str = "flatdhcp", **values: Any) -> UUID:
    """An instance as its create leaves it behind, on a network of its own."""
    id, network, prefix, now = uuid4(), uuid4(), cidr.rpartition(".")[0], cloud.clock()
    with cloud.database.write() as session:
        session.add(
            Network(
                id=network,
                project_id="p",
                name="net",
                mode=mode,
                bridge=f"br{network.hex[:8]}",
                created_at=now,
                updated_at=now,
            )
        )
        session.flush()
        session.add(
            Subnet(
                network_id=network,
                project_id="p",
                cidr=cidr,
                gateway_ip=f"{prefix}.1" if values.pop("gateway", True) else None,
                enable_dhcp=mode == "flatdhcp",
                dns_nameservers=["9.9.9.9", "8.8.8.8"],
                pools=[{"start": f"{prefix}.2", "end": f"{prefix}.254"}],
                created_at=now,
                updated_at=now,
            )
        )
        row = {
            "id": id,
            "project_id": "p",
            "user_id": "u",
            "display_name": "My VM",
            "hostname": "my-vm",
            "reservation_id": "r-abc",
            "flavor_id": "1",
            "flavor_name": "m1.tiny",
            "memory_mb": 1,
            "vcpus": 1,
            "root_gb": 1,
            "ephemeral_gb": 1,
            "image_id": IMAGE,
            "zone": "nova",
            "key_name": "ann",
            "key_data": KEY,
            "user_data": base64.b64encode(USER_DATA).decode(),
            "properties": {"role": "db\nroot"},
            "tags": [],
            "created_at": now,
            "updated_at": now,
            **values,
        }
        session.add(Instance(**row))
        queries.add_port(session, network, project_id="p", now=now, device_id=str(id))
    return id


@pytest.fixture
def guest(cloud: Cloud) -> Guest:
    boot(cloud)
    return Guest(cloud)


def test_the_ec2_tree_tells_what_cloud_images_ask(cloud: Cloud, guest: Guest) -> None:
    with cloud.database.read() as session:
        number = session.scalars(sa.select(Instance.number)).one()
    for path, content in {
        "ami-id": ec2_image_id(IMAGE),
        "ami-launch-index": "0",
        "ami-manifest-path": "(unknown)",
        "block-device-mapping/ami": "vda",
        "block-device-mapping/ephemeral0": "/dev/vdb",
        "block-device-mapping/root": "/dev/vda",
        "hostname": "my-vm.novalocal",
        "instance-action": "none",
        "instance-id": f"i-{number:08x}",
        "instance-type": "m1.tiny",
        "local-hostname": "my-vm.novalocal",
        "local-ipv4": HERE,
        "placement/availability-zone": "nova",
        "public-hostname": "my-vm.novalocal",
        "public-ipv4": "",
        "public-keys/0/openssh-key": KEY,
        "reservation-id": "r-abc",
        "security-groups": "",
    }.items():
        for version in ("2009-04-04", "latest"):
            assert guest.get(f"/{version}/meta-data/{path}") == content, path
    answer = guest.call("/latest/meta-data/instance-id")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


def test_directories_list_what_is_in_them(guest: Guest) -> None:
    assert guest.list("/")[0] == "1.0" and guest.list("/")[-1] == "latest"
    for slash in ("", "/"):
        assert guest.list(f"/latest{slash}") == ["meta-data/", "user-data"]
        listed = guest.list(f"/latest/meta-data{slash}")
        assert {"ami-id", "placement/", "public-keys/", "block-device-mapping/"} <= set(listed)
        assert guest.list(f"/latest/meta-data/public-keys{slash}") == ["0=ann"]
        assert guest.list(f"/latest/meta-data/public-keys/0{slash}") == ["openssh-key"]
        assert guest.list(f"/latest/meta-data/placement{slash}") == ["availability-zone"]
        assert guest.list(f"/openstack{slash}")[-2:] == ["2018-08-27", "latest"]
        assert guest.list(f"/openstack/latest{slash}") == [
            "meta_data.json",
            "user_data",
            "vendor_data.json",
            "network_data.json",
            "vendor_data2.json",
        ]


def test_old_versions_know_less(guest: Guest) -> None:
    assert guest.list("/1.0/meta-data/") == [
        "ami-id",
        "ami-launch-index",
        "ami-manifest-path",
        "hostname",
        "instance-id",
        "local-ipv4",
        "public-keys/",
        "reservation-id",
        "security-groups",
    ]
    assert guest.call("/1.0/meta-data/instance-type").status_int == 404
    assert guest.list("/openstack/2012-08-10") == ["meta_data.json", "user_data"]
    assert guest.json("/openstack/2012-08-10/meta_data.json").keys() == {
        "uuid",
        "name",
        "hostname",
        "launch_index",
        "availability_zone",
        "meta",
        "public_keys",
        "keys",
    }
    assert guest.call("/openstack/2013-10-17/network_data.json").status_int == 404


def test_the_openstack_documents(cloud: Cloud, guest: Guest) -> None:
    said = guest.json("/openstack/latest/meta_data.json")
    seed = said.pop("random_seed")
    assert len(base64.b64decode(seed)) == 512
    assert seed != guest.json("/openstack/latest/meta_data.json")["random_seed"]
    with cloud.database.read() as session:
        (id,) = session.scalars(sa.select(Instance.id))
        (port,) = session.scalars(sa.select(Port))
    assert said == {
        "uuid": str(id),
        "name": "My VM",
        "hostname": "my-vm.novalocal",
        "launch_index": 0,
        "availability_zone": "nova",
        "meta": {"role": "db\nroot"},
        "public_keys": {"ann": KEY},
        "keys": [{"name": "ann", "type": "ssh", "data": KEY}],
        "project_id": "p",
        "devices": [],
    }
    tap = f"tap{port.id.hex[:11]}"
    assert guest.json("/openstack/latest/network_data.json") == {
        "links": [
            {
                "id": tap,
                "vif_id": str(port.id),
                "type": "bridge",
                "mtu": 1500,
                "ethernet_mac_address": port.mac,
            }
        ],
        "networks": [
            {
                "id": "network0",
                "type": "ipv4_dhcp",
                "link": tap,
                "network_id": str(port.network_id),
            }
        ],
        "services": [{"type": "dns", "address": "10.0.0.1"}],
    }
    assert guest.json("/openstack/latest/vendor_data.json") == {}
    assert guest.json("/openstack/latest/vendor_data2.json") == {}


def test_without_dhcp_the_network_is_described_in_full(cloud: Cloud) -> None:
    boot(cloud, mode="flat")
    boot(cloud, "10.1.0.0/28", mode="flat", gateway=False)
    guest = Guest(cloud)
    said = guest.json("/openstack/latest/network_data.json")
    dns = [{"type": "dns", "address": at} for at in ("9.9.9.9", "8.8.8.8")]
    (network,) = said["networks"]
    assert (network["type"], network["ip_address"]) == ("ipv4", HERE)
    assert network["netmask"] == "255.255.255.0" and network["services"] == dns
    assert network["routes"] == [
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}
    ]
    assert said["services"] == dns
    alone = orjson.loads(guest.get("/openstack/latest/network_data.json", "10.1.0.2"))
    assert alone["networks"][0]["routes"] == []


def test_user_data_come_as_the_bytes_they_are(guest: Guest) -> None:
    for path in ("/latest/user-data", "/1.0/user-data", "/openstack/latest/user_data"):
        answer = guest.call(path)
        assert answer.body == USER_DATA and answer.content_type == "application/octet-stream"


def test_personality_and_tagged_nics_are_told(cloud: Cloud) -> None:
    boot(cloud, files=[{"path": "/etc/motd", "contents": base64.b64encode(b"hi").decode()}])
    with cloud.database.write() as session:
        session.execute(sa.update(Port).values(tag="front"))
    guest = Guest(cloud)
    said = guest.json("/openstack/latest/meta_data.json")
    assert said["files"] == [{"content_path": "/content/0000", "path": "/etc/motd"}]
    assert guest.call("/openstack/content/0000").body == b"hi"
    assert guest.call("/openstack/content/0001").status_int == 404
    assert [device["tags"] for device in said["devices"]] == [["front"]]


def test_what_was_not_given_is_not_there(cloud: Cloud) -> None:
    nothing: dict[str, Any] = {
        "key_name": None,
        "key_data": None,
        "user_data": None,
        "image_id": None,
    }
    boot(cloud, ephemeral_gb=0, **nothing)
    guest = Guest(cloud)
    for path in (
        "/latest/user-data",
        "/latest/meta-data/public-keys/",
        "/latest/meta-data/public-keys/0/openssh-key",
        "/latest/meta-data/ami-id",
        "/latest/meta-data/block-device-mapping/ephemeral0",
        "/openstack/latest/user_data",
    ):
        assert guest.call(path).status_int == 404, path
    assert guest.list("/latest") == ["meta-data/"]
    said = guest.json("/openstack/latest/meta_data.json")
    assert "public_keys" not in said and said["keys"] == []
    assert "user_data" not in guest.list("/openstack/latest")


@pytest.mark.parametrize(
    "path",
    [
        "/1999-01-01/meta-data/",
        "/latest/nonsense",
        "/latest/meta-data/nonsense",
        "/latest/meta-data/instance-id/",
        "/latest/meta-data/instance-i",
        "/latest/meta-data/public-keys/1/openssh-key",
        "/latest/meta-data/public-keys/0=ann",
        "/latest/user-data/",
        "/latest/api/token",
        "/2016-09-02/meta-data/instance-id",
        "/openstack/1999-01-01",
        "/openstack/latest/nonsense.json",
        "/openstack/latest/meta_data.json/",
        "/openstack/latest/password",
        "/openstackx",
        "/ec2",
        "//",
        "//latest/meta-data/",
        "/latest//meta-data/",
        "/latest/meta-data//",
        "/latest/meta-data/../user-data",
        "/latest/meta-data/%2e%2e/user-data",
        "/latest/..",
        "/../etc/passwd",
        "/%2fetc/passwd",
        "/latest/%00",
        "/latest/%ff",
    ],
)
def test_what_there_is_not_is_404_in_plain_text(guest: Guest, path: str) -> None:
    answer = guest.call(path)
    assert answer.status_int == 404 and answer.content_type == "text/plain"


def test_a_stranger_is_told_nothing_whatever_he_says_of_himself(guest: Guest) -> None:
    for path in ("/", "/latest/meta-data/", "/openstack"):
        assert guest.call(path, "10.0.0.99").status_int == 404
        forged = {"X_Forwarded_For": HERE, "X_Real_IP": HERE, "Forwarded": f"for={HERE}"}
        assert guest.call(path, "10.0.0.99", **forged).status_int == 404
    forged = {"X_Forwarded_For": "10.0.0.99", "X_Instance_ID": str(uuid4())}
    assert guest.call("/latest/meta-data/local-ipv4", **forged).body.decode() == HERE


def test_nothing_can_be_written(guest: Guest) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        answer = guest.call("/openstack/latest/password", method=method)
        assert answer.status_int == 405 and answer.headers["Allow"] == "GET, HEAD"
    head = guest.call("/latest/user-data", method="HEAD")
    assert head.status_int == 200 and head.body == b""
    assert head.content_length == len(USER_DATA)


def test_the_address_of_a_deleted_instance_answers_404_at_once(cloud: Cloud, guest: Guest) -> None:
    assert guest.call("/latest/user-data").body == USER_DATA
    with cloud.database.write() as session:
        queries.remove_ports(session, list(session.scalars(sa.select(Port.id))))
    assert guest.call("/latest/user-data").status_int == 404


def test_a_failure_is_logged_and_tells_the_guest_nothing(
    cloud: Cloud, guest: Guest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_self: Metadata, _address: str) -> None:
        raise RuntimeError("password=secret")

    monkeypatch.setattr(Metadata, "find", fail)
    with caplog.at_level(logging.ERROR):
        answer = guest.call("/latest/user-data")
    assert answer.status_int == 500 and b"secret" not in answer.body
    assert HERE in caplog.text
