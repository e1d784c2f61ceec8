"""The test guest is what the tests of the cloud take it for; seen on QEMU alone."""

from __future__ import annotations

import shlex
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.guest import Machine

pytestmark = pytest.mark.real

USER_DATA = "#!/bin/sh\necho once >>/root/user-data-ran\necho the user data speaks\nexit 3\n"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "owner")


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text().strip()


def overlay(image: Path, directory: Path) -> str:
    """A disk of its own on top of the image, as a value of -drive."""
    disk = directory / "disk.qcow2"
    subprocess.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", image, disk], check=True
    )
    return f"file={disk},format=qcow2"


class MetadataService(ThreadingHTTPServer):
    """Serves the EC2 tree of one instance, but only from the third time it is asked."""

    daemon_threads = True

    def __init__(self, tree: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), MetadataHandler)
        self.tree = tree
        self.refusals = 2

    @property
    def relay(self) -> str:
        """The command that connects its stdin and stdout with this service."""
        return f"busybox nc 127.0.0.1 {self.server_port}"


class MetadataHandler(BaseHTTPRequestHandler):
    server: MetadataService

    def do_GET(self) -> None:
        text = self.server.tree.get(self.path)
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_error(503)
        elif text is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test knows what it serves."""


@pytest.fixture
def metadata(key: Path) -> Iterator[MetadataService]:
    service = MetadataService(
        {
            "/latest/meta-data/instance-id": "i-0000002a",
            "/latest/meta-data/local-hostname": "web-1.example.org",
            "/latest/meta-data/public-keys/": "0=mine",
            "/latest/meta-data/public-keys/0/openssh-key": public(key),
            "/latest/user-data": USER_DATA,
        }
    )
    thread = threading.Thread(target=service.serve_forever)
    thread.start()
    yield service
    service.shutdown()
    thread.join()
    service.server_close()


def test_a_guest_becomes_who_the_metadata_service_says_once(
    guest_image: Path, tmp_path: Path, metadata: MetadataService, key: Path
) -> None:
    with Machine.booted(
        tmp_path,
        disks=[overlay(guest_image, tmp_path)],
        services={"169.254.169.254:80": metadata.relay},
    ) as machine:
        machine.wait_for("boot-complete")
        assert "dhcp eth0=169.254.169.15/24" in machine.console
        assert "metadata source=service instance-id=i-0000002a hostname=web-1 keys=1" in (
            machine.console
        )
        assert "the user data speaks" in machine.console
        assert "user-data status=3" in machine.console
        machine.wait_for("web-1 login:")
        assert machine.ssh(key, "hostname").stdout == "web-1\n"
        assert machine.ssh(make_key(tmp_path / "stranger"), "hostname").returncode == 255

        machine.ssh(key, "reboot")
        machine.wait_for("nova-lite-guest: shutdown")
        machine.wait_for("boot-complete", times=2)
        assert machine.ssh(key, "cat /root/user-data-ran").stdout == "once\n"

        machine.press_power_button()
        machine.wait_for_power_off(seconds=60)
        assert "nova-lite-guest: power-button" in machine.console


def test_a_guest_reads_its_config_drive_and_asks_nobody(
    guest_image: Path, tmp_path: Path, key: Path
) -> None:
    drive = tmp_path / "config.img"
    (tmp_path / "meta_data.json").write_text(
        '{"uuid": "6c1f2b0e", "hostname": "db-1", '
        f'"public_keys": {{"mine": "{public(key)}\\n"}}, "keys": [{{"data": "{public(key)}\\n"}}]}}'
    )
    (tmp_path / "user_data").write_text(USER_DATA)
    latest = "::openstack/latest"
    for command in (
        f"mkfs.vfat -n CONFIG-2 -C {drive} 1024",
        f"mmd -i {drive} ::openstack {latest}",
        f"mcopy -i {drive} {tmp_path}/meta_data.json {tmp_path}/user_data {latest}",
    ):
        subprocess.run(shlex.split(command), check=True, capture_output=True)
    disks = [overlay(guest_image, tmp_path), f"file={drive},format=raw,readonly=on"]
    with Machine.booted(tmp_path, disks=disks, services={}) as machine:
        machine.wait_for("boot-complete")
        assert "metadata source=config-drive instance-id=6c1f2b0e hostname=db-1 keys=1" in (
            machine.console
        )
        assert "user-data status=3" in machine.console
        assert machine.ssh(key, "cat /root/user-data-ran").stdout == "once\n"


def test_a_guest_without_disk_and_network_still_boots(guest_image: Path, tmp_path: Path) -> None:
    kernel, ramdisk = guest_image.with_name("vmlinuz"), guest_image.with_name("initrd.img")
    direct: list[str | Path] = [
        "-kernel",
        kernel,
        "-initrd",
        ramdisk,
        "-append",
        "console=ttyS0 quiet",
    ]
    with Machine.booted(tmp_path, arguments=direct) as machine:
        machine.wait_for("boot-complete")
        assert "metadata source=none" in machine.console
