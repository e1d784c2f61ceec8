"""Create an instance: find it a place, give it addresses, wire it, start it."""

from __future__ import annotations

from uuid import UUID, uuid5

from nova_lite.bus.messages import Json
from nova_lite.db.models import Instance
from nova_lite.db.queries import hosts, networks
from nova_lite.domain.errors import NoValidHost
from nova_lite.domain.specs import to_json
from nova_lite.domain.states import Action, PowerState, VmState
from nova_lite.network.modes import MODES
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.guest import guest_spec
from nova_lite.scheduler.base import Placement


def placement_of(instance: Instance, args: Json, avoid: frozenset[str]) -> Placement:
    return Placement(
        memory_mb=instance.memory_mb,
        vcpus=instance.vcpus,
        disk_gb=args.get("disk_gb", instance.root_gb + instance.ephemeral_gb),
        zone=instance.requested_zone,
        host=args.get("host"),
        avoid=avoid,
    )


def place(context: StepContext) -> None:
    """Claim the best host that still has room when its turn comes."""
    instance, world = context.instance, context.world
    if instance.host is not None:
        return
    tried = context.facts.get("tried", [])
    request = placement_of(instance, context.operation.args, frozenset(tried))
    # The picture may be a second old.  Nobody is refused for that: once more with a fresh one.
    for fresh in (False, True):
        fleet = world.fleet.look(context.session, fresh=fresh)
        ranking = world.scheduler.rank(request, fleet)
        for host in hosts.in_turn(context.session, ranking.hosts):
            if hosts.claim(
                context.session,
                instance.id,
                host,
                memory_mb=request.memory_mb,
                vcpus=request.vcpus,
                disk_gb=request.disk_gb,
                ratios=world.settings.ratios,
            ):
                fleet.take(host, request.memory_mb, request.vcpus, request.disk_gb)
                instance.host, instance.zone = host, str(fleet.zones[fleet.index[host]])
                context.learn(tried=[*tried, host])
                return
    reason = f"No valid host was found: {ranking.explain()}."
    if ranking.hosts:
        reason += " All that were left filled up meanwhile."
    failures = context.facts.get("failures", [])
    if failures:
        reason += f" Tried before: {'; '.join(failures)}"
    raise NoValidHost(reason, details=ranking.explain_hosts())


def release(context: StepContext) -> None:
    for host in hosts.allocated(context.session, context.instance.id):
        hosts.release(context.session, context.instance.id, host)
    context.instance.host = context.instance.zone = None


def addresses(context: StepContext) -> None:
    """A port on each network asked for.  Their ids follow from the operation: twice is once."""
    instance, operation = context.instance, context.operation
    generations = {}
    for i, wanted in enumerate(operation.args.get("networks", [])):
        network = UUID(wanted["network"])
        networks.add_port(
            context.session,
            network,
            id=uuid5(operation.id, f"port {i}"),
            project_id=instance.project_id,
            addresses=((None, wanted.get("address")),),
            hostname=instance.hostname,
            device_id=str(instance.id),
            device_owner=f"compute:{instance.zone}",
            order=i,
            now=context.world.now(),
        )
        generations[str(network)] = networks.generation(context.session, network)
        context.networks_changed.add(network)
    context.learn(generations=generations)


def unplug(context: StepContext) -> None:
    found = networks.ports_of(context.session, context.instance.id)
    context.networks_changed |= networks.remove_ports(
        context.session, [port.id for port, _, _ in found]
    )


def wire(context: StepContext) -> None:
    """Wait until each network's gateway knows the addresses of this instance.

    Who the gateway is, and telling it, is the network reconciler's affair; it
    is woken after the commit, and wakes us in turn.
    """
    needed = context.facts.get("generations", {})
    for _, network, _ in networks.ports_of(context.session, context.instance.id):
        if MODES[network.mode].has_gateway:
            # An instance that has had its ports for long needs no more than a gateway.
            generation = needed.get(str(network.id), 1)
            applied, error = networks.provided(context.session, network)
            why = error or f"its network host is {network.gateway_host or 'not chosen: none is up'}"
            context.wait_for_network(network.id, generation, applied, why)


def spawn(context: StepContext) -> None:
    assert context.instance.host
    guest = context.ask(context.instance.host, "guest.run", lambda: described(context))
    context.instance.power_state = PowerState(guest["power_state"])


def discard(context: StepContext) -> None:
    if context.instance.host:
        context.ask(context.instance.host, "guest.remove", lambda: {"id": str(context.instance.id)})


def described(context: StepContext) -> Json:
    return {"id": str(context.instance.id), "spec": to_json(guest_spec(context))}


def became_active(context: StepContext) -> None:
    instance = context.instance
    instance.vm_state, instance.launched_at = VmState.ACTIVE, context.world.now()
    instance.fault = None


def became_error(context: StepContext) -> None:
    context.instance.vm_state = VmState.ERROR
    context.instance.power_state = PowerState.NOSTATE
    note_fault(context)


def note_fault(context: StepContext) -> None:
    """Why it went wrong, in the words the owner may read; details are for administrators."""
    operation = context.operation
    context.instance.fault = {
        "code": 500,
        "message": operation.error,
        "details": operation.error_details,
        "created": context.world.now().isoformat(),
    }


INSTANCE_CREATE = Flow(
    kind="instance.create",
    action=Action.CREATE,
    steps=(
        Step("place", place, undo=release, task_state="scheduling"),
        Step("addresses", addresses, undo=unplug, task_state="networking"),
        Step("wire", wire, task_state="networking"),
        Step("spawn", spawn, undo=discard, task_state="spawning"),
    ),
    succeeded=became_active,
    failed=became_error,
    start_over_from="place",
)
