"""The parts that know their own host and the bus, and nothing else: compute and network workers.

Nothing here may load the database; a test says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from oslo_config import cfg

from nova_lite import config as options
from nova_lite.bus.messages import HostStatus
from nova_lite.bus.transport import AmqpBus
from nova_lite.bus.worker import Worker
from nova_lite.cmd.heart import Heart
from nova_lite.cmd.process import Process
from nova_lite.compute.status import compute_status
from nova_lite.compute.verbs import ComputeVerbs
from nova_lite.domain.specs import Role
from nova_lite.network.driver import NetworkDriver
from nova_lite.network.verbs import NetworkVerbs
from nova_lite.virt.driver import VirtDriver

LOG = logging.getLogger(__name__)
LOOKING = 3.0  # seconds that looking at the host may keep a sign of life waiting


def add_compute(config: cfg.ConfigOpts, process: Process, bus: AmqpBus) -> None:
    """One compute worker, or with the fake driver as many hosts as it shall play."""
    fake = config.compute.driver == "fake"
    several = fake and config.compute.fake_hosts > 1
    numbers = range(1, config.compute.fake_hosts + 1)
    hosts = [f"{config.host}-{i}" for i in numbers] if several else [config.host]
    drivers = fake_virt(config, hosts) if fake else {config.host: libvirt_virt(config)}
    for host, virt in drivers.items():
        network = network_driver(config, host)
        if config.network.driver != "fake":
            network.watch()
            process.every(config.report_interval, network.watch, f"filters on {host}")
        verbs = ComputeVerbs(virt, network)
        status = partial(
            compute_status,
            host,
            virt,
            zone=config.availability_zone,
            address=config.my_ip,
            reserved_memory_mb=config.compute.reserved_host_memory_mb,
            reserved_disk_gb=config.compute.reserved_host_disk_gb,
        )
        worker = Worker(
            host,
            verbs.verbs(),
            verbs.questions(),
            bus.report,
            {str(id): guest.sequence for id, guest in virt.guests().items()},
        )
        _add_worker(config, process, bus, Role.COMPUTE, worker, status)


def fake_virt(config: cfg.ConfigOpts, hosts: Sequence[str]) -> Mapping[str, VirtDriver]:
    """Machines that know each other: their guests can migrate among them."""
    from nova_lite.images.looking import Looks
    from nova_lite.virt.fake import FakeDriver, Machine

    machines = {
        host: Machine(directory=options.state(config, "fake", host, "guests")) for host in hosts
    }
    for machine in machines.values():
        machine.peers = machines
    look = Looks().look
    return {host: FakeDriver(machine, look) for host, machine in machines.items()}


def libvirt_virt(config: cfg.ConfigOpts) -> VirtDriver:
    from nova_lite.images.cache import ImageCache
    from nova_lite.virt.libvirt.driver import LibvirtDriver
    from nova_lite.virt.libvirt.probe import choose_virt_type

    kernel = config.libvirt.probe_kernel and Path(config.libvirt.probe_kernel)
    kept = options.state(config, "kvm.json")
    chosen = choose_virt_type(config.libvirt.virt_type, kernel or None, kept=kept)
    LOG.info("guests run on %s: %s", chosen.virt_type, chosen.reason)
    instances = options.state(config, "instances")
    driver = LibvirtDriver(
        config.libvirt.connection_uri, instances, ImageCache(instances / "_base"), chosen.virt_type
    )
    driver.clean()
    return driver


def add_network(config: cfg.ConfigOpts, process: Process, bus: AmqpBus) -> None:
    driver = network_driver(config, config.host)
    verbs = NetworkVerbs(driver)
    worker = Worker(config.host, verbs.verbs(), {}, bus.report)
    _add_worker(
        config, process, bus, Role.NETWORK, worker, partial(_network_status, config, driver)
    )


def _network_status(config: cfg.ConfigOpts, driver: NetworkDriver, *, started: bool) -> HostStatus:
    return HostStatus(
        role=Role.NETWORK,
        host=config.host,
        started=started,
        zone="internal",
        address=config.my_ip,
        networks={str(id): generation for id, generation in driver.networks().items()},
    )


def _add_worker(
    config: cfg.ConfigOpts,
    process: Process,
    bus: AmqpBus,
    role: Role,
    worker: Worker,
    status: Callable[..., HostStatus],
) -> None:
    """Listen first, then say that we are here: what is asked at once is heard."""
    bus.serve_worker(role, worker.host, worker)
    first = status(started=True)
    bus.status(first)
    alive = HostStatus(role, worker.host, zone=first.zone, address=first.address)
    heart = Heart(bus.status, partial(status, started=False), alive, LOOKING)
    process.on_stop(heart.stop)
    process.every(config.report_interval, heart.beat, f"status of {role} on {worker.host}")


def network_driver(config: cfg.ConfigOpts, host: str) -> NetworkDriver:
    if config.network.driver == "fake":
        from nova_lite.network.fake import FakeHost, FakeNetwork

        return FakeNetwork(FakeHost(options.state(config, "fake", host, "networks")))
    from nova_lite.network.linux import LinuxDriver

    return LinuxDriver(options.state(config, "networks"))
