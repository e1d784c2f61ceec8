"""The newest `openstack` client, as it comes, does a day's work on a cloud of fake hosts."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment import ALL_IN_ONE, Deployment

pytestmark = [
    pytest.mark.real,
    # The client leaves its connections to the garbage collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    directory = tmp_path_factory.mktemp("osc") / "cloud"
    cloud = Deployment(
        directory,
        database=f"sqlite:///{directory}/nova.sqlite",
        transport="kombu+memory://",
        daemons=ALL_IN_ONE,
        options={"compute": {"fake_hosts": 2}},
    )
    cloud.start()
    yield cloud
    cloud.close()


def ask(cloud: Deployment, *words: str) -> Any:
    """A command with `-f json`, and what it says."""
    return json.loads(cloud.openstack(*words, "-f", "json"))


def test_identity(cloud: Deployment) -> None:
    assert ask(cloud, "token", "issue")["id"]
    types = {entry["Type"] for entry in ask(cloud, "catalog", "list")}
    assert {"identity", "compute", "image", "network"} <= types
    assert [p["Name"] for p in ask(cloud, "project", "list")] == ["admin"]


def test_images(cloud: Deployment, tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"\0" * 65536)
    cloud.openstack("image", "create", "--file", str(disk), "--disk-format", "raw", "empty")
    assert "empty" in [image["Name"] for image in ask(cloud, "image", "list")]
    shown = ask(cloud, "image", "show", "empty")
    assert (shown["status"], shown["size"]) == ("active", 65536)
    saved = tmp_path / "saved"
    cloud.openstack("image", "save", "--file", str(saved), "empty")
    assert saved.read_bytes() == disk.read_bytes()
    cloud.openstack("image", "delete", "empty")
    assert "empty" not in [image["Name"] for image in ask(cloud, "image", "list")]


def test_an_image_that_lies_is_refused_in_words(cloud: Deployment, tmp_path: Path) -> None:
    liar = tmp_path / "liar.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", liar, "1M"],
        check=True,
    )
    words = ("image", "create", "--file", str(liar), "--disk-format", "qcow2", "liar")
    assert "backing" in cloud.openstack(*words, fails=True)


def test_flavors_and_keys(cloud: Deployment, tmp_path: Path) -> None:
    cloud.openstack("flavor", "create", "--ram", "128", "--vcpus", "1", "--disk", "1", "mini")
    assert {"mini", "m1.small"} <= {flavor["Name"] for flavor in ask(cloud, "flavor", "list")}
    assert ask(cloud, "flavor", "show", "mini")["ram"] == 128
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    cloud.openstack("keypair", "create", "--public-key", f"{key}.pub", "mine")
    assert [k["Name"] for k in ask(cloud, "keypair", "list")] == ["mine"]
    cloud.openstack("keypair", "delete", "mine")
    assert ask(cloud, "keypair", "list") == []


def test_what_administrators_look_at(cloud: Deployment) -> None:
    hypervisors = ask(cloud, "hypervisor", "list")
    assert sorted(h["Hypervisor Hostname"] for h in hypervisors) == ["node-1", "node-2"]
    assert ask(cloud, "hypervisor", "show", "node-1")["hypervisor_hostname"] == "node-1"
    services = {s["Binary"]: s["State"] for s in ask(cloud, "compute", "service", "list")}
    assert {"nova-compute", "nova-network", "nova-scheduler"} <= services.keys()
    assert set(services.values()) == {"up"}
    zones = {zone["Zone Name"] for zone in ask(cloud, "availability", "zone", "list")}
    assert "nova" in zones
    limits = {limit["Name"] for limit in ask(cloud, "limits", "show", "--absolute")}
    assert {"total_cores", "total_cores_used"} <= limits


def test_the_life_of_a_server(cloud: Deployment, tmp_path: Path) -> None:
    user_data = tmp_path / "user-data"
    user_data.write_text("#!/bin/sh\necho hello\n")
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    cloud.openstack("keypair", "create", "--public-key", f"{key}.pub", "login")
    cloud.openstack("network", "create", "private")
    cloud.openstack(
        *("subnet", "create", "--network", "private", "--subnet-range", "10.71.0.0/24", "sub")
    )
    assert "private" in [network["Name"] for network in ask(cloud, "network", "list")]
    assert [subnet["Subnet"] for subnet in ask(cloud, "subnet", "list")] == ["10.71.0.0/24"]

    created = ask(
        cloud,
        *("server", "create", "--image", "blank", "--flavor", "tiny", "--network", "private"),
        *("--key-name", "login", "--user-data", str(user_data), "--property", "role=web"),
        *("--wait", "vm"),
    )
    assert created["status"] == "ACTIVE"
    assert created["properties"] == {"role": "web"}
    assert [s["Name"] for s in ask(cloud, "server", "list")] == ["vm"]
    shown = ask(cloud, "server", "show", "vm")
    assert shown["addresses"]["private"][0].startswith("10.71.0.")
    assert shown["key_name"] == "login"

    cloud.openstack("server", "stop", "vm")
    wait_for(cloud, "SHUTOFF")
    cloud.openstack("server", "start", "vm")
    wait_for(cloud, "ACTIVE")
    cloud.openstack("server", "reboot", "--wait", "vm")
    cloud.openstack("server", "reboot", "--hard", "--wait", "vm")
    assert cloud.openstack("console", "log", "show", "vm").strip()
    events = [event["Action"] for event in ask(cloud, "server", "event", "list", "vm")]
    assert events == ["reboot", "reboot", "start", "stop", "create"]
    cloud.openstack("server", "delete", "--wait", "vm")
    assert ask(cloud, "server", "list") == []
    cloud.wait_until_clean()


def wait_for(cloud: Deployment, status: str) -> None:
    for _ in range(30):
        if ask(cloud, "server", "show", "vm")["status"] == status:
            return
        time.sleep(0.5)
    raise AssertionError(f"never {status}")


def test_errors_are_told_in_the_words_of_the_api(cloud: Deployment) -> None:
    cloud.openstack("network", "create", "second")
    for command, words in (
        ("server stop 3f7b2f4e-0000-4000-8000-000000000000", "No Server found"),
        ("server create --image blank --flavor nope --nic none x", "No Flavor found"),
        ("flavor create --ram 64 --vcpus 1 --id tiny tiny", "already exists"),
        ("network show nope", "No Network found"),
        ("subnet create --network second --subnet-range 10.71.0.0/25 again", "overlaps"),
        ("image show nope", "No Image found"),
    ):
        assert words in cloud.openstack(*command.split(), fails=True), command
