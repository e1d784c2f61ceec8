"""Create an instance: find it a place, give it addresses, wire it, start it."""

from __future__ import annotations

from uuid import UUID, uuid5

from nova_lite.db.models import COMPUTE
from nova_lite.db.queries import hosts, networks
from nova_lite.domain.errors import Conflict
from nova_lite.domain.states import Action, PowerState, VmState
from nova_lite.network.modes import MODES
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.guest import order, place_of
from nova_lite.operations.place import find
from nova_lite.operations.placement import placement_of


def place(context: StepContext) -> None:
    """Claim the best host that still has room when its turn comes."""
    instance = context.instance
    if instance.host is not None:
        return
    tried = context.facts.get("tried", [])
    request = placement_of(context.session, instance, context.operation.args, frozenset(tried))
    host = find(context, request, context.facts.get("failures", []))
    instance.host, instance.zone = host, hosts.zone_of(context.session, host)
    context.learn(tried=[*tried, host])


def release(context: StepContext) -> None:
    for host in hosts.allocated(context.session, context.instance.id):
        hosts.release(context.session, context.instance.id, host)
    context.instance.host = context.instance.zone = None


def addresses(context: StepContext) -> None:
    """A port on each network asked for.  Their ids follow from the operation: twice is once."""
    instance, operation = context.instance, context.operation
    generations = {}
    groups = operation.args.get("groups")
    for i, wanted in enumerate(operation.args.get("networks", [])):
        network, owner = UUID(wanted["network"]), f"{COMPUTE}{instance.zone}"
        if wanted.get("port"):
            port = UUID(wanted["port"])
            tag = wanted.get("tag")
            if not networks.bind_port(context.session, port, instance.id, owner, i, tag):
                raise Conflict(f"Port {port} is still in use.")
            networks.touch(context.session, network)
        else:
            networks.add_port(
                context.session,
                network,
                id=uuid5(operation.id, f"port {i}"),
                project_id=instance.project_id,
                addresses=((None, wanted.get("address")),),
                hostname=instance.hostname,
                device_id=str(instance.id),
                device_owner=owner,
                order=i,
                tag=wanted.get("tag"),
                groups=None if groups is None else [UUID(group) for group in groups],
                now=context.world.now(),
            )
        generations[str(network)] = networks.generation(context.session, network)
        context.networks_changed.add(network)
    context.learn(generations=generations)


def unplug(context: StepContext) -> None:
    """Its ports go with the instance; those that somebody else made are only let go."""
    found = networks.ports_of(context.session, context.instance.id)
    context.networks_changed |= networks.release_ports(
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
    order(context, place_of(context.instance), "guest.run")


def discard(context: StepContext) -> None:
    if context.instance.host:
        context.ask(context.instance.host, "guest.remove", lambda: {"id": str(context.instance.id)})


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
