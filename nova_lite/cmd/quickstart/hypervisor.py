"""What a real cloud rests on, on this host: made ready, left alone, cleared away."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from uuid import UUID

import sqlalchemy as sa
from oslo_config import cfg

from nova_lite import config as options
from nova_lite.cmd import wiring
from nova_lite.cmd.quickstart import libvirtd
from nova_lite.cmd.quickstart.place import Place
from nova_lite.cmd.quickstart.terminal import note
from nova_lite.db.models import Instance
from nova_lite.network.linux import LinuxDriver
from nova_lite.virt.libvirt.probe import choose_virt_type


def prepare(place: Place, config: cfg.ConfigOpts) -> None:
    """A libvirt that answers, and whether KVM works: an answer that nova-all will find kept."""
    kernel = Path(config.libvirt.probe_kernel) if config.libvirt.probe_kernel else None
    kept = options.state(config, "kvm.json")
    chosen = choose_virt_type(config.libvirt.virt_type, kernel, kept=kept)
    note(f"guests run on {chosen.virt_type}: {chosen.reason}")
    libvirtd.ensure(place, config.libvirt.connection_uri, kvm=chosen.virt_type == "kvm")


def leave(place: Place, config: cfg.ConfigOpts) -> None:
    """Guests run on without nova-all, as they do while it is restarted."""
    uri = config.libvirt.connection_uri
    if guests := libvirtd.active(uri):
        note(f"guests that run on, with their network: {guests}; --purge ends them")
    libvirtd.release(place, uri)


def clear(place: Place, config: cfg.ConfigOpts) -> None:
    """Nothing of ours is left outside the state directory."""
    uri = config.libvirt.connection_uri
    instances, networks = options.state(config, "instances"), options.state(config, "networks")
    if instances.exists():  # else no compute worker has ever run
        libvirtd.ensure(place, uri, kvm=False)
        note(f"guests removed: {libvirtd.remove_guests(uri, instances)}")
        libvirtd.remove_traces(_all_there_ever_were(config), instances)
    if networks.exists():
        LinuxDriver(networks).remove_all()
        note("bridges, rules and dnsmasq removed")
    libvirtd.release(place, uri)


def _all_there_ever_were(config: cfg.ConfigOpts) -> list[UUID]:
    """The database remembers deleted guests, too."""
    with closing(wiring.database(config)) as database, database.read() as session:
        return list(session.scalars(sa.select(Instance.id)))
