"""Making the state directory a cloud: configuration, database, and what they rest on."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from oslo_config import cfg

import nova_lite
from nova_lite import config as options
from nova_lite.cmd.quickstart import furniture, host
from nova_lite.cmd.quickstart.arguments import PORT, Arguments
from nova_lite.cmd.quickstart.client import Client
from nova_lite.cmd.quickstart.place import Place, write
from nova_lite.cmd.quickstart.terminal import Refusal, note
from nova_lite.cmd.quickstart.texts import (
    Choices,
    Login,
    clouds_yaml,
    nova_conf,
    openrc,
    ssh_config,
)
from nova_lite.db import migrate

ROOM_MB = {True: 100, False: 2000}  # by whether it is fake
BUILD_GUEST = Path(nova_lite.__file__).resolve().parent.parent / "bin" / "build-test-guest"


def configure(place: Place, arguments: Arguments) -> cfg.ConfigOpts:
    """Write the configuration, unless there is one; then nothing asked for may contradict it."""
    if not place.config.exists():
        write(place.config, nova_conf(_choose(place, arguments)))
        note(f"wrote {place.config}")
    config = load(place)
    for said, asked, name in (
        ("fake" if is_fake(config) else "real", "fake" if arguments.fake else "real", "hypervisor"),
        (config.compute.fake_hosts, arguments.hosts, "number of hosts"),
        (config.api.port, arguments.port, "port"),
        (config.metadata.port, arguments.metadata_port, "metadata port"),
    ):
        if asked not in (None, said):
            raise Refusal(
                f"{place.config} says {name} {said}, not {asked}",
                "change it there and restart (--stop), or take another --state-dir",
            )
    return config


def load(place: Place) -> cfg.ConfigOpts:
    try:
        return options.load(["--config-file", str(place.config)])
    except (cfg.Error, ValueError) as error:
        raise Refusal(f"{place.config}: {error}", "correct it") from None


def is_fake(config: cfg.ConfigOpts) -> bool:
    return bool(config.compute.driver == "fake")


def _choose(place: Place, arguments: Arguments) -> Choices:
    port = arguments.port or PORT
    metadata_port = arguments.metadata_port or port + 1
    host.require_free(port, "--port")
    host.require_free(metadata_port, "--metadata-port")
    free = shutil.disk_usage(place.directory).free >> 20
    if free < ROOM_MB[arguments.fake]:
        raise Refusal(
            f"{place.directory} has {free} MB left, {ROOM_MB[arguments.fake]} MB are needed",
            "free some, or use another --state-dir",
        )
    common = (place.directory, socket.gethostname(), port, metadata_port)
    if arguments.fake:
        return Choices(*common, fake_hosts=arguments.hosts or 1)
    # Not at the top: who only plays needs no libvirt, and may not have it.
    from nova_lite.cmd.quickstart import libvirtd

    _require_open(place.directory)
    return Choices(
        *common,
        bridge=host.choose_bridge(host.interfaces()),
        libvirt=libvirtd.choose(place),
        probe_kernel=str(place.guest / "vmlinuz"),
    )


def _require_open(directory: Path) -> None:
    for above in directory.resolve().parents:
        if not above.stat().st_mode & stat.S_IXOTH:
            raise Refusal(
                f"QEMU and dnsmasq, users of their own, cannot enter {above}",
                f"use another --state-dir, or: chmod o+x {above}",
            )


def write_access(place: Place, config: cfg.ConfigOpts) -> Login:
    """How to get in, for people and their tools."""
    place.public_key()
    url = config.api.public_endpoint or f"http://127.0.0.1:{config.api.port}"
    login = Login(url.rstrip("/"), place.admin_password())
    write(place.openrc, openrc(login))
    write(place.clouds, clouds_yaml(login))
    write(place.ssh_config, ssh_config(place.key))
    return login


def bootstrap(place: Place) -> None:
    """Keys, database, administrator, flavors: as `nova-manage bootstrap` makes them anywhere."""
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("nova-manage"), "--config-file", place.config),
            *("bootstrap", "--password-file", place.password),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise Refusal(f"nova-manage bootstrap failed:\n{done.stdout.strip()}")
    for line in done.stdout.splitlines():
        note(line)


def is_outdated(config: cfg.ConfigOpts) -> bool:
    """Whether the database is older than the program, as after an update of the checkout."""
    return migrate.version(options.database_url(config)) != migrate.head()


def build_guest(place: Place) -> None:
    if subprocess.run([BUILD_GUEST, place.guest], stdin=subprocess.DEVNULL).returncode:
        raise Refusal("the test guest cannot be built", "see above")


def require_root(fake: bool) -> None:
    if not fake and os.geteuid() != 0:
        raise Refusal("bridges and guests need root", "use sudo, or try --fake")


def ensure_images(client: Client, place: Place, fake: bool) -> str:
    """The image of the first server; who plays has two, as tests of clients want them."""
    if not fake:
        return furniture.ensure_image(client, furniture.IMAGE, place.guest / "disk.qcow2", "qcow2")
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(1 << 20)
        furniture.ensure_image(client, furniture.OTHER_IMAGE, Path(file.name), "raw")
        return furniture.ensure_image(client, furniture.IMAGE, Path(file.name), "raw")
