"""nova-manage with real engines."""

from __future__ import annotations

from pathlib import Path

import pytest

from nova_lite.cmd.manage.status import Level, check_broker
from tests.engines import Database, RabbitMQ
from tests.operators import Operator
from tests.processes import free_port

pytestmark = pytest.mark.real


def test_a_broker_that_lets_us_in_is_ok(rabbitmq: RabbitMQ) -> None:
    assert check_broker(rabbitmq.url).level is Level.OK
    assert check_broker(rabbitmq.fresh_vhost()).level is Level.OK


def test_a_broker_that_refuses_our_password_or_vhost_is_critical(rabbitmq: RabbitMQ) -> None:
    wrong = rabbitmq.url.replace(rabbitmq.password, "wrong")
    found = check_broker(wrong)
    assert found.level is Level.CRITICAL
    assert "wrong" not in found.message
    assert check_broker(rabbitmq.url + "elsewhere").level is Level.CRITICAL


def test_of_several_brokers_one_that_is_gone_is_a_warning(rabbitmq: RabbitMQ) -> None:
    scheme, place = rabbitmq.url.split("://")
    found = check_broker(f"{scheme}://nova:x@127.0.0.1:{free_port()},{place}")
    assert found.level is Level.WARNING


@pytest.mark.parametrize("engine", ["mariadb", "postgresql"])
def test_a_site_is_set_up_and_looked_at(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    database: Database = request.getfixturevalue(engine)
    operator = Operator(tmp_path, database__connection=database.fresh_database())
    for _ in "twice":
        operator.runs("bootstrap", typed="secret\n")
    operator.runs("network", "create", "--label", "private", "--cidr", "10.0.0.0/24")
    assert [row["name"] for row in operator.reads("network", "list")] == ["private"]
    assert len(operator.reads("flavor", "list")) == 6
    assert operator.reads("instance", "list") == operator.reads("operation", "list", "--all") == []
    checks = operator.reads("status", "check", code=2)["checks"]
    levels = {row["check"]: row["status"] for row in checks}
    assert levels.pop("services") == "CRITICAL"  # nobody has started any
    assert set(levels.values()) == {"OK"}
