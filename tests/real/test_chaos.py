"""Nothing half done: boots and deletes while processes are killed at random moments."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deployment import Deployment, separate
from tests.engines import MariaDB, RabbitMQ

pytestmark = pytest.mark.real

SEED = 20101021
SERVERS = 50


@pytest.fixture
def cloud(tmp_path: Path, mariadb: MariaDB, rabbitmq: RabbitMQ) -> Iterator[Deployment]:
    cloud = Deployment(
        tmp_path / "cloud",
        database=mariadb.fresh_database(),
        transport=rabbitmq.fresh_vhost(),
        daemons=separate(),
        options={"compute": {"fake_hosts": 3}},
    )
    cloud.start()
    yield cloud
    cloud.close()


def test_fifty_boots_and_deletes_survive_kill_9(cloud: Deployment, rabbitmq: RabbitMQ) -> None:
    network = cloud.post("/network/v2.0/networks", {"network": {"name": "private"}})["network"]
    subnet = {"network_id": network["id"], "cidr": "10.9.0.0/24", "ip_version": 4}
    cloud.post("/network/v2.0/subnets", {"subnet": subnet})
    rng = random.Random(SEED)
    asked: list[str] = []
    deleted: list[str] = []

    def clients() -> None:
        for i in range(SERVERS):
            # A name is used once: a POST that was cut off may or may not have been heard.
            asked.append(cloud.boot(f"s-{i}", [network["id"]]))
            time.sleep(rng.uniform(0, 0.3))
            if i % 2:
                victim = asked[rng.randrange(len(asked))]
                cloud.call("DELETE", f"/compute/v2.1/servers/{victim}")
                deleted.append(victim)

    busy = threading.Thread(target=clients)
    busy.start()
    kills = 0
    chaos = random.Random(SEED + 1)
    while busy.is_alive() or kills < 10:
        time.sleep(chaos.uniform(0.2, 1.5))
        victim = chaos.choice(sorted(cloud.daemons))
        cloud.restart(victim)
        kills += 1
        if kills == 4:
            rabbitmq.restart()
    busy.join()

    everything = [s["id"] for s in cloud.get("/compute/v2.1/servers")["servers"]]
    survivors = [id for id in everything if id not in deleted]
    cloud.wait_for(deleted, "DELETED", seconds=180)
    cloud.wait_for(survivors, "ACTIVE", "ERROR", seconds=180)
    for id in survivors:
        server = cloud.server(id)
        assert server["status"] == "ACTIVE" or server["fault"]["message"], server
    cloud.wait_until_clean(seconds=60)
    guests = [guest for _, guest in cloud.fake_guests()]
    active = {id for id in survivors if cloud.server(id)["status"] == "ACTIVE"}
    assert len(guests) == len(set(guests)) and active == set(guests)


def test_a_server_is_deleted_while_its_host_is_down_and_cleaned_up_when_it_returns(
    cloud: Deployment,
) -> None:
    id = cloud.boot("doomed")
    cloud.wait_for([id], "ACTIVE")
    cloud.kill("compute")
    time.sleep(9)  # until it counts as down: service_down_time
    cloud.call("DELETE", f"/compute/v2.1/servers/{id}")
    cloud.wait_for([id], "DELETED", seconds=15)
    assert [guest for _, guest in cloud.fake_guests()] == [id]
    cloud.start("compute")
    cloud.wait_until_clean(seconds=30)
    assert not cloud.fake_guests()
