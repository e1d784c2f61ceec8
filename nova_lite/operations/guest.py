"""The complete description of an instance's guest, as its worker needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from nova_lite.bus.messages import Json
from nova_lite.db.models import Instance
from nova_lite.db.queries import filters, hosts, networks
from nova_lite.db.queries.security_groups import rules_of
from nova_lite.domain.errors import InvalidState, NotFound
from nova_lite.domain.ids import domain_name
from nova_lite.domain.specs import Disk, GuestSpec, ImageSource, Nic, to_json
from nova_lite.domain.states import PowerState
from nova_lite.network.modes import MODES
from nova_lite.operations.flow import StepContext
from nova_lite.operations.views import network_view

NOTHING: Mapping[str, Any] = MappingProxyType({})


def place_of(instance: Instance) -> str:
    """The host an instance is on.  Raises InvalidState when it is on none."""
    if instance.host is None:
        raise InvalidState(f"Instance {instance.id} has no host.")
    return instance.host


def vacate(context: StepContext, held: Sequence[str]) -> None:
    """Remove the guest from these hosts, one at a time, and give their room back.

    From one that is down it is removed when that speaks again, by reconcilers.hosts.
    """
    if held:
        guest = {"id": str(context.instance.id)}
        context.ask(held[0], "guest.remove", lambda: guest, lost_is_done=True)
        hosts.release(context.session, context.instance.id, held[0])
        context.repeat = len(held) > 1


def described(context: StepContext, **instead: Any) -> Json:
    """The guest in the words of a command; with `instead` as for `guest_spec`."""
    return {"id": str(context.instance.id), "spec": to_json(guest_spec(context, **instead))}


def order(
    context: StepContext, host: str, verb: str, more: Mapping[str, Any] = NOTHING, **instead: Any
) -> None:
    """Have the guest on `host` be as `verb` says; how it is then is noted.

    In an undo a host that is down has nothing to say: its guest is off.
    """
    answer = context.ask(host, verb, lambda: {**described(context, **instead), **more})
    note_filters(context, host, answer)
    context.instance.power_state = PowerState(answer.get("power_state", PowerState.SHUTDOWN))


def note_filters(context: StepContext, host: str, answer: Json) -> None:
    """What the guest lets through there is what its description said."""
    generation = int(answer.get("filters", 0))
    if generation > context.instance.filters_applied:
        filters.applied(context.session, context.instance.id, host, generation)


def guest_spec(
    context: StepContext,
    *,
    rescue: UUID | None = None,
    without_port: UUID | None = None,
    **instead: Any,
) -> GuestSpec:
    """The instance's guest; with `instead` as it is to be, by names of Instance's columns.

    With `rescue` it starts from a disk of that image, its own disks beside it.
    """
    instance, session = context.instance, context.session

    def is_to_be(name: str) -> Any:
        return instead[name] if name in instead else getattr(instance, name)

    nics = nics_of(session, [instance.id])[instance.id]
    image = is_to_be("disk_image_id") or is_to_be("image_id")
    disks = [Disk("vda", is_to_be("root_gb"), image and _source(context, image))]
    if is_to_be("ephemeral_gb"):
        disks.append(Disk("vdb", is_to_be("ephemeral_gb")))
    if rescue:
        disks.append(Disk("vdr", 0, _source(context, rescue), boot=True))
    return GuestSpec(
        id=instance.id,
        name=domain_name(instance.number),
        display_name=instance.display_name,
        project_id=instance.project_id,
        vcpus=is_to_be("vcpus"),
        memory_mb=is_to_be("memory_mb"),
        disks=tuple(disks),
        disk_generation=is_to_be("disk_generation"),
        nics=tuple(nic for nic in nics if nic.port_id != without_port),
        filters=instance.filters_wanted,
    )


def nics_of(session: Session, instances: Iterable[UUID]) -> dict[UUID, list[Nic]]:
    """The NICs of each of these instances, and what they let through."""
    found = networks.ports_of_all(session, instances)
    rules = rules_of(session, [port.id for ports in found.values() for port, _, _ in ports])
    return {
        id: [
            Nic(
                port_id=port.id,
                mac=port.mac,
                link=MODES[network.mode].on_compute(network_view(network, ())),
                addresses=tuple(addresses),
                rules=rules[port.id],
            )
            for port, network, addresses in ports
        ]
        for id, ports in found.items()
    }


def _source(context: StepContext, image: UUID) -> ImageSource:
    try:
        return context.world.image_source(image, context.session)
    except NotFound:
        # An image may be deleted before the guests that were made from it: they
        # have their disks, and a host that does not has nothing to make them from.
        return ImageSource(id=image, url="", disk_format="", size=0, sha512="")
