"""bin/quickstart, from where there is a virtual environment: one host becomes a cloud."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import time
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from types import ModuleType

from nova_lite.cmd.quickstart import claim, furniture, host, setup
from nova_lite.cmd.quickstart.arguments import Arguments, parse
from nova_lite.cmd.quickstart.client import Client, Refused
from nova_lite.cmd.quickstart.daemon import Daemon
from nova_lite.cmd.quickstart.place import Place
from nova_lite.cmd.quickstart.terminal import Refusal, note, stage
from nova_lite.cmd.quickstart.texts import CLOUD, Login
from nova_lite.domain.errors import NovaLiteError


def main() -> int:
    # Whatever the caller's is: QEMU and dnsmasq pass through directories made here. What
    # is secret says so itself.
    os.umask(0o022)
    # What is worth knowing is told by the stages.
    logging.getLogger().addHandler(logging.NullHandler())
    try:
        arguments = parse(sys.argv[1:])
        place = Place(arguments.state)
        if arguments.purge:
            return purge(place)
        if arguments.stop:
            return stop(place)
        return start(place, arguments)
    except (Refusal, Refused, NovaLiteError, OSError) as error:
        print(f"quickstart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("quickstart: interrupted -> the next run goes on from here", file=sys.stderr)
        return 130


def start(place: Place, arguments: Arguments) -> int:
    setup.require_root(arguments.fake)
    place.make()
    # What libraries cache goes with the state, instead of staying in somebody's home.
    os.environ["XDG_CACHE_HOME"] = str(place.directory / "cache")
    with place.alone():
        daemon, login = _bring_up(place, arguments)
        try:
            _furnish(place, arguments, login)
        except BaseException:
            if arguments.foreground:
                daemon.stop()  # nobody would look after it
            raise
    return daemon.stay() if arguments.foreground else 0


def _bring_up(place: Place, arguments: Arguments) -> tuple[Daemon, Login]:
    with stage("Configuration"):
        if not arguments.fake:
            claim.take(place)
        config = setup.configure(place, arguments)
        login = setup.write_access(place, config)
        daemon = Daemon(place, login.url)
        pid = daemon.running()
        if pid and setup.is_outdated(config):
            note("nova-all runs on an older database: it is stopped")
            daemon.stop()
            pid = None
        if pid and arguments.foreground:
            raise Refusal(f"nova-all runs already, as process {pid}", "--stop it first")
        if not pid:
            host.require_free(config.api.port, "port in nova.conf")
            host.require_free(config.metadata.port, "port in nova.conf")
    if not pid:
        with stage("Database and administrator"):
            setup.bootstrap(place)
    if not setup.is_fake(config):
        with stage("Test guest"):
            setup.build_guest(place)
        with stage("Hypervisor"):
            _hypervisor().prepare(place, config)
    with stage("nova-all"):
        if pid:
            note(f"runs already, as process {pid}")
        else:
            daemon.start(foreground=arguments.foreground)
        daemon.wait()
    return daemon, login


def _furnish(place: Place, arguments: Arguments, login: Login) -> None:
    client = Client(login)
    with stage("Key pair, network and image"):
        furniture.ensure_key(client, place.public_key())
        network, cidr = furniture.ensure_network(client, _free_subnet)
        furniture.ensure_rules(client, network)
        image = setup.ensure_images(client, place, arguments.fake)
        note(f"network {furniture.NETWORK} is {cidr}")
    server = None
    if arguments.server:
        with stage("First server"):
            server = furniture.ensure_server(client, image, network)
            note(f"{furniture.SERVER} is ACTIVE at {server.address}{_since(server.began)}")
            if not arguments.fake:
                ssh = ("ssh", "-F", place.ssh_config)
                console = partial(furniture.console_log, client, server)
                furniture.wait_for_ssh(server, ssh, console)
                note(f"it answers ssh{_since(server.began)}")
    _tell(place, arguments, login, server)


def _free_subnet() -> IPv4Network:
    return host.choose_subnet(host.reachable())


def _since(began: float | None) -> str:
    return "" if began is None else f", {time.monotonic() - began:.1f} s after it was asked for"


def _tell(
    place: Place, arguments: Arguments, login: Login, server: furniture.Server | None
) -> None:
    """How to get in."""
    lines = [f"The cloud is at {login.url}, its log is {place.log}."]
    if server and not arguments.fake:
        lines += ["", f"    ssh -F {place.ssh_config} {server.address}"]
    client = Path(sys.executable).with_name("openstack")
    if not client.exists():
        client = Path("openstack")
        if not shutil.which(client):
            lines += ["", "(the client is not here: pip install python-openstackclient)"]
    lines += [
        "",
        f"    . {place.openrc}",
        f"    {client} server list",
        f"    {client} server create --image {furniture.IMAGE} --flavor {furniture.FLAVOR} \\",
        f"        --network {furniture.NETWORK} --key-name {furniture.KEY} --wait second",
        "",
        f"{place.clouds} has the same as cloud {CLOUD}.  Again: --stop, --purge.",
    ]
    print("\n" + "\n".join(lines), flush=True)


def stop(place: Place) -> int:
    if not _is_there(place):
        return 0
    with place.alone(), stage("Stop"):
        config = setup.load(place) if place.config.exists() else None
        if config is not None:
            stopped = Daemon(place, "").stop()
            note("nova-all is stopped" if stopped else "nova-all did not run")
            if not setup.is_fake(config):
                _hypervisor().leave(place, config)
    return 0


def purge(place: Place) -> int:
    if not _is_there(place):
        return 0
    with place.alone(), stage("Purge"):
        config = setup.load(place) if place.config.exists() else None
        if config is not None:
            Daemon(place, "").stop()
            if not setup.is_fake(config):
                _hypervisor().clear(place, config)
        claim.drop(place)
        place.remove()
        note(f"{place.directory} is gone; installed packages stay")
    return 0


def _is_there(place: Place) -> bool:
    if not place.exists:
        print(f"There is nothing of quickstart in {place.directory}.")
    return place.exists


def _hypervisor() -> ModuleType:
    """Loaded only when it is needed: who plays may not have libvirt."""
    from nova_lite.cmd.quickstart import hypervisor

    return hypervisor


if __name__ == "__main__":
    sys.exit(main())
