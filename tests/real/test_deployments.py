"""One machine or many, the same code: three deployments pass the same story.

(a) everything in one process on SQLite and the broker inside; (b) separate
processes over RabbitMQ and MariaDB; (c) the same over PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deployment import ALL_IN_ONE, Deployment, secrets_in, separate
from tests.processes import wait_until

pytestmark = pytest.mark.real

THREE_HOSTS = {"compute": {"fake_hosts": 3}}


def all_in_one(directory: Path, request: pytest.FixtureRequest) -> Deployment:
    return Deployment(
        directory,
        database=f"sqlite:///{directory}/nova.sqlite",
        transport="kombu+memory://",
        daemons=ALL_IN_ONE,
        options=THREE_HOSTS,
    )


def over(engine: str) -> Callable[[Path, pytest.FixtureRequest], Deployment]:
    def deploy(directory: Path, request: pytest.FixtureRequest) -> Deployment:
        return Deployment(
            directory,
            database=request.getfixturevalue(engine).fresh_database(),
            transport=request.getfixturevalue("rabbitmq").fresh_vhost(),
            daemons=separate(),
            options=THREE_HOSTS,
        )

    return deploy


@pytest.fixture(
    params=[all_in_one, over("mariadb"), over("postgresql")],
    ids=["nova-all", "rabbitmq-mariadb", "rabbitmq-postgresql"],
)
def cloud(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Deployment]:
    cloud: Deployment = request.param(tmp_path / "cloud", request)
    cloud.start()
    yield cloud
    cloud.close()


def test_a_server_lives_its_whole_life(cloud: Deployment) -> None:
    network = cloud.post("/network/v2.0/networks", {"network": {"name": "private"}})["network"]
    subnet = {"network_id": network["id"], "cidr": "10.9.0.0/24", "ip_version": 4}
    cloud.post("/network/v2.0/subnets", {"subnet": subnet})

    ids = [cloud.boot(f"web-{i}", [network["id"]]) for i in range(3)]
    cloud.wait_for(ids, "ACTIVE")
    servers = [cloud.server(id) for id in ids]
    addresses = {s["addresses"]["private"][0]["addr"] for s in servers}
    assert len(addresses) == 3 and all(a.startswith("10.9.0.") for a in addresses)
    assert {guest for _, guest in cloud.fake_guests()} == set(ids)

    def act(body: dict[str, object], status: str) -> None:
        cloud.post(f"/compute/v2.1/servers/{ids[0]}/action", body)
        cloud.wait_for(ids[:1], status)
        wait_until(
            lambda: cloud.server(ids[0])["OS-EXT-STS:task_state"] is None, seconds=30, what="idle"
        )

    act({"os-stop": None}, "SHUTOFF")
    act({"os-start": None}, "ACTIVE")
    act({"reboot": {"type": "HARD"}}, "ACTIVE")
    log = cloud.post(
        f"/compute/v2.1/servers/{ids[0]}/action", {"os-getConsoleOutput": {"length": 10}}
    )
    assert log["output"]
    path = f"/compute/v2.1/servers/{ids[0]}/os-instance-actions"
    actions = cloud.get(path)["instanceActions"]
    assert [a["action"] for a in actions] == ["reboot", "start", "stop", "create"]
    created = cloud.get(f"{path}/{actions[-1]['request_id']}")["instanceAction"]
    events = [event["event"] for event in created["events"]]
    assert events == ["place", "addresses", "wire", "spawn"]
    assert all(event["result"] == "Success" for event in created["events"])

    for id in ids:
        cloud.call("DELETE", f"/compute/v2.1/servers/{id}")
    cloud.wait_for(ids, "DELETED")
    cloud.wait_until_clean()
    assert not cloud.fake_guests()
    for name in cloud.daemons:
        assert not secrets_in(cloud.log_of(name)), name
    # What workers are given to read says nothing of a database.
    assert "connection" not in cloud.worker_config.read_text()
