"""What security groups say becomes true on hosts, also of guests that run already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from nova_lite.bus.messages import Command, Report
from nova_lite.db.models import Instance, SecurityGroupChange
from nova_lite.db.queries import filters, security_groups
from nova_lite.domain.errors import NetworkError
from nova_lite.domain.security_rules import Rule
from nova_lite.domain.specs import FilterRule, Role
from nova_lite.reconcilers import filters as reconciler
from nova_lite.testing.bus import Message
from tests.unit.operations.stage import Stage

SSH = Rule("ingress", protocol="tcp", port_range_min=22, port_range_max=22)


def project(stage: Stage) -> str:
    id = stage.cloud.admin.project_id
    assert id
    return id


def group(stage: Stage) -> UUID:
    """The default group of the admin's project, in which every server is."""
    with stage.cloud.database.write() as session:
        return security_groups.default_group(session, project(stage), stage.cloud.clock())


def add(stage: Stage, rule: Rule = SSH) -> None:
    """A rule more, as the network API does it."""
    mine = group(stage)
    with stage.cloud.database.write() as session:
        security_groups.add_rules(session, mine, project(stage), [rule], stage.cloud.clock())
        security_groups.touched(session, [mine])


def rules(stage: Stage, server: UUID) -> tuple[FilterRule, ...]:
    """What its host lets through to the server's only NIC."""
    host = stage.instance(server).host
    assert host
    (nic,) = stage.cloud.hosts[host].network.filters[server].values()
    return nic.rules or ()


def lets_ssh_in(stage: Stage, server: UUID) -> bool:
    return FilterRule("ingress", "IPv4", "tcp", 22, 22) in rules(stage, server)


def members(stage: Stage, server: UUID) -> set[str]:
    """Whom its host lets in because they are in the group."""
    return {
        remote
        for rule in rules(stage, server)
        if rule.direction == "ingress" and rule.ethertype == "IPv4"
        for remote in rule.remotes or ()
    }


def converged(stage: Stage) -> bool:
    with stage.cloud.database.read() as session:
        behind = sa.select(Instance.id).where(
            Instance.deleted == sa.false(), Instance.filters_due_at.is_not(None)
        )
        return not session.scalars(behind).all() and not notes(stage)


def notes(stage: Stage) -> int:
    with stage.cloud.database.read() as session:
        return session.scalars(sa.select(sa.func.count(SecurityGroupChange.number))).one()


def lose(kind: type) -> Any:
    def fault(message: Message) -> Sequence[Message]:
        lost = isinstance(message, kind) and getattr(message, "verb", "") == "guest.protect"
        return [] if lost else [message]

    return fault


def look(stage: Stage, seconds: float = 1) -> None:
    stage.cloud.clock.pass_seconds(seconds)
    stage.cloud.control.filter()
    stage.cloud.deliver()


def test_a_new_server_is_filtered_from_the_beginning(stage: Stage) -> None:
    add(stage)
    server = stage.server()
    assert lets_ssh_in(stage, server)
    first = stage.sent("guest.run")[0].args["spec"]["nics"][0]["rules"]
    assert {"direction": "egress", "ethertype": "IPv4"}.items() <= first[0].items()


def test_a_rule_reaches_a_running_guest_at_the_next_look(stage: Stage) -> None:
    server = stage.server()
    assert not lets_ssh_in(stage, server)
    boots = [
        host.machine.guests[server].boots
        for host in stage.cloud.hosts.values()
        if server in host.machine.guests
    ]
    add(stage)
    assert not lets_ssh_in(stage, server)
    look(stage)
    assert lets_ssh_in(stage, server) and converged(stage) and boots == [1]
    instance = stage.instance(server)
    assert instance.filters_applied == instance.filters_wanted > 0


def test_a_group_that_is_as_it_was_costs_nobody_anything(stage: Stage) -> None:
    stage.server()
    sent = len(stage.sent("guest.protect"))
    stage.cloud.pass_time(60)
    assert len(stage.sent("guest.protect")) == sent and converged(stage)


def test_who_comes_and_goes_is_known_to_the_others_of_the_group(stage: Stage) -> None:
    first = stage.server()
    second = stage.server()
    assert members(stage, first) == members(stage, second) == {"10.0.0.2/32", "10.0.0.3/32"}
    stage.cloud.services.instances.delete(stage.cloud.admin, second)
    stage.cloud.settle()
    look(stage)
    assert members(stage, first) == {"10.0.0.2/32"} and converged(stage)
    assert not any(second in host.network.filters for host in stage.cloud.hosts.values())


@pytest.mark.parametrize("lost", [Command, Report])
def test_what_is_lost_is_said_again(stage: Stage, lost: type) -> None:
    server = stage.server()
    stage.cloud.bus.faults = lose(lost)
    add(stage)
    look(stage)
    sent = len(stage.sent("guest.protect"))
    stage.cloud.bus.faults = lambda message: [message]
    look(stage)
    assert len(stage.sent("guest.protect")) == sent and not converged(stage)  # it may yet arrive
    look(stage, reconciler.RESEND_AFTER.total_seconds())
    assert lets_ssh_in(stage, server) and converged(stage)


def test_what_a_host_cannot_do_is_tried_again(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host
    assert host
    stage.cloud.hosts[host].network.broken["protect"] = NetworkError("no nft")
    add(stage)
    look(stage)
    assert not lets_ssh_in(stage, server) and not converged(stage)
    look(stage, reconciler.RESEND_AFTER.total_seconds())
    assert lets_ssh_in(stage, server) and converged(stage)


def test_an_operation_that_is_under_way_is_not_disturbed_and_tells_it_itself(
    stage: Stage,
) -> None:
    server = stage.server()
    sent = len(stage.sent("guest.protect"))
    stage.cloud.services.instances.reboot(stage.cloud.admin, server, hard=True)
    add(stage)
    stage.cloud.control.filter()
    assert len(stage.sent("guest.protect")) == sent
    stage.cloud.settle()
    assert lets_ssh_in(stage, server) and converged(stage)
    assert len(stage.sent("guest.protect")) == sent


def test_a_change_during_an_operation_reaches_the_guest_after_it(stage: Stage) -> None:
    server = stage.server()

    def too_late_for_the_command(message: Message) -> Sequence[Message]:
        if isinstance(message, Report) and message.verb == "guest.reboot":
            add(stage)
            stage.cloud.control.filter()
            assert not lets_ssh_in(stage, server)
        return [message]

    stage.cloud.bus.faults = too_late_for_the_command
    stage.cloud.services.instances.reboot(stage.cloud.admin, server, hard=True)
    stage.cloud.settle()
    look(stage)
    assert lets_ssh_in(stage, server) and converged(stage)


def test_a_host_that_was_down_hears_of_it_when_it_is_back(stage: Stage) -> None:
    server = stage.server()
    host = stage.instance(server).host
    assert host
    stage.cloud.kill(Role.COMPUTE, host)
    stage.cloud.pass_time(60)
    sent = len(stage.sent("guest.protect"))
    add(stage)
    stage.cloud.pass_time(10)
    assert len(stage.sent("guest.protect")) == sent
    stage.cloud.start_missing()
    stage.cloud.pass_time(10)
    assert lets_ssh_in(stage, server) and converged(stage)


def test_a_server_that_has_ended_is_due_for_nothing(stage: Stage) -> None:
    server = stage.server()
    add(stage)
    with stage.cloud.database.write() as session:
        filters.spread(session)
    stage.cloud.services.instances.delete(stage.cloud.admin, server)
    stage.cloud.settle()
    look(stage)
    assert stage.instance(server).deleted and stage.instance(server).filters_due_at is None


def test_a_report_of_another_host_or_an_older_one_changes_nothing(stage: Stage) -> None:
    server = stage.server()
    look(stage)
    add(stage)
    with stage.cloud.database.write() as session:
        filters.spread(session)
    instance = stage.instance(server)
    for host, generation in (("host9", instance.filters_wanted), (instance.host, 0)):
        stage.cloud.control.report(
            Report(
                uuid4(), server, Role.COMPUTE, str(host), "guest.protect", {"filters": generation}
            )
        )
    stage.cloud.control.drain()
    assert stage.instance(server).filters_applied == instance.filters_applied
    assert stage.instance(server).filters_due_at == filters.AT_ONCE


def test_two_who_see_the_same_need_send_one_command(stage: Stage) -> None:
    stage.server()
    add(stage)
    other = reconciler.Filters(
        stage.cloud.database, stage.cloud.control.runner.world, stage.cloud.bus.publish
    )
    sent = len(stage.sent("guest.protect"))
    for each in (stage.cloud.control.filters, other):
        each.run()
    stage.cloud.deliver()
    assert len(stage.sent("guest.protect")) == sent + 1 and converged(stage)


def test_many_are_told_in_one_go(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = [stage.server() for _ in range(3)]
    monkeypatch.setattr(reconciler, "BATCH", 2)
    monkeypatch.setattr(filters, "IDS", 2)
    add(stage)
    look(stage)
    assert all(lets_ssh_in(stage, server) for server in servers) and converged(stage)
