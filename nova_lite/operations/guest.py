"""The complete description of an instance's guest, as its worker needs it."""

from __future__ import annotations

from nova_lite.db.queries import networks
from nova_lite.domain.ids import domain_name
from nova_lite.domain.specs import Disk, GuestSpec, Nic
from nova_lite.network.modes import MODES
from nova_lite.operations.flow import StepContext
from nova_lite.operations.views import network_view


def guest_spec(context: StepContext) -> GuestSpec:
    instance, session = context.instance, context.session
    nics = tuple(
        Nic(
            port_id=port.id,
            mac=port.mac,
            link=MODES[network.mode].on_compute(network_view(network, ())),
            addresses=tuple(addresses),
        )
        for port, network, addresses in networks.ports_of(session, instance.id)
    )
    image = instance.image_id and context.world.image_source(instance.image_id, session)
    disks = [Disk("vda", instance.root_gb, image or None)]
    if instance.ephemeral_gb:
        disks.append(Disk("vdb", instance.ephemeral_gb))
    return GuestSpec(
        id=instance.id,
        name=domain_name(instance.number),
        display_name=instance.display_name,
        project_id=instance.project_id,
        vcpus=instance.vcpus,
        memory_mb=instance.memory_mb,
        disks=tuple(disks),
        nics=nics,
    )
