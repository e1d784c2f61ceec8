"""bin/quickstart, as somebody who has just heard of it runs it.

The real one works in a network namespace of its own, so that its bridge and
rules are not this machine's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.guest import REPOSITORY
from tests.netlab import Namespace
from tests.processes import free_port, wait_until

pytestmark = pytest.mark.real
STAGES = re.compile(r"^==> (.*)$", re.MULTILINE)


class Quickstart:
    """One state directory, and what is done with it."""

    def __init__(self, state: Path, *options: str, before: Sequence[str] = ()) -> None:
        self.state, self.options, self.before = state, options, before
        self.port = free_port()
        self.environment = {**os.environ, "NOVA_LITE_VENV": sys.prefix}

    def command(self, *more: str) -> list[str]:
        where = [f"--state-dir={self.state}", *self.options]
        return [*self.before, str(REPOSITORY / "bin" / "quickstart"), *where, *more]

    def run(self, *more: str, status: int = 0) -> str:
        done = subprocess.run(
            self.command(*more),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=500,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def start(self, *more: str) -> str:
        metadata = f"--metadata-port={self._metadata_port()}"
        return self.run(f"--port={self.port}", metadata, *more)

    def _metadata_port(self) -> int:
        config = self.state / "nova.conf"
        if config.exists():
            return int(re.findall(r"^port = (\d+)$", config.read_text(), re.MULTILINE)[1])
        return free_port()

    def killed_at(self, stage: str, seconds: float) -> None:
        """As if power failed so long after this stage has begun; but daemons run on."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                self.command(f"--port={self.port}", f"--metadata-port={self._metadata_port()}"),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

            def reached() -> bool:
                output = os.pread(said.fileno(), 1 << 16, 0).decode()
                assert process.poll() is None, output
                return f"==> {stage}" in output

            try:
                wait_until(reached, seconds=300, what=stage)
                time.sleep(seconds)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def openstack(self, *words: str) -> Any:
        """What the command-line client answers whoever has read our openrc."""
        client = [str(Path(sys.executable).with_name("openstack")), *words, "-f", "json"]
        script = f'. {self.state}/openrc; exec "$@"'
        done = subprocess.run(
            [*self.before, "sh", "-c", script, "-", *client],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ssh(self, address: str, command: str) -> str:
        ssh = ["ssh", "-F", f"{self.state}/ssh_config", address, command]
        done = subprocess.run(
            [*self.before, *ssh], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kill(self, pid_file: str) -> None:
        os.kill(int((self.state / pid_file).read_text()), signal.SIGKILL)


def processes_of(state: Path) -> list[str]:
    """The command lines in which this directory occurs."""
    found = subprocess.run(["ps", "axo", "args"], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if f"{state}/" in line]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Not pytest's own: QEMU and dnsmasq, as other users, could not get into that."""
    with tempfile.TemporaryDirectory(prefix="nova-lite-quickstart-") as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


@pytest.fixture
def play(directory: Path) -> Iterator[Quickstart]:
    quickstart = Quickstart(directory / "fake", "--fake")
    yield quickstart
    quickstart.run("--purge")


def test_a_fake_cloud_can_be_used_stopped_started_and_purged(play: Quickstart) -> None:
    play.start("--hosts", "2")
    assert len(play.openstack("hypervisor", "list")) == 2
    assert [server["Status"] for server in play.openstack("server", "list")] == ["ACTIVE"]
    assert {image["Name"] for image in play.openstack("image", "list")} == {
        "test-guest",
        "test-guest-alt",
    }
    second = play.openstack(
        *("server", "create", "--image", "test-guest-alt", "--flavor", "m1.tiny"),
        *("--network", "private", "--key-name", "quickstart", "--wait", "second"),
    )
    assert second["status"] == "ACTIVE"
    for secret in ("nova.conf", "admin-password", "openrc", "clouds.yaml", "id_ed25519"):
        assert (play.state / secret).stat().st_mode & 0o777 == 0o600
    began = time.monotonic()
    assert "runs already" in play.start()
    assert time.monotonic() - began < 15
    assert "nova-all is stopped" in play.run("--stop")
    assert processes_of(play.state) == []
    assert "nova-all did not run" in play.run("--stop")
    play.start()
    assert {s["Name"]: s["Status"] for s in play.openstack("server", "list")} == {
        "first": "ACTIVE",
        "second": "ACTIVE",
    }
    play.run("--purge")
    assert not play.state.exists() and processes_of(play.state) == []
    assert "There is nothing" in play.run("--purge")


def test_two_fake_clouds_do_not_meet(play: Quickstart, directory: Path) -> None:
    other = Quickstart(directory / "other", "--fake", "--no-server")
    play.start()
    other.start()
    assert len(play.openstack("server", "list")) == 1
    assert other.openstack("server", "list") == []
    other.run("--purge")
    assert len(play.openstack("server", "list")) == 1


def test_what_cannot_be_is_told_in_one_line(play: Quickstart, directory: Path) -> None:
    play.start("--no-server")
    taken = Quickstart(directory / "taken", "--fake")
    taken.port = play.port

    def refusal(quickstart: Quickstart, *words: str) -> str:
        *_, last = quickstart.run(*words, status=1).splitlines()
        return last

    assert "is in use -> use another --port" in refusal(taken, f"--port={play.port}")
    assert "says port" in refusal(play, "--port=1")
    assert "says number of hosts 1, not 7" in refusal(play, "--hosts=7")
    assert "runs already" in refusal(play, "--foreground")
    assert "holds something else" in refusal(Quickstart(directory, "--fake"))
    assert "there is no option --fast" in refusal(play, "--fast")
    taken.run("--purge")


def test_in_the_foreground_it_stays_until_it_is_interrupted(play: Quickstart) -> None:
    process = subprocess.Popen(
        play.command(f"--port={play.port}", "--foreground"),
        env=play.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        assert process.stdout
        assert any("Again: --stop" in line for line in process.stdout)
        assert len(play.openstack("server", "list")) == 1
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
    assert processes_of(play.state) == []


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    made = Namespace(f"nlqs-{os.getpid()}")
    yield made
    made.remove()


@pytest.fixture
def cloud(directory: Path, namespace: Namespace, guest_image: Path) -> Iterator[Quickstart]:
    """Not started.  A kernel is there already: nothing can be downloaded in the namespace."""
    state = directory / "real"
    (state / "guest" / "work").mkdir(parents=True)
    (state / "made-by-quickstart").touch()
    for package in (guest_image.parent / "work").glob("linux-image-*.deb"):
        shutil.copy(package, state / "guest" / "work")
    quickstart = Quickstart(state, before=("ip", "netns", "exec", namespace.name))
    yield quickstart
    quickstart.run("--purge")


def footprint(namespace: Namespace, state: Path) -> dict[str, object]:
    """All that a cloud could leave on its host."""
    return {
        "interfaces": namespace.run("ip", "-brief", "link"),
        "routes": namespace.run("ip", "route", "show", "table", "all"),
        "rules": namespace.run("nft", "list", "ruleset"),
        "forwarding": namespace.run("cat", "/proc/sys/net/ipv4/ip_forward"),
        "processes": processes_of(state),
        "state": state.exists(),
        "mounts": str(state) in Path("/proc/mounts").read_text(),
        "claims": sorted(path.name for path in Path("/run").glob("nova-lite-*")),
        "libvirt": sorted(os.listdir("/etc/libvirt")),
        "groups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/machine*")),
    }


def test_a_real_cloud_has_a_server_to_log_in_to_and_leaves_nothing(
    cloud: Quickstart, namespace: Namespace
) -> None:
    before = footprint(namespace, cloud.state) | {"state": False}
    said = cloud.start()
    assert re.search(r"guests run on (kvm|qemu): \w+", said)
    assert re.search(r"it answers ssh, [\d.]+ s after it was asked for", said)
    (server,) = cloud.openstack("server", "list")
    address = server["Networks"]["private"][0]
    assert cloud.ssh(address, "hostname").strip() == "first"
    booted = cloud.ssh(address, "stat -c %Y /proc/1").strip()

    began = time.monotonic()
    assert "runs already" in cloud.start()
    assert time.monotonic() - began < 20

    assert "guests that run on, with their network: 1" in cloud.run("--stop")
    assert cloud.ssh(address, "stat -c %Y /proc/1").strip() == booted
    cloud.start()
    assert cloud.ssh(address, "stat -c %Y /proc/1").strip() == booted

    cloud.run("--purge")
    assert footprint(namespace, cloud.state) == before


def test_whenever_it_is_killed_the_next_run_goes_on(
    cloud: Quickstart, namespace: Namespace
) -> None:
    for stage, seconds in (
        ("Configuration", 0.05),
        ("Database", 0.7),
        ("Test guest", 0.5),
        ("Hypervisor", 0.2),
        ("nova-all", 0.5),
        ("First server", 0.5),
    ):
        cloud.killed_at(stage, seconds)
    cloud.kill("nova-all.pid")
    if (cloud.state / "libvirt").exists():
        cloud.kill("libvirt/run/libvirtd.pid")
    assert "it answers ssh" in cloud.start()
    assert len(cloud.openstack("server", "list")) == 1


def test_what_was_left_half_made_is_purged_as_well(cloud: Quickstart, namespace: Namespace) -> None:
    before = footprint(namespace, cloud.state) | {"state": False}
    cloud.killed_at("First server", 1)
    cloud.kill("nova-all.pid")
    if (cloud.state / "libvirt").exists():
        cloud.kill("libvirt/run/libvirtd.pid")
        cloud.kill("libvirt/run/virtlogd.pid")
    cloud.run("--purge")
    assert footprint(namespace, cloud.state) == before


def test_a_second_real_cloud_on_one_host_is_refused(cloud: Quickstart, directory: Path) -> None:
    cloud.start("--no-server")
    second = Quickstart(directory / "second", before=cloud.before)
    said = second.run(f"--port={free_port()}", status=1)
    assert f"{cloud.state} provides the networks of this host -> purge it" in said
    second.run("--purge")
