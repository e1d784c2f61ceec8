"""What is asked of the scheduler for an instance, and whether its group lets it be where it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from nova_lite.db.base import Base
from nova_lite.db.engine import Database
from nova_lite.db.models import Allocation, Instance, ServerGroup
from nova_lite.operations.placement import claim_group, placement_of
from nova_lite.scheduler.base import Group, Placement

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/db")
    Base.metadata.create_all(database.engine)
    yield database
    database.close()


def add(database: Database, *hosts: str, group: UUID | None = None, **values: Any) -> Instance:
    """An instance with promises on these hosts."""
    instance = Instance(
        id=uuid4(),
        project_id=values.pop("project_id", "red"),
        user_id="alice",
        display_name="server",
        hostname="server",
        reservation_id="r-1",
        flavor_id="s",
        flavor_name="small",
        memory_mb=64,
        vcpus=1,
        root_gb=2,
        ephemeral_gb=1,
        host=hosts[0] if hosts else None,
        server_group_id=group,
        created_at=NOW,
        updated_at=NOW,
        **values,
    )
    with database.write() as session:
        session.add(instance)
        session.flush()
        for host in hosts:
            promise = Allocation(
                instance_id=instance.id, host=host, memory_mb=64, vcpus=1, disk_gb=3
            )
            session.add(promise)
    return instance


def add_group(database: Database, policy: str, **rules: int) -> UUID:
    group = ServerGroup(
        id=uuid4(),
        project_id="red",
        user_id="alice",
        name="group",
        policy=policy,
        rules=rules,
        created_at=NOW,
    )
    with database.write() as session:
        session.add(group)
    return group.id


def asked(database: Database, instance: Instance, **args: Any) -> Placement:
    with database.write() as session:
        return placement_of(session, instance, args, frozenset(["tried"]))


def may_be(database: Database, instance: Instance, host: str) -> bool:
    with database.write() as session:
        return claim_group(session, instance, host)


def test_an_instance_asks_for_its_size_and_what_its_flavor_and_image_want(
    database: Database,
) -> None:
    image = uuid4()
    instance = add(
        database,
        requested_zone="east",
        image_id=image,
        image_properties={"hw_architecture": "x86_64"},
        extra_specs={"ssd": "true"},
    )
    assert asked(database, instance) == Placement(
        memory_mb=64,
        vcpus=1,
        disk_gb=3,
        zone="east",
        avoid=frozenset(["tried"]),
        extra_specs={"ssd": "true"},
        flavor_name="small",
        image_id=str(image),
        image_properties={"hw_architecture": "x86_64"},
        project_id="red",
    )
    forced = asked(database, instance, host="host1", disk_gb=9)
    assert (forced.host, forced.disk_gb) == ("host1", 9)


def test_hints_become_hosts(database: Database) -> None:
    here, there = add(database, "host1"), add(database, "host2")
    gone = add(database, "host3", deleted=True)
    others = add(database, "host4", project_id="blue")
    nowhere = add(database)
    instance = add(database)

    def hinted(**hints: Any) -> Placement:
        return asked(database, instance, hints=hints)

    everyone = [str(i.id) for i in (here, there, gone, others, nowhere)]
    assert hinted(same_host=everyone).same_hosts == frozenset({"host1", "host2"})
    assert hinted(same_host=str(here.id)).same_hosts == frozenset({"host1"})
    assert hinted(same_host="no id").same_hosts == frozenset()
    assert hinted(different_host=[str(there.id), "no id"]).other_hosts == {"host2"}
    assert hinted(build_near_host_ip="10.0.0.5").near == "10.0.0.5/24"
    assert hinted(build_near_host_ip="10.0.0.5", cidr="/16").near == "10.0.0.5/16"
    assert hinted(query="[]").query == "[]"
    assert hinted(query=["=", 1, 1]).query == '["=", 1, 1]'
    plain = hinted()
    assert (plain.same_hosts, plain.other_hosts, plain.near, plain.query) == (
        None,
        frozenset(),
        None,
        None,
    )


@pytest.mark.parametrize("policy", ["anti-affinity", "soft-affinity"])
def test_members_are_counted_where_they_have_been_promised_room(
    database: Database, policy: str
) -> None:
    group = add_group(database, policy, max_server_per_host=3)
    add(database, "host1", "host2", group=group)  # on its way
    add(database, "host1", group=group)
    add(database, "host3", group=group, deleted=True)
    add(database, "host4")
    mine = add(database, "host5", group=group)
    assert asked(database, mine).group == Group(policy, {"host1": 2, "host2": 1}, 3)


def test_a_group_that_is_gone_asks_for_nothing(database: Database) -> None:
    instance = add(database, group=uuid4())
    assert asked(database, instance).group is None
    assert may_be(database, instance, "host1")
    assert may_be(database, add(database), "host1")


@pytest.mark.parametrize(
    ("policy", "rules", "good"),
    [
        ("anti-affinity", {}, {"host1": False, "host2": False, "host3": True}),
        (
            "anti-affinity",
            {"max_server_per_host": 2},
            {"host1": False, "host2": True, "host3": True},
        ),
        ("affinity", {}, {"host1": True, "host2": True, "host3": False}),
        ("soft-affinity", {}, {"host1": True, "host3": True}),
        ("soft-anti-affinity", {}, {"host1": True, "host3": True}),
    ],
)
def test_after_a_claim_the_group_has_its_say(
    database: Database, policy: str, rules: dict[str, int], good: dict[str, bool]
) -> None:
    group = add_group(database, policy, **rules)
    mine = add(database, "host1", "host2", "host3", group=group)
    assert may_be(database, mine, "host3"), "the first may be anywhere"
    for hosts in (("host1",), ("host1", "host2")):
        add(database, *hosts, group=group)
    assert {host: may_be(database, mine, host) for host in good} == good
