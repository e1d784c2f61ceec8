"""The compute worker is killed in the middle of real boots; its guests are not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import Deployment, separate
from tests.engines import MariaDB, RabbitMQ
from tests.real.libvirtd import Libvirtd, private_libvirtd

pytestmark = pytest.mark.real


@pytest.fixture
def libvirtd() -> Iterator[Libvirtd]:
    with private_libvirtd() as daemon:
        yield daemon


@pytest.fixture
def cloud(libvirtd: Libvirtd, mariadb: MariaDB, rabbitmq: RabbitMQ) -> Iterator[Deployment]:
    cloud = Deployment(
        # Where QEMU, as another user, can get to; gone with the daemon.
        libvirtd.directory / "cloud",
        database=mariadb.fresh_database(),
        transport=rabbitmq.fresh_vhost(),
        daemons=separate(),
        options={
            # A host that is slow for a while is not to be taken for dead here.
            "DEFAULT": {"service_down_time": 60},
            "compute": {"driver": "libvirt", "reserved_host_memory_mb": 0},
            "libvirt": {"connection_uri": libvirtd.uri, "virt_type": "qemu"},
        },
    )
    cloud.start()
    yield cloud
    cloud.close()


def domains(libvirtd: Libvirtd) -> list[str]:
    """The uuid of every domain there is, running or not."""
    return libvirtd.inside("virsh", "-q", "list", "--all", "--uuid").split()


def test_five_boots_survive_the_death_of_their_worker(
    cloud: Deployment, libvirtd: Libvirtd
) -> None:
    ids = [cloud.boot(f"vm-{i}") for i in range(5)]
    for seconds in (0.3, 0.8, 1.5):
        time.sleep(seconds)
        cloud.restart("compute")
    cloud.wait_for(ids, "ACTIVE", seconds=120)
    assert sorted(domains(libvirtd)) == sorted(ids)
    running = libvirtd.inside("virsh", "-q", "list", "--state-running", "--uuid").split()
    assert sorted(running) == sorted(ids)
    for id in ids:
        cloud.call("DELETE", f"/compute/v2.1/servers/{id}")
    cloud.restart("compute")
    cloud.wait_for(ids, "DELETED", seconds=60)
    cloud.wait_until_clean()
    assert domains(libvirtd) == []
    left = [path for path in Path(cloud.directory, "instances").iterdir() if path.name != "_base"]
    assert left == []


def test_what_a_guest_does_unasked_becomes_true(cloud: Deployment, libvirtd: Libvirtd) -> None:
    (id,) = [cloud.boot("vm")]
    cloud.wait_for([id], "ACTIVE")
    libvirtd.inside("virsh", "-q", "destroy", id)
    cloud.wait_for([id], "SHUTOFF", seconds=40)
    cloud.post(f"/compute/v2.1/servers/{id}/action", {"os-start": None})
    cloud.wait_for([id], "ACTIVE", seconds=40)
    assert libvirtd.inside("virsh", "-q", "domstate", id).strip() == "running"
