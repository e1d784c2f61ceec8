"""A small cloud in which any steps can be played as the reboot of a running server."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from nova_lite.bus.messages import Command, Report
from nova_lite.db.models import Instance, Operation, OperationEvent
from nova_lite.operations import FLOWS
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.instance_power import INSTANCE_REBOOT
from nova_lite.services.compute.flavors import NewFlavor
from nova_lite.services.compute.instances import NewInstance
from nova_lite.services.network.networks import NewNetwork, NewSubnet
from nova_lite.testing.cloud import Cloud


@dataclass
class Stage:
    cloud: Cloud
    ran: list[str] = field(default_factory=list)
    """What the steps made by `step` did, in this order."""

    def server(self, **how: Any) -> UUID:
        """A server that runs."""
        id = self.boot(**how)
        self.cloud.settle()
        assert self.instance(id).vm_state == "active", self.instance(id).fault
        return id

    def boot(self, flavor: str = "s", **how: Any) -> UUID:
        """A server that was asked for."""
        new = NewInstance("server", flavor, None, **how)
        return self.cloud.services.instances.create(self.cloud.admin, new)[0].id

    def play(self, server: UUID, *steps: Step, **how: Any) -> UUID:
        """Begin a reboot that consists of `steps`; its operation, woken and not yet run."""
        flow: Flow = dataclasses.replace(INSTANCE_REBOOT, steps=steps, **how)
        runner = self.cloud.control.runner
        runner.flows = {**FLOWS, **runner.flows, flow.kind: flow}
        self.cloud.services.instances.reboot(self.cloud.admin, server, hard=True)
        operation = self.instance(server).operation_id
        assert operation
        self.set(operation, step=steps[0].name)
        return operation

    def step(
        self, name: str, *happen: Callable[[StepContext], None] | Exception, **how: Any
    ) -> Step:
        """A step that does (or raises) the first thing the first time, and so on; later: the last.

        It notes its name in `ran`, and its undo "undo name".
        """
        script: list[Any] = list(happen)

        def do(context: StepContext) -> None:
            self.ran.append(name)
            if not script:
                return
            now = script.pop(0) if len(script) > 1 else script[0]
            if isinstance(now, Exception):
                raise now
            now(context)

        how.setdefault("undo", lambda context: self.ran.append(f"undo {name}"))
        return Step(name, do, **how)

    def instance(self, id: UUID) -> Instance:
        with self.cloud.database.read() as session:
            return session.scalars(sa.select(Instance).where(Instance.id == id)).one()

    def operation(self, id: UUID) -> Operation:
        with self.cloud.database.read() as session:
            return session.scalars(sa.select(Operation).where(Operation.id == id)).one()

    def last_operation(self, server: UUID) -> Operation:
        with self.cloud.database.read() as session:
            mine = sa.select(Operation).where(Operation.target_id == server)
            return session.scalars(mine.order_by(Operation.number.desc())).first()  # type: ignore[return-value]

    def journal(self, id: UUID) -> Sequence[OperationEvent]:
        with self.cloud.database.read() as session:
            mine = sa.select(OperationEvent).where(OperationEvent.operation_id == id)
            return session.scalars(mine.order_by(OperationEvent.number)).all()

    def set(self, operation: UUID, **values: Any) -> None:
        with self.cloud.database.write() as session:
            session.execute(sa.update(Operation).where(Operation.id == operation).values(**values))

    def sent(self, verb: str) -> list[Command]:
        return [m for m in self.cloud.bus.sent if isinstance(m, Command) and m.verb == verb]

    def reports(self, verb: str) -> list[Report]:
        return [m for m in self.cloud.bus.sent if isinstance(m, Report) and m.verb == verb]


def nothing(_: StepContext) -> None:
    """What a step does that does nothing."""


def a_stage(directory: Path, hosts: int = 2, **how: Any) -> Stage:
    cloud = Cloud(directory, hosts=hosts, **how)
    services, admin = cloud.services, cloud.admin
    services.flavors.create(admin, NewFlavor("small", 512, 1, 1, flavorid="s"))
    network = services.networks.create_networks(admin, [NewNetwork(name="n")])[0].id
    services.networks.create_subnets(admin, [NewSubnet(network, "10.0.0.0/24")])
    return Stage(cloud)
