"""Plugging a port into an instance, and pulling it out, while it runs.

The request has bound the port to the instance, or names the one that goes.
"""

from __future__ import annotations

from uuid import UUID

from nova_lite.db.queries import networks
from nova_lite.domain.states import Action
from nova_lite.operations.flow import Flow, Step, StepContext
from nova_lite.operations.guest import described, note_filters, place_of
from nova_lite.operations.instance_create import note_fault, wire
from nova_lite.operations.instance_power import ended


def _port(context: StepContext) -> UUID:
    return UUID(context.operation.args["port_id"])


def learn_generation(context: StepContext) -> None:
    """Which state of its network the gateway must have got to."""
    network = networks.network_of(context.session, _port(context))
    if network is not None:
        generation = networks.generation(context.session, network)
        context.learn(generations={str(network): generation})
        context.networks_changed.add(network)


def let_go(context: StepContext) -> None:
    """The instance has the port no more."""
    context.networks_changed |= networks.release_ports(context.session, [_port(context)])


def plug(context: StepContext) -> None:
    host = place_of(context.instance)
    answer = context.ask(host, "guest.plug", lambda: described(context))
    note_filters(context, host, answer)


def pull(context: StepContext) -> None:
    port = _port(context)
    context.ask(
        place_of(context.instance), "guest.plug", lambda: described(context, without_port=port)
    )


INSTANCE_ATTACH_INTERFACE = Flow(
    "instance.attach_interface",
    Action.ATTACH_INTERFACE,
    (
        Step("port", learn_generation, undo=let_go),
        Step("wire", wire),
        Step("plug", plug, undo=pull),
    ),
    ended,
    failed=note_fault,
)
INSTANCE_DETACH_INTERFACE = Flow(
    "instance.detach_interface",
    Action.DETACH_INTERFACE,
    (
        Step("pull", pull, undo=plug),
        Step("port", let_go),
    ),
    ended,
    failed=note_fault,
)
