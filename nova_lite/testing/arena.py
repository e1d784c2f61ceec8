"""Where flows are attacked: a cloud in which a scenario is run, and what has to be true afterwards.

A scenario is a flow, one of its variants, and a state it may start from, all
taken from the declarations; nobody adds a case.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from nova_lite.bus.messages import Command
from nova_lite.db.models import (
    COMPUTE,
    Allocation,
    FixedAddress,
    Image,
    Instance,
    Migration,
    Network,
    Operation,
    OperationEvent,
    OperationStatus,
    Port,
)
from nova_lite.db.queries import networks
from nova_lite.domain.states import ACTIONS, Action, PowerState, VmState
from nova_lite.operations import FLOWS, begin
from nova_lite.operations.flow import Act, Flow
from nova_lite.operations.instance_move import flavor_of
from nova_lite.services.compute.instances import NewInstance
from nova_lite.services.image.images import NewImage
from nova_lite.testing.cloud import Cloud, Picture


class Crash(BaseException):
    """The scheduler process is killed here."""


@dataclass(frozen=True)
class Scenario:
    flow: Flow
    variant: Mapping[str, Any]
    starts_from: VmState

    def __str__(self) -> str:
        words = [self.flow.kind, str(self.starts_from)]
        return "-".join(words + [f"{k}={v}" for k, v in self.variant.items()])


#: At rest on one host: to what does not care whether the guest runs these are as active.
AS_ACTIVE = frozenset({VmState.STOPPED, VmState.PAUSED, VmState.SUSPENDED, VmState.RESCUED})
#: What does not care.
BLIND = (Action.DELETE, Action.SOFT_DELETE, Action.CREATE_BACKUP)


def scenarios(flows: Mapping[str, Flow] = FLOWS) -> list[Scenario]:
    return [
        Scenario(flow, variant, state)
        for flow in flows.values()
        for variant in flow.variants
        for state in sorted(ACTIONS[flow.action].starts_from)
        if flow.action not in BLIND or state not in AS_ACTIVE
    ]


#: What the machine says of a guest whose instance is at rest in a state.
POWER = {
    VmState.ACTIVE: PowerState.RUNNING,
    VmState.STOPPED: PowerState.SHUTDOWN,
    VmState.PAUSED: PowerState.PAUSED,
    VmState.SUSPENDED: PowerState.SUSPENDED,
    VmState.RESCUED: PowerState.RUNNING,
    VmState.RESIZED: PowerState.RUNNING,
    VmState.SHELVED: PowerState.SHUTDOWN,
    VmState.SOFT_DELETED: PowerState.SHUTDOWN,
    VmState.ERROR: PowerState.RUNNING,
}
#: How an active instance gets into a state: by which flows.
ROADS: Mapping[VmState, Sequence[str]] = {
    VmState.ACTIVE: (),
    VmState.STOPPED: ("instance.stop",),
    VmState.PAUSED: ("instance.pause",),
    VmState.SUSPENDED: ("instance.suspend",),
    VmState.RESCUED: ("instance.rescue",),
    VmState.RESIZED: ("instance.resize",),
    VmState.SHELVED: ("instance.shelve",),
    VmState.SHELVED_OFFLOADED: ("instance.shelve", "instance.shelve_offload"),
    VmState.SOFT_DELETED: ("instance.soft_delete",),
}
#: States in which an instance has no guest and no room anywhere.
NOWHERE = (VmState.DELETED, VmState.SHELVED_OFFLOADED)
#: States whose guest may be off: their way out starts it, or another one, in any case.
HALFWAY = (VmState.RESIZED, VmState.RESCUED)
#: Actions that boot a guest which was off, and no other.
GENTLE = (
    Action.CREATE,
    Action.START,
    Action.STOP,
    Action.PAUSE,
    Action.UNPAUSE,
    Action.SUSPEND,
    Action.RESUME,
    Action.RESTORE,
    Action.LIVE_MIGRATE,
    Action.CREATE_IMAGE,
    Action.CREATE_BACKUP,
    Action.ATTACH_INTERFACE,
    Action.DETACH_INTERFACE,
)


def _an_image(cloud: Cloud, instance: Instance) -> dict[str, Any]:
    """One to be filled, as the request makes it."""
    properties = {"instance_uuid": str(instance.id), "image_type": "backup", "backup_type": "d"}
    new = NewImage(name="copy", container_format="bare", properties=properties)
    image = cloud.services.images.create(cloud.admin, new)
    return {"image_id": str(image.id), "backup_type": "d", "rotation": 1}


def _an_image_with_bytes(cloud: Cloud, instance: Instance) -> dict[str, Any]:
    with cloud.database.read() as session:
        known = session.scalars(sa.select(Image.id).where(Image.name == "rescue")).first()
    if known is None:
        new = NewImage(name="rescue", disk_format="raw", container_format="bare")
        known = cloud.services.images.create(cloud.admin, new).id
        cloud.services.image_data.upload(cloud.admin, known, io.BytesIO(bytes(512)))
    return {"image_id": str(known)}


def _a_port(cloud: Cloud, instance: Instance) -> dict[str, Any]:
    """One that the request has plugged in."""
    with cloud.database.write() as session:
        port = networks.add_port(
            session,
            session.scalars(sa.select(Network.id)).one(),
            project_id=instance.project_id,
            device_id=str(instance.id),
            device_owner=f"{COMPUTE}nova",
            order=1,
            now=cloud.clock(),
        )
    return {"port_id": str(port)}


def _its_port(cloud: Cloud, instance: Instance) -> dict[str, Any]:
    with cloud.database.read() as session:
        port = session.scalars(sa.select(Port.id).where(Port.device_id == str(instance.id))).one()
    return {"port_id": str(port)}


def _a_flavor(cloud: Cloud, instance: Instance) -> dict[str, Any]:
    return {"flavor": {**flavor_of(instance), "memory_mb": instance.memory_mb * 2}}


#: What a request finds or makes before it begins an operation of some kind.
REQUESTS: Mapping[str, Callable[[Cloud, Instance], dict[str, Any]]] = {
    "instance.snapshot": _an_image,
    "instance.backup": _an_image,
    "instance.shelve": _an_image,
    "instance.rescue": _an_image_with_bytes,
    "instance.resize": _a_flavor,
    "instance.attach_interface": _a_port,
    "instance.detach_interface": _its_port,
}


class Arena:
    """One cloud in which a scenario is run again and again."""

    def __init__(self, cloud: Cloud, scenario: Scenario, flavor: str) -> None:
        self.cloud, self.scenario, self.flavor = cloud, scenario, flavor
        self.empty = cloud.picture()
        self.ready: tuple[UUID, Picture] | None = None  # as it is before each attack
        self.flows = dict(FLOWS)
        self.messages = 0  # that were sent the last time anybody counted
        self.commits = 0  # the same of transactions
        self.trip: Callable[[bool], None] = lambda committed: None
        """Called before and after each commit of the control plane."""
        self.boots = 0  # of the guest, before the scenario began
        self.addresses: set[str] = set()  # the same; a new server gets some
        self.untidy = False
        """Set by attacks after which a host may have to be swept; others leave nothing to sweep."""
        self._watch_commits()

    def _watch_commits(self) -> None:
        write = self.cloud.database.write

        @contextmanager
        def watched() -> Iterator[Session]:
            with write() as session:
                yield session
                self.trip(False)
            self.trip(True)

        self.cloud.database.write = watched  # type: ignore[method-assign]

    def prepare(self) -> UUID:
        """An instance in the state the scenario starts from."""
        self.disarm()
        if self.ready is None:
            self.cloud.show(self.empty)
            self.boots, self.addresses = 0, set()
            id = self._instance()
            if self.scenario.starts_from is not VmState.BUILDING:
                self.ready = id, self.cloud.picture()
            return id
        id, picture = self.ready
        self.cloud.show(picture)
        return id

    def _instance(self) -> UUID:
        cloud, state = self.cloud, self.scenario.starts_from
        new = NewInstance("attacked", self.flavor, None)
        instance = cloud.services.instances.create(cloud.admin, new)[0]
        if state is VmState.BUILDING:
            return instance.id
        cloud.settle()
        for kind in ROADS.get(state, ()):
            self._ask(instance.id, FLOWS[kind], FLOWS[kind].variants[0])
            cloud.settle()
        with cloud.database.write() as session:
            row = session.scalars(sa.select(Instance).where(Instance.id == instance.id)).one()
            if state is VmState.ERROR:
                row.vm_state = state
            assert row.vm_state is state, row.fault
        self.boots, self.addresses = self._boots(instance.id), self._addresses(instance.id)
        return instance.id

    def begin(self, id: UUID) -> None:
        """What the request writes down; a create has been begun with its instance."""
        if self.scenario.flow.action is Action.CREATE:
            return
        trip, faults = self.trip, self.cloud.bus.faults
        # The request is no part of what is attacked.
        self.trip, self.cloud.bus.faults = lambda committed: None, lambda message: [message]
        operation = self._ask(id, self.scenario.flow, self.scenario.variant)
        self.trip, self.cloud.bus.faults = trip, faults
        self.cloud.bus.wake([operation])

    def _ask(self, id: UUID, flow: Flow, variant: Mapping[str, Any]) -> UUID:
        """Begin an operation as a request does."""
        cloud = self.cloud
        with cloud.database.read() as session:
            instance = session.scalars(sa.select(Instance).where(Instance.id == id)).one()
        request = REQUESTS.get(flow.kind)
        found = request(cloud, instance) if request else {}
        with cloud.database.write() as session:
            instance = session.scalars(sa.select(Instance).where(Instance.id == id)).one()
            values = begin.row(
                flow.kind,
                id,
                project_id=instance.project_id,
                user_id=cloud.admin.user_id,
                request_id="req-attack",
                now=cloud.clock(),
                args={**variant, **found},
            )
            operation = begin.begin(session, instance, values)
        assert operation
        cloud.bus.wake([operation])
        return operation

    def run(self, id: UUID) -> None:
        """Until nothing moves; a scheduler that crashes is followed by a new one."""
        self.begin(id)
        for _ in range(100):
            self.cloud.control.runner.flows = self.flows
            try:
                return self.cloud.settle()
            except Crash:
                self.cloud.start_control()
        raise AssertionError("it never came to rest")

    def check(self, id: UUID, *, may_fail: bool) -> VmState:
        """Nothing is stuck, double, lost or left over; say where the instance ended."""
        cloud = self.cloud
        self.trip = lambda committed: None
        cloud.pass_time(20, every=10)
        cloud.settle()
        with cloud.database.read() as session:
            instance = session.scalars(sa.select(Instance).where(Instance.id == id)).one()
            self._check_operation(session, id, may_fail=may_fail)
            self._check_networks(session)
            self._check_filters()
            claims = session.scalars(sa.select(Allocation)).all()
        where = [(host, power) for (host, guest), power in cloud.guests().items() if guest == id]
        assert instance.operation_id is None and instance.task_state is None
        self.check_tidiness(id)
        assert not (left := cloud.leftovers()), left
        action = self.scenario.flow.action
        if not may_fail:
            expected = ACTIONS[action].leaves(self.scenario.starts_from)
            assert instance.vm_state is expected, instance.fault
        if instance.vm_state in NOWHERE:
            assert not where and not claims
            assert bool(self._addresses(id)) == (instance.vm_state is not VmState.DELETED)
        elif instance.vm_state is VmState.RESIZED:
            # Room and a guest on both hosts, or on the one that is both.
            assert instance.host in {host for host, _ in where} == {c.host for c in claims}
        elif action is Action.CREATE and instance.vm_state is VmState.ERROR:
            assert not where and not claims and not self._addresses(id)
            assert instance.fault and instance.fault["message"]
        else:
            assert len(where) == 1 and where[0][0] == instance.host, where
            assert [(c.host, c.memory_mb, c.vcpus) for c in claims] == [
                (instance.host, instance.memory_mb, instance.vcpus)
            ]
            self._check_addresses(id, action, may_fail=may_fail)
        if instance.vm_state in POWER and where and instance.vm_state is not VmState.ERROR:
            resized_off = instance.vm_state is VmState.RESIZED and self.was_off(id)
            expected_power = PowerState.SHUTDOWN if resized_off else POWER[instance.vm_state]
            # A host that was down when something was undone has missed it.
            missed = instance.vm_state in HALFWAY and may_fail
            assert missed or expected_power == dict(where)[str(instance.host)]
        return instance.vm_state

    def was_off(self, id: UUID) -> bool:
        """Whether the instance was stopped before it was resized."""
        with self.cloud.database.read() as session:
            states = sa.select(Migration.old_vm_state).where(Migration.instance_id == id)
            return VmState.STOPPED in session.scalars(states).all()

    def _check_addresses(self, id: UUID, action: Action, *, may_fail: bool) -> None:
        """What it had, and one more or less where that was asked for and not refused."""
        addresses, before = self._addresses(id), self.addresses or self._addresses(id)
        if action is Action.ATTACH_INTERFACE and not (may_fail and addresses == before):
            assert before < addresses and len(addresses) == len(before) + 1
        elif action is Action.DETACH_INTERFACE and not (may_fail and addresses == before):
            assert not addresses
        else:
            assert len(addresses) == 1 and addresses == before

    def check_tidiness(self, id: UUID) -> None:
        """Nothing had to be swept behind this instance: each step cleaned up after itself."""
        said = [m for m in self.cloud.bus.sent if isinstance(m, Command) and m.operation_id == id]
        swept = [m for m in said if m.verb != "guest.protect"]  # those follow security groups
        assert self.untidy or not swept, swept

    def _check_operation(self, session: Session, id: UUID, *, may_fail: bool) -> None:
        """It is over, its journal tells what was done, and nothing was done too often."""
        mine = sa.select(Operation).where(Operation.target_id == id)
        operation = session.scalars(mine.order_by(Operation.number.desc()).limit(1)).one()
        waits = (operation.wake_at, operation.waiting_for, operation.command_id)
        assert waits == (None, None, None)
        assert operation.finished_at and operation.kind == self.scenario.flow.kind
        succeeded = operation.status is OperationStatus.SUCCEEDED
        assert succeeded or (may_fail and operation.error), operation.error
        events = session.scalars(
            sa.select(OperationEvent)
            .where(OperationEvent.operation_id == operation.id)
            .order_by(OperationEvent.number)
        ).all()
        assert all(event.started_at <= event.finished_at for event in events)
        done: list[str] = []  # what has been done and not undone
        for event in events:
            if event.error is None and event.name.startswith("undo "):
                assert done[-1:] in ([], [event.name[5:]]) or event.name[5:] not in done
                done = [name for name in done if name != event.name[5:]]
            elif event.error is None:
                done.append(event.name)
        assert done == ([step.name for step in self.scenario.flow.steps] if succeeded else [])
        # A reboot that is asked for again, because its report was lost, is done again.
        action = Action(operation.action)
        if succeeded and action in GENTLE:
            began, ended = self.scenario.starts_from, ACTIONS[action]
            off = POWER.get(began, PowerState.SHUTDOWN) is PowerState.SHUTDOWN
            boots = off and POWER[ended.leaves(began)] is PowerState.RUNNING
            assert self._boots(id) == self.boots + boots, "it was booted too often, or not at all"

    def _check_networks(self, session: Session) -> None:
        """The gateway provides the newest of each network, and knows everyone who is on it."""
        host = self.cloud.network.host
        leases = {
            lease.address
            for plan in host.plans.values()
            for lease in (plan.gateway and plan.gateway.leases) or ()
        }
        if host.plans:
            assert leases == set(session.scalars(sa.select(FixedAddress.address)))
        for network in session.scalars(sa.select(Network).where(Network.gateway_host.is_not(None))):
            assert host.plans[network.id].generation == network.generation

    def _check_filters(self) -> None:
        """Every guest that is on a network is filtered where it is, and nothing else is."""
        for name, at in self.cloud.hosts.items():
            wired = {id for id, guest in at.machine.guests.items() if guest.macs}
            # A host that was down may have kept some, for interfaces that are no more.
            kept = set(at.network.filters)
            assert kept == wired or (self.untidy and kept > wired), f"filters on {name}"

    def _boots(self, id: UUID) -> int:
        guests = [host.machine.guests.get(id) for host in self.cloud.hosts.values()]
        return sum(guest.boots for guest in guests if guest)

    def _addresses(self, id: UUID) -> set[str]:
        with self.cloud.database.read() as session:
            return set(
                session.scalars(
                    sa.select(FixedAddress.address)
                    .join(Port, Port.id == FixedAddress.port_id)
                    .where(Port.device_id == str(id))
                )
            )

    def disarm(self) -> None:
        self.cloud.bus.faults = lambda message: [message]
        self.trip = lambda committed: None
        self.untidy = False

    def clear(self) -> None:
        """Delete what there is, and find nothing behind it."""
        cloud = self.cloud
        self.disarm()
        cloud.control.runner.flows = dict(FLOWS)
        for instance in cloud.instances():
            if not instance.deleted:
                cloud.services.instances.delete(cloud.admin, instance.id)
        cloud.settle()
        assert not cloud.leftovers() and not cloud.guests()

    def wrap(self, act: Callable[[Act], Any]) -> None:
        """Put something around the `do` and `undo` of every step of the scenario's flow."""
        flow = self.scenario.flow
        steps = tuple(
            dataclasses.replace(step, do=act(step.do), undo=act(step.undo)) for step in flow.steps
        )
        self.flows[flow.kind] = dataclasses.replace(flow, steps=steps)

    def wrap_step(self, at: int, **parts: Any) -> None:
        """Put other parts into one step of the flow as it is by now."""
        flow = self.flows[self.scenario.flow.kind]
        steps = list(flow.steps)
        steps[at] = dataclasses.replace(steps[at], **parts)
        self.flows[flow.kind] = dataclasses.replace(flow, steps=tuple(steps))
