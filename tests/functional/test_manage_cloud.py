"""nova-manage beside a cloud that runs: looking, explaining, and telling what is wrong."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import HostStatus, Report
from nova_lite.cmd import keys
from nova_lite.cmd.manage import status
from nova_lite.cmd.manage.site import Site
from nova_lite.db import migrate
from nova_lite.db.models import Allocation, Host, Instance, Network, NetworkHost, Operation
from nova_lite.domain.specs import Role
from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.services.compute.instances import NewInstance
from nova_lite.services.network.networks import NewNetwork, NewSubnet
from nova_lite.testing.bus import Message
from nova_lite.testing.cloud import Cloud
from tests.operators import Operator
from tests.processes import free_port


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """Two hosts, one flavor, one network with its subnet, and a scheduler that reports."""
    migrate.upgrade(f"sqlite:///{tmp_path}/nova.sqlite")
    cloud = Cloud(tmp_path, hosts=2)
    cloud.bus.status(HostStatus(Role.SCHEDULER, "controller", zone="internal"))
    services, admin = cloud.services, cloud.admin
    services.flavors.create(
        admin, NewFlavor("m1.small", memory_mb=512, vcpus=1, root_gb=1, flavorid="2")
    )
    [network] = services.networks.create_networks(admin, [NewNetwork(name="private")])
    services.networks.create_subnets(admin, [NewSubnet(network.id, "10.0.0.0/24")])
    cloud.settle()
    yield cloud
    cloud.close()


@pytest.fixture
def operator(cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operator:
    keys.create(tmp_path / "keys")
    monkeypatch.setattr(Site, "now", lambda _: cloud.clock())
    return Operator(tmp_path)


def boot(cloud: Cloud, name: str = "one") -> Instance:
    new = NewInstance(name=name, flavor_id="2", image_id=None)
    [instance] = cloud.services.instances.create(cloud.admin, new)
    return instance


def change(cloud: Cloud, *statements: Any) -> None:
    with cloud.database.write() as session:
        for statement in statements:
            session.execute(statement, execution_options={"synchronize_session": False})


# --- looking ----------------------------------------------------------------------------------


def test_servers_of_all_projects_are_listed_with_their_addresses(
    cloud: Cloud, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nova_lite.cmd.manage.instance.PAGE", 1)
    boot(cloud), boot(cloud, "two")
    cloud.settle()
    two, one = operator.reads("instance", "list")
    assert (one["name"], two["name"]) == ("one", "two")
    assert one["vm_state"] == "active" and one["power_state"] == "running"
    assert len(one["addresses"]) == 1 and one["addresses"][0].startswith("10.0.0.")
    assert operator.reads("instance", "list", "--host", two["host"], "--project", "nobody") == []
    assert one in operator.reads("instance", "list", "--host", one["host"])


def test_hosts_show_what_is_claimed_of_them(cloud: Cloud, operator: Operator) -> None:
    boot(cloud)
    cloud.settle()
    rows = operator.reads("host", "list")
    assert [row["host"] for row in rows] == ["host1", "host2"]
    assert sum(row["memory_mb_used"] for row in rows) == 512
    assert {row["state"] for row in rows} == {"up"}
    assert operator.reads("host", "list", "--zone", "elsewhere") == []


def test_an_operation_under_way_says_what_it_waits_for(cloud: Cloud, operator: Operator) -> None:
    def lose_reports(message: Message) -> Sequence[Message]:
        return [] if isinstance(message, Report) and message.role is Role.COMPUTE else [message]

    cloud.bus.faults = lose_reports
    instance = boot(cloud)
    cloud.deliver()
    [running] = operator.reads("operation", "list")
    assert running["kind"] == "instance.create"
    assert running["instance"] == str(instance.id)
    assert running["status"] == "running"
    assert "nova-compute on host" in running["waiting_for"]
    journal = operator.reads("operation", "show", running["id"])["journal"]
    assert journal[-1]["step"] == f"{running['step']} (under way)"
    assert [step["error"] for step in journal] == [None] * len(journal)
    assert f"{running['step']} (under way)" in operator.sees("operation", "show", running["id"])


def test_a_finished_operation_shows_its_journal(cloud: Cloud, operator: Operator) -> None:
    instance = boot(cloud)
    cloud.settle()
    assert operator.reads("operation", "list") == []
    [done] = operator.reads("operation", "list", "--all")
    assert operator.reads("operation", "list", "--instance", str(instance.id)) == [done]
    assert operator.reads("operation", "list", "--instance", str(uuid4())) == []
    shown = operator.reads("operation", "show", done["id"])
    assert shown["status"] == "succeeded"
    assert shown["finished_at"] >= shown["started_at"]
    assert "under way" not in str(shown["journal"])
    assert {step["host"] for step in shown["journal"]} >= {shown["journal"][-1]["host"]}


def test_an_operation_that_goes_back_says_so(cloud: Cloud, operator: Operator) -> None:
    boot(cloud)
    change(cloud, sa.update(Operation).values(status="unwinding"))
    [row] = operator.reads("operation", "list")
    assert row["step"].startswith("undo ")


def test_there_is_no_operation_of_an_unknown_id(operator: Operator) -> None:
    id = str(uuid4())
    assert operator.is_told("operation", "show", id) == f"nova-manage: There is no operation {id}."


# --- explaining -------------------------------------------------------------------------------


def test_explain_tells_what_each_filter_was_asked_and_left(operator: Operator) -> None:
    operator.runs("service", "disable", "host1", "--reason", "broken fan")
    told = operator.reads("scheduler", "explain", "--flavor", "m1.small")
    assert told["considered"] == 2
    assert told["hosts"] == ["host2"]
    assert told["refused"] == {"host1": "ComputeFilter"}
    by_name = {row["filter"]: row for row in told["filters"]}
    assert by_name["ComputeFilter"] == {
        "filter": "ComputeFilter",
        "asked": "up and enabled",
        "hosts_left": 1,
    }
    assert by_name["RamFilter"]["asked"] == "512 MB"
    [service] = operator.reads("service", "list", "--host", "host1", "--service", "nova-compute")
    assert (service["status"], service["disabled_reason"]) == ("disabled", "broken fan")
    operator.runs("service", "enable", "host1")
    told = operator.reads("scheduler", "explain", "--flavor", "2")
    assert sorted(told["hosts"]) == ["host1", "host2"]


def test_explain_prints_tables_and_bare_host_names(operator: Operator) -> None:
    words = ("scheduler", "explain", "--flavor", "2", "--avoid", "host1")
    table = operator.sees(*words)
    assert "host2  choice 1" in table
    assert "host1  refused by RetryFilter" in table
    assert operator.sees(*words, "-f", "value") == "host2\n"


def test_explain_ends_with_1_when_no_host_would_do(operator: Operator) -> None:
    for words in (("--zone", "moon"), ("--host", "host9")):
        told = operator.reads("scheduler", "explain", "--flavor", "2", *words, code=1)
        assert told["hosts"] == []
        assert set(told["refused"]) == {"host1", "host2"}


def test_explain_boots_nothing(cloud: Cloud, operator: Operator) -> None:
    operator.runs("scheduler", "explain", "--flavor", "2")
    assert cloud.instances() == []
    assert cloud.leftovers() == []


# --- what is wrong ----------------------------------------------------------------------------


def checked(operator: Operator, code: int, *words: str) -> dict[str, tuple[str, str]]:
    told = operator.reads("status", "check", "--patience", "0", *words, code=code)
    assert told["status"] == status.Level(code).name
    return {row["check"]: (row["status"], row["message"]) for row in told["checks"]}


def test_a_healthy_cloud_is_ok(cloud: Cloud, operator: Operator) -> None:
    boot(cloud)
    cloud.settle()
    assert {level for level, _ in checked(operator, 0).values()} == {"OK"}
    assert operator.sees("status", "check").splitlines()[0] == "NOVA_LITE OK: all is well"


def test_a_worker_that_is_down_is_critical_unless_it_is_disabled(
    cloud: Cloud, operator: Operator
) -> None:
    cloud.kill(Role.COMPUTE, "host2")
    cloud.pass_time(60)
    cloud.bus.status(HostStatus(Role.SCHEDULER, "controller", zone="internal"))
    cloud.deliver()
    level, message = checked(operator, 2)["services"]
    assert level == "CRITICAL"
    assert message.startswith("nova-compute on host2 is down since 2030-01-01T")
    operator.runs("service", "disable", "host2")
    assert checked(operator, 0)["services"] == ("OK", "3 up, 1 disabled")


def test_a_worker_that_was_forced_down_is_critical(cloud: Cloud, operator: Operator) -> None:
    cloud.services.hosts.configure(cloud.admin, "host1", "nova-compute", forced_down=True)
    assert checked(operator, 2)["services"][1] == "nova-compute on host1 is forced down"


def test_an_operation_that_nobody_looks_at_is_critical(cloud: Cloud, operator: Operator) -> None:
    boot(cloud)
    cloud.bus.waiting.clear()
    assert checked(operator, 0)["operations"] == ("OK", "1 under way")
    cloud.clock.pass_seconds(90)
    cloud.heartbeat()
    cloud.bus.status(HostStatus(Role.SCHEDULER, "controller", zone="internal"))
    cloud.deliver()
    level, message = checked(operator, 2)["operations"]
    assert level == "CRITICAL"
    assert "no scheduler has looked at it since 1.5 minutes" in message


def test_an_operation_that_waits_beyond_its_patience_is_critical(
    cloud: Cloud, operator: Operator
) -> None:
    boot(cloud)
    cloud.bus.waiting.clear()
    long_ago = cloud.clock() - dt.timedelta(hours=1)
    change(
        cloud,
        sa.update(Operation).values(
            step_started_at=long_ago,
            status="unwinding",
            waiting_for="nova-compute on host1: guest.remove",
        ),
    )
    message = checked(operator, 2)["operations"][1]
    assert "in step undo " in message
    assert "since 60.0 minutes, waiting for nova-compute on host1: guest.remove" in message


def test_of_many_problems_some_are_named_and_the_rest_counted(
    cloud: Cloud, operator: Operator
) -> None:
    for i in range(7):
        boot(cloud, f"server-{i}")
    cloud.bus.waiting.clear()
    change(cloud, sa.update(Operation).values(step_started_at=cloud.clock() - dt.timedelta(days=1)))
    message = checked(operator, 2)["operations"][1]
    assert message.count("instance.create") == status.AT_MOST
    assert message.endswith("and 2 more")


def test_counters_that_are_not_the_sum_of_allocations_are_critical(
    cloud: Cloud, operator: Operator
) -> None:
    boot(cloud)
    cloud.settle()
    change(
        cloud,
        sa.update(Host).where(Host.name == "host1").values(memory_mb_used=1234),
        sa.insert(Allocation).values(
            instance_id=uuid4(), host="host9", memory_mb=1, vcpus=1, disk_gb=1
        ),
    )
    level, message = checked(operator, 2)["claims"]
    assert level == "CRITICAL"
    assert "host1: 1234 MB for " in message
    assert "host2" not in message
    assert "host9: allocations, but no such host" in message


def test_a_network_that_its_host_does_not_catch_up_with_is_a_warning(
    cloud: Cloud, operator: Operator
) -> None:
    boot(cloud)
    cloud.settle()
    change(cloud, sa.update(Network).values(generation=Network.generation + 1))
    level, message = checked(operator, 1)["networks"]
    assert level == "WARNING"
    assert message.startswith("private on net1: provides generation ")
    change(cloud, sa.update(NetworkHost).values(error="no dnsmasq"))
    assert checked(operator, 2)["networks"] == ("CRITICAL", "private on net1: no dnsmasq")


def test_a_deleted_network_that_is_still_provided_is_a_warning(
    cloud: Cloud, operator: Operator
) -> None:
    instance = boot(cloud)
    cloud.settle()
    cloud.services.instances.delete(cloud.admin, instance.id)
    cloud.settle()
    cloud.kill(Role.NETWORK, "net1")
    operator.runs("network", "delete", "private")
    assert "deleted, and still provided" in checked(operator, 1)["networks"][1]


def test_a_network_is_given_time_to_catch_up(
    cloud: Cloud, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot(cloud)
    cloud.settle()
    change(cloud, sa.update(Network).values(generation=Network.generation + 1))

    def meanwhile(_seconds: float) -> None:
        cloud.control.reconcile()
        cloud.deliver()

    monkeypatch.setattr(time, "sleep", meanwhile)
    assert checked(operator, 0, "--patience", "60")["networks"] == ("OK", "all provided")


def test_a_database_that_is_behind_is_critical_and_the_rest_unknown(
    cloud: Cloud, operator: Operator
) -> None:
    change(cloud, sa.text("DELETE FROM alembic_version"))
    found = checked(operator, 2)
    assert "nova-manage db sync" in found["database"][1]
    assert found["claims"] == ("UNKNOWN", "not looked at")


def test_a_table_that_cannot_be_read_is_critical(cloud: Cloud, operator: Operator) -> None:
    change(cloud, sa.text("DROP TABLE allocations"))
    assert "no such table" in checked(operator, 2)["claims"][1]


def test_a_database_out_of_reach_is_critical(tmp_path: Path) -> None:
    operator = Operator(tmp_path, database__connection=f"sqlite:///{tmp_path}/no/such/directory")
    found = checked(operator, 2)
    assert found["database"] == ("CRITICAL", "unable to open database file")
    assert operator.runs("status", "check", code=2).stdout.startswith(
        "NOVA_LITE CRITICAL: database: unable to open database file; services: not looked at"
    )


def test_a_configuration_that_cannot_be_is_unknown(tmp_path: Path) -> None:
    for options in ({"database__connection": "nonsense"}, {"database__max_pool_size": "0"}):
        assert checked(Operator(tmp_path, **options), 3)["configuration"][0] == "UNKNOWN"


def test_a_broker_out_of_reach_is_critical_and_its_password_is_not_told(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.create(tmp_path / "keys")
    monkeypatch.setattr(Site, "now", lambda _: cloud.clock())
    port = free_port()
    url = f"rabbit://nova:secret@127.0.0.1:{port}/nova"
    level, message = checked(Operator(tmp_path, transport_url=url), 2)["broker"]
    assert level == "CRITICAL"
    assert message.startswith(f"127.0.0.1:{port}: ")
    assert "secret" not in message


def test_what_is_broken_counts_more_than_what_is_not_known() -> None:
    ok, warning, critical, unknown = status.Level
    assert status.worst([ok, warning]) is warning
    assert status.worst([warning, unknown]) is unknown
    assert status.worst([unknown, critical, ok]) is critical
